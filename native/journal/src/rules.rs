//! The rules of each kind of command, in the order of docs/reference/entries.md, "Refusals, and which comes first"; the
//! numbers are those of its rows. Rows 1 and 2 are behind the command when it comes here.

use std::sync::Arc;

use crate::apply::{expires, Apply, Stop};
use crate::definition::{Action, Definition, Standing, Terms};
use crate::effect::Effect;
use crate::fault::Fault;
use crate::kind::Kind;
use crate::moves::{with_scale, Move};
use crate::plan::NOT_OF;
use crate::refusal::{Code, Refusal};
use crate::request::{AccountChange, Balancing, Command, Moment, More};
use crate::state::Undo;
use crate::target::{Target, TargetLeg};
use crate::value::format_time;

impl Apply<'_> {
    /// Apply a well-formed command that is no replay; the value of its `account` part, if it has one.
    pub(crate) fn entry(&mut self, command: &Command) -> Result<Option<Arc<str>>, Stop> {
        let more = command.more.as_deref();
        match command.kind {
            Kind::Transaction | Kind::Adjustment | Kind::Event | Kind::Pending => {
                self.check_period(more)?;
                self.own_legs(command);
                if let Some(effect) = Effect::of(command.kind) {
                    self.apply_moves(effect, true)?;
                }
                if let (Some(expires), Some(id)) = (more.and_then(|more| more.expires), self.requests.id(command)) {
                    let key = (expires.at, self.plan.seq(self.plan.entries.len()));
                    self.state.expiring.insert(key, id.to_owned());
                    self.undo.push(Undo::ExpiryAdded { key });
                }
            }
            Kind::Post | Kind::Void | Kind::Reversal => self.aimed(command)?,
            Kind::Account => return self.account(more).map(Some),
            Kind::Policy => self.policy(more)?,
            Kind::Genesis | Kind::Key | Kind::Seal | Kind::Expire => unreachable!("not a kind of command"),
        }
        Ok(None)
    }

    #[inline]
    fn own_legs(&mut self, command: &Command) {
        self.moves.clear();
        let legs = self.requests.legs(command).iter().enumerate();
        self.moves.extend(legs.map(|(index, leg)| Move {
            debit: leg.debit,
            credit: leg.credit,
            asset: leg.asset,
            of: NOT_OF,
            leg: index as u32,
            balancing: leg.balancing,
            amount: leg.amount,
        }));
    }

    // 9
    #[inline]
    fn check_period(&self, more: Option<&More>) -> Result<(), Stop> {
        let Some(Moment { at, text }) = more.and_then(|more| more.effective) else { return Ok(()) };
        match self.state.closed_before {
            Some(closed_before) if at < closed_before => {
                let closed_before = format_time(closed_before);
                let mut refusal = Refusal::new(
                    Code::PeriodClosed,
                    format!("effective lies before {closed_before}, where the books are closed"),
                );
                refusal.member = Some("effective".into());
                refusal.expected = Some(format!("{closed_before} or later"));
                refusal.found = Some(self.requests.str(text).to_owned());
                Err(refusal.into())
            }
            _ => Ok(()),
        }
    }

    fn policy(&mut self, more: Option<&More>) -> Result<(), Stop> {
        let Some(wanted) = more.and_then(|more| more.closed_before) else {
            return Err(Fault::misuse("a policy without closed_before").into());
        };
        let refuse = |code, message: String, expected: String| {
            let mut refusal = Refusal::new(code, message);
            refusal.member = Some("closed_before".into());
            refusal.expected = Some(expected);
            refusal.found = Some(self.requests.str(wanted.text).to_owned());
            Err(refusal.into())
        };
        // 9
        if let Some(present) = self.state.closed_before.filter(|&present| wanted.at <= present) {
            let present = format_time(present);
            return refuse(
                Code::PeriodClosed,
                format!("the books are already closed before {present}"),
                format!("later than {present}"),
            );
        }
        // 10
        if wanted.at > self.at() {
            let at = format_time(self.at());
            return refuse(
                Code::PeriodInFuture,
                format!("it is {at}: the future cannot be closed"),
                format!("{at} or earlier"),
            );
        }
        self.undo.push(Undo::ClosedBefore { before: self.state.closed_before });
        self.state.closed_before = Some(wanted.at);
        Ok(())
    }

    /// `post`, `void` and `reversal`.
    fn aimed(&mut self, command: &Command) -> Result<(), Stop> {
        let requests = self.requests;
        let more = command.more.as_deref();
        let id = requests.target(command).ok_or_else(|| Fault::misuse("no target"))?;
        let refuse = |code, message: String| {
            let mut refusal = Refusal::new(code, message);
            refusal.target = Some(id.to_owned());
            refusal
        };
        // 3
        let Some(number) = self.find_target(id)? else {
            return Err(refuse(Code::TargetNotFound, format!("there is no entry {id}")).into());
        };
        let reversal = command.kind == Kind::Reversal;
        let at = self.at();
        let target = &self.state.targets[number as usize];
        if target.destroyed {
            return Err(refuse(Code::TargetDestroyed, format!("legs of entry {id} were destroyed")).into());
        }
        // 4
        let right_kind = match target.kind {
            Some(kind) if reversal => kind.is_reversible(),
            kind => kind == Some(Kind::Pending) && !reversal,
        };
        if !right_kind {
            let mut refusal = refuse(Code::TargetWrongKind, format!("entry {id} is of kind {}", target.kind_name));
            refusal.expected = Some(if reversal { "transaction, post or adjustment" } else { "pending" }.into());
            refusal.found = Some(target.kind_name.clone());
            return Err(refusal.into());
        }
        // 5
        if target.is_closed() {
            let (code, done) = if reversal {
                (Code::AlreadyReversed, "reversed")
            } else {
                (Code::PendingClosed, "posted, voided or expired")
            };
            return Err(refuse(code, format!("nothing remains of entry {id}: it was {done}")).into());
        }
        // 6
        if let Some(expires) = target.expires.filter(|&expires| expires <= at && !reversal) {
            let mut refusal = refuse(Code::PendingExpired, format!("entry {id} expired at {}", format_time(expires)));
            refusal.found = Some(format_time(expires));
            return Err(refusal.into());
        }
        let amounts = match more.and_then(|more| more.amounts.as_ref()) {
            Some(amounts) => {
                check_amounts(amounts, target, reversal)?;
                amounts.clone()
            }
            None => target.remaining.clone(),
        };
        self.check_period(more)?;
        self.target_legs(number, &amounts, reversal)?;
        // 11 and 12 are not for a void, which only releases.
        if let Some(effect) = Effect::of(command.kind) {
            self.apply_moves(effect, effect != Effect::Releases)?;
        }
        self.take(number, &amounts);
        Ok(())
    }

    /// Release all that remains of a pending entry.
    pub(crate) fn release(&mut self, target: u32) -> Result<(), Stop> {
        let amounts = self.state.targets[target as usize].remaining.clone();
        self.target_legs(target, &amounts, false)?;
        self.apply_moves(Effect::Releases, false)?;
        self.take(target, &amounts);
        Ok(())
    }

    /// The target's legs as moves of `amounts`, debit and credit exchanged for a reversal.
    fn target_legs(&mut self, number: u32, amounts: &[u128], reversal: bool) -> Result<(), Fault> {
        self.moves.clear();
        for (index, &amount) in amounts.iter().enumerate().filter(|(_, amount)| **amount > 0) {
            let TargetLeg { debit, credit, asset, .. } = self.state.targets[number as usize].legs[index];
            for account in [debit, credit] {
                let account = &self.state.accounts[account as usize];
                if !account.loaded {
                    return Err(Fault::misuse(format!("account {} is not loaded", account.name)));
                }
            }
            let (debit, credit) = (self.plan_account(debit), self.plan_account(credit));
            let (debit, credit) = if reversal { (credit, debit) } else { (debit, credit) };
            let (asset, of) = (self.plan_asset(asset), index as u32);
            self.moves.push(Move { debit, credit, asset, of, leg: of, balancing: Balancing::No, amount });
        }
        Ok(())
    }

    /// Lower what remains of a target.
    fn take(&mut self, number: u32, amounts: &[u128]) {
        let target = &mut self.state.targets[number as usize];
        for (leg, &amount) in amounts.iter().enumerate().filter(|(_, amount)| **amount > 0) {
            self.undo.push(Undo::Remaining { target: number, leg: leg as u32, before: target.remaining[leg] });
            target.remaining[leg] -= amount;
        }
        if let Some(expires) = target.expires.filter(|_| target.is_closed()) {
            let key = (expires, target.seq);
            if let Some(id) = self.state.expiring.remove(&key) {
                self.undo.push(Undo::ExpiryRemoved { key, id });
            }
        }
    }

    /// A target by its id: an entry of this batch, or one that was loaded.
    fn find_target(&mut self, id: &str) -> Result<Option<u32>, Stop> {
        if let Some(&Some(known)) = self.state.target_ids.get(id) {
            return Ok(Some(known));
        }
        let Some(entry) = self.entry_of(id) else {
            return match self.state.target_ids.get(id) {
                Some(_) => Ok(None),
                None => Err(Fault::misuse(format!("entry {id} is not loaded")).into()),
            };
        };
        let (plan, index) = (&self.plan, entry as usize);
        let entry = &plan.entries[index];
        let legs: Vec<TargetLeg> = plan
            .legs(entry)
            .iter()
            .map(|leg| TargetLeg {
                debit: self.accounts[leg.debit as usize],
                credit: self.accounts[leg.credit as usize],
                asset: self.assets[leg.asset as usize],
                amount: leg.amount,
            })
            .collect();
        let number = self.state.targets.len() as u32;
        self.state.targets.push(Target {
            id: id.to_owned(),
            seq: plan.seq(index),
            kind: Some(entry.kind),
            kind_name: entry.kind.as_str().into(),
            remaining: legs.iter().map(|leg| leg.amount).collect(),
            legs,
            expires: expires(plan, entry),
            destroyed: false,
        });
        self.state.target_ids.insert(id.to_owned(), Some(number));
        self.undo.push(Undo::TargetKnown { id: id.to_owned() });
        Ok(Some(number))
    }

    fn account(&mut self, more: Option<&More>) -> Result<Arc<str>, Stop> {
        let Some(change) = more.and_then(|more| more.account.as_ref()) else {
            return Err(Fault::misuse("an account command without a name").into());
        };
        let number = self.accounts[change.name as usize];
        let present = self.state.accounts[number as usize].definition.clone();
        let standing = present.as_ref().map_or(Standing::Open, |definition| definition.standing);
        let (terms, standing) = match self.check_account(change, number, standing) {
            Err((code, message)) => {
                let name = self.requests.accounts.get(change.name);
                let mut refusal = Refusal::new(code, format!("{name}: {message}"));
                refusal.account = Some(name.to_owned());
                return Err(refusal.into());
            }
            Ok(standing) => {
                let terms = match change.action {
                    Action::Open | Action::Update => self.fitting_terms(change)?,
                    _ => present.as_ref().map(|definition| definition.terms.clone()).unwrap_or_default(),
                };
                (terms, standing)
            }
        };
        let assets = &self.state.assets;
        let name = self.requests.accounts.get(change.name);
        let definition = Definition::new(name, terms, standing, |asset| &assets[asset as usize].text);
        let json = Arc::clone(&definition.json);
        self.undo.push(Undo::Definition { account: number, before: present });
        self.state.accounts[number as usize].definition = Some(Arc::new(definition));
        Ok(json)
    }

    /// The account's standing after the action.
    fn check_account(
        &self,
        change: &AccountChange,
        number: u32,
        standing: Standing,
    ) -> Result<Standing, (Code, &'static str)> {
        let exists = self.state.exists(number);
        if change.action == Action::Open {
            return if exists { Err((Code::AccountExists, "the account exists")) } else { Ok(Standing::Open) };
        }
        if !exists {
            return Err((Code::AccountNotFound, "the account was neither opened nor used"));
        }
        let closed = Err((Code::AccountClosed, "the account is closed"));
        match (change.action, standing) {
            (Action::Update | Action::Freeze | Action::Close, Standing::Closed) => closed,
            (Action::Freeze, Standing::Frozen) => Err((Code::AccountFrozen, "the account is already frozen")),
            (Action::Freeze, Standing::Open) => Ok(Standing::Frozen),
            (Action::Unfreeze, Standing::Frozen) | (Action::Reopen, Standing::Closed) => Ok(Standing::Open),
            (Action::Unfreeze, _) => Err((Code::AccountNotFrozen, "the account is not frozen")),
            (Action::Reopen, _) => Err((Code::AccountNotClosed, "the account is not closed")),
            (Action::Close, _) if !self.is_empty(number) => {
                Err((Code::AccountNotEmpty, "the account has a balance or something pending"))
            }
            (Action::Close, _) => Ok(Standing::Closed),
            (Action::Update | Action::Open, standing) => Ok(standing),
        }
    }

    fn is_empty(&self, account: u32) -> bool {
        let mut balances =
            self.state.accounts[account as usize].slots.iter().map(|&slot| &self.state.slots[slot as usize].balance);
        balances.all(|balance| {
            balance.debits == balance.credits && balance.pending_debits == 0 && balance.pending_credits == 0
        })
    }

    /// The terms of the command, by the numbers of `State`; its assets fit the fixed scales and fix none.
    fn fitting_terms(&self, change: &AccountChange) -> Result<Terms, Stop> {
        let fit = |member: &str, asset: u32| {
            let number = self.assets[asset as usize];
            let known = &self.state.assets[number as usize];
            match self.state.scales[known.code as usize] {
                Some(scale) if scale != known.scale => {
                    let message = format!("{}: the code has scale {scale} in this ledger", known.text);
                    let mut refusal = Refusal::new(Code::AssetScaleConflict, message);
                    refusal.member = Some(member.into());
                    refusal.account = Some(self.requests.accounts.get(change.name).to_owned());
                    refusal.asset = Some(known.text.to_string());
                    refusal.expected = Some(with_scale(&known.text, scale));
                    refusal.found = Some(known.text.to_string());
                    Err(Stop::from(refusal))
                }
                _ => Ok(number),
            }
        };
        let overdraft = change.terms.overdraft.iter().map(|&(asset, amount)| Ok((fit("overdraft", asset)?, amount)));
        let assets = change.terms.assets.iter().map(|&asset| fit("assets", asset));
        Ok(Terms {
            limit: change.terms.limit,
            normal: change.terms.normal,
            overdraft: overdraft.collect::<Result<_, Stop>>()?,
            assets: assets.collect::<Result<_, Stop>>()?,
        })
    }
}

// 7 and 8
fn check_amounts(amounts: &[u128], target: &Target, reversal: bool) -> Result<(), Stop> {
    if amounts.len() != target.legs.len() {
        let mut refusal = Refusal::new(
            Code::AmountsMismatch,
            format!("{} amounts for the {} legs of entry {}", amounts.len(), target.legs.len(), target.id),
        );
        refusal.member = Some("amounts".into());
        refusal.expected = Some(target.legs.len().to_string());
        refusal.found = Some(amounts.len().to_string());
        refusal.target = Some(target.id.clone());
        return Err(refusal.into());
    }
    let mut pairs = amounts.iter().zip(&target.remaining).enumerate();
    if let Some((leg, (amount, remaining))) = pairs.find(|(_, (amount, remaining))| amount > remaining) {
        let code = if reversal { Code::ExceedsOriginal } else { Code::ExceedsPending };
        let message = format!("{amount} is more than the {remaining} that remain of leg {leg} of entry {}", target.id);
        let mut refusal = Refusal::new(code, message);
        refusal.member = Some(format!("amounts/{leg}"));
        refusal.leg = Some(leg as u32);
        refusal.needed = Some(amount.to_string());
        refusal.available = Some(remaining.to_string());
        refusal.target = Some(target.id.clone());
        return Err(refusal.into());
    }
    Ok(())
}
