//! The audit's half of the rules: what stored rows must amount to.
//!
//! Rows are read on all cores, each for itself: the stub has exactly its form, the hash column is its leaf hash, the body
//! is the one that it commits to, the parts are those of the kind, in order, and the id column is one of them. Then, in
//! sequence:
//!
//! 1. the row is the next one, later than the one before and linked to it, of the open batch; genesis is the first alone;
//! 2. a seal fits its batch;
//! 3. ids are new; legs, applied to the balances so far, give the balances that the entry states; what is taken from
//!    another entry remained of it; definitions and scales have their form.
//!
//! Whether an entry should have been refused is not asked here but in the independent verifier. A destroyed part proves
//! nothing: what it may have held is carried forward from the parts beside it, or else reported as not known.

mod blame;
mod chain;
mod place;
mod row;
mod stub;
mod targets;
#[cfg(test)]
mod tests;
mod totals;

use merkle::{frontier_extend, frontier_root, parallel, Hash, Tree, HASH_SIZE};

use crate::effect::Effect;
use crate::{BalanceRow, Head, Kind, RemainderRow};
use blame::{blame, hex, Checked};
use row::{Block, Facts, Leg, RowReader, Seen, Stated};
use stub::{Content, Stub};
use targets::{Record, Role, Targets};
use totals::Totals;

pub use blame::Contradiction;
pub use chain::follow;

/// Rows read by one task.
const ROWS_PER_TASK: usize = 64;

/// Reading a byte takes so much longer than hashing it.
const READ_PER_HASHED: usize = 3;

/// One row, as it is stored.
#[derive(Clone, Copy, Debug)]
pub struct StoredRow<'a> {
    pub seq: i64,
    pub id: Option<&'a str>,
    pub stub: &'a [u8],
    pub body: &'a [u8],
    pub hash: &'a [u8],
}

/// Follows a ledger's rows from genesis on.
pub struct Replay {
    /// The origin as a JSON string.
    ledger: String,
    head: Head,
    /// The full subtrees over the first `batch_size` entries of the open batch.
    batch: Vec<Hash>,
    batch_size: u64,
    totals: Totals,
    targets: Targets,
    closed_before_hidden: bool,
    destroyed: Vec<(u64, u32)>,
    failed: Option<Contradiction>,
}

impl Replay {
    pub fn new(ledger: &str) -> Self {
        let mut origin = Vec::new();
        json::write_string(&mut origin, ledger);
        Replay {
            ledger: String::from_utf8(origin).expect("text was written"),
            head: Head { size: 0, hash: [0; HASH_SIZE], at: 0, batch: 0, batch_first: 0, closed_before: None },
            batch: Vec::new(),
            batch_size: 0,
            totals: Totals::default(),
            targets: Targets::default(),
            closed_before_hidden: false,
            destroyed: Vec::new(),
            failed: None,
        }
    }

    /// Check the rows that come next; their leaf hashes. After a contradiction there is nothing more to say.
    pub fn feed(&mut self, rows: &[StoredRow<'_>]) -> Result<Vec<Hash>, Contradiction> {
        if let Some(contradiction) = &self.failed {
            return Err(contradiction.clone());
        }
        let blocks = self.read_all(rows);
        let mut hashes = Vec::with_capacity(rows.len());
        // From here on they are of the open batch and not in its subtrees yet.
        let mut fresh = 0;
        let mut rows = rows.iter();
        for Block { rows: read, legs, stated } in blocks {
            for (facts, row) in read.into_iter().zip(rows.by_ref()) {
                let size = self.head.size;
                let facts = facts.and_then(|facts| {
                    self.check_chain(row.seq, &facts)?;
                    if let (Kind::Seal, Content::Object(body)) = (facts.stub.kind, &facts.stub.content) {
                        self.extend_batch(&hashes[fresh..]);
                        self.check_seal(body)?;
                    }
                    self.derive(row.id, &facts, &legs[facts.legs.clone()], &stated[facts.stated.clone()])?;
                    Ok(facts)
                });
                let facts = facts.map_err(|blame| self.failed.insert(blame.at(size)).clone())?;
                hashes.push(facts.hash);
                self.advance(facts.stub.kind, facts.stub.at, facts.hash);
                if facts.stub.kind == Kind::Seal {
                    fresh = hashes.len();
                }
            }
        }
        self.extend_batch(&hashes[fresh..]);
        Ok(hashes)
    }

    /// On all cores.
    fn read_all<'a>(&self, rows: &[StoredRow<'a>]) -> Vec<Block<'a>> {
        let tasks = rows.chunks(ROWS_PER_TASK);
        let mut blocks: Vec<Block<'a>> = tasks.clone().map(|_| Block::default()).collect();
        let bytes: usize = rows.iter().map(|row| row.stub.len() + row.body.len()).sum();
        parallel::for_each(READ_PER_HASHED * bytes, tasks.zip(&mut blocks), |(rows, block)| *block = self.read(rows));
        blocks
    }

    fn read<'a>(&self, rows: &[StoredRow<'a>]) -> Block<'a> {
        let mut reader = RowReader::default();
        let mut block = Block::default();
        for row in rows {
            let facts = reader.read(row, &self.ledger, &mut block);
            block.rows.push(facts);
        }
        block
    }

    // 1
    fn check_chain(&self, seq: i64, facts: &Facts<'_>) -> Checked<()> {
        if u64::try_from(seq) != Ok(self.head.size) {
            return Err(blame("seq", "rows are missing or out of sequence", self.head.size, seq));
        }
        self.check_stub(&facts.stub)
    }

    fn check_stub(&self, stub: &Stub<'_>) -> Checked<()> {
        let head = &self.head;
        if stub.seq != head.size {
            return Err(blame("stub", "the stub is that of another entry", head.size, stub.seq));
        }
        if (stub.kind == Kind::Genesis) != (head.size == 0) {
            let expected = if head.size == 0 { "genesis" } else { "no second genesis" };
            return Err(blame("stub", "the first entry, and no other, is genesis", expected, stub.kind.as_str()));
        }
        if stub.prev != head.hash {
            return Err(blame("stub", "prev is not the hash of the entry before", hex(&head.hash), hex(&stub.prev)));
        }
        if head.size > 0 && stub.at <= head.at {
            return Err(blame(
                "stub",
                "at is not later than that of the entry before",
                format!("> {}", head.at),
                stub.at,
            ));
        }
        if stub.batch != head.batch {
            return Err(blame("stub", "another batch is open", head.batch, stub.batch));
        }
        Ok(())
    }

    fn advance(&mut self, kind: Kind, at: u64, hash: Hash) {
        (self.head.size, self.head.hash, self.head.at) = (self.head.size + 1, hash, at);
        if kind == Kind::Seal {
            (self.head.batch, self.head.batch_first) = (self.head.batch + 1, self.head.size);
            self.batch.clear();
            self.batch_size = 0;
        }
    }

    // 2
    fn check_seal(&self, body: &str) -> Checked<()> {
        let Head { size, batch, batch_first, .. } = self.head;
        let root = hex(&frontier_root(Tree::Log, self.batch_size, &self.batch).expect("the frontier fits its size"));
        let count = size - batch_first;
        let expected = format!(r#"{{"batch":{batch},"count":{count},"first":{batch_first},"root":"{root}"}}"#);
        if body != expected {
            return Err(blame("stub", "the seal does not fit its batch", expected, body));
        }
        Ok(())
    }

    fn extend_batch(&mut self, hashes: &[Hash]) {
        let extended = frontier_extend(Tree::Log, self.batch_size, &self.batch, hashes);
        self.batch = extended.expect("the frontier fits its size");
        self.batch_size += hashes.len() as u64;
    }

    // 3
    fn derive(
        &mut self,
        id_column: Option<&str>,
        facts: &Facts<'_>,
        legs: &[Leg<'_>],
        stated: &[Stated<'_>],
    ) -> Checked<()> {
        let (kind, seq) = (facts.stub.kind, facts.stub.seq);
        let complete = Effect::of(kind).is_none() || self.totals.apply(facts, legs, stated)?;
        match &facts.account {
            Seen::Absent => {}
            Seen::Hidden => self.totals.forget_definitions(),
            Seen::Shown((name, definition)) => self.totals.define(name, definition)?,
        }
        match facts.closed_before {
            Seen::Absent => {}
            Seen::Hidden => (self.head.closed_before, self.closed_before_hidden) = (None, true),
            Seen::Shown(at) => (self.head.closed_before, self.closed_before_hidden) = (Some(at), false),
        }
        if let Some(role) = Role::aimed_at_by(kind) {
            match &facts.target {
                Seen::Shown(id) => match self.targets.find(id) {
                    Some(target) => self.targets.take(target, kind, complete.then_some((legs, &self.totals.legs)))?,
                    None if self.targets.ids_hidden => {}
                    None => {
                        return Err(blame("body", "no earlier entry has the id that is aimed at", role.as_str(), id))
                    }
                },
                Seen::Absent | Seen::Hidden => self.targets.lose(role, seq),
            }
        }
        let role = Role::of(kind);
        let (id, column) = match &facts.id {
            Seen::Absent => (None, "body"),
            Seen::Shown(id) => (Some(id.as_ref()), "body"),
            Seen::Hidden => {
                self.targets.ids_hidden |= role != Role::Other;
                (id_column, "id")
            }
        };
        if let Some(id) = id {
            let shown = if complete && role != Role::Other { self.totals.legs.as_slice() } else { &[] };
            let expires = if let Seen::Shown(at) = facts.expires { Some(at) } else { None };
            let record = Record { id, seq, role, expires, legs: shown.into() };
            self.targets.insert(&record, column, facts.expires == Seen::Hidden)?;
        }
        self.destroyed.extend(facts.destroyed.iter().map(|&part| (seq, part)));
        Ok(())
    }

    /// Where the rows so far lead; the hash is zeros before genesis.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Those that are known, in byte order of (account, asset).
    pub fn balances(&self) -> Vec<BalanceRow<'_>> {
        self.totals.balances()
    }

    /// (account, asset) of balances that destroyed parts leave unknown, in byte order.
    pub fn unknown(&self) -> Vec<(&str, &str)> {
        self.totals.unknown()
    }

    /// (account name, canonical JSON of its `account` part), in byte order of the names.
    pub fn definitions(&self) -> Vec<(&str, &str)> {
        self.totals.definitions()
    }

    /// In order of the entries. A reversible entry has one once it was reversed, a pending one from the start.
    pub fn remainders(&self) -> Vec<RemainderRow> {
        self.targets.rows()
    }

    /// (code, scale), in byte order of the codes.
    pub fn assets(&self) -> Vec<(&str, u8)> {
        self.totals.assets()
    }

    /// (seq, part) of parts that were destroyed.
    pub fn destroyed(&self) -> &[(u64, u32)] {
        &self.destroyed
    }

    /// The tables (`balance`, `account`, `remainder`, `asset`, `head`) that may hold more than is derived here, because
    /// destroyed parts hide even which rows they concern. Of `head` that is `closed_before`.
    pub fn obscured(&self) -> Vec<&'static str> {
        let obscured = [
            ("balance", self.totals.lost()),
            ("account", self.totals.definitions_hidden),
            ("remainder", self.targets.hidden()),
            ("asset", self.totals.lost()),
            ("head", self.closed_before_hidden),
        ];
        obscured.into_iter().filter(|(_, hidden)| *hidden).map(|(table, _)| table).collect()
    }
}
