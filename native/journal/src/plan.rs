use std::sync::Arc;

use crate::kind::Kind;
use crate::request::Requests;
use crate::{Balance, Head};

/// What the rules hand to the builder: all that the entries of a batch say.
#[derive(Debug)]
pub(crate) struct Plan {
    pub ledger: Arc<str>,
    pub requests: Arc<Requests>,
    /// The head that the batch extends.
    pub previous: Head,
    /// `at` of the first entry; each later one is a microsecond after the one before.
    pub first_at: u64,
    pub entries: Vec<Planned>,
    pub legs: Vec<PlannedLeg>,
    pub balances: Vec<PlannedBalance>,
    /// Accounts and assets that no command names, numbered after those of `requests`.
    pub more_accounts: Vec<Arc<str>>,
    pub more_assets: Vec<Arc<str>>,
}

#[derive(Debug)]
pub(crate) struct Planned {
    pub source: Source,
    pub kind: Kind,
    pub legs: (u32, u32),
    pub balances: (u32, u32),
    /// The value of the `account` part.
    pub account: Option<Arc<str>>,
}

#[derive(Debug)]
pub(crate) enum Source {
    /// Index of the command.
    Command(u32),
    /// Id of the pending entry that expires.
    Expiry(Box<str>),
    /// Canonical JSON that stands in the stub.
    Log(Box<[u8]>),
}

pub(crate) const NOT_OF: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
pub(crate) struct PlannedLeg {
    pub debit: u32,
    pub credit: u32,
    pub asset: u32,
    /// The leg of the target, or `NOT_OF`.
    pub of: u32,
    pub amount: u128,
}

/// A balance after its entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlannedBalance {
    pub account: u32,
    pub asset: u32,
    pub balance: Balance,
}

impl Plan {
    pub fn new(ledger: Arc<str>, requests: Arc<Requests>, previous: Head, first_at: u64) -> Plan {
        let (entries, legs) = (requests.commands.len(), requests.legs.len());
        Plan {
            ledger,
            requests,
            previous,
            first_at,
            entries: Vec::with_capacity(entries),
            legs: Vec::with_capacity(legs),
            balances: Vec::with_capacity(legs * 2),
            more_accounts: Vec::new(),
            more_assets: Vec::new(),
        }
    }

    pub fn account(&self, number: u32) -> &str {
        let known = self.requests.accounts.len();
        match (number as usize).checked_sub(known) {
            None => self.requests.accounts.get(number),
            Some(index) => &self.more_accounts[index],
        }
    }

    pub fn asset(&self, number: u32) -> &str {
        let known = self.requests.assets.len();
        match (number as usize).checked_sub(known) {
            None => self.requests.assets.get(number),
            Some(index) => &self.more_assets[index],
        }
    }

    pub fn id(&self, entry: &Planned) -> Option<&str> {
        match entry.source {
            Source::Command(index) => self.requests.id(&self.requests.commands[index as usize]),
            Source::Expiry(_) | Source::Log(_) => None,
        }
    }

    pub fn legs(&self, entry: &Planned) -> &[PlannedLeg] {
        &self.legs[entry.legs.0 as usize..entry.legs.1 as usize]
    }

    pub fn balances(&self, entry: &Planned) -> &[PlannedBalance] {
        &self.balances[entry.balances.0 as usize..entry.balances.1 as usize]
    }

    pub fn seq(&self, index: usize) -> u64 {
        self.previous.size + index as u64
    }

    pub fn at(&self, index: usize) -> u64 {
        self.first_at + index as u64
    }
}
