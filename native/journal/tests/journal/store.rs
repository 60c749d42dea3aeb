use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use journal::{Balance, BalanceRow, Existing, Fault, Head, Journal, Loaded, Outcome, Refusal, Requests};
use json::Value;

pub const START: u64 = 1_795_478_400_000_000; // 2026-11-24T00:00:00Z
pub const SECOND: u64 = 1_000_000;

#[derive(Clone, Debug)]
pub struct Row {
    pub id: Option<String>,
    pub stub: String,
    pub body: String,
    pub hash: [u8; 32],
}

impl Row {
    /// (path, JSON value) of every part that was not destroyed.
    pub fn parts(&self) -> Vec<(String, String)> {
        let Value::Array(parts) = Value::parse(self.body.as_bytes()).unwrap() else { panic!("no array") };
        let parts = parts.into_iter().filter_map(|part| match part {
            Value::Array(items) => {
                let [Value::String(salt), Value::String(path), value] = &items[..] else { panic!("no part") };
                assert_eq!(salt.len(), 32);
                let mut json = Vec::new();
                value.write(&mut json);
                Some((path.to_string(), String::from_utf8(json).unwrap()))
            }
            _ => None,
        });
        parts.collect()
    }

    pub fn part(&self, path: &str) -> Option<String> {
        self.parts().into_iter().find_map(|(found, value)| (found == path).then_some(value))
    }

    pub fn kind(&self) -> String {
        let Value::Object(members) = Value::parse(self.stub.as_bytes()).unwrap() else { panic!("no object") };
        let kind = members.into_iter().find(|(key, _)| key == "kind").unwrap().1;
        let Value::String(kind) = kind else { panic!("no string") };
        kind.into_owned()
    }
}

/// A ledger with a store in memory.
pub struct Ledger {
    pub journal: Journal,
    pub now: u64,
    pub rows: Vec<Row>,
    pub by_id: HashMap<String, usize>,
    pub balances: BTreeMap<(String, String), Balance>,
    pub definitions: BTreeMap<String, String>,
    pub remainders: HashMap<String, (Vec<u128>, Option<u64>, u64)>,
    pub assets: BTreeMap<String, u8>,
}

impl Ledger {
    pub fn new(accounts: &str) -> Ledger {
        let mut ledger = Ledger {
            journal: Journal::new("bank.example/ledger/test"),
            now: START,
            rows: Vec::new(),
            by_id: HashMap::new(),
            balances: BTreeMap::new(),
            definitions: BTreeMap::new(),
            remainders: HashMap::new(),
            assets: BTreeMap::new(),
        };
        ledger.append("genesis", &format!(r#"{{"accounts":"{accounts}"}}"#));
        ledger
    }

    pub fn implicit() -> Ledger {
        Self::new("implicit")
    }

    pub fn explicit() -> Ledger {
        Self::new("explicit")
    }

    pub fn append(&mut self, kind: &str, body: &str) -> Head {
        let batch = self.journal.append(kind, body.as_bytes(), self.now).unwrap();
        self.store(&batch);
        batch.head()
    }

    /// Record commands as one request; the outcomes.
    pub fn send(&mut self, payload: &str) -> Vec<Outcome> {
        self.try_send(payload).unwrap()
    }

    pub fn try_send(&mut self, payload: &str) -> Result<Vec<Outcome>, Fault> {
        let requests = parse(payload);
        let mut known: Vec<usize> = Vec::new();
        loop {
            let batch = self.apply(&requests, &known)?;
            let refused: Vec<String> = batch.refused_ids().map(str::to_owned).collect();
            let taken = requests.ids().map(str::to_owned).filter(|id| self.by_id.contains_key(id));
            let wanted = refused.into_iter().chain(taken).filter_map(|id| self.by_id.get(&id).copied());
            let more: Vec<usize> = wanted.filter(|row| !known.contains(row)).collect();
            if more.is_empty() {
                self.store(&batch);
                return Ok((0..batch.len()).map(|index| batch.outcome(index)).collect());
            }
            self.journal.rollback(&batch)?;
            known.extend(more);
        }
    }

    /// Load what is missing, and apply.
    pub fn apply(&mut self, requests: &Arc<Requests>, existing: &[usize]) -> Result<journal::Batch, Fault> {
        let (mut accounts, mut ids) = self.journal.missing(requests, self.now)?;
        while !accounts.is_empty() || !ids.is_empty() {
            accounts = self.load(&accounts, &ids)?;
            ids = Vec::new();
        }
        let rows = existing.iter().map(|&seq| {
            let row = &self.rows[seq];
            Existing {
                id: row.id.as_deref().unwrap(),
                seq: seq as u64,
                stub: row.stub.as_bytes(),
                body: row.body.as_bytes(),
                hash: row.hash,
            }
        });
        let rows: Vec<Existing<'_>> = rows.collect();
        self.journal.apply(Arc::clone(requests), self.now, [7; 32], &rows)
    }

    fn load(&mut self, accounts: &[String], ids: &[String]) -> Result<Vec<String>, Fault> {
        let names: Vec<&str> = accounts.iter().map(String::as_str).collect();
        let definitions: Vec<(&str, &str)> =
            names.iter().filter_map(|name| Some((*name, self.definitions.get(*name)?.as_str()))).collect();
        let balances = self.balances.iter().filter(|((account, _), _)| accounts.contains(account));
        let balances: Vec<BalanceRow<'_>> =
            balances.map(|((account, asset), balance)| BalanceRow { account, asset, balance: *balance }).collect();
        let wanted: Vec<&str> = ids.iter().map(String::as_str).collect();
        let targets = ids.iter().filter_map(|id| Some((id.as_str(), *self.by_id.get(id)?)));
        let targets: Vec<(&str, u64, &[u8], &[u8])> = targets
            .map(|(id, seq)| (id, seq as u64, self.rows[seq].stub.as_bytes(), self.rows[seq].body.as_bytes()))
            .collect();
        let remainders = ids.iter().filter_map(|id| {
            let (remaining, expires, _) = self.remainders.get(id)?;
            Some((id.as_str(), remaining.as_slice(), *expires))
        });
        let remainders: Vec<(&str, &[u128], Option<u64>)> = remainders.collect();
        self.journal.load(&Loaded {
            accounts: &names,
            definitions: &definitions,
            balances: &balances,
            ids: &wanted,
            targets: &targets,
            remainders: &remainders,
        })
    }

    pub fn store(&mut self, batch: &journal::Batch) {
        assert_eq!(batch.previous().0, self.rows.len() as u64);
        for chunk in batch.chunks() {
            for row in chunk.rows() {
                assert_eq!(row.seq, self.rows.len() as u64);
                if let Some(id) = row.id {
                    assert!(self.by_id.insert(id.into(), self.rows.len()).is_none(), "id {id} is taken");
                }
                let [stub, body] = [row.stub, row.body].map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
                self.rows.push(Row { id: row.id.map(str::to_owned), stub, body, hash: row.hash });
            }
        }
        for row in batch.balances() {
            self.balances.insert((row.account.into(), row.asset.into()), row.balance);
        }
        self.definitions.extend(batch.definitions().map(|(name, json)| (name.to_owned(), json.to_owned())));
        self.assets.extend(batch.assets().map(|(code, scale)| (code.to_owned(), scale)));
        for row in batch.remainders() {
            let Value::Array(totals) = Value::parse(row.remaining.as_bytes()).unwrap() else { panic!("no array") };
            let totals = totals.iter().map(|total| match total {
                Value::String(total) => total.parse().unwrap(),
                _ => panic!("no string"),
            });
            self.remainders.insert(row.id.clone(), (totals.collect(), row.expires, row.seq));
        }
        self.journal.commit(batch).unwrap();
    }

    /// Forget what is in memory, as after a restart.
    pub fn restart(&mut self) {
        let head = self.head();
        let expiring = self.remainders.iter();
        let expiring = expiring.filter_map(|(id, (_, expires, seq))| Some((id.as_str(), *seq, (*expires)?)));
        let explicit = self.rows[0].stub.contains("explicit");
        let assets = self.assets.iter().map(|(code, scale)| (code.as_str(), *scale));
        self.journal.reset(Some(head), explicit, assets, expiring);
    }

    /// The head, by way of an empty batch.
    pub fn head(&mut self) -> Head {
        let batch = self.journal.apply(parse("[]"), self.now, [0; 32], &[]).unwrap();
        assert_eq!(batch.count(), 0, "something is due");
        self.journal.commit(&batch).unwrap();
        batch.head()
    }

    /// All commands are recorded.
    #[track_caller]
    pub fn accept(&mut self, payload: &str) -> Vec<u64> {
        let outcomes = self.send(payload);
        let seqs = outcomes.iter().map(|outcome| match outcome {
            Outcome::Recorded { seq, .. } => *seq,
            Outcome::Refused(refusal) => panic!("{refusal}"),
        });
        seqs.collect()
    }

    /// The one command is refused, and nothing is written.
    #[track_caller]
    pub fn refuse(&mut self, payload: &str) -> Refusal {
        let (count, balances) = (self.rows.len(), self.balances.clone());
        let mut outcomes = self.send(payload);
        assert_eq!(outcomes.len(), 1);
        assert_eq!((self.rows.len(), &self.balances), (count, &balances));
        match outcomes.remove(0) {
            Outcome::Refused(refusal) => *refusal,
            Outcome::Recorded { seq, .. } => panic!("recorded as {seq}"),
        }
    }

    #[track_caller]
    pub fn refused_as(&mut self, code: &str, payload: &str) -> Refusal {
        let refusal = self.refuse(payload);
        assert_eq!(refusal.code.as_str(), code, "{refusal}");
        refusal
    }

    /// (debits, credits, pending debits, pending credits) of an account in EUR/2.
    pub fn eur(&self, account: &str) -> (u128, u128, u128, u128) {
        let balance = self.balances.get(&(account.into(), "EUR/2".into())).copied().unwrap_or_default();
        (balance.debits, balance.credits, balance.pending_debits, balance.pending_credits)
    }

    pub fn last(&self) -> &Row {
        self.rows.last().unwrap()
    }
}

pub fn parse(payload: &str) -> Arc<Requests> {
    let mut requests = Requests::new();
    requests.begin("user:7f3a").unwrap();
    requests.json(payload.as_bytes());
    Arc::new(requests)
}

pub fn leg(debit: &str, credit: &str, amount: &str) -> String {
    format!(r#"{{"debit":"{debit}","credit":"{credit}","asset":"EUR/2","amount":"{amount}"}}"#)
}

pub fn balancing(debit: &str, credit: &str, amount: &str, side: &str) -> String {
    leg(debit, credit, amount).replace('}', &format!(r#","balancing":"{side}"}}"#))
}

/// A command with legs; `more` are further members, each with a comma before it.
pub fn moving(kind: &str, id: &str, legs: &[String], more: &str) -> String {
    format!(r#"{{"kind":"{kind}","id":"{id}","legs":[{}]{more}}}"#, legs.join(","))
}

pub fn transaction(id: &str, debit: &str, credit: &str, amount: &str) -> String {
    moving("transaction", id, &[leg(debit, credit, amount)], "")
}

pub fn pending(id: &str, debit: &str, credit: &str, amount: &str, more: &str) -> String {
    moving("pending", id, &[leg(debit, credit, amount)], more)
}

pub fn post(id: &str, target: &str, more: &str) -> String {
    format!(r#"{{"kind":"post","id":"{id}","pending":"{target}"{more}}}"#)
}

pub fn void(id: &str, target: &str) -> String {
    format!(r#"{{"kind":"void","id":"{id}","pending":"{target}"}}"#)
}

pub fn reversal(id: &str, target: &str, more: &str) -> String {
    format!(r#"{{"kind":"reversal","id":"{id}","reverses":"{target}"{more}}}"#)
}

pub fn account(name: &str, more: &str) -> String {
    format!(r#"{{"kind":"account","name":"{name}"{more}}}"#)
}

pub fn action(name: &str, action: &str) -> String {
    account(name, &format!(r#","action":"{action}""#))
}

pub const NO_DEBT: &str = r#","limit":"debits_must_not_exceed_credits""#;
pub const NO_CREDIT: &str = r#","limit":"credits_must_not_exceed_debits""#;
