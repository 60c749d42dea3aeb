use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use json::Value;

use crate::apply::{changes, Apply, EXPIRIES_MAX};
use crate::batch::{Batch, Changes};
use crate::entry::Salts;
use crate::fault::Fault;
use crate::kind::Kind;
use crate::plan::{Plan, Planned, Source};
use crate::request::Requests;
use crate::state::{State, Undo};
use crate::stored::Stored;
use crate::target::Target;
use crate::{Balance, BalanceRow, Head};

/// Above so many accounts in memory all are forgotten between two batches, and loaded again as they are used.
const ACCOUNTS_MAX: usize = 1_000_000;

/// RFC 8785 integers, and so `at`, stay below 2^53.
const AT_END: u64 = 1 << 53;

/// A stub must fit an entry bundle (65,535 bytes); this leaves room for its other members.
const LOG_BODY_MAX: usize = 60_000;

/// A stored entry whose id occurs in the requests.
#[derive(Clone, Copy, Debug)]
pub struct Existing<'a> {
    pub id: &'a str,
    pub seq: u64,
    pub stub: &'a [u8],
    pub body: &'a [u8],
    pub hash: [u8; 32],
}

/// What `Journal::load` takes from a store.
#[derive(Clone, Copy, Debug, Default)]
pub struct Loaded<'a> {
    /// Names asked for; one without a definition or balances has none.
    pub accounts: &'a [&'a str],
    /// (name, canonical JSON of its `account` part).
    pub definitions: &'a [(&'a str, &'a str)],
    pub balances: &'a [BalanceRow<'a>],
    /// Ids asked for; one without an entry does not exist.
    pub ids: &'a [&'a str],
    /// (id, seq, stub, body).
    pub targets: &'a [(&'a str, u64, &'a [u8], &'a [u8])],
    /// (id, what remains per leg, expires).
    pub remainders: &'a [(&'a str, &'a [u128], Option<u64>)],
}

/// The rules of double entry over loaded state, for one ledger. One applied batch may be open at a time.
#[derive(Debug)]
pub struct Journal {
    ledger: Arc<str>,
    state: State,
    head: Option<Head>,
    open: Option<(Batch, Vec<Undo>)>,
}

impl Journal {
    pub fn new(ledger: &str) -> Journal {
        Journal { ledger: ledger.into(), state: State::default(), head: None, open: None }
    }

    /// Forget everything and start at a head (`None`: before genesis).
    pub fn reset<'a>(
        &mut self,
        head: Option<Head>,
        explicit_accounts: bool,
        assets: impl IntoIterator<Item = (&'a str, u8)>,
        expiring: impl IntoIterator<Item = (&'a str, u64, u64)>,
    ) {
        self.state = State::default();
        self.state.explicit = explicit_accounts;
        self.state.closed_before = head.and_then(|head| head.closed_before);
        for (code, scale) in assets {
            self.state.fix_scale(code, scale);
        }
        self.state.expiring = expiring.into_iter().map(|(id, seq, expires)| ((expires, seq), id.to_owned())).collect();
        self.head = head;
        self.open = None;
    }

    /// (accounts, target ids) that `apply` at `now` needs and that are not loaded.
    pub fn missing(&self, requests: &Requests, now: u64) -> Result<(Vec<String>, Vec<String>), Fault> {
        self.check_closed()?;
        let first_at = self.first_at(now)?;
        let mut accounts: Vec<String> =
            requests.accounts.iter().filter(|name| !self.state.is_loaded(name)).map(str::to_owned).collect();
        accounts.extend(self.target_accounts());
        let named = requests.commands.iter().filter(|command| command.refusal.is_none());
        let named = named.filter_map(|command| requests.target(command)).map(str::to_owned);
        let due = self.state.due(first_at, EXPIRIES_MAX);
        let mut seen = HashSet::new();
        let ids =
            named.chain(due).filter(|id| !self.state.target_ids.contains_key(id) && seen.insert(id.clone())).collect();
        Ok((accounts, ids))
    }

    /// Take state from the store. Returns the accounts that are missing now: those of the targets' legs.
    pub fn load(&mut self, loaded: &Loaded<'_>) -> Result<Vec<String>, Fault> {
        self.check_closed()?;
        let state = &mut self.state;
        let mut fresh = HashSet::new();
        for name in loaded.accounts {
            let number = state.account(name) as usize;
            if !state.accounts[number].loaded {
                state.accounts[number].loaded = true;
                fresh.insert(*name);
            }
        }
        for (name, definition) in loaded.definitions.iter().filter(|(name, _)| fresh.contains(name)) {
            state.set_definition(name, definition)?;
        }
        for row in loaded.balances.iter().filter(|row| fresh.contains(row.account)) {
            let account = state.account(row.account);
            let asset = state
                .asset(row.asset)
                .ok_or_else(|| Fault::contradiction(None, format!("a balance of {}, which is no asset", row.asset)))?;
            let slot = state.slot(account, asset) as usize;
            state.slots[slot].balance = row.balance;
            state.slots[slot].used = true;
        }
        for id in loaded.ids {
            state.target_ids.entry((*id).to_owned()).or_insert(None);
        }
        let remainders = loaded.remainders.iter().map(|&(id, remaining, expires)| (id, (remaining, expires)));
        let remainders: HashMap<&str, _> = remainders.collect();
        for &(id, seq, stub, body) in loaded.targets {
            let stored = Stored::parse(seq, stub, body)?;
            let target = Target::load(id, &stored, remainders.get(id).copied(), state)?;
            state.target_ids.insert(id.to_owned(), Some(state.targets.len() as u32));
            state.targets.push(target);
        }
        Ok(self.target_accounts())
    }

    /// Apply commands at `now` (microseconds since 1970 UTC). `seed` (32 unpredictable bytes, used once) gives the salts.
    pub fn apply(
        &mut self,
        requests: Arc<Requests>,
        now: u64,
        seed: [u8; 32],
        existing: &[Existing<'_>],
    ) -> Result<Batch, Fault> {
        self.apply_salted(requests, now, Salts::Seed(seed), existing)
    }

    pub(crate) fn apply_salted(
        &mut self,
        requests: Arc<Requests>,
        now: u64,
        salts: Salts,
        existing: &[Existing<'_>],
    ) -> Result<Batch, Fault> {
        self.check_closed()?;
        let head = self.head.ok_or_else(|| Fault::misuse("the ledger has no genesis entry yet"))?;
        let first_at = self.first_at(now)?;
        let plan = Plan::new(Arc::clone(&self.ledger), Arc::clone(&requests), head, first_at);
        let (plan, answers, undo) = Apply::new(&mut self.state, &requests, plan, existing)?.run()?;
        let changes = changes(&mut self.state, &plan, &undo);
        let batch = Batch::start(plan, self.state.closed_before, answers, changes, salts);
        self.open = Some((batch.clone(), undo));
        Ok(batch)
    }

    /// One entry of the log itself (`genesis`, `key`, `seal`) whose canonical JSON body stands in the stub.
    pub fn append(&mut self, kind: &str, body: &[u8], now: u64) -> Result<Batch, Fault> {
        self.check_closed()?;
        let kind = Kind::parse(kind).filter(|kind| kind.is_log());
        let kind = kind.ok_or_else(|| Fault::Body("kind: expected genesis, key or seal".into()))?;
        if body.first() != Some(&b'{') {
            return Err(Fault::Body("the body is not a JSON object".into()));
        }
        if body.len() > LOG_BODY_MAX {
            return Err(Fault::Body(format!("the body has {} bytes, at most {LOG_BODY_MAX} fit a stub", body.len())));
        }
        json::check_canonical(body).map_err(|error| Fault::Body(format!("the body is not canonical JSON: {error}")))?;
        let head = match (kind, self.head) {
            (Kind::Genesis, None) => {
                self.state.explicit = asks_for_explicit_accounts(body);
                let at = now.saturating_sub(1);
                Head { size: 0, hash: [0; 32], at, batch: 0, batch_first: 0, closed_before: None }
            }
            (Kind::Genesis, Some(_)) => return Err(Fault::misuse("the ledger has its genesis entry already")),
            (_, Some(head)) => head,
            (_, None) => return Err(Fault::misuse("the ledger has no genesis entry yet")),
        };
        let first_at = next_at(&head, now)?;
        let mut plan = Plan::new(Arc::clone(&self.ledger), Arc::default(), head, first_at);
        plan.entries.push(Planned {
            source: Source::Log(body.into()),
            kind,
            legs: (0, 0),
            balances: (0, 0),
            account: None,
        });
        let batch = Batch::start(plan, self.state.closed_before, Vec::new(), Changes::default(), Salts::Seed([0; 32]));
        self.open = Some((batch.clone(), Vec::new()));
        Ok(batch)
    }

    /// The batch is stored.
    pub fn commit(&mut self, batch: &Batch) -> Result<(), Fault> {
        self.close(batch)?;
        self.state.forget_targets();
        if batch.count() > 0 {
            self.head = Some(batch.head());
        }
        if self.state.accounts.len() > ACCOUNTS_MAX || self.state.assets.len() > ACCOUNTS_MAX {
            self.state.forget_accounts();
        }
        Ok(())
    }

    /// The batch was not stored, and will not be.
    pub fn rollback(&mut self, batch: &Batch) -> Result<(), Fault> {
        let mut undo = self.close(batch)?;
        self.state.undo(&mut undo, 0);
        self.state.forget_targets();
        Ok(())
    }

    fn close(&mut self, batch: &Batch) -> Result<Vec<Undo>, Fault> {
        match self.open.take_if(|(open, _)| Arc::ptr_eq(&open.0, &batch.0)) {
            Some((_, undo)) => Ok(undo),
            None => Err(Fault::misuse("this batch is not the open one")),
        }
    }

    fn check_closed(&self) -> Result<(), Fault> {
        match self.open {
            None => Ok(()),
            Some(_) => Err(Fault::misuse("a batch is open: commit it or roll it back")),
        }
    }

    fn first_at(&self, now: u64) -> Result<u64, Fault> {
        self.head.map_or(Ok(now), |head| next_at(&head, now))
    }

    /// Accounts of targets' legs that are not loaded.
    fn target_accounts(&self) -> Vec<String> {
        let legs = self.state.targets.iter().flat_map(|target| &target.legs);
        let mut accounts: Vec<u32> = legs.flat_map(|leg| [leg.debit, leg.credit]).collect();
        accounts.sort_unstable();
        accounts.dedup();
        let accounts = accounts.into_iter().map(|number| &self.state.accounts[number as usize]);
        accounts.filter(|account| !account.loaded).map(|account| account.name.to_string()).collect()
    }
}

fn asks_for_explicit_accounts(genesis: &[u8]) -> bool {
    match Value::parse(genesis) {
        Ok(Value::Object(members)) => members.contains(&("accounts".into(), Value::String("explicit".into()))),
        _ => false,
    }
}

fn next_at(head: &Head, now: u64) -> Result<u64, Fault> {
    // A batch has fewer than 2^32 entries.
    match now.max(head.at + 1) {
        at if at < AT_END - (1 << 32) => Ok(at),
        at => Err(Fault::misuse(format!("the time {at} µs is out of range"))),
    }
}

impl State {
    /// The ids of pending entries with `expires <= at`, at most `max`, oldest first.
    pub(crate) fn due(&self, at: u64, max: usize) -> Vec<String> {
        self.expiring.range(..=(at, u64::MAX)).take(max).map(|(_, id)| id.clone()).collect()
    }
}

/// A balance row from decimal strings.
pub fn balance_row<'a>(account: &'a str, asset: &'a str, totals: [&str; 4]) -> Result<BalanceRow<'a>, Fault> {
    let total = |text: &str| {
        crate::value::total(text).ok_or_else(|| {
            Fault::contradiction(None, format!("the balance of {account} in {asset} has a total of {text}"))
        })
    };
    let [debits, credits, pending_debits, pending_credits] = totals.map(total);
    let balance = Balance {
        debits: debits?,
        credits: credits?,
        pending_debits: pending_debits?,
        pending_credits: pending_credits?,
    };
    Ok(BalanceRow { account, asset, balance })
}
