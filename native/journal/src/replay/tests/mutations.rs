use super::ledger::{replayed, Ledger, OwnedRow};
use crate::replay::Contradiction;

#[test]
fn what_the_journal_writes_is_what_the_replay_derives() {
    Ledger::with_every_kind().must_agree();
    for seed in 0..300 {
        Ledger::random(seed, 12).must_agree();
    }
}

fn blamed(rows: &[OwnedRow]) -> Contradiction {
    match replayed(rows) {
        Err(contradiction) => contradiction,
        Ok(_) => panic!("nothing was found"),
    }
}

/// Every way in which a mutation changes one byte of a column, or their number.
fn mutations(column: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let changed = (0..column.len()).flat_map(move |at| {
        let flip = move |bits: u8| {
            let mut bytes = column.to_vec();
            bytes[at] ^= bits;
            bytes
        };
        let cut = [&column[..at], &column[at + 1..]].concat();
        let doubled = [&column[..=at], &column[at..]].concat();
        [flip(1), flip(4), flip(0x20), flip(0x80), cut, doubled]
    });
    changed.filter(move |bytes| bytes != column).chain([[column, b" "].concat()])
}

#[test]
fn a_mutation_of_any_byte_is_blamed_on_its_row() {
    let rows = Ledger::with_every_kind().rows;
    let mut count = 0;
    for at in 0..rows.len() {
        let mut check = |column: &str, mutate: &dyn Fn(&mut OwnedRow)| {
            // All rows behind it are of no interest, but the next: a successor must not take the blame.
            let mut mutated = rows[..rows.len().min(at + 2)].to_vec();
            mutate(&mut mutated[at]);
            let found = blamed(&mutated);
            assert_eq!(found.seq, at as u64, "{column} of {at}: {found}");
            let columns: &[&str] = if column == "stub" { &["stub", "hash"] } else { &[column] };
            assert!(columns.contains(&found.column), "{column} of {at}: {found}");
            count += 1;
        };
        let row = &rows[at];
        for stub in mutations(&row.stub) {
            check("stub", &|row| row.stub.clone_from(&stub));
        }
        for body in mutations(&row.body) {
            check("body", &|row| row.body.clone_from(&body));
        }
        for hash in mutations(&row.hash) {
            check("hash", &|row| row.hash.clone_from(&hash));
        }
        for seq in [row.seq + 1, row.seq - 1, row.seq + 256, -row.seq - 1, i64::MIN] {
            check("seq", &|row| row.seq = seq);
        }
        match &row.id {
            None => check("id", &|row| row.id = Some(String::new())),
            Some(id) => {
                check("id", &|row| row.id = None);
                for id in mutations(id.as_bytes()).filter_map(|id| String::from_utf8(id).ok()) {
                    check("id", &|row| row.id = Some(id.clone()));
                }
            }
        }
    }
    assert!(count > 50_000, "{count}");
}

#[test]
fn rows_removed_inserted_or_exchanged_are_found() {
    let rows = Ledger::with_every_kind().rows;
    for at in 0..rows.len() - 1 {
        let mut without = rows.clone();
        without.remove(at);
        assert_eq!((blamed(&without).seq, blamed(&without).column), (at as u64, "seq"));
        let mut twice = rows.clone();
        twice.insert(at, rows[at].clone());
        assert_eq!((blamed(&twice).seq, blamed(&twice).column), (at as u64 + 1, "seq"));
        let mut exchanged = rows.clone();
        exchanged.swap(at, at + 1);
        (exchanged[at].seq, exchanged[at + 1].seq) = (at as i64, at as i64 + 1);
        assert_eq!((blamed(&exchanged).seq, blamed(&exchanged).column), (at as u64, "stub"));
    }
}

/// Whoever makes body root and hash fit as well can only write what the rules allow, and breaks the next link.
#[test]
fn an_entry_rewritten_with_its_hashes_must_still_make_sense() {
    let ledger = Ledger::with_every_kind();
    let no = ("", "");
    type Edit = (&'static str, &'static str);
    let cases: &[(usize, Edit, Edit, &str)] = &[
        (0, ("\"kind\":\"genesis\"", "\"kind\":\"key\""), no, "and no other, is genesis"),
        (1, ("\"seq\":1", "\"seq\":2"), no, "another entry"),
        (1, ("\"batch\":0", "\"batch\":1"), no, "another batch"),
        (1, ("\"parts\":3", "\"parts\":4"), no, "counts other parts"),
        (2, ("\"at\":1795478401000001", "\"at\":1795478401000000"), no, "not later"),
        (2, no, ("\"amount\":\"1050\"", "\"amount\":\"1051\""), "not what the legs amount to"),
        (2, no, ("\"debits\":\"1050\"", "\"debits\":\"1051\""), "not what the legs amount to"),
        (2, no, ("balances/0", "balances/1"), "out of place"),
        (2, no, ("\"by\",\"user:7f3a\"", "\"by\",\"root\""), "form"),
        (2, no, ("\"legs/0\"", "\"legs/1\""), "out of place"),
        (2, no, ("effective", "expires"), "out of place"),
        (2, no, ("metadata/x/y", "metadata/a"), "form"),
        (3, no, ("USD/2", "USD/3"), "out of its place"),
        (3, no, ("\"requested\":\"9999\"", "\"requested\":\"1\""), "form"),
        (3, no, ("\"side\":\"debit\"", "\"side\":\"none\""), "form"),
        (3, no, (",\"side\":\"debit\"", ""), "form"),
        (3, no, ("\"balancing/0\"", "\"balancing/3\""), "out of place"),
        (3, no, ("\"legs/2\"", "\"balancing/0\""), "form"),
        (4, ("\"count\":4", "\"count\":5"), no, "seal"),
        (4, ("\"first\":0", "\"first\":1"), no, "seal"),
        (6, no, ("\"id\",\"p2\"", "\"id\",\"p1\""), "id column"),
        (7, no, ("\"pending\",\"p1\"", "\"pending\",\"t1\""), "does not aim"),
        (7, no, ("\"pending\",\"p1\"", "\"pending\",\"p9\""), "no earlier entry"),
        (7, no, ("\"of\":0", "\"of\":1"), "not leg 1 of entry"),
        (9, no, ("\"of\":2", "\"of\":0"), "not leg 0 of entry"),
        (11, no, ("\"by\",\"system:expiry\"", "\"by\",\"user:1\""), "form"),
        (13, no, ("reason", "reference"), "missing"),
        (14, no, ("{\"limit\"", "{\"assets\":[\"USD/2\",\"EUR/2\"],\"limit\""), "form"),
        (14, no, ("\"frozen\"", "\"open\""), "form"),
        (15, no, ("closed_before", "open_before"), "form"),
    ];
    for &(at, stub, body, what) in cases {
        let mut rows = ledger.rows.clone();
        rows[at].edit(stub, body);
        let found = blamed(&rows);
        assert_eq!(found.seq, at as u64, "{found}");
        assert!(found.what.contains(what), "{what}: {found}");
    }
    let mut rows = ledger.rows;
    rows[2].edit(no, ("\"metadata/invoice\",\"R-17", "\"metadata/invoice\",\"R-18"));
    let found = blamed(&rows);
    assert_eq!((found.seq, found.column, found.what.as_str()), (3, "stub", "prev is not the hash of the entry before"));
}

/// Amounts that fit the balances they lead to, and still not what they take from.
#[test]
fn nothing_takes_more_than_remains() {
    let (mut ledger, leg) = (Ledger::new(), r#"[{"debit":"a","credit":"b","asset":"EUR/2","amount":"5"}]"#);
    ledger
        .apply(&format!(r#"[{{"kind":"pending","id":"p","legs":{leg}}},{{"kind":"pending","id":"q","legs":{leg}}}]"#));
    ledger.apply(r#"[{"kind":"post","id":"o","pending":"p"}]"#);
    ledger.apply(r#"[{"kind":"void","id":"v","pending":"q"}]"#);
    let case = |at: usize, edits: &[(&str, &str)]| {
        let mut rows = ledger.rows[..=at].to_vec();
        edits.iter().for_each(|edit| rows[at].edit(("", ""), *edit));
        blamed(&rows).what
    };
    assert!(case(4, &[("\"pending\",\"q\"", "\"pending\",\"p\"")]).contains("not what remains of leg 0"));
    let too_much = [
        ("\"amount\":\"5\"", "\"amount\":\"6\""),
        (
            "\"debits\":\"5\",\"pending_credits\":\"0\",\"pending_debits\":\"5\"",
            "\"debits\":\"6\",\"pending_credits\":\"0\",\"pending_debits\":\"4\"",
        ),
        (
            "\"credits\":\"5\",\"debits\":\"0\",\"pending_credits\":\"5\"",
            "\"credits\":\"6\",\"debits\":\"0\",\"pending_credits\":\"4\"",
        ),
    ];
    assert!(case(3, &too_much).contains("not what remains of leg 0"));
    let too_little = [
        ("\"amount\":\"5\"", "\"amount\":\"4\""),
        ("\"pending_debits\":\"0\"", "\"pending_debits\":\"1\""),
        ("\"debits\":\"0\",\"pending_credits\":\"0\"", "\"debits\":\"0\",\"pending_credits\":\"1\""),
    ];
    assert!(case(4, &too_little).contains("not what remains of leg 0"));
}

#[test]
fn after_a_contradiction_nothing_is_said_any_more() {
    let ledger = Ledger::with_every_kind();
    let mut replay = crate::Replay::new("another");
    let first = replay.feed(&[ledger.rows[0].row()]).unwrap_err();
    assert_eq!((first.seq, first.column), (0, "stub"));
    assert_eq!(replay.feed(&[]), Err(first));
}
