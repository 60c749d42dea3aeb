//! The effect of legs on balances, what is available, and the limits.

use std::cmp::Ordering;

use crate::apply::{Apply, Stop};
use crate::definition::{Definition, Limit, Side, Standing};
use crate::effect::Effect;
use crate::fault::Fault;
use crate::plan::{PlannedBalance, PlannedLeg};
use crate::refusal::{Code, Refusal};
use crate::request::Balancing;
use crate::state::{Slot, Undo};
use crate::Balance;

/// A leg about to be applied; accounts and asset by their numbers in the plan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Move {
    pub debit: u32,
    pub credit: u32,
    pub asset: u32,
    pub of: u32,
    /// The leg that a refusal names.
    pub leg: u32,
    pub balancing: Balancing,
    pub amount: u128,
}

/// A balance that the entry at hand touched; account and asset by their numbers in the plan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Touched {
    slot: u32,
    account: u32,
    asset: u32,
    before: Balance,
}

/// An amount that may be negative and reach 2^128.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Available {
    negative: bool,
    size: u128,
}

impl Available {
    /// `plus - minus`
    fn new(plus: u128, minus: u128) -> Available {
        Available { negative: plus < minus, size: plus.abs_diff(minus) }
    }

    fn positive(self) -> u128 {
        if self.negative {
            0
        } else {
            self.size
        }
    }

    /// By how much `after` is less.
    fn lowered_to(self, after: Available) -> u128 {
        match (self.negative, after.negative) {
            (false, true) => self.size.saturating_add(after.size),
            _ => self.size.abs_diff(after.size),
        }
    }
}

impl Ord for Available {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.size.cmp(&other.size),
            (true, true) => other.size.cmp(&self.size),
            (negative, _) => {
                if negative {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
        }
    }
}

impl PartialOrd for Available {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl std::fmt::Display for Available {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", if self.negative { "-" } else { "" }, self.size)
    }
}

/// What a side of an account has available in an asset.
fn available(balance: &Balance, definition: Option<&Definition>, asset: u32, side: Side) -> Available {
    let overdraft = |limit: Limit| {
        let terms = definition.map(|definition| &definition.terms).filter(|terms| terms.limit == Some(limit));
        let found = terms.and_then(|terms| terms.overdraft.iter().find(|(of, _)| *of == asset));
        found.map_or(0, |(_, amount)| *amount)
    };
    // Each sum is of two totals below 2^127.
    match side {
        Side::Debit => Available::new(
            balance.credits + overdraft(Limit::DebitsMustNotExceedCredits),
            balance.debits + balance.pending_debits,
        ),
        Side::Credit => Available::new(
            balance.debits + overdraft(Limit::CreditsMustNotExceedDebits),
            balance.credits + balance.pending_credits,
        ),
    }
}

impl Apply<'_> {
    /// Apply `self.moves` as the legs of the entry at hand. `checked`: by the rules of row 11 and 12.
    pub(crate) fn apply_moves(&mut self, effect: Effect, checked: bool) -> Result<(), Stop> {
        self.state.clock += 1;
        self.touched.clear();
        for index in 0..self.moves.len() {
            let leg = self.moves[index];
            self.apply_move(&leg, effect, checked)?;
        }
        if checked {
            self.check_limits()?;
        }
        for touched in &self.touched {
            let balance = self.state.slots[touched.slot as usize].balance;
            self.plan.balances.push(PlannedBalance { account: touched.account, asset: touched.asset, balance });
        }
        Ok(())
    }

    #[inline]
    fn apply_move(&mut self, leg: &Move, effect: Effect, checked: bool) -> Result<(), Stop> {
        let (debit, credit) = (self.accounts[leg.debit as usize], self.accounts[leg.credit as usize]);
        let asset = self.assets[leg.asset as usize];
        if checked {
            self.check_standing(debit, leg)?;
            self.check_standing(credit, leg)?;
            self.fit_scale(asset, leg)?;
            self.check_allowed(debit, asset, leg)?;
            self.check_allowed(credit, asset, leg)?;
        }
        let debit_slot = self.touch(debit, asset, leg.debit, leg.asset);
        let credit_slot = self.touch(credit, asset, leg.credit, leg.asset);
        let mut amount = leg.amount;
        if leg.balancing != Balancing::No {
            if leg.balancing != Balancing::Credit {
                amount = amount.min(self.available(debit_slot, Side::Debit).positive());
            }
            if leg.balancing != Balancing::Debit {
                amount = amount.min(self.available(credit_slot, Side::Credit).positive());
            }
            if amount == 0 {
                return Err(self.nothing_available(leg));
            }
        }
        for (slot, side) in [(debit_slot, Side::Debit), (credit_slot, Side::Credit)] {
            if effect.apply(side, &mut self.state.slots[slot as usize].balance, amount).is_none() {
                return Err(self.does_not_fit(slot, side, effect, amount, leg));
            }
        }
        let Move { debit, credit, asset, of, .. } = *leg;
        self.plan.legs.push(PlannedLeg { debit, credit, asset, of, amount });
        Ok(())
    }

    /// The slot of an (account, asset), noted with its balance when the entry at hand first touches it.
    #[inline]
    fn touch(&mut self, account: u32, asset: u32, plan_account: u32, plan_asset: u32) -> u32 {
        let number = self.state.slot(account, asset);
        let clock = self.state.clock;
        let slot = &mut self.state.slots[number as usize];
        if slot.stamp != clock {
            slot.stamp = clock;
            self.undo.push(Undo::Balance { slot: number, used: slot.used, balance: slot.balance });
            self.touched.push(Touched { slot: number, account: plan_account, asset: plan_asset, before: slot.balance });
            slot.used = true;
        }
        number
    }

    fn available(&self, slot: u32, side: Side) -> Available {
        let slot = &self.state.slots[slot as usize];
        let definition = self.state.accounts[slot.account as usize].definition.as_deref();
        available(&slot.balance, definition, slot.asset, side)
    }

    #[inline]
    fn check_standing(&self, account: u32, leg: &Move) -> Result<(), Stop> {
        let Some(definition) = &self.state.accounts[account as usize].definition else {
            if self.state.explicit {
                return Err(self
                    .refuse_leg(Code::AccountNotFound, "the account was never opened", Some(account), leg)
                    .into());
            }
            return Ok(());
        };
        let (code, message) = match definition.standing {
            Standing::Open => return Ok(()),
            Standing::Closed => (Code::AccountClosed, "the account is closed"),
            Standing::Frozen => (Code::AccountFrozen, "the account is frozen"),
        };
        Err(self.refuse_leg(code, message, Some(account), leg).into())
    }

    /// The first use of a code fixes its scale.
    #[inline]
    fn fit_scale(&mut self, asset: u32, leg: &Move) -> Result<(), Stop> {
        let asset = &self.state.assets[asset as usize];
        let fixed = &mut self.state.scales[asset.code as usize];
        match *fixed {
            Some(scale) if scale == asset.scale => Ok(()),
            Some(scale) => {
                let mut refusal =
                    self.refuse_leg(Code::AssetScaleConflict, "the code has another scale in this ledger", None, leg);
                refusal.expected = refusal.asset.as_deref().map(|text| with_scale(text, scale));
                refusal.found.clone_from(&refusal.asset);
                Err(refusal.into())
            }
            None => {
                *fixed = Some(asset.scale);
                self.undo.push(Undo::Scale { code: asset.code });
                Ok(())
            }
        }
    }

    #[inline]
    fn check_allowed(&self, account: u32, asset: u32, leg: &Move) -> Result<(), Stop> {
        let Some(definition) = &self.state.accounts[account as usize].definition else { return Ok(()) };
        let allowed = &definition.terms.assets;
        if allowed.is_empty() || allowed.contains(&asset) {
            return Ok(());
        }
        let message = "the account does not hold this asset";
        Err(self.refuse_leg(Code::AssetNotAllowed, message, Some(account), leg).into())
    }

    fn check_limits(&self) -> Result<(), Stop> {
        for touched in &self.touched {
            let slot = &self.state.slots[touched.slot as usize];
            let Some(definition) = &self.state.accounts[slot.account as usize].definition else { continue };
            let side = match definition.terms.limit {
                None => continue,
                Some(Limit::DebitsMustNotExceedCredits) => Side::Debit,
                Some(Limit::CreditsMustNotExceedDebits) => Side::Credit,
            };
            let before = available(&touched.before, Some(definition), slot.asset, side);
            let after = available(&slot.balance, Some(definition), slot.asset, side);
            if !after.negative || after >= before {
                continue;
            }
            let needed = before.lowered_to(after);
            let account = &self.state.accounts[slot.account as usize].name;
            let asset = &self.state.assets[slot.asset as usize].text;
            let message =
                format!("{account} has {before} of {asset} available, the entry needs {needed} (minor units)");
            let mut refusal = Refusal::new(Code::InsufficientFunds, message);
            refusal.account = Some(account.to_string());
            refusal.asset = Some(asset.to_string());
            refusal.needed = Some(needed.to_string());
            refusal.available = Some(before.to_string());
            return Err(refusal.into());
        }
        Ok(())
    }

    #[cold]
    fn does_not_fit(&self, slot: u32, side: Side, effect: Effect, amount: u128, leg: &Move) -> Stop {
        let Slot { account, balance, .. } = &self.state.slots[slot as usize];
        let pending = if side == Side::Debit { balance.pending_debits } else { balance.pending_credits };
        if matches!(effect, Effect::Settles | Effect::Releases) && pending < amount {
            let name = &self.state.accounts[*account as usize].name;
            return Fault::contradiction(
                None,
                format!("account {name} has less pending than its pending entries hold"),
            )
            .into();
        }
        let message = "a total of the account would reach 2^127";
        self.refuse_leg(Code::BalanceOverflow, message, Some(*account), leg).into()
    }

    #[cold]
    fn nothing_available(&self, leg: &Move) -> Stop {
        let short = if leg.balancing == Balancing::Credit { leg.credit } else { leg.debit };
        let account = self.accounts[short as usize];
        let message = "nothing is available for the balancing leg to move";
        let mut refusal = self.refuse_leg(Code::NothingAvailable, message, Some(account), leg);
        refusal.needed = Some(leg.amount.to_string());
        refusal.available = Some("0".into());
        refusal.into()
    }

    #[cold]
    fn refuse_leg(&self, code: Code, message: &str, account: Option<u32>, leg: &Move) -> Refusal {
        let account = account.map(|account| self.state.accounts[account as usize].name.to_string());
        let asset = self.plan.asset(leg.asset).to_owned();
        let subject = account.as_deref().unwrap_or(&asset);
        let mut refusal = Refusal::new(code, format!("leg {}, {subject}: {message}", leg.leg));
        refusal.account = account;
        refusal.asset = Some(asset);
        refusal.leg = Some(leg.leg);
        refusal
    }
}

/// An asset's text with another scale.
pub(crate) fn with_scale(text: &str, scale: u8) -> String {
    let code = text.split_once('/').map_or(text, |(code, _)| code);
    format!("{code}/{scale}")
}
