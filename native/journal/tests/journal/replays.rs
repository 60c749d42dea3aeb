use journal::Outcome;

use crate::store::{account, balancing, leg, moving, pending, post, reversal, transaction, Ledger, NO_DEBT};

#[track_caller]
fn replayed(ledger: &mut Ledger, payload: &str, expected: u64) {
    let (rows, outcomes) = (ledger.rows.len(), ledger.send(payload));
    match &outcomes[..] {
        [Outcome::Recorded { seq, hash, at, replayed: true }] => {
            assert_eq!((*seq, *hash), (expected, ledger.rows[expected as usize].hash));
            assert!(ledger.rows[expected as usize].stub.contains(&format!("\"at\":{at},")));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(ledger.rows.len(), rows);
}

#[test]
fn the_same_content_is_answered_again_and_another_is_refused_by_its_member() {
    let more = r#","effective":"2026-11-24T00:00:00Z","reference":"r","metadata":{"b":"2","a":"1"}"#;
    let first = moving("transaction", "t", &[leg("a", "b", "5"), balancing("c", "b", "7", "debit")], more);
    let mut ledger = Ledger::implicit();
    ledger.accept(&transaction("0", "x", "c", "3"));
    ledger.accept(&first);
    ledger.accept(&transaction("later", "c", "x", "0".replace('0', "1").as_str()).replace("\"c\"", "\"z\""));
    for _ in 0..2 {
        replayed(&mut ledger, &first, 2);
        replayed(&mut ledger, &first.replace(r#"{"b":"2","a":"1"}"#, r#"{"a":"1","b":"2"}"#), 2);
        let changes = [
            (r#""kind":"transaction""#, r#""kind":"pending""#, "kind"),
            (r#""amount":"5""#, r#""amount":"6""#, "legs/0/amount"),
            (r#""amount":"7""#, r#""amount":"3""#, "legs/1/amount"),
            (r#","balancing":"debit""#, "", "legs/1/amount"),
            (r#""7","balancing":"debit""#, r#""3""#, "legs/1/balancing"),
            (r#""amount":"5""#, r#""amount":"5","balancing":"debit""#, "legs/0/balancing"),
            (r#""balancing":"debit""#, r#""balancing":"both""#, "legs/1/balancing"),
            (r#""credit":"b","#, r#""credit":"d","#, "legs/0/credit"),
            (r#""debit":"a""#, r#""debit":"d""#, "legs/0/debit"),
            ("EUR/2", "USD/2", "legs/0/asset"),
            (r#""effective":"2026-11-24T00:00:00Z","#, "", "effective"),
            (r#","reference":"r""#, "", "reference"),
            (r#""a":"1""#, r#""a":"2""#, "metadata/a"),
            (r#""b":"2","#, "", "metadata/b"),
            (r#""b":"2""#, r#""B":"2""#, "metadata/B"),
        ];
        for (from, to, member) in changes {
            assert!(first.contains(from), "{from}");
            let refusal = ledger.refused_as("id_conflict", &first.replace(from, to));
            assert_eq!(refusal.member.as_deref(), Some(member), "{from} -> {to}");
        }
        let longer = moving(
            "transaction",
            "t",
            &[leg("a", "b", "5"), balancing("c", "b", "7", "debit"), leg("a", "b", "1")],
            more,
        );
        assert_eq!(ledger.refused_as("id_conflict", &longer).member.as_deref(), Some("legs/2"));
        let shorter = moving("transaction", "t", &[leg("a", "b", "5")], more);
        assert_eq!(ledger.refused_as("id_conflict", &shorter).member.as_deref(), Some("legs/1"));
        ledger.restart();
    }
}

#[test]
fn a_replay_is_answered_although_the_rules_would_refuse_it_today() {
    let mut ledger = Ledger::implicit();
    ledger.accept(&format!("[{},{}]", account("c", NO_DEBT), transaction("in", "bank", "c", "5")));
    ledger.accept(&transaction("out", "c", "shop", "5"));
    replayed(&mut ledger, &transaction("out", "c", "shop", "5"), 3);
    ledger.accept(&pending("p", "shop", "bank", "1", ""));
    ledger.accept(&post("post", "p", ""));
    replayed(&mut ledger, &post("post", "p", ""), 5);
    replayed(&mut ledger, &post("post", "p", r#","amounts":["1"]"#), 5);
    let refusal = ledger.refused_as("id_conflict", &post("post", "in", ""));
    assert_eq!(refusal.member.as_deref(), Some("pending"));
}

#[test]
fn amounts_are_compared_where_they_are_given() {
    let mut ledger = Ledger::implicit();
    ledger.accept(&moving("transaction", "t", &[leg("a", "b", "5"), leg("a", "c", "6")], ""));
    ledger.accept(&reversal("r", "t", r#","amounts":["0","4"]"#));
    replayed(&mut ledger, &reversal("r", "t", r#","amounts":["0","4"]"#), 2);
    replayed(&mut ledger, &reversal("r", "t", ""), 2);
    for (amounts, member) in [(r#"["1","4"]"#, "amounts/0"), (r#"["0","5"]"#, "amounts/1"), (r#"["4"]"#, "amounts/1")] {
        let refusal = ledger.refused_as("id_conflict", &reversal("r", "t", &format!(r#","amounts":{amounts}"#)));
        assert_eq!(refusal.member.as_deref(), Some(member), "{amounts}");
    }
    let refusal = ledger.refused_as("id_conflict", &reversal("r", "t", r#","reason":"why""#));
    assert_eq!((refusal.member.as_deref(), refusal.expected.as_deref()), (Some("reason"), Some("nothing")));
}

#[test]
fn duplicates_within_a_batch_are_replays_or_conflicts() {
    let mut ledger = Ledger::implicit();
    let (first, other) = (transaction("1", "a", "b", "5"), transaction("1", "a", "b", "6"));
    let outcomes = ledger.send(&format!("[{first},{other},{first}]"));
    let Outcome::Recorded { seq, hash, at, replayed: false } = outcomes[0] else { panic!("{outcomes:?}") };
    assert_eq!(outcomes[2], Outcome::Recorded { seq, hash, at, replayed: true });
    let Outcome::Refused(refusal) = &outcomes[1] else { panic!("{outcomes:?}") };
    assert_eq!((refusal.code.as_str(), refusal.member.as_deref()), ("id_conflict", Some("legs/0/amount")));
    assert_eq!(ledger.rows.len(), 2);
}

#[test]
fn account_commands_with_an_id_are_replayed_too() {
    let mut ledger = Ledger::implicit();
    let open = account("c", r#","id":"o","assets":["EUR/2"],"normal":"credit","metadata":{"k":"v"}"#);
    ledger.accept(&open);
    ledger.accept(&account("c", r#","id":"f","action":"freeze","reason":"court order""#));
    replayed(&mut ledger, &open, 1);
    replayed(&mut ledger, &account("c", r#","id":"f","action":"freeze","reason":"court order""#), 2);
    for (from, to, member) in [
        (r#""name":"c""#, r#""name":"d""#, "name"),
        (r#","assets":["EUR/2"]"#, "", "assets"),
        (r#""normal":"credit""#, r#""normal":"debit""#, "normal"),
        (r#""normal":"credit""#, r#""action":"update","normal":"credit""#, "action"),
        (r#""k":"v""#, r#""k":"w""#, "metadata/k"),
    ] {
        assert_eq!(ledger.refused_as("id_conflict", &open.replace(from, to)).member.as_deref(), Some(member), "{to}");
    }
    // One space of ids.
    assert_eq!(ledger.refused_as("id_conflict", &transaction("o", "a", "b", "1")).member.as_deref(), Some("kind"));
}

#[test]
fn events_and_policies_are_replayed_too() {
    let mut ledger = Ledger::implicit();
    let event = r#"{"kind":"event","id":"e","event":"x"}"#;
    let policy = r#"{"kind":"policy","id":"p","closed_before":"2026-11-01T00:00:00Z"}"#;
    ledger.accept(&format!("[{event},{policy}]"));
    replayed(&mut ledger, event, 1);
    replayed(&mut ledger, policy, 2);
    assert_eq!(ledger.refused_as("id_conflict", &event.replace('x', "y")).member.as_deref(), Some("event"));
    let refusal = ledger.refused_as("id_conflict", &policy.replace("11-01", "11-02"));
    assert_eq!(refusal.member.as_deref(), Some("closed_before"));
}

#[test]
fn a_refusal_does_not_consume_the_id() {
    let mut ledger = Ledger::implicit();
    ledger.accept(&account("c", NO_DEBT));
    ledger.refused_as("insufficient_funds", &transaction("1", "c", "b", "5"));
    ledger.accept(&transaction("1", "b", "c", "5"));
}
