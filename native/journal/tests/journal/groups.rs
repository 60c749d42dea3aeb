use journal::Outcome;

use crate::store::{account, pending, post, transaction, Ledger, NO_DEBT};

fn group(members: &[String]) -> String {
    format!(r#"{{"group":[{}]}}"#, members.join(","))
}

fn codes(outcomes: &[Outcome]) -> Vec<&str> {
    outcomes
        .iter()
        .map(|outcome| if let Outcome::Refused(refusal) = outcome { refusal.code.as_str() } else { "ok" })
        .collect()
}

#[test]
fn a_group_is_recorded_or_refused_whole() {
    let mut ledger = Ledger::implicit();
    ledger.accept(&account("c", NO_DEBT));
    let members = [
        transaction("1", "bank", "c", "5"),
        pending("p", "c", "shop", "5", r#","expires":"2027-01-01T00:00:00Z""#),
        post("2", "p", r#","amounts":["4"]"#),
        account("d", ""),
        transaction("3", "c", "shop", "1").replace("EUR", "USD"),
        r#"{"kind":"policy","id":"4","closed_before":"2026-11-01T00:00:00Z"}"#.into(),
    ];
    let (rows, balances) = (ledger.rows.len(), ledger.balances.clone());
    let outcomes = ledger.send(&format!("[{},{}]", group(&members), transaction("after", "x", "y", "1")));
    let refused = "group_refused";
    assert_eq!(codes(&outcomes), [refused, refused, refused, refused, "insufficient_funds", refused, "ok"]);
    for outcome in &outcomes[..4] {
        let Outcome::Refused(refusal) = outcome else { panic!() };
        assert_eq!(refusal.culprit, Some(4));
    }
    assert_eq!(ledger.rows.len(), rows + 1);
    ledger.balances.retain(|(account, _), _| account != "x" && account != "y");
    assert_eq!(ledger.balances, balances);
    assert!(
        ledger.remainders.is_empty() && !ledger.definitions.contains_key("d") && !ledger.assets.contains_key("USD")
    );
    assert_eq!(ledger.head().closed_before, None);
    // No id was consumed, nothing was left behind in memory.
    let mut mended = members.clone();
    mended[4] = transaction("3", "c", "shop", "1").replace("\"c\"", "\"e\"");
    assert_eq!(ledger.accept(&group(&mended)).len(), 6);
    assert_eq!(ledger.remainders["p"].0, [1]);
}

#[test]
fn the_first_that_fails_is_the_culprit_even_before_a_malformed_one() {
    let mut ledger = Ledger::implicit();
    ledger.accept(&account("c", NO_DEBT));
    let bad = [transaction("1", "a", "b", "1"), r#"{"id":"2"}"#.into()];
    assert_eq!(codes(&ledger.send(&group(&bad))), ["group_refused", "malformed"]);
    let poor = [transaction("1", "c", "b", "1"), r#"{"id":"2"}"#.into()];
    assert_eq!(codes(&ledger.send(&group(&poor))), ["insufficient_funds", "group_refused"]);
}

#[test]
fn a_group_sent_again_is_answered_again() {
    let mut ledger = Ledger::implicit();
    ledger.accept(&account("c", NO_DEBT));
    let members = [transaction("1", "bank", "c", "5"), transaction("2", "c", "shop", "5")];
    let first = ledger.accept(&group(&members));
    let outcomes = ledger.send(&group(&members));
    let again: Vec<(u64, bool)> = outcomes
        .iter()
        .map(|outcome| if let Outcome::Recorded { seq, replayed, .. } = outcome { (*seq, *replayed) } else { panic!() })
        .collect();
    assert_eq!(again, [(first[0], true), (first[1], true)]);
}

#[test]
fn duplicates_across_a_refused_group_are_no_duplicates() {
    let mut ledger = Ledger::implicit();
    ledger.accept(&account("c", NO_DEBT));
    let refused = group(&[transaction("1", "a", "b", "1"), transaction("2", "c", "b", "1")]);
    let outcomes = ledger.send(&format!("[{refused},{}]", transaction("1", "a", "b", "9")));
    assert_eq!(codes(&outcomes), ["group_refused", "insufficient_funds", "ok"]);
}
