//! Applying a batch: expiries that are due, then each command or group in turn.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::batch::{Answer, Changes};
use crate::content;
use crate::entry::{BodyWriter, Salts};
use crate::fault::Fault;
use crate::journal::Existing;
use crate::kind::Kind;
use crate::moves::{Move, Touched};
use crate::plan::{Plan, Planned, Source};
use crate::refusal::{Code, Refusal};
use crate::request::{Command, Requests, NO_GROUP};
use crate::state::{State, Undo};
use crate::stored::{self, Stored};
use crate::target::Target;
use crate::value::write_total;
use crate::RemainderRow;

/// So many expiries a batch, oldest first: a long list of them must not keep commands waiting.
pub(crate) const EXPIRIES_MAX: usize = 1_000;

/// Why a command stops.
pub(crate) enum Stop {
    Refused(Box<Refusal>),
    Fault(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Stop::Fault(fault)
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Stop::Refused(Box::new(refusal))
    }
}

pub(crate) struct Apply<'a> {
    pub state: &'a mut State,
    pub requests: &'a Requests,
    pub plan: Plan,
    pub undo: Vec<Undo>,
    /// Numbers in `State` of the plan's accounts and assets.
    pub accounts: Vec<u32>,
    pub assets: Vec<u32>,
    /// Numbers in the plan of `more_accounts` and `more_assets`, by their numbers in `State`.
    pub more: HashMap<(bool, u32), u32>,
    /// The legs of the entry at hand, and the balances that they touched.
    pub moves: Vec<Move>,
    pub touched: Vec<Touched>,
    /// Entries of this batch by their ids.
    ids: HashTable<u32>,
    hasher: DefaultHashBuilder,
    existing: HashMap<&'a str, Existing<'a>>,
}

/// How much of the batch stood at some moment.
#[derive(Clone, Copy)]
struct Mark {
    entries: usize,
    legs: usize,
    balances: usize,
    undo: usize,
}

impl<'a> Apply<'a> {
    pub fn new(
        state: &'a mut State,
        requests: &'a Requests,
        plan: Plan,
        existing: &[Existing<'a>],
    ) -> Result<Apply<'a>, Fault> {
        let mut accounts = Vec::with_capacity(requests.accounts.len());
        for name in requests.accounts.iter() {
            let number = state.account_number(name).filter(|&number| state.accounts[number as usize].loaded);
            accounts.push(number.ok_or_else(|| Fault::misuse(format!("account {name} is not loaded")))?);
        }
        let assets = requests.assets.iter().map(|asset| state.asset(asset).expect("assets were checked")).collect();
        Ok(Apply {
            state,
            requests,
            accounts,
            assets,
            undo: Vec::with_capacity(requests.legs.len() * 2),
            more: HashMap::new(),
            moves: Vec::new(),
            touched: Vec::new(),
            ids: HashTable::with_capacity(plan.entries.capacity()),
            hasher: DefaultHashBuilder::default(),
            existing: existing.iter().map(|row| (row.id, *row)).collect(),
            plan,
        })
    }

    /// All commands. On a fault the state is as it was before.
    pub fn run(mut self) -> Result<(Plan, Vec<Answer>, Vec<Undo>), Fault> {
        match self.all() {
            Ok(answers) => Ok((self.plan, answers, self.undo)),
            Err(fault) => {
                self.state.undo(&mut self.undo, 0);
                Err(fault)
            }
        }
    }

    fn all(&mut self) -> Result<Vec<Answer>, Fault> {
        self.expire()?;
        let commands = &self.requests.commands;
        let mut answers = Vec::with_capacity(commands.len());
        while let Some(command) = commands.get(answers.len()) {
            if command.group != NO_GROUP {
                let (first, count) = self.requests.groups[command.group as usize];
                self.group(first, count, &mut answers)?;
                continue;
            }
            match self.command(answers.len()) {
                Ok(answer) => answers.push(answer),
                Err(Stop::Refused(refusal)) => answers.push(Answer::Refused(refusal)),
                Err(Stop::Fault(fault)) => return Err(fault),
            }
        }
        Ok(answers)
    }

    /// All members or none.
    fn group(&mut self, first: usize, count: usize, answers: &mut Vec<Answer>) -> Result<(), Fault> {
        let mark = self.mark();
        for position in 0..count {
            match self.command(first + position) {
                Ok(answer) => answers.push(answer),
                Err(Stop::Fault(fault)) => return Err(fault),
                Err(Stop::Refused(culprit)) => {
                    self.back_to(mark);
                    answers.truncate(first);
                    let code = culprit.code.as_str();
                    let mut other =
                        Refusal::new(Code::GroupRefused, format!("member {position} of the group is refused: {code}"));
                    other.culprit = Some(position as u32);
                    let other = Box::new(other);
                    answers.extend((0..count).map(|_| Answer::Refused(other.clone())));
                    answers[first + position] = Answer::Refused(culprit);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn command(&mut self, index: usize) -> Result<Answer, Stop> {
        let requests = self.requests;
        let command = &requests.commands[index];
        if let Some(refusal) = &command.refusal {
            return Err(Stop::Refused(refusal.clone()));
        }
        let id = requests.id(command);
        let hash = id.map(|id| self.hasher.hash_one(id.as_bytes()));
        if let (Some(id), Some(hash)) = (id, hash) {
            if let Some(answer) = self.replay(id, hash, command)? {
                return Ok(answer);
            }
        }
        let mark = self.mark();
        let entry = self.plan.entries.len() as u32;
        match self.entry(command) {
            Ok(account) => {
                self.push_entry(Source::Command(index as u32), command.kind, mark, account);
                if let Some(hash) = hash {
                    let (plan, hasher) = (&self.plan, &self.hasher);
                    self.ids.insert_unique(hash, entry, |&entry| id_hash(plan, hasher, entry));
                }
                Ok(Answer::Entry { index: entry, again: false })
            }
            Err(stop) => {
                self.back_to(mark);
                Err(stop)
            }
        }
    }

    fn push_entry(&mut self, source: Source, kind: Kind, mark: Mark, account: Option<Arc<str>>) {
        let legs = (mark.legs as u32, self.plan.legs.len() as u32);
        let balances = (mark.balances as u32, self.plan.balances.len() as u32);
        self.plan.entries.push(Planned { source, kind, legs, balances, account });
    }

    /// The answer that was given before to a command with this id; `id_conflict` if it was to another content.
    fn replay(&mut self, id: &str, hash: u64, command: &Command) -> Result<Option<Answer>, Stop> {
        let plan = &self.plan;
        let same = |&entry: &u32| plan.id(&plan.entries[entry as usize]) == Some(id);
        if let Some(&index) = self.ids.find(hash, same) {
            let stored = content::planned(plan, index as usize);
            content::compare(self.requests, command, &stored).map_err(Stop::Refused)?;
            return Ok(Some(Answer::Entry { index, again: true }));
        }
        let Some(row) = self.existing.get(id) else { return Ok(None) };
        let stored = Stored::parse(row.seq, row.stub, row.body)?;
        if merkle::Tree::Log.leaf(row.stub) != row.hash {
            return Err(Fault::contradiction(row.seq, "its hash is not that of its stub").into());
        }
        content::compare(self.requests, command, &stored).map_err(Stop::Refused)?;
        Ok(Some(Answer::Past { seq: row.seq, hash: row.hash, at: stored.at }))
    }

    /// Release every pending entry that is due at the first `at` of the batch.
    fn expire(&mut self) -> Result<(), Fault> {
        let due = self.state.due(self.plan.first_at, EXPIRIES_MAX);
        for id in due {
            let target = self.state.target_ids.get(&id).copied().flatten();
            let target = target.ok_or_else(|| Fault::misuse(format!("pending entry {id} is due and not loaded")))?;
            if self.state.targets[target as usize].destroyed {
                // What it holds is not known any more: it stays held.
                continue;
            }
            let mark = self.mark();
            match self.release(target) {
                Ok(()) => self.push_entry(Source::Expiry(id.into()), Kind::Expire, mark, None),
                Err(Stop::Fault(fault)) => return Err(fault),
                Err(Stop::Refused(refusal)) => {
                    let seq = self.state.targets[target as usize].seq;
                    return Err(Fault::contradiction(seq, format!("its expiry would be refused: {refusal}")));
                }
            }
        }
        Ok(())
    }

    /// `at` of the entry at hand.
    pub fn at(&self) -> u64 {
        self.plan.at(self.plan.entries.len())
    }

    /// The plan's number of an account of `State`.
    pub fn plan_account(&mut self, account: u32) -> u32 {
        if let Some(&number) = self.more.get(&(false, account)) {
            return number;
        }
        let number = self.accounts.len() as u32;
        self.accounts.push(account);
        self.plan.more_accounts.push(Arc::clone(&self.state.accounts[account as usize].name));
        self.more.insert((false, account), number);
        number
    }

    /// The plan's number of an asset of `State`.
    pub fn plan_asset(&mut self, asset: u32) -> u32 {
        if let Some(&number) = self.more.get(&(true, asset)) {
            return number;
        }
        let number = self.assets.len() as u32;
        self.assets.push(asset);
        self.plan.more_assets.push(Arc::clone(&self.state.assets[asset as usize].text));
        self.more.insert((true, asset), number);
        number
    }

    /// An entry of this batch by its id.
    pub fn entry_of(&self, id: &str) -> Option<u32> {
        let plan = &self.plan;
        let hash = self.hasher.hash_one(id.as_bytes());
        self.ids.find(hash, |&entry| plan.id(&plan.entries[entry as usize]) == Some(id)).copied()
    }

    fn mark(&self) -> Mark {
        Mark {
            entries: self.plan.entries.len(),
            legs: self.plan.legs.len(),
            balances: self.plan.balances.len(),
            undo: self.undo.len(),
        }
    }

    fn back_to(&mut self, mark: Mark) {
        self.state.undo(&mut self.undo, mark.undo);
        for entry in mark.entries..self.plan.entries.len() {
            let hash = id_hash(&self.plan, &self.hasher, entry as u32);
            if let Ok(found) = self.ids.find_entry(hash, |&other| other as usize == entry) {
                found.remove();
            }
        }
        self.plan.entries.truncate(mark.entries);
        self.plan.legs.truncate(mark.legs);
        self.plan.balances.truncate(mark.balances);
    }
}

fn id_hash(plan: &Plan, hasher: &DefaultHashBuilder, entry: u32) -> u64 {
    hasher.hash_one(plan.id(&plan.entries[entry as usize]).unwrap_or("").as_bytes())
}

/// The last state of each key that the log of changes names.
pub(crate) fn changes(state: &mut State, plan: &Plan, log: &[Undo]) -> Changes {
    let mut changes = Changes::default();
    state.clock += 1;
    let clock = state.clock;
    let (mut definitions, mut targets) = (Vec::new(), Vec::new());
    for change in log {
        match change {
            Undo::Balance { slot, .. } => {
                let slot = &mut state.slots[*slot as usize];
                if slot.stamp != clock {
                    slot.stamp = clock;
                    let account = Arc::clone(&state.accounts[slot.account as usize].name);
                    let asset = Arc::clone(&state.assets[slot.asset as usize].text);
                    changes.balances.push((account, asset, slot.balance));
                }
            }
            Undo::Definition { account, .. } => definitions.push(*account),
            Undo::Scale { code } => {
                let scale = state.scales[*code as usize].expect("it was fixed");
                changes.assets.push((state.codes.get(*code).to_owned(), scale));
            }
            Undo::Remaining { target, .. } => targets.push(*target),
            _ => {}
        }
    }
    definitions.sort_unstable();
    definitions.dedup();
    for account in definitions {
        let account = &state.accounts[account as usize];
        let definition = account.definition.as_ref().expect("it was recorded");
        changes.definitions.push((Arc::clone(&account.name), Arc::clone(&definition.json)));
    }
    targets.sort_unstable();
    targets.dedup();
    changes.remainders.extend(targets.iter().map(|&target| changed_remainder(&state.targets[target as usize])));
    let changed: HashSet<u64> = changes.remainders.iter().map(|row| row.seq).collect();
    for (index, entry) in plan.entries.iter().enumerate().filter(|(_, entry)| entry.kind == Kind::Pending) {
        if !changed.contains(&plan.seq(index)) {
            changes.remainders.push(new_remainder(plan, index, entry));
        }
    }
    changes
}

fn changed_remainder(target: &Target) -> RemainderRow {
    RemainderRow {
        id: target.id.clone(),
        kind: if target.kind == Some(Kind::Pending) { "pending" } else { "reversible" },
        remaining: totals(target.remaining.iter().copied()),
        expires: target.expires.filter(|_| !target.is_closed()),
        seq: target.seq,
    }
}

fn new_remainder(plan: &Plan, index: usize, entry: &Planned) -> RemainderRow {
    RemainderRow {
        id: plan.id(entry).expect("pending entries have ids").to_owned(),
        kind: "pending",
        remaining: totals(plan.legs(entry).iter().map(|leg| leg.amount)),
        expires: expires(plan, entry),
        seq: plan.seq(index),
    }
}

pub(crate) fn expires(plan: &Plan, entry: &Planned) -> Option<u64> {
    let Source::Command(command) = entry.source else { return None };
    let more = plan.requests.commands[command as usize].more.as_ref()?;
    more.expires.map(|moment| moment.at)
}

pub(crate) fn totals(totals: impl Iterator<Item = u128>) -> String {
    let mut out = vec![b'['];
    for (index, total) in totals.enumerate() {
        out.extend_from_slice(if index == 0 { b"\"" } else { b",\"" });
        write_total(&mut out, total);
        out.push(b'"');
    }
    out.push(b']');
    String::from_utf8(out).expect("digits are text")
}

/// The parts of an entry that is only planned.
pub(crate) fn planned_parts(plan: &Plan, index: usize) -> Vec<stored::Part> {
    let salts = Salts::Seed([0; 32]);
    let mut writer = BodyWriter::new(&salts, 1024);
    writer.body(plan, index);
    stored::parts(&writer.out).expect("a body that was just written").0
}
