//! A command with several faults is refused for the one that comes first; mending it brings up the next.

use crate::store::{account, action, leg, moving, pending, post, transaction, Ledger, NO_DEBT, SECOND, START};

const PAST: &str = r#","effective":"2026-01-01T00:00:00Z""#;

#[test]
fn of_legs() {
    let mut ledger = Ledger::explicit();
    let open = |name: &str, more: &str| account(name, more);
    let setup = [
        open("closed", ""),
        open("frozen", ""),
        open("usd", r#","assets":["USD/2"]"#),
        open("poor", NO_DEBT),
        open("full", ""),
        open("any", ""),
        transaction("0", "any", "full", "170141183460469231731687303715884105727").replace("\"any\"", "\"poor2\""),
    ];
    ledger.accept(&format!("[{},{}]", open("poor2", ""), setup.join(",")));
    ledger.accept(&format!("[{},{}]", action("closed", "close"), action("frozen", "freeze")));
    ledger.accept(r#"{"kind":"policy","id":"p","closed_before":"2026-11-01T00:00:00Z"}"#);
    let eur3 = |leg: String| leg.replace("EUR/2", "EUR/3");
    let balancing = |leg: String| leg.replace('}', r#","balancing":"debit"}"#);
    let cases: Vec<(&str, Vec<String>, &str)> = vec![
        ("malformed", vec![leg("none", "none", "1"), leg("x", "x", "1")], PAST),
        ("id_conflict", vec![leg("none", "closed", "1")], PAST),
        ("period_closed", vec![leg("none", "closed", "1")], PAST),
        // Per leg: debit account, then credit account, then the rest; the next leg only after that.
        ("account_not_found", vec![eur3(leg("none", "closed", "1"))], ""),
        ("account_closed", vec![eur3(leg("closed", "none", "1"))], ""),
        ("account_not_found", vec![eur3(leg("frozen2", "frozen", "1"))], ""),
        ("account_frozen", vec![eur3(leg("usd", "frozen", "1"))], ""),
        ("asset_scale_conflict", vec![eur3(leg("usd", "any", "1")), leg("none", "any", "1")], ""),
        ("asset_not_allowed", vec![balancing(leg("usd", "full", "1")), leg("none", "any", "1")], ""),
        ("nothing_available", vec![balancing(leg("poor", "full", "1")), leg("none", "any", "1")], ""),
        ("balance_overflow", vec![leg("poor", "full", "1"), leg("none", "any", "1")], ""),
        ("account_not_found", vec![leg("poor", "any", "1"), leg("none", "any", "1")], ""),
        ("insufficient_funds", vec![leg("poor", "any", "1")], ""),
    ];
    for (code, legs, more) in cases {
        let id = if code == "id_conflict" { "0" } else { "new" };
        ledger.refused_as(code, &moving("transaction", id, &legs, more));
    }
}

#[test]
fn of_targets() {
    let mut ledger = Ledger::implicit();
    let two =
        moving("pending", "two", &[leg("a", "b", "5"), leg("a", "c", "5")], r#","expires":"2026-11-24T00:00:10Z""#);
    ledger.accept(&format!("[{},{two},{}]", transaction("t", "a", "b", "5"), pending("done", "a", "b", "5", "")));
    ledger.accept(&post("d", "done", ""));
    ledger.accept(r#"{"kind":"policy","id":"p","closed_before":"2026-11-01T00:00:00Z"}"#);
    ledger.accept(&action("a", "freeze"));
    let amounts = |amounts: &str| format!(r#","amounts":{amounts}{PAST}"#);
    for (code, id, target, more) in [
        ("malformed", "d", "none", amounts(r#"["0"]"#)),
        ("id_conflict", "d", "none", amounts(r#"["9"]"#)),
        ("target_not_found", "n", "none", amounts(r#"["9"]"#)),
        ("target_wrong_kind", "n", "t", amounts(r#"["9"]"#)),
        ("pending_closed", "n", "done", amounts(r#"["9","9"]"#)),
        ("amounts_mismatch", "n", "two", amounts(r#"["9"]"#)),
        ("exceeds_pending", "n", "two", amounts(r#"["9","9"]"#)),
        ("period_closed", "n", "two", amounts(r#"["5","0"]"#)),
        ("account_frozen", "n", "two", r#","amounts":["5","0"]"#.into()),
    ] {
        ledger.refused_as(code, &post(id, target, &more));
    }
    // Expired comes before the amounts; only within a batch can it be seen at all.
    ledger.now = START + 10 * SECOND - 1;
    let batch = [r#"{"kind":"event","id":"e","event":"x"}"#.to_owned(), post("n", "two", &amounts(r#"["9"]"#))];
    let outcomes = ledger.send(&format!("[{}]", batch.join(",")));
    assert!(format!("{:?}", outcomes[1]).contains("PendingExpired"), "{outcomes:?}");
}

#[test]
fn of_policies() {
    let mut ledger = Ledger::implicit();
    ledger.now = START;
    ledger.accept(r#"{"kind":"policy","id":"p","closed_before":"2026-11-01T00:00:00Z"}"#);
    ledger.refused_as("period_closed", r#"{"kind":"policy","id":"q","closed_before":"2026-10-01T00:00:00Z"}"#);
    ledger.refused_as("id_conflict", r#"{"kind":"policy","id":"p","closed_before":"2036-10-01T00:00:00Z"}"#);
    ledger.refused_as("period_in_future", r#"{"kind":"policy","id":"q","closed_before":"2036-10-01T00:00:00Z"}"#);
}
