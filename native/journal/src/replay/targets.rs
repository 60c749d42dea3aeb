use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::blame::{blame, Checked};
use super::row::Leg;
use crate::target::TargetLeg;
use crate::{Kind, RemainderRow};

/// What later entries may do to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Role {
    Other,
    Pending,
    Reversible,
}

impl Role {
    pub const fn of(kind: Kind) -> Role {
        match kind {
            Kind::Pending => Role::Pending,
            _ if kind.is_reversible() => Role::Reversible,
            _ => Role::Other,
        }
    }

    /// Of the entries that entries of this kind aim at.
    pub const fn aimed_at_by(kind: Kind) -> Option<Role> {
        match kind {
            Kind::Post | Kind::Void | Kind::Expire => Some(Role::Pending),
            Kind::Reversal => Some(Role::Reversible),
            _ => None,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Other => "neither pending nor reversible",
            Role::Pending => "pending",
            Role::Reversible => "reversible",
        }
    }
}

/// An entry that has an id.
#[derive(Debug)]
pub(super) struct Record<'a> {
    pub id: &'a str,
    pub seq: u64,
    pub role: Role,
    /// Microseconds since 1970 UTC; only of pending entries.
    pub expires: Option<u64>,
    /// None for `Role::Other`, and when not all of them are shown.
    pub legs: Cow<'a, [TargetLeg]>,
}

/// All ids, and what remains of pending and reversible entries.
///
/// Few entries are ever aimed at, so they lie one behind the other in one buffer, some forty bytes each:
///
/// ```text
/// record = role  id-length id  seq  expires+1  legs *( debit credit asset amount )      LEB128 integers
/// ```
#[derive(Default)]
pub(super) struct Targets {
    records: Vec<u8>,
    by_id: HashTable<u64>,
    hasher: DefaultHashBuilder,
    /// By position of the record: of pending entries, and of those that were reversed at least in part.
    remaining: HashMap<u64, Remaining>,
    /// The id of an entry that may be aimed at is not shown.
    pub ids_hidden: bool,
    /// An entry hides which one it aimed at: what remains of those with a lower seq is unknown.
    lost_pending: u64,
    lost_reversible: u64,
}

#[derive(Debug)]
struct Remaining {
    /// One per leg; `None`: unknown.
    totals: Option<Vec<u128>>,
    /// The time-out may not be shown.
    expires_hidden: bool,
}

impl Targets {
    /// The position of an entry's record.
    pub fn find(&self, id: &str) -> Option<u64> {
        let hash = self.hasher.hash_one(id.as_bytes());
        self.by_id.find(hash, |&position| id_at(&self.records, position) == id.as_bytes()).copied()
    }

    /// `column` is where the id was read.
    pub fn insert(&mut self, record: &Record<'_>, column: &'static str, expires_hidden: bool) -> Checked<()> {
        let hash = self.hasher.hash_one(record.id.as_bytes());
        let records = &self.records;
        if let Some(&position) = self.by_id.find(hash, |&position| id_at(records, position) == record.id.as_bytes()) {
            let found = format!("{:?}, also of entry {}", record.id, self.get(position).seq);
            return Err(blame(column, "an id is unique in a ledger for ever", "another id", found));
        }
        let position = self.records.len() as u64;
        let out = &mut self.records;
        out.push(record.role as u8);
        write(out, record.id.len() as u128);
        out.extend_from_slice(record.id.as_bytes());
        write(out, record.seq.into());
        write(out, record.expires.map_or(0, |expires| u128::from(expires) + 1));
        write(out, record.legs.len() as u128);
        for leg in record.legs.iter() {
            for number in [leg.debit, leg.credit, leg.asset] {
                write(out, number.into());
            }
            write(out, leg.amount);
        }
        let (records, hasher) = (&self.records, &self.hasher);
        self.by_id.insert_unique(hash, position, |&position| hasher.hash_one(id_at(records, position)));
        if record.role == Role::Pending {
            let totals = record.legs.iter().map(|leg| leg.amount).collect();
            let totals = Some(totals).filter(|_| !record.legs.is_empty());
            self.remaining.insert(position, Remaining { totals, expires_hidden });
        }
        Ok(())
    }

    pub fn get(&self, position: u64) -> Record<'_> {
        let mut rest = &self.records[position as usize + 1..];
        let role = match self.records[position as usize] {
            byte if byte == Role::Pending as u8 => Role::Pending,
            byte if byte == Role::Reversible as u8 => Role::Reversible,
            _ => Role::Other,
        };
        let length = read(&mut rest) as usize;
        let id = std::str::from_utf8(&rest[..length]).expect("ids are text");
        rest = &rest[length..];
        let seq = read(&mut rest) as u64;
        let expires = (read(&mut rest) as u64).checked_sub(1);
        let count = read(&mut rest);
        let leg = |_| {
            let [debit, credit, asset] = [(); 3].map(|()| read(&mut rest) as u32);
            TargetLeg { debit, credit, asset, amount: read(&mut rest) }
        };
        Record { id, seq, role, expires, legs: (0..count).map(leg).collect() }
    }

    /// An entry of `kind` takes from what remains of the one at `position`; `None`: it hides some of its legs.
    pub fn take(&mut self, position: u64, kind: Kind, legs: Option<(&[Leg<'_>], &[TargetLeg])>) -> Checked<()> {
        let target = self.get(position);
        let (role, seq) = (target.role, target.seq);
        if Role::aimed_at_by(kind) != Some(role) {
            let found = format!("entry {seq}, {}", role.as_str());
            return Err(blame("body", format!("a {} does not aim at such an entry", kind.as_str()), "another", found));
        }
        let originals = target.legs.into_owned();
        let certain = seq >= self.lost(role);
        let remaining = self.remaining.entry(position).or_insert_with(|| Remaining {
            totals: Some(originals.iter().map(|leg| leg.amount).collect()).filter(|_| !originals.is_empty()),
            expires_hidden: false,
        });
        let (Some(totals), Some((legs, moved))) = (&mut remaining.totals, legs) else {
            remaining.totals = None;
            return Ok(());
        };
        let all = matches!(kind, Kind::Void | Kind::Expire);
        let mut next = 0;
        for (leg, moved) in legs.iter().zip(moved) {
            let of = leg.of.unwrap_or(u32::MAX);
            let original = originals.get(of as usize).filter(|original| of >= next && is_same(original, moved, kind));
            if original.is_none() {
                let what = format!("legs/{} is not leg {of} of entry {seq}", leg.index);
                let expected =
                    if kind == Kind::Reversal { "its accounts exchanged, its asset" } else { "its accounts and asset" };
                return Err(blame("body", what, expected, format!("{} to {}, {}", leg.debit, leg.credit, leg.asset)));
            }
            let total = &mut totals[of as usize];
            if leg.amount > *total || (all && certain && leg.amount < *total) {
                let what = format!("legs/{} is not what remains of leg {of} of entry {seq}", leg.index);
                return Err(blame("body", what, *total, leg.amount));
            }
            *total -= leg.amount;
            next = of + 1;
        }
        match totals.iter().position(|&total| total > 0) {
            Some(left) if all && certain => Err(blame(
                "body",
                format!("all that remains of entry {seq} is released"),
                format!("leg {left} too"),
                "not there",
            )),
            _ => Ok(()),
        }
    }

    /// An entry after `size - 1` others of unknown target took from something of this role.
    pub fn lose(&mut self, role: Role, size: u64) {
        match role {
            Role::Pending => self.lost_pending = size,
            Role::Reversible => self.lost_reversible = size,
            Role::Other => {}
        }
    }

    fn lost(&self, role: Role) -> u64 {
        match role {
            Role::Pending => self.lost_pending,
            Role::Reversible => self.lost_reversible,
            Role::Other => 0,
        }
    }

    /// Those that are known, in order of the entries.
    pub fn rows(&self) -> Vec<RemainderRow> {
        let mut rows: Vec<_> =
            self.remaining.iter().filter_map(|(&position, remaining)| self.row(position, remaining)).collect();
        rows.sort_unstable_by_key(|row| row.seq);
        rows
    }

    /// There may be rows that `rows` does not know.
    pub fn hidden(&self) -> bool {
        self.ids_hidden
            || self.lost_pending > 0
            || self.lost_reversible > 0
            || self.remaining.iter().any(|(&position, remaining)| self.row(position, remaining).is_none())
    }

    fn row(&self, position: u64, remaining: &Remaining) -> Option<RemainderRow> {
        let record = self.get(position);
        let totals = remaining.totals.as_ref()?;
        let open = totals.iter().any(|&total| total > 0);
        if record.seq < self.lost(record.role) || (remaining.expires_hidden && open) {
            return None;
        }
        Some(RemainderRow {
            id: record.id.into(),
            kind: record.role.as_str(),
            remaining: crate::apply::totals(totals.iter().copied()),
            expires: record.expires.filter(|_| open),
            seq: record.seq,
        })
    }
}

fn is_same(original: &TargetLeg, moved: &TargetLeg, kind: Kind) -> bool {
    let exchanged = kind == Kind::Reversal;
    let (debit, credit) = if exchanged { (moved.credit, moved.debit) } else { (moved.debit, moved.credit) };
    (original.debit, original.credit, original.asset) == (debit, credit, moved.asset)
}

fn id_at(records: &[u8], position: u64) -> &[u8] {
    let mut rest = &records[position as usize + 1..];
    let length = read(&mut rest) as usize;
    &rest[..length]
}

fn write(out: &mut Vec<u8>, mut value: u128) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn read(rest: &mut &[u8]) -> u128 {
    let (mut value, mut shift) = (0, 0);
    while let Some((&byte, after)) = rest.split_first() {
        *rest = after;
        value |= u128::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
        shift += 7;
    }
    value
}
