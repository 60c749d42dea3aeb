use journal::Fault;

use crate::store::{account, action, leg, moving, pending, post, transaction, void, Ledger, NO_DEBT, SECOND, START};

#[test]
fn what_is_pending_counts_in_limits_and_is_posted_or_voided() {
    let mut ledger = Ledger::implicit();
    ledger.accept(&format!("[{},{}]", account("c", NO_DEBT), transaction("0", "bank", "c", "10")));
    ledger.accept(&pending("p", "c", "shop", "8", ""));
    assert_eq!((ledger.eur("c"), ledger.eur("shop")), ((0, 10, 8, 0), (0, 0, 0, 8)));
    assert_eq!(ledger.remainders["p"], (vec![8], None, ledger.rows.len() as u64 - 1));
    ledger.refused_as("insufficient_funds", &transaction("1", "c", "shop", "3"));
    ledger.accept(&post("2", "p", r#","amounts":["5"]"#));
    assert_eq!(
        ledger.last().part("legs/0").unwrap(),
        r#"{"amount":"5","asset":"EUR/2","credit":"shop","debit":"c","of":0}"#
    );
    assert_eq!((ledger.eur("c"), ledger.eur("shop")), ((5, 10, 3, 0), (0, 5, 0, 3)));
    assert_eq!(ledger.remainders["p"].0, [3]);
    ledger.accept(&void("3", "p"));
    assert_eq!((ledger.eur("c"), ledger.eur("shop")), ((5, 10, 0, 0), (0, 5, 0, 0)));
    assert_eq!(ledger.remainders["p"].0, [0]);
    ledger.refused_as("pending_closed", &post("4", "p", ""));
    assert_eq!(ledger.refused_as("pending_closed", &void("4", "p")).target.as_deref(), Some("p"));
}

#[test]
fn legs_of_zero_are_left_out() {
    let mut ledger = Ledger::implicit();
    ledger.accept(&moving("pending", "p", &[leg("a", "b", "5"), leg("a", "c", "6"), leg("a", "d", "7")], ""));
    ledger.accept(&post("1", "p", r#","amounts":["0","6","1"]"#));
    assert_eq!(
        ledger.last().part("legs/0").unwrap(),
        r#"{"amount":"6","asset":"EUR/2","credit":"c","debit":"a","of":1}"#
    );
    assert_eq!(
        ledger.last().part("legs/1").unwrap(),
        r#"{"amount":"1","asset":"EUR/2","credit":"d","debit":"a","of":2}"#
    );
    ledger.restart();
    ledger.accept(&post("2", "p", ""));
    let legs: Vec<String> =
        ledger.last().parts().into_iter().map(|(_, value)| value).filter(|value| value.contains("of")).collect();
    assert!(legs[0].contains(r#""amount":"5""#) && legs[0].contains(r#""of":0"#));
    assert!(legs[1].contains(r#""amount":"6""#) && legs[1].contains(r#""of":2"#));
    assert_eq!(ledger.eur("a"), (18, 0, 0, 0));
}

#[test]
fn targets_are_found_in_the_same_batch() {
    let mut ledger = Ledger::implicit();
    let batch = [pending("p", "a", "b", "5", ""), post("1", "p", r#","amounts":["2"]"#), void("2", "p")];
    ledger.accept(&format!("[{}]", batch.join(",")));
    assert_eq!(ledger.eur("a"), (2, 0, 0, 0));
    assert_eq!(ledger.remainders["p"].0, [0]);
    // A refused pending entry is no target.
    ledger.accept(&account("poor", NO_DEBT));
    let batch = format!("[{},{}]", pending("q", "poor", "b", "5", ""), post("3", "q", ""));
    let codes: Vec<String> = ledger.send(&batch).iter().map(|outcome| format!("{outcome:?}")).collect();
    assert!(codes[0].contains("InsufficientFunds") && codes[1].contains("TargetNotFound"), "{codes:?}");
}

#[test]
fn refusals_of_targets() {
    let mut ledger = Ledger::implicit();
    ledger.accept(&format!("[{},{}]", transaction("t", "a", "b", "5"), pending("p", "a", "b", "5", "")));
    ledger.refused_as("target_not_found", &post("1", "none", ""));
    let refusal = ledger.refused_as("target_wrong_kind", &post("1", "t", ""));
    assert_eq!((refusal.expected.as_deref(), refusal.found.as_deref()), (Some("pending"), Some("transaction")));
    let refusal = ledger.refused_as("amounts_mismatch", &post("1", "p", r#","amounts":["1","1"]"#));
    assert_eq!((refusal.expected.as_deref(), refusal.found.as_deref()), (Some("1"), Some("2")));
    let refusal = ledger.refused_as("exceeds_pending", &post("1", "p", r#","amounts":["6"]"#));
    assert_eq!((refusal.leg, refusal.needed.as_deref(), refusal.available.as_deref()), (Some(0), Some("6"), Some("5")));
}

#[test]
fn a_post_meets_frozen_accounts_and_a_void_does_not() {
    let mut ledger = Ledger::implicit();
    ledger.accept(&pending("p", "a", "b", "5", ""));
    ledger.accept(&action("a", "freeze"));
    let refusal = ledger.refused_as("account_frozen", &post("1", "p", ""));
    assert_eq!((refusal.account.as_deref(), refusal.leg), (Some("a"), Some(0)));
    ledger.accept(&void("1", "p"));
}

#[test]
fn what_is_due_expires_before_the_next_batch() {
    let mut ledger = Ledger::implicit();
    let expires = |text: &str| format!(r#","expires":"{text}""#);
    ledger.accept(&pending("late", "a", "b", "1", &expires("2026-11-24T00:00:20Z")));
    ledger.accept(&pending("soon", "a", "b", "2", &expires("2026-11-24T00:00:10Z")));
    ledger.accept(&pending("also", "a", "b", "4", &expires("2026-11-24T00:00:10Z")));
    ledger.accept(&pending("open", "a", "b", "8", ""));
    assert_eq!(ledger.remainders["soon"].1, Some(START + 10 * SECOND));
    ledger.accept(&post("part", "soon", r#","amounts":["1"]"#));
    ledger.restart();
    ledger.now = START + 10 * SECOND;
    assert_eq!(ledger.refused_as_after("pending_closed", &post("1", "soon", "")), 2);
    let kinds: Vec<(String, String)> =
        ledger.rows[6..].iter().map(|row| (row.kind(), row.part("pending").unwrap())).collect();
    let expire = |id: &str| ("expire".to_owned(), format!("\"{id}\""));
    assert_eq!(kinds, [expire("soon"), expire("also")]);
    let paths: Vec<String> = ledger.rows[6].parts().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["by", "pending", "legs/0", "balances/0", "balances/1"]);
    assert_eq!(ledger.rows[6].part("by").unwrap(), "\"system:expiry\"");
    assert!(ledger.rows[6].part("legs/0").unwrap().contains(r#""amount":"1""#));
    assert_eq!(ledger.remainders["soon"], (vec![0], None, 2));
    assert_eq!(ledger.eur("a"), (1, 0, 9, 0));
    // Voided before it was due: nothing is left to expire.
    ledger.accept(&void("2", "late"));
    ledger.now = START + 60 * SECOND;
    ledger.accept(&transaction("3", "a", "b", "1"));
    assert_eq!(ledger.last().kind(), "transaction");
    assert_eq!(ledger.rows.len(), 10);
}

#[test]
fn a_pending_entry_expires_at_its_time_even_within_a_batch() {
    let mut ledger = Ledger::implicit();
    // `at` of the first is START + 1, of the second START + 2.
    let batch = [pending("p", "a", "b", "1", r#","expires":"2026-11-24T00:00:00.000002Z""#), post("1", "p", "")];
    let outcomes = ledger.send(&format!("[{}]", batch.join(",")));
    assert!(format!("{:?}", outcomes[1]).contains("PendingExpired"));
    ledger.accept(&transaction("2", "a", "b", "1"));
    assert_eq!(ledger.rows[2].kind(), "expire");
}

#[test]
fn at_most_a_thousand_expire_before_one_batch() {
    let mut ledger = Ledger::implicit();
    let many: Vec<String> =
        (0..1_001).map(|i| pending(&format!("p{i}"), "a", "b", "1", r#","expires":"2026-11-24T00:00:10Z""#)).collect();
    ledger.accept(&format!("[{}]", many.join(",")));
    ledger.now = START + 60 * SECOND;
    ledger.accept(&transaction("1", "a", "b", "1"));
    assert_eq!((ledger.rows.len(), ledger.eur("a")), (1 + 1_001 + 1_001, (1, 0, 1, 0)));
    ledger.accept(&transaction("2", "a", "b", "1"));
    assert_eq!(ledger.eur("a"), (2, 0, 0, 0));
}

#[test]
fn destroyed_legs_make_a_target_unusable() {
    let destroy = |ledger: &mut Ledger, seq: usize, path: &str| {
        let body = ledger.rows[seq].body.clone();
        let json::Value::Array(parts) = json::Value::parse(body.as_bytes()).unwrap() else { panic!() };
        let position = parts
            .iter()
            .position(|part| matches!(part, json::Value::Array(items) if items[1] == json::Value::String(path.into())));
        let texts = parts.iter().enumerate().map(|(index, part)| {
            let mut text = Vec::new();
            part.write(&mut text);
            if Some(index) == position {
                let hash: String = merkle::Tree::Body.leaf(&text).iter().map(|byte| format!("{byte:02x}")).collect();
                format!("\"{hash}\"")
            } else {
                String::from_utf8(text).unwrap()
            }
        });
        ledger.rows[seq].body = format!("[{}]", texts.collect::<Vec<_>>().join(","));
    };
    for (path, code) in [
        ("legs/0", Some("target_destroyed")),
        ("legs/1", Some("target_destroyed")),
        ("balances/0", None),
        ("id", None),
        ("metadata/k", None),
    ] {
        let mut ledger = Ledger::implicit();
        ledger.accept(&moving("pending", "p", &[leg("a", "b", "5"), leg("a", "c", "5")], r#","metadata":{"k":"v"}"#));
        destroy(&mut ledger, 1, path);
        match code {
            Some(code) => drop(ledger.refused_as(code, &post("1", "p", ""))),
            None => drop(ledger.accept(&post("1", "p", ""))),
        }
    }
}

#[test]
fn stored_rows_that_contradict_themselves_are_a_fault() {
    let fresh = || {
        let mut ledger = Ledger::implicit();
        ledger.accept(&pending("p", "a", "b", "5", ""));
        ledger
    };
    let faults = [
        |ledger: &mut Ledger| ledger.rows[1].body = ledger.rows[1].body.replace("\"5\"", "\"6\""),
        |ledger: &mut Ledger| ledger.rows[1].body.truncate(40),
        |ledger: &mut Ledger| drop(ledger.remainders.remove("p")),
        |ledger: &mut Ledger| ledger.remainders.get_mut("p").unwrap().0 = vec![6],
        |ledger: &mut Ledger| ledger.remainders.get_mut("p").unwrap().0 = vec![1, 1],
        |ledger: &mut Ledger| ledger.rows[1].stub = ledger.rows[1].stub.replace("\"seq\":1", "\"seq\":2"),
    ];
    for fault in faults {
        let mut ledger = fresh();
        fault(&mut ledger);
        assert!(matches!(ledger.try_send(&post("1", "p", "")), Err(Fault::Contradiction { seq: Some(1), .. })));
    }
    let mut ledger = fresh();
    ledger.restart();
    ledger.balances.get_mut(&("a".into(), "EUR/2".into())).unwrap().pending_debits = 4;
    assert!(matches!(ledger.try_send(&post("1", "p", "")), Err(Fault::Contradiction { .. })));
    // After a fault the journal is as it was.
    ledger.accept(&transaction("2", "x", "y", "1"));
}

impl Ledger {
    /// The one command is refused, and so many other entries are written.
    #[track_caller]
    fn refused_as_after(&mut self, code: &str, payload: &str) -> usize {
        let count = self.rows.len();
        let outcomes = self.send(payload);
        let [journal::Outcome::Refused(refusal)] = &outcomes[..] else { panic!("{outcomes:?}") };
        assert_eq!(refusal.code.as_str(), code, "{refusal}");
        self.rows.len() - count
    }
}
