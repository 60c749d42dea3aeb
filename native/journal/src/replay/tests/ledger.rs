//! Small ledgers that the journal itself writes, and the tables beside them as their batches say.

use std::collections::BTreeMap;
use std::sync::Arc;

use merkle::Tree;

use crate::replay::{Contradiction, Replay, StoredRow};
use crate::{Balance, Batch, Head, Journal, Loaded, RemainderRow, Requests};

pub const ORIGIN: &str = "bank.example/ledger/\"ü\"";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedRow {
    pub seq: i64,
    pub id: Option<String>,
    pub stub: Vec<u8>,
    pub body: Vec<u8>,
    pub hash: Vec<u8>,
}

impl OwnedRow {
    pub fn row(&self) -> StoredRow<'_> {
        let OwnedRow { seq, id, stub, body, hash } = self;
        StoredRow { seq: *seq, id: id.as_deref(), stub, body, hash }
    }

    /// The parts' own bytes, or the strings of their hashes.
    pub fn parts(&self) -> Vec<String> {
        let mut reader = json::Reader::canonical(&self.body);
        let mut parts = Vec::new();
        if !self.body.is_empty() {
            reader.value().unwrap();
            while reader.element().unwrap() {
                parts.push(reader.skip().unwrap().to_owned());
            }
        }
        parts
    }

    pub fn set_parts(&mut self, parts: &[String]) {
        self.body = format!("[{}]", parts.join(",")).into_bytes();
    }

    pub fn destroy(&mut self, part: usize) {
        let mut parts = self.parts();
        if parts[part].starts_with('[') {
            parts[part] = format!("\"{}\"", crate::replay::hex(&Tree::Body.leaf(parts[part].as_bytes())));
        }
        self.set_parts(&parts);
    }

    /// Change the text of a stub or body and make body root and hash fit again.
    pub fn edit(&mut self, stub: (&str, &str), body: (&str, &str)) {
        if !self.body.is_empty() {
            self.body = replaced(&self.body, body);
            let mut tree = crate::entry::BodyTree::default();
            self.parts().iter().for_each(|part| tree.add(Tree::Body.leaf(part.as_bytes())));
            let text = String::from_utf8(self.stub.clone()).unwrap();
            let (start, rest) = text.split_once("\"body\":\"").unwrap();
            self.stub = format!("{start}\"body\":\"{}{}", crate::replay::hex(&tree.root()), &rest[64..]).into_bytes();
        }
        self.stub = replaced(&self.stub, stub);
        self.hash = Tree::Log.leaf(&self.stub).to_vec();
    }
}

fn replaced(bytes: &[u8], (from, to): (&str, &str)) -> Vec<u8> {
    let text = std::str::from_utf8(bytes).unwrap();
    assert!(text.contains(from), "{text} has no {from}");
    text.replacen(from, to, 1).into_bytes()
}

pub struct Ledger {
    pub rows: Vec<OwnedRow>,
    pub balances: BTreeMap<(String, String), Balance>,
    pub definitions: BTreeMap<String, String>,
    pub remainders: BTreeMap<u64, RemainderRow>,
    pub assets: BTreeMap<String, u8>,
    pub head: Option<Head>,
    journal: Journal,
    now: u64,
}

impl Ledger {
    pub fn new() -> Ledger {
        let mut ledger = Ledger {
            rows: Vec::new(),
            balances: BTreeMap::new(),
            definitions: BTreeMap::new(),
            remainders: BTreeMap::new(),
            assets: BTreeMap::new(),
            head: None,
            journal: Journal::new(ORIGIN),
            now: 1_795_478_400_000_000,
        };
        let batch = ledger.journal.append("genesis", br#"{"accounts":"implicit"}"#, ledger.now).unwrap();
        ledger.store(&batch);
        ledger
    }

    pub fn seal(&mut self) {
        let head = self.head.unwrap();
        let hashes: Vec<_> =
            self.rows[head.batch_first as usize..].iter().map(|row| Tree::Log.leaf(&row.stub)).collect();
        let root = crate::replay::hex(&merkle::root(Tree::Log, &hashes));
        let (batch, count, first) = (head.batch, hashes.len(), head.batch_first);
        let body = format!(r#"{{"batch":{batch},"count":{count},"first":{first},"root":"{root}"}}"#);
        let batch = self.journal.append("seal", body.as_bytes(), self.now).unwrap();
        self.store(&batch);
    }

    /// Apply commands a second after the last ones; how many were refused.
    pub fn apply(&mut self, commands: &str) -> usize {
        self.now += 1_000_000;
        let mut requests = Requests::new();
        requests.begin("user:7f3a").unwrap();
        requests.json(commands.as_bytes());
        let (mut accounts, ids) = self.journal.missing(&requests, self.now).unwrap();
        loop {
            accounts = self.load(&accounts, &ids);
            if accounts.is_empty() {
                break;
            }
        }
        let batch = self.journal.apply(Arc::new(requests), self.now, [7; 32], &[]).unwrap();
        self.store(&batch);
        batch.refused()
    }

    /// All state of the accounts is still in the journal.
    fn load(&mut self, accounts: &[String], ids: &[String]) -> Vec<String> {
        let accounts: Vec<&str> = accounts.iter().map(String::as_str).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let rows = self.rows.iter().filter(|row| row.id.as_deref().is_some_and(|id| ids.contains(&id)));
        let targets: Vec<_> =
            rows.map(|row| (row.id.as_deref().unwrap(), row.seq as u64, &row.stub[..], &row.body[..])).collect();
        let left: Vec<_> =
            self.remainders.values().map(|row| (row.id.as_str(), totals(&row.remaining), row.expires)).collect();
        let remainders: Vec<_> = left.iter().map(|(id, totals, expires)| (*id, &totals[..], *expires)).collect();
        let loaded =
            Loaded { accounts: &accounts, ids: &ids, targets: &targets, remainders: &remainders, ..Loaded::default() };
        self.journal.load(&loaded).unwrap()
    }

    fn store(&mut self, batch: &Batch) {
        for chunk in batch.chunks() {
            self.rows.extend(chunk.rows().map(|row| OwnedRow {
                seq: row.seq as i64,
                id: row.id.map(str::to_owned),
                stub: row.stub.to_vec(),
                body: row.body.to_vec(),
                hash: row.hash.to_vec(),
            }));
        }
        self.balances.extend(batch.balances().map(|row| ((row.account.into(), row.asset.into()), row.balance)));
        self.definitions.extend(batch.definitions().map(|(name, json)| (name.into(), json.into())));
        self.remainders.extend(batch.remainders().iter().map(|row| (row.seq, row.clone())));
        self.assets.extend(batch.assets().map(|(code, scale)| (code.into(), scale)));
        self.head = Some(batch.head());
        self.journal.commit(batch).unwrap();
    }

    /// The replay of rows agrees with all tables.
    pub fn must_agree(&self) {
        let replay = replayed(&self.rows).unwrap();
        let balances = replay.balances();
        let balances = balances.iter().map(|row| ((row.account.to_owned(), row.asset.to_owned()), row.balance));
        assert!(balances.eq(self.balances.clone()));
        let definitions: Vec<_> = self.definitions.iter().map(|(name, json)| (name.as_str(), json.as_str())).collect();
        assert_eq!(replay.definitions(), definitions);
        assert_eq!(replay.remainders(), self.remainders.values().cloned().collect::<Vec<_>>());
        assert_eq!(
            replay.assets(),
            self.assets.iter().map(|(code, scale)| (code.as_str(), *scale)).collect::<Vec<_>>()
        );
        assert_eq!(Some(replay.head()), self.head);
        assert!(replay.destroyed().is_empty() && replay.unknown().is_empty() && replay.obscured().is_empty());
    }

    /// Every kind of entry, in two sealed batches and an open one.
    pub fn with_every_kind() -> Ledger {
        let mut ledger = Ledger::new();
        let refused = ledger.apply(
            r#"[{"kind":"account","name":"a","limit":"debits_must_not_exceed_credits","overdraft":{"EUR/2":"5"},"metadata":{"k":"v"}},
                {"id":"t1","legs":[{"debit":"bank","credit":"a","asset":"EUR/2","amount":"1050"}],
                 "effective":"2026-11-24T00:00:00Z","reference":"r \"1\"","metadata":{"invoice":"R-17 €","x/y":"\u0001"}},
                {"id":"t2","legs":[{"debit":"a","credit":"b","asset":"EUR/2","amount":"9999","balancing":"debit"},
                                   {"debit":"bank","credit":"b","asset":"USD/2","amount":"3"},
                                   {"debit":"b","credit":"bank","asset":"EUR/2","amount":"55"}]}]"#,
        );
        assert_eq!(refused, 0);
        ledger.seal();
        let refused = ledger.apply(
            r#"[{"kind":"pending","id":"p1","legs":[{"debit":"bank","credit":"b","asset":"EUR/2","amount":"7"},
                                                    {"debit":"bank","credit":"c","asset":"USD/2","amount":"8"}]},
                {"kind":"pending","id":"p2","expires":"2026-11-24T00:00:03Z",
                 "legs":[{"debit":"bank","credit":"b","asset":"EUR/2","amount":"4"}]},
                {"kind":"post","id":"o1","pending":"p1","amounts":["3","0"]},
                {"kind":"event","id":"e1","event":"login","metadata":{"ip":"::1"}},
                {"kind":"reversal","id":"r1","reverses":"t2","amounts":["1","0","2"],"reason":"mistake"}]"#,
        );
        assert_eq!(refused, 0);
        ledger.seal();
        let refused = ledger.apply(
            r#"[{"kind":"void","id":"v1","pending":"p1","reason":"late"},
                {"kind":"adjustment","id":"j1","reason":"fees","legs":[{"debit":"b","credit":"fees","asset":"EUR/2","amount":"1"}]},
                {"kind":"account","id":"f1","name":"a","action":"freeze","reason":"court"},
                {"kind":"policy","id":"y1","closed_before":"2026-11-24T00:00:00Z"}]"#,
        );
        assert_eq!(refused, 0);
        let kinds = ledger.rows.iter().filter(|row| String::from_utf8_lossy(&row.stub).contains("\"expire\"")).count();
        assert_eq!((kinds, ledger.rows.len()), (1, 16));
        ledger
    }

    /// A history that `seed` decides.
    pub fn random(seed: u64, batches: usize) -> Ledger {
        let mut ledger = Ledger::new();
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for batch in 0..batches {
            let commands: Vec<String> = (0..1 + dice.below(8)).map(|index| dice.command(batch * 10 + index)).collect();
            ledger.apply(&format!("[{}]", commands.join(",")));
            if dice.below(3) == 0 {
                ledger.seal();
            }
        }
        ledger
    }
}

pub fn replayed(rows: &[OwnedRow]) -> Result<Replay, Contradiction> {
    let mut replay = Replay::new(ORIGIN);
    let rows: Vec<StoredRow<'_>> = rows.iter().map(OwnedRow::row).collect();
    // Chunks of several sizes: what is carried from one to the next counts too.
    let (first, rest) = rows.split_at(rows.len().min(3));
    let hashes = [replay.feed(first)?, replay.feed(&[])?, replay.feed(rest)?].concat();
    assert!(hashes.iter().zip(&rows).all(|(hash, row)| hash == row.hash));
    Ok(replay)
}

fn totals(json: &str) -> Vec<u128> {
    json.split('"').filter_map(crate::value::total).collect()
}

/// Xorshift: the same history for the same seed everywhere.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }

    fn pick<'a>(&mut self, among: &[&'a str]) -> &'a str {
        among[self.below(among.len())]
    }

    fn legs(&mut self) -> String {
        let count = 1 + self.below(3);
        let legs = (0..count).map(|_| {
            let (debit, credit) = (self.below(6), 1 + self.below(5));
            let credit = (debit + credit) % 6;
            let balancing = self.pick(&["", "", "", ",\"balancing\":\"debit\"", ",\"balancing\":\"both\""]);
            let (asset, amount) = (self.pick(&["EUR/2", "EUR/2", "USD/2", "JPY/0"]), 1 + self.below(100));
            format!(r#"{{"debit":"n:{debit}","credit":"n:{credit}","asset":"{asset}","amount":"{amount}"{balancing}}}"#)
        });
        format!("[{}]", legs.collect::<Vec<_>>().join(","))
    }

    fn command(&mut self, number: usize) -> String {
        let id = format!(r#""id":"{number}""#);
        let target = self.below(number.max(1));
        let more = self.pick(&["", "", r#","reference":"r""#, r#","metadata":{"a":"1","b":"2"}"#]);
        match self.below(12) {
            0..=2 => format!(r#"{{{id},"legs":{}{more}}}"#, self.legs()),
            3 | 4 => {
                let expires =
                    self.pick(&["", r#","expires":"2026-11-24T00:00:04Z""#, r#","expires":"2027-11-24T00:00:00Z""#]);
                format!(r#"{{{id},"kind":"pending","legs":{}{expires}{more}}}"#, self.legs())
            }
            5 => format!(r#"{{{id},"kind":"post","pending":"{target}"{more}}}"#),
            6 => {
                let amounts = self.pick(&[r#"["1"]"#, r#"["1","2"]"#, r#"["0","1","1"]"#]);
                let (kind, member) = if self.below(2) == 0 { ("post", "pending") } else { ("reversal", "reverses") };
                format!(r#"{{{id},"kind":"{kind}","{member}":"{target}","amounts":{amounts}{more}}}"#)
            }
            7 => format!(r#"{{{id},"kind":"void","pending":"{target}"{more}}}"#),
            8 => format!(r#"{{{id},"kind":"reversal","reverses":"{target}"{more}}}"#),
            9 => format!(r#"{{{id},"kind":"adjustment","reason":"x","legs":{}{more}}}"#, self.legs()),
            10 => {
                let account = self.below(6);
                let action = self.pick(&["", "", r#","action":"update""#]);
                format!(r#"{{"kind":"account","name":"n:{account}","assets":["EUR/2","JPY/0","USD/2"]{action}}}"#)
            }
            _ => format!(r#"{{{id},"kind":"event","event":"e"{more}}}"#),
        }
    }
}
