use journal::{Fault, Journal};

use crate::store::{parse, transaction, Ledger};

#[test]
fn a_seal_closes_its_batch() {
    let mut ledger = Ledger::implicit();
    ledger.accept(&transaction("1", "a", "b", "1"));
    let body = r#"{"batch":0,"count":2,"first":0,"root":"00"}"#;
    let head = ledger.append("seal", body);
    assert_eq!((head.size, head.batch, head.batch_first), (3, 1, 3));
    assert!(ledger.last().stub.contains(&format!(r#""batch":0,"body":{body},"kind":"seal""#)));
    assert!(ledger.last().stub.contains(r#""parts":0"#) && ledger.last().body.is_empty());
    ledger.accept(&transaction("2", "a", "b", "1"));
    assert!(ledger.last().stub.contains(r#""batch":1,"#));
    let head = ledger.append("key", r#"{"add":"k"}"#);
    assert_eq!((head.batch, head.batch_first), (1, 3));
}

#[test]
fn only_canonical_bodies_of_the_logs_own_kinds_are_appended() {
    let mut journal = Journal::new("l");
    assert!(matches!(journal.append("seal", b"{}", 5), Err(Fault::Misuse(_))));
    assert!(matches!(journal.append("transaction", b"{}", 5), Err(Fault::Body(_))));
    assert!(matches!(journal.append("genesis", b"{ }", 5), Err(Fault::Body(_))));
    assert!(matches!(journal.append("genesis", b"[]", 5), Err(Fault::Body(_))));
    let long = format!(r#"{{"a":"{}"}}"#, "a".repeat(65_000));
    assert!(matches!(journal.append("genesis", long.as_bytes(), 5), Err(Fault::Body(_))));
    let batch = journal.append("genesis", b"{}", 5).unwrap();
    assert_eq!((batch.head().at, batch.previous()), (5, (0, [0; 32])));
    journal.commit(&batch).unwrap();
    assert!(matches!(journal.append("genesis", b"{}", 5), Err(Fault::Misuse(_))));
}

#[test]
fn steps_left_out_are_faults() {
    let mut journal = Journal::new("l");
    let one = parse(&transaction("1", "a", "b", "1"));
    assert!(matches!(journal.apply(one.clone(), 5, [0; 32], &[]), Err(Fault::Misuse(_))));
    let genesis = journal.append("genesis", b"{}", 5).unwrap();
    assert!(matches!(journal.missing(&one, 5), Err(Fault::Misuse(_))));
    journal.commit(&genesis).unwrap();
    assert!(matches!(journal.commit(&genesis), Err(Fault::Misuse(_))));
    assert!(matches!(journal.apply(one.clone(), 5, [0; 32], &[]), Err(Fault::Misuse(_))));
    assert_eq!(journal.missing(&one, 5).unwrap(), (vec!["a".to_owned(), "b".to_owned()], vec![]));
    assert!(matches!(journal.append("key", b"{}", u64::MAX), Err(Fault::Misuse(_))));
}

#[test]
fn a_rolled_back_batch_leaves_nothing_behind() {
    let mut ledger = Ledger::implicit();
    let one = parse(&transaction("1", "a", "b", "1"));
    let first = ledger.apply(&one, &[]).unwrap();
    let (head, balances) = (first.head(), first.balances().map(|row| row.balance).collect::<Vec<_>>());
    ledger.journal.rollback(&first).unwrap();
    let again = ledger.apply(&one, &[]).unwrap();
    assert_eq!(again.head(), head);
    assert_eq!(again.balances().map(|row| row.balance).collect::<Vec<_>>(), balances);
}
