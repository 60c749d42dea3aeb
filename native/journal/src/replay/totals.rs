use super::blame::{blame, Checked};
use super::place::Gaps;
use super::row::{Facts, Leg, Stated};
use crate::definition::{self, Definition, Side};
use crate::effect::Effect;
use crate::state::State;
use crate::target::TargetLeg;
use crate::{Balance, BalanceRow};

/// A slot whose balance is not known, whatever was lost since.
const NEVER: i64 = -1;

/// Balances, definitions and scales as the entries so far amount to them.
///
/// Where destroyed parts hide what an entry did to a balance, the balance is unknown until an entry states it again;
/// where they may hide even which balance that was, all are.
#[derive(Default)]
pub(super) struct Totals {
    state: State,
    /// Per slot: the number of entries after which its balance was last known for itself.
    since: Vec<i64>,
    /// The number of entries after which all balances were last lost.
    lost: i64,
    /// The slots of the entry at hand, in the order in which its legs first touch them, debit before credit.
    touched: Vec<u32>,
    /// The legs of the entry at hand that are shown.
    pub legs: Vec<TargetLeg>,
    /// A definition may have been recorded that is not shown.
    pub definitions_hidden: bool,
}

impl Totals {
    /// The effect of an entry's legs; whether all of them are shown.
    pub fn apply(&mut self, facts: &Facts<'_>, legs: &[Leg<'_>], stated: &[Stated<'_>]) -> Checked<bool> {
        let effect = Effect::of(facts.stub.kind);
        let size = facts.stub.seq as i64 + 1;
        self.state.clock += 1;
        self.touched.clear();
        self.legs.clear();
        for leg in legs {
            let asset = self.asset(leg.asset)?;
            let (debit, credit) = (self.state.account(leg.debit), self.state.account(leg.credit));
            self.legs.push(TargetLeg { debit, credit, asset, amount: leg.amount });
            self.touch(debit, asset);
            self.touch(credit, asset);
        }
        let gaps = facts.gaps.as_deref();
        let complete = gaps.is_none_or(|gaps| {
            gaps.show_all_legs(legs, self.touched.len())
                || effect.is_some_and(|effect| self.explain_balances(effect, legs, stated, gaps))
        });
        match (effect, complete) {
            (Some(effect), true) => {
                self.add_up(effect)?;
                self.compare(stated, gaps, legs.len(), size)?;
            }
            (_, true) => {}
            (_, false) => self.adopt(legs, stated, gaps, size)?,
        }
        Ok(complete)
    }

    fn asset(&mut self, text: &str) -> Checked<u32> {
        let number = self.state.asset(text).ok_or_else(|| blame("body", "no asset", "CODE/SCALE", text))?;
        let asset = &self.state.assets[number as usize];
        let (code, scale) = (asset.code, asset.scale);
        let fixed = *self.state.scales[code as usize].get_or_insert(scale);
        if fixed != scale {
            let code = self.state.codes.get(code);
            return Err(blame(
                "body",
                "the scale of a code is fixed at its first use",
                format!("{code}/{fixed}"),
                text,
            ));
        }
        Ok(number)
    }

    fn touch(&mut self, account: u32, asset: u32) -> u32 {
        let slot = self.state.slot(account, asset);
        if self.since.len() <= slot as usize {
            self.since.resize(slot as usize + 1, 0);
        }
        let place = &mut self.state.slots[slot as usize];
        if place.stamp != self.state.clock {
            place.stamp = self.state.clock;
            self.touched.push(slot);
        }
        slot
    }

    fn is_known(&self, slot: u32) -> bool {
        self.since[slot as usize] >= self.lost
    }

    /// Whether the legs that are shown are all there are, so that destroyed parts behind them were `balancing/…`: what is
    /// stated is what they amount to. Another leg would have raised two balances, of which one at most is not shown.
    fn explain_balances(&self, effect: Effect, legs: &[Leg<'_>], stated: &[Stated<'_>], gaps: &Gaps) -> bool {
        let in_sequence = legs.last().is_some_and(|last| last.index as usize + 1 == legs.len());
        let Some(balances) = gaps.balances.filter(|_| gaps.may_balance && in_sequence) else { return false };
        if balances + stated.len() + 1 < gaps.end || !self.touched.iter().all(|&slot| self.is_known(slot)) {
            return false;
        }
        let mut derived: Vec<Balance> =
            self.touched.iter().map(|&slot| self.state.slots[slot as usize].balance).collect();
        for leg in &self.legs {
            for (side, account) in [(Side::Debit, leg.debit), (Side::Credit, leg.credit)] {
                let is_its = |&slot: &u32| {
                    let slot = &self.state.slots[slot as usize];
                    (slot.account, slot.asset) == (account, leg.asset)
                };
                let Some(place) = self.touched.iter().position(is_its) else { return false };
                if effect.apply(side, &mut derived[place], leg.amount).is_none() {
                    return false;
                }
            }
        }
        stated.iter().all(|stated| {
            let index = stated.index as usize;
            self.touched.get(index).is_some_and(|&slot| self.is_at(slot, stated) && derived[index] == stated.balance)
        })
    }

    fn add_up(&mut self, effect: Effect) -> Checked<()> {
        for index in 0..self.legs.len() {
            let leg = self.legs[index];
            for (side, account) in [(Side::Debit, leg.debit), (Side::Credit, leg.credit)] {
                let slot = self.state.slot(account, leg.asset);
                if !self.is_known(slot) {
                    continue;
                }
                let balance = &mut self.state.slots[slot as usize].balance;
                if effect.apply(side, balance, leg.amount).is_none() {
                    let what = format!("legs/{index} would take a total of {} below 0 or to 2^127", self.name(slot));
                    return Err(blame(
                        "body",
                        what,
                        "a total from 0 to 2^127",
                        show(&self.state.slots[slot as usize].balance),
                    ));
                }
            }
        }
        Ok(())
    }

    /// All keys are known: each balance that is stated must be the one that was derived.
    fn compare(&mut self, stated: &[Stated<'_>], gaps: Option<&Gaps>, legs: usize, size: i64) -> Checked<()> {
        let keys = self.touched.len();
        let room = gaps.map_or(stated.len(), |gaps| gaps.end.saturating_sub(gaps.legs + legs + gaps.balancings));
        if room < keys || stated.last().is_some_and(|last| last.index as usize >= keys) {
            return Err(blame("body", "one balance for every account and asset that a leg touches", keys, room));
        }
        for stated in stated {
            let slot = self.touched[stated.index as usize];
            if !self.is_at(slot, stated) {
                let what = format!("balances/{} is out of its place", stated.index);
                return Err(blame("body", what, self.name(slot), format!("{} {}", stated.account, stated.asset)));
            }
            let derived = self.state.slots[slot as usize].balance;
            if !self.is_known(slot) {
                self.know(slot, stated.balance, size);
            } else if derived != stated.balance {
                let what = format!("balances/{}: {} is not what the legs amount to", stated.index, self.name(slot));
                return Err(blame("body", what, show(&derived), show(&stated.balance)));
            }
        }
        Ok(())
    }

    /// A leg is hidden: what is stated is taken as it is, and what neither leg nor balance shows is unknown.
    fn adopt(&mut self, legs: &[Leg<'_>], stated: &[Stated<'_>], gaps: Option<&Gaps>, size: i64) -> Checked<()> {
        let Some(gaps) = gaps else { return Ok(()) };
        let shown_keys = self.touched.len();
        // Two accounts at least; as many balances.
        let least = gaps.legs + legs.len().max(1) + gaps.balancings + shown_keys.max(2);
        if gaps.end < least {
            return Err(blame("body", "parts are missing before those that follow the balances", least, gaps.end));
        }
        // The leading legs that are shown fix which balances come first.
        let leading = legs.iter().zip(0..).take_while(|(leg, index)| leg.index == *index).count();
        let ordered = self.keys_of(leading);
        for index in 0..shown_keys {
            self.since[self.touched[index] as usize] = NEVER;
        }
        let mut seen = Vec::with_capacity(stated.len());
        for stated in stated {
            let asset = self.asset(stated.asset)?;
            let account = self.state.account(stated.account);
            let slot = self.touch(account, asset);
            let place = ordered.get(stated.index as usize);
            if seen.contains(&slot) || place.is_some_and(|&other| other != slot) {
                let what = format!("balances/{} is out of its place", stated.index);
                let expected = place.map_or("a balance that was not stated yet".into(), |&slot| self.name(slot));
                return Err(blame("body", what, expected, self.name(slot)));
            }
            seen.push(slot);
            self.know(slot, stated.balance, size);
        }
        if gaps.may_hide_a_balance(legs, stated, ordered.len(), shown_keys) {
            self.lost = size;
        }
        Ok(())
    }

    /// The slots that the first `count` legs touch.
    fn keys_of(&mut self, count: usize) -> Vec<u32> {
        let mut keys = Vec::with_capacity(2 * count);
        for leg in &self.legs[..count] {
            for account in [leg.debit, leg.credit] {
                let slot = self.state.slot(account, leg.asset);
                if !keys.contains(&slot) {
                    keys.push(slot);
                }
            }
        }
        keys
    }

    fn know(&mut self, slot: u32, balance: Balance, size: i64) {
        self.state.slots[slot as usize].balance = balance;
        self.since[slot as usize] = size;
    }

    fn is_at(&self, slot: u32, stated: &Stated<'_>) -> bool {
        let slot = &self.state.slots[slot as usize];
        *self.state.accounts[slot.account as usize].name == *stated.account
            && *self.state.assets[slot.asset as usize].text == *stated.asset
    }

    fn key(&self, slot: u32) -> (&str, &str) {
        let slot = &self.state.slots[slot as usize];
        (&self.state.accounts[slot.account as usize].name, &self.state.assets[slot.asset as usize].text)
    }

    fn name(&self, slot: u32) -> String {
        let (account, asset) = self.key(slot);
        format!("{account} {asset}")
    }

    pub fn define(&mut self, name: &str, json: &str) -> Checked<()> {
        let account = self.state.account(name);
        let parsed = Definition::parse(name, json, |text| self.state.asset(text));
        let text = |number: u32| &*self.state.assets[number as usize].text;
        let sorted =
            |definition: &&Definition| definition.terms.assets.is_sorted_by(|&left, &right| text(left) < text(right));
        let written = parsed.as_ref().filter(sorted);
        let written = written.map(|definition| definition::write(name, &definition.terms, definition.standing, text));
        if written.as_deref() != Some(json) {
            let expected = written.unwrap_or_else(|| "the definition of an account".into());
            return Err(blame("body", "part account does not have its form", expected, json));
        }
        self.state.accounts[account as usize].definition = parsed.map(Into::into);
        Ok(())
    }

    /// Any account may have got another definition.
    pub fn forget_definitions(&mut self) {
        self.definitions_hidden = true;
        self.state.accounts.iter_mut().for_each(|account| account.definition = None);
    }

    /// Balances, or scales, may have been lost that no entry has stated since.
    pub fn lost(&self) -> bool {
        self.lost > 0
    }

    /// In order of (account, asset).
    pub fn balances(&self) -> Vec<BalanceRow<'_>> {
        let row = |slot: u32| {
            let (account, asset) = self.key(slot);
            BalanceRow { account, asset, balance: self.state.slots[slot as usize].balance }
        };
        let mut rows: Vec<_> = self.slots().filter(|&slot| self.is_known(slot)).map(row).collect();
        rows.sort_unstable_by_key(|row| (row.account, row.asset));
        rows
    }

    pub fn unknown(&self) -> Vec<(&str, &str)> {
        let mut keys: Vec<_> = self.slots().filter(|&slot| !self.is_known(slot)).map(|slot| self.key(slot)).collect();
        keys.sort_unstable();
        keys
    }

    fn slots(&self) -> impl Iterator<Item = u32> {
        0..self.since.len() as u32
    }

    /// In order of the names.
    pub fn definitions(&self) -> Vec<(&str, &str)> {
        let defined = |account: &'_ crate::state::Account| account.definition.is_some();
        let accounts = self.state.accounts.iter().filter(|account| defined(account));
        let mut rows: Vec<_> = accounts
            .filter_map(|account| account.definition.as_ref().map(|definition| (&*account.name, &*definition.json)))
            .collect();
        rows.sort_unstable();
        rows
    }

    /// In order of the codes.
    pub fn assets(&self) -> Vec<(&str, u8)> {
        let scales = self.state.codes.iter().zip(&self.state.scales);
        let mut rows: Vec<_> = scales.filter_map(|(code, scale)| scale.map(|scale| (code, scale))).collect();
        rows.sort_unstable();
        rows
    }
}

fn show(balance: &Balance) -> String {
    let Balance { debits, credits, pending_debits, pending_credits } = balance;
    format!("debits {debits}, credits {credits}, pending {pending_debits} and {pending_credits}")
}

impl Gaps {
    /// Whether no destroyed part can have been a leg, when those that are shown touch `keys` balances.
    fn show_all_legs(&self, legs: &[Leg<'_>], keys: usize) -> bool {
        let after = self.legs + legs.len();
        let in_sequence = legs.last().is_some_and(|last| last.index as usize + 1 == legs.len());
        // Nothing but as many balances as the legs ask for fits between legs and the rest.
        let no_room = self.balances.is_none() && self.end <= after + self.balancings + keys;
        self.legs_end == after || (in_sequence && no_room)
    }

    /// Whether a destroyed part may have been a balance whose key no leg that is shown gives away.
    fn may_hide_a_balance(&self, legs: &[Leg<'_>], stated: &[Stated<'_>], ordered: usize, keys: usize) -> bool {
        let Some(balances) = self.balances else { return true };
        let hidden_legs = self.legs_end - self.legs - legs.len();
        // Each hidden leg touches at most two more.
        let most = keys + 2 * hidden_legs;
        let unstated = |index: usize| stated.binary_search_by_key(&index, |stated| stated.index as usize).is_err();
        (ordered..most.min(self.end - balances)).any(unstated)
    }
}
