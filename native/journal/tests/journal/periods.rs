use crate::store::{leg, moving, pending, post, transaction, Ledger};

fn policy(id: &str, closed_before: &str) -> String {
    format!(r#"{{"kind":"policy","id":"{id}","closed_before":"{closed_before}","reason":"month end"}}"#)
}

#[test]
fn a_closed_period_stays_closed() {
    let mut ledger = Ledger::implicit();
    ledger.refused_as("period_in_future", &policy("c", "2026-11-25T00:00:00Z"));
    ledger.accept(&policy("c", "2026-11-01T00:00:00Z"));
    assert_eq!(ledger.last().part("policy").unwrap(), r#"{"closed_before":"2026-11-01T00:00:00Z"}"#);
    ledger.refused_as("period_closed", &policy("d", "2026-11-01T00:00:00Z"));
    ledger.refused_as("period_closed", &policy("d", "2026-10-01T00:00:00Z"));
    let effective =
        |id: &str, time: &str| moving("transaction", id, &[leg("a", "b", "1")], &format!(r#","effective":"{time}""#));
    let refusal = ledger.refused_as("period_closed", &effective("1", "2026-10-31T23:59:59.999999Z"));
    assert_eq!(refusal.expected.as_deref(), Some("2026-11-01T00:00:00Z or later"));
    assert_eq!(refusal.found.as_deref(), Some("2026-10-31T23:59:59.999999Z"));
    ledger.accept(&effective("1", "2026-11-01T00:00:00Z"));
    assert_eq!(ledger.last().part("effective").unwrap(), "\"2026-11-01T00:00:00Z\"");
    ledger.restart();
    assert_eq!(ledger.head().closed_before, Some(1_793_491_200_000_000));
    ledger.refused_as("period_closed", &effective("2", "2026-10-31T00:00:00Z"));
    ledger.accept(&pending("p", "a", "b", "1", ""));
    ledger.refused_as("period_closed", &post("3", "p", r#","effective":"2026-10-31T00:00:00Z""#));
    ledger.refused_as("period_closed", r#"{"kind":"event","id":"3","event":"e","effective":"2026-10-31T00:00:00Z"}"#);
}

#[test]
fn at_grows_by_a_microsecond_where_the_clock_stands_still() {
    let mut ledger = Ledger::implicit();
    ledger.accept(&format!("[{},{}]", transaction("1", "a", "b", "1"), transaction("2", "a", "b", "1")));
    ledger.now -= 5_000_000;
    ledger.accept(&transaction("3", "a", "b", "1"));
    ledger.now += 15_000_000;
    ledger.accept(&transaction("4", "a", "b", "1"));
    let ats: Vec<u64> = ledger.rows.iter().map(|row| row.stub[6..22].parse().unwrap()).collect();
    let start = crate::store::START;
    assert_eq!(ats, [start, start + 1, start + 2, start + 3, start + 10_000_000]);
}
