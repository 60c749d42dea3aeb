use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::definition::Definition;
use crate::fault::Fault;
use crate::names::Names;
use crate::target::Target;
use crate::{value, Balance};

const NONE: u32 = u32::MAX;

/// An account that commands have named; its state is known once `loaded`.
#[derive(Debug)]
pub(crate) struct Account {
    pub name: Arc<str>,
    pub loaded: bool,
    pub definition: Option<Arc<Definition>>,
    pub slots: Vec<u32>,
    /// The asset asked for last and its slot: most accounts hold one asset.
    recent: (u32, u32),
}

/// The balance of an (account, asset).
#[derive(Debug)]
pub(crate) struct Slot {
    pub account: u32,
    pub asset: u32,
    /// `State::clock` when it was last touched.
    pub stamp: u64,
    /// An entry has touched it: it is more than a place kept for one.
    pub used: bool,
    pub balance: Balance,
}

#[derive(Debug)]
pub(crate) struct Asset {
    pub text: Arc<str>,
    pub code: u32,
    pub scale: u8,
}

/// How to take back one change.
#[derive(Debug)]
pub(crate) enum Undo {
    Balance { slot: u32, used: bool, balance: Balance },
    Definition { account: u32, before: Option<Arc<Definition>> },
    Scale { code: u32 },
    ClosedBefore { before: Option<u64> },
    Remaining { target: u32, leg: u32, before: u128 },
    TargetKnown { id: String },
    ExpiryAdded { key: (u64, u64) },
    ExpiryRemoved { key: (u64, u64), id: String },
}

/// What is known of a ledger in memory. Numbers of accounts, assets, slots and targets are valid until
/// `forget_accounts` and `forget_targets`.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Accounts must be opened before use.
    pub explicit: bool,
    pub closed_before: Option<u64>,
    /// Open pending entries with a time-out: (expires, seq) -> id.
    pub expiring: BTreeMap<(u64, u64), String>,
    pub accounts: Vec<Account>,
    account_table: HashTable<u32>,
    pub slots: Vec<Slot>,
    slot_table: HashTable<u32>,
    asset_names: Names,
    pub assets: Vec<Asset>,
    pub codes: Names,
    /// Per code: the scale, once fixed.
    pub scales: Vec<Option<u8>>,
    pub targets: Vec<Target>,
    /// Ids asked for; `None`: there is no such entry.
    pub target_ids: HashMap<String, Option<u32>>,
    /// Counts entries; marks what an entry has touched.
    pub clock: u64,
    hasher: DefaultHashBuilder,
}

impl State {
    pub fn account_number(&self, name: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(name.as_bytes());
        self.account_table.find(hash, |&number| *self.accounts[number as usize].name == *name).copied()
    }

    pub fn account(&mut self, name: &str) -> u32 {
        if let Some(number) = self.account_number(name) {
            return number;
        }
        let number = self.accounts.len() as u32;
        let recent = (NONE, NONE);
        self.accounts.push(Account { name: name.into(), loaded: false, definition: None, slots: Vec::new(), recent });
        let (accounts, hasher) = (&self.accounts, &self.hasher);
        let rehash = |number: u32| hasher.hash_one(accounts[number as usize].name.as_bytes());
        self.account_table.insert_unique(rehash(number), number, |&number| rehash(number));
        number
    }

    pub fn is_loaded(&self, name: &str) -> bool {
        self.account_number(name).is_some_and(|number| self.accounts[number as usize].loaded)
    }

    /// `None` if the text is no asset.
    pub fn asset(&mut self, text: &str) -> Option<u32> {
        let number = self.asset_names.intern(text, |text| value::asset(text).is_some())?;
        if number as usize == self.assets.len() {
            let (code, scale) = value::asset(text)?;
            let code = self.code(code);
            self.assets.push(Asset { text: text.into(), code, scale });
        }
        Some(number)
    }

    pub fn code(&mut self, code: &str) -> u32 {
        let number = self.codes.intern(code, |_| true).unwrap_or(NONE);
        if number as usize == self.scales.len() {
            self.scales.push(None);
        }
        number
    }

    #[inline]
    pub fn slot(&mut self, account: u32, asset: u32) -> u32 {
        let recent = self.accounts[account as usize].recent;
        if recent.0 == asset {
            return recent.1;
        }
        let slot = self.find_slot(account, asset).unwrap_or_else(|| self.new_slot(account, asset));
        self.accounts[account as usize].recent = (asset, slot);
        slot
    }

    fn find_slot(&self, account: u32, asset: u32) -> Option<u32> {
        let hash = self.hasher.hash_one((account, asset));
        let slots = &self.slots;
        let is = |&slot: &u32| (slots[slot as usize].account, slots[slot as usize].asset) == (account, asset);
        self.slot_table.find(hash, is).copied()
    }

    fn new_slot(&mut self, account: u32, asset: u32) -> u32 {
        let slot = self.slots.len() as u32;
        self.slots.push(Slot { account, asset, stamp: 0, used: false, balance: Balance::default() });
        self.accounts[account as usize].slots.push(slot);
        let (slots, hasher) = (&self.slots, &self.hasher);
        let rehash = |slot: u32| hasher.hash_one((slots[slot as usize].account, slots[slot as usize].asset));
        self.slot_table.insert_unique(rehash(slot), slot, |&slot| rehash(slot));
        slot
    }

    /// A definition was recorded, or an entry used it.
    pub fn exists(&self, account: u32) -> bool {
        let account = &self.accounts[account as usize];
        account.definition.is_some() || account.slots.iter().any(|&slot| self.slots[slot as usize].used)
    }

    pub fn set_definition(&mut self, name: &str, json: &str) -> Result<(), Fault> {
        let account = self.account(name);
        let definition = Definition::parse(name, json, |text| self.asset(text));
        let definition = definition.ok_or_else(|| {
            Fault::contradiction(None, format!("the stored definition of account {name} is not one: {json}"))
        })?;
        self.accounts[account as usize].definition = Some(Arc::new(definition));
        Ok(())
    }

    /// Take back the changes after the first `keep`, newest first.
    pub fn undo(&mut self, log: &mut Vec<Undo>, keep: usize) {
        for change in log.drain(keep..).rev() {
            match change {
                Undo::Balance { slot, used, balance } => {
                    let slot = &mut self.slots[slot as usize];
                    (slot.used, slot.balance) = (used, balance);
                }
                Undo::Definition { account, before } => self.accounts[account as usize].definition = before,
                Undo::Scale { code } => self.scales[code as usize] = None,
                Undo::ClosedBefore { before } => self.closed_before = before,
                Undo::Remaining { target, leg, before } => {
                    self.targets[target as usize].remaining[leg as usize] = before
                }
                Undo::TargetKnown { id } => drop(self.target_ids.insert(id, None)),
                Undo::ExpiryAdded { key } => drop(self.expiring.remove(&key)),
                Undo::ExpiryRemoved { key, id } => drop(self.expiring.insert(key, id)),
            }
        }
    }

    /// Targets belong to one batch: an id that was not there may be there afterwards.
    pub fn forget_targets(&mut self) {
        self.targets.clear();
        self.target_ids.clear();
    }

    /// Forget accounts and assets, all of which can be loaded again; scales that are fixed are kept.
    pub fn forget_accounts(&mut self) {
        let fixed: Vec<(String, u8)> = self.fixed_scales().map(|(code, scale)| (code.to_owned(), scale)).collect();
        *self = State {
            explicit: self.explicit,
            closed_before: self.closed_before,
            expiring: std::mem::take(&mut self.expiring),
            clock: self.clock,
            ..State::default()
        };
        for (code, scale) in fixed {
            self.fix_scale(&code, scale);
        }
    }

    pub fn fix_scale(&mut self, code: &str, scale: u8) {
        let number = self.code(code);
        self.scales[number as usize] = Some(scale);
    }

    fn fixed_scales(&self) -> impl Iterator<Item = (&str, u8)> {
        self.codes.iter().zip(&self.scales).filter_map(|(code, scale)| scale.map(|scale| (code, scale)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgetting_accounts_keeps_what_cannot_be_loaded_by_name() {
        let mut state = State { explicit: true, closed_before: Some(5), ..State::default() };
        state.expiring.insert((7, 1), "p".into());
        state.fix_scale("EUR", 2);
        let (account, asset) = (state.account("a"), state.asset("BTC/8").unwrap());
        state.slot(account, asset);
        state.accounts[account as usize].loaded = true;
        state.forget_accounts();
        assert!(!state.is_loaded("a") && state.slots.is_empty() && state.assets.is_empty());
        assert_eq!(state.fixed_scales().collect::<Vec<_>>(), [("EUR", 2)]);
        assert_eq!((state.explicit, state.closed_before, state.expiring.len()), (true, Some(5), 1));
    }
}
