//! The worked example of formats.md, byte for byte. It lies beside the repository, or where `TALLYSTICK_VECTORS` says.

use std::path::PathBuf;
use std::sync::Arc;

use json::Value;

use crate::entry::Salts;
use crate::{Journal, Loaded, Requests};

fn member<'a, 'v>(value: &'a Value<'v>, name: &str) -> &'a Value<'v> {
    let Value::Object(members) = value else { panic!("no object") };
    &members.iter().find(|(key, _)| key == name).unwrap_or_else(|| panic!("no {name}")).1
}

fn text<'a>(value: &'a Value<'_>) -> &'a str {
    if let Value::String(text) = value {
        text
    } else {
        panic!("no string")
    }
}

fn items<'a, 'v>(value: &'a Value<'v>) -> &'a [Value<'v>] {
    if let Value::Array(items) = value {
        items
    } else {
        panic!("no array")
    }
}

fn salt(part: &str) -> [u8; 16] {
    std::array::from_fn(|index| u8::from_str_radix(&part[2 + 2 * index..4 + 2 * index], 16).unwrap())
}

#[test]
fn the_worked_example() {
    let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors"));
    let folder = std::env::var_os("TALLYSTICK_VECTORS").map_or(beside, PathBuf::from);
    let file = folder.join("tallystick/entry.json");
    let Ok(example) = std::fs::read(&file) else {
        eprintln!("{} is not there: nothing was compared", file.display());
        return;
    };
    let example = Value::parse(&example).unwrap();
    let entries = items(member(&example, "entries"));
    let salts: Vec<Vec<[u8; 16]>> = entries
        .iter()
        .map(|entry| items(member(entry, "parts")).iter().map(|part| salt(text(part))).collect())
        .collect();
    let pay_0001 = r#"{"id":"pay-0001","legs":[{"debit":"bank:settlement","credit":"customers:0001","asset":"EUR/2","amount":"1050"}],"effective":"2026-11-24T00:00:00Z","metadata":{"invoice":"R-2026-17 \u20ac"}}"#;
    let pay_0002 =
        r#"{"id":"pay-0002","legs":[{"debit":"customers:0001","credit":"bank:fees","asset":"EUR/2","amount":"50"}]}"#;
    let opening = r#"{"kind":"account","name":"customers:0001","limit":"debits_must_not_exceed_credits"}"#;
    let commands = [
        None,
        Some(("user:7f3a", opening)),
        Some(("service:payments", pay_0001)),
        None,
        Some(("service:payments", pay_0002)),
        None,
    ];
    let mut journal = Journal::new("bank.example/ledger/customers");
    let now = 1_795_478_400_123_456;
    for (entry, command) in entries.iter().zip(commands) {
        let batch = match command {
            None => {
                let stub = Value::parse(text(member(entry, "stub")).as_bytes()).unwrap();
                let mut body = Vec::new();
                member(&stub, "body").write(&mut body);
                journal.append(text(member(entry, "kind")), &body, now).unwrap()
            }
            Some((by, command)) => {
                let mut requests = Requests::new();
                requests.begin(by).unwrap();
                requests.json(command.as_bytes());
                let requests = Arc::new(requests);
                let (accounts, _) = journal.missing(&requests, now).unwrap();
                let accounts: Vec<&str> = accounts.iter().map(String::as_str).collect();
                journal.load(&Loaded { accounts: &accounts, ..Loaded::default() }).unwrap();
                journal.apply_salted(requests, now, Salts::Given(salts.clone()), &[]).unwrap()
            }
        };
        let chunk = batch.chunks().next().unwrap();
        let row = chunk.row(0);
        let parts: Vec<&str> = items(member(entry, "parts")).iter().map(text).collect();
        assert_eq!(std::str::from_utf8(row.stub).unwrap(), text(member(entry, "stub")));
        let body = if parts.is_empty() { String::new() } else { format!("[{}]", parts.join(",")) };
        assert_eq!(std::str::from_utf8(row.body).unwrap(), body);
        let hash: String = row.hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hash, text(member(entry, "hash")));
        journal.commit(&batch).unwrap();
    }
}
