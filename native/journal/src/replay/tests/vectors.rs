use std::path::PathBuf;

use json::Value;

use crate::replay::{Replay, StoredRow};

/// The worked example of the formats, if it is there.
#[test]
fn the_worked_example_replays() {
    let folder = std::env::var_os("TALLYSTICK_VECTORS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors"), PathBuf::from);
    let path = folder.join("tallystick/entry.json");
    let Ok(text) = std::fs::read(&path) else {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no vectors at {}", path.display());
        return eprintln!("skipped: no vectors at {}", path.display());
    };
    let Ok(Value::Object(file)) = Value::parse(&text) else { panic!("not an object") };
    let Value::Array(entries) = member(&file, "entries") else { panic!("no entries") };
    let mut rows = Vec::new();
    for entry in entries {
        let Value::Object(entry) = entry else { panic!("no entry") };
        let Value::Array(parts) = member(entry, "parts") else { panic!("no parts") };
        let parts: Vec<&str> = parts.iter().map(text_of).collect();
        let id = parts.iter().find_map(|part| part.split_once("\"id\",\"")?.1.strip_suffix("\"]"));
        let body = if parts.is_empty() { String::new() } else { format!("[{}]", parts.join(",")) };
        let hash = crate::stored::unhex(text_of(member(entry, "hash"))).unwrap();
        rows.push((id, text_of(member(entry, "stub")), body, hash));
    }
    let mut replay = Replay::new("bank.example/ledger/customers");
    for (seq, (id, stub, body, hash)) in (0..).zip(&rows) {
        let row = StoredRow { seq, id: *id, stub: stub.as_bytes(), body: body.as_bytes(), hash };
        assert_eq!(replay.feed(&[row]).unwrap(), [*hash]);
    }
    assert_eq!((replay.head().size, replay.head().batch, replay.head().batch_first), (6, 2, 6));
    let balances: Vec<_> =
        replay.balances().iter().map(|row| (row.account, row.balance.debits, row.balance.credits)).collect();
    assert_eq!(balances, [("bank:fees", 0, 50), ("bank:settlement", 1050, 0), ("customers:0001", 50, 1050)]);
    assert_eq!(replay.assets(), [("EUR", 2)]);
    assert_eq!(replay.definitions()[0].0, "customers:0001");
}

fn member<'v>(object: &'v [(std::borrow::Cow<'_, str>, Value<'v>)], name: &str) -> &'v Value<'v> {
    &object.iter().find(|(key, _)| key == name).expect("the member is there").1
}

fn text_of<'v>(value: &'v Value<'_>) -> &'v str {
    let Value::String(text) = value else { panic!("no string") };
    text
}
