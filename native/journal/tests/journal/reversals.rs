use crate::store::{account, leg, moving, pending, post, reversal, transaction, Ledger, NO_DEBT};

#[test]
fn a_reversal_exchanges_the_sides_and_never_exceeds_the_original() {
    let mut ledger = Ledger::implicit();
    ledger.accept(&moving("transaction", "t", &[leg("a", "b", "5"), leg("a", "c", "6")], ""));
    assert!(ledger.remainders.is_empty());
    ledger.accept(&reversal("1", "t", r#","amounts":["0","4"],"reason":"returned""#));
    assert_eq!(
        ledger.last().part("legs/0").unwrap(),
        r#"{"amount":"4","asset":"EUR/2","credit":"a","debit":"c","of":1}"#
    );
    assert_eq!(ledger.last().part("reverses").unwrap(), "\"t\"");
    assert_eq!(ledger.remainders["t"], (vec![5, 2], None, 1));
    let refusal = ledger.refused_as("exceeds_original", &reversal("2", "t", r#","amounts":["0","3"]"#));
    assert_eq!((refusal.leg, refusal.needed.as_deref(), refusal.available.as_deref()), (Some(1), Some("3"), Some("2")));
    ledger.restart();
    ledger.accept(&reversal("2", "t", ""));
    assert_eq!(ledger.eur("a"), (11, 11, 0, 0));
    ledger.refused_as("already_reversed", &reversal("3", "t", ""));
}

#[test]
fn posts_and_adjustments_are_reversed_and_nothing_else() {
    let mut ledger = Ledger::implicit();
    let adjustment = moving("adjustment", "adj", &[leg("a", "b", "5")], r#","reason":"r""#);
    let batch = [
        pending("p", "a", "b", "5", ""),
        post("post", "p", ""),
        adjustment,
        reversal("r1", "post", ""),
        reversal("r2", "adj", ""),
    ];
    ledger.accept(&format!("[{}]", batch.join(",")));
    assert_eq!(ledger.eur("a"), (10, 10, 0, 0));
    assert_eq!((&ledger.remainders["post"].0, &ledger.remainders["adj"].0), (&vec![0], &vec![0]));
    ledger.accept(r#"{"kind":"event","id":"e","event":"x"}"#);
    for target in ["p", "r1", "e"] {
        ledger.refused_as("target_wrong_kind", &reversal("r3", target, ""));
    }
    ledger.refused_as("target_not_found", &reversal("r3", "none", ""));
}

#[test]
fn a_reversal_meets_the_limits() {
    let mut ledger = Ledger::implicit();
    ledger.accept(&format!("[{},{}]", account("c", NO_DEBT), transaction("t", "bank", "c", "5")));
    ledger.accept(&transaction("spent", "c", "shop", "5"));
    assert_eq!(ledger.refused_as("insufficient_funds", &reversal("r", "t", "")).account.as_deref(), Some("c"));
}

#[test]
fn what_balancing_moved_is_what_is_reversed() {
    let mut ledger = Ledger::implicit();
    ledger.accept(&transaction("0", "bank", "c", "30"));
    ledger.accept(&moving("transaction", "t", &[crate::store::balancing("c", "shop", "100", "debit")], ""));
    ledger.restart();
    ledger.accept(&reversal("r", "t", ""));
    assert_eq!(ledger.eur("c"), (30, 60, 0, 0));
}
