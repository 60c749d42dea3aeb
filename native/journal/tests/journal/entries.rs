use journal::Requests;
use merkle::Tree;

use crate::store::{leg, moving, transaction, Ledger};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Stubs and parts are canonical, roots are those of the parts, hashes those of the stubs, and every `prev` is the hash
/// before.
fn check(ledger: &Ledger) {
    let mut previous = [0; 32];
    for (seq, row) in ledger.rows.iter().enumerate() {
        json::check_canonical(row.stub.as_bytes()).unwrap();
        assert_eq!(row.hash, Tree::Log.leaf(row.stub.as_bytes()));
        assert!(row.stub.contains(&format!(r#""prev":"{}","seq":{seq},"v":1}}"#, hex(&previous))));
        previous = row.hash;
        if row.body.is_empty() {
            continue;
        }
        json::check_canonical(row.body.as_bytes()).unwrap();
        let json::Value::Array(parts) = json::Value::parse(row.body.as_bytes()).unwrap() else { panic!("no array") };
        let hashes: Vec<merkle::Hash> = parts
            .iter()
            .map(|part| {
                let mut text = Vec::new();
                part.write(&mut text);
                Tree::Body.leaf(&text)
            })
            .collect();
        let root = hex(&merkle::root(Tree::Body, &hashes));
        assert!(row.stub.contains(&format!(r#""body":"{root}","#)), "entry {seq}");
        assert!(row.stub.contains(&format!(r#""parts":{},"#, parts.len())));
    }
}

#[test]
fn bodies_of_every_size_have_their_root() {
    let mut ledger = Ledger::implicit();
    for count in 1..=40 {
        let legs: Vec<String> = (0..count).map(|i| leg(&format!("a{i}"), "b", "1")).collect();
        ledger.accept(&moving("transaction", &format!("t{count}"), &legs, ""));
    }
    check(&ledger);
}

#[test]
fn large_batches_are_built_in_chunks_that_can_be_read_again() {
    let mut ledger = Ledger::implicit();
    let many: Vec<String> =
        (0..1_000).map(|i| transaction(&format!("t{i}"), &format!("a{}", i % 7), "b", "1")).collect();
    let mut requests = Requests::new();
    requests.begin("service:x").unwrap();
    requests.json(format!("[{}]", many.join(",")).as_bytes());
    let batch = ledger.apply(&requests.into(), &[]).unwrap();
    let sizes: Vec<usize> = batch.chunks().map(|chunk| chunk.len()).collect();
    assert_eq!(sizes, [128, 128, 128, 128, 128, 128, 128, 104]);
    assert_eq!(batch.chunks().map(|chunk| chunk.first()).take(3).collect::<Vec<_>>(), [1, 129, 257]);
    assert_eq!(batch.outcome(999), batch.outcome(999));
    ledger.store(&batch);
    check(&ledger);
    assert_eq!(batch.head().hash, ledger.last().hash);
}

#[test]
fn long_entries_make_short_chunks() {
    let mut ledger = Ledger::implicit();
    let legs: Vec<String> = (0..1_000).map(|i| leg(&format!("a{i}"), &format!("b{i}"), "1")).collect();
    let many: Vec<String> = (0..40).map(|i| moving("transaction", &format!("t{i}"), &legs, "")).collect();
    ledger.accept(&format!("[{}]", many.join(",")));
    check(&ledger);
    assert_eq!(ledger.last().parts().len(), 2 + 1_000 + 2_000);
}

#[test]
fn salts_differ_and_texts_are_escaped() {
    let mut ledger = Ledger::implicit();
    let more = r#","reference":"a\"b\\c€","metadata":{"k\"\u20ac\ud83d\ude00":"line\nfeed\u0000"}"#;
    ledger.accept(&moving("transaction", "1", &[leg("a", "b", "5")], more));
    check(&ledger);
    let row = ledger.last();
    assert_eq!(row.part("metadata/k\"€😀").unwrap(), r#""line\nfeed\u0000""#);
    let mut salts: Vec<&str> = row.body.split("[\"").skip(1).map(|part| &part[..32]).collect();
    let count = salts.len();
    salts.sort_unstable();
    salts.dedup();
    assert_eq!(salts.len(), count);
}

#[test]
fn metadata_stands_in_the_order_of_utf16() {
    let mut ledger = Ledger::implicit();
    let more = r#","metadata":{"\ufb33":"3","\ud83d\ude00":"2","b":"1","a":"0"}"#;
    ledger.accept(&moving("transaction", "1", &[leg("a", "b", "5")], more));
    let keys: Vec<String> =
        ledger.last().parts().into_iter().map(|(path, _)| path).filter(|path| path.starts_with('m')).collect();
    assert_eq!(keys, ["metadata/a", "metadata/b", "metadata/😀", "metadata/\u{fb33}"]);
}

#[test]
fn a_copy_image_holds_the_rows() {
    let mut ledger = Ledger::implicit();
    let many: Vec<String> = (0..300).map(|i| transaction(&format!("t{i}"), "a", "b", "1")).collect();
    let mut requests = Requests::new();
    requests.begin("service:x").unwrap();
    requests.json(format!("[{},{{\"kind\":\"account\",\"name\":\"c\"}}]", many.join(",")).as_bytes());
    let batch = ledger.apply(&requests.into(), &[]).unwrap();
    let pieces: Vec<Vec<u8>> = batch.copy_image(9).collect();
    assert_eq!(pieces.len(), 3);
    let image = pieces.concat();
    let mut rest = image.strip_prefix(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0").unwrap();
    let mut take = |count: usize| {
        let (taken, after) = rest.split_at(count);
        rest = after;
        taken
    };
    for row in batch.chunks().flat_map(|chunk| {
        chunk
            .rows()
            .map(|row| (row.seq, row.id.map(str::to_owned), row.stub.to_vec(), row.body.to_vec(), row.hash))
            .collect::<Vec<_>>()
    }) {
        assert_eq!(take(2), [0, 6]);
        let mut field = || {
            let length = i32::from_be_bytes(take(4).try_into().unwrap());
            usize::try_from(length).ok().map(|length| take(length).to_vec())
        };
        assert_eq!(field().unwrap(), 9i32.to_be_bytes());
        assert_eq!(field().unwrap(), row.0.to_be_bytes());
        assert_eq!(field(), row.1.map(String::into_bytes));
        assert_eq!(field().unwrap(), row.2);
        assert_eq!(field().unwrap(), row.3);
        assert_eq!(field().unwrap(), row.4);
    }
    assert_eq!(take(2), [0xff, 0xff]);
    assert!(rest.is_empty());
    ledger.journal.rollback(&batch).unwrap();
    let nothing = ledger.apply(&crate::store::parse("[]"), &[]).unwrap();
    assert_eq!(nothing.copy_image(9).map(|piece| piece.len()).collect::<Vec<_>>(), [21]);
}
