use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use merkle::Hash;

use crate::build::{self, Bodies};
use crate::entry::Salts;
use crate::plan::Plan;
use crate::{Balance, BalanceRow, Chunk, Code, Head, Refusal, RemainderRow};

/// The answer to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Recorded { seq: u64, hash: [u8; 32], at: u64, replayed: bool },
    Refused(Box<Refusal>),
}

/// What the rules made of a command.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Index of its entry in the plan; `again`: an earlier command of the batch has the same id and content.
    Entry {
        index: u32,
        again: bool,
    },
    /// An entry that was there before the batch.
    Past {
        seq: u64,
        hash: Hash,
        at: u64,
    },
    Refused(Box<Refusal>),
}

/// An applied batch: entries that are being built in the background and handed on in chunks. Clones share one batch.
#[derive(Clone, Debug)]
pub struct Batch(pub(crate) Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    pub plan: Plan,
    /// The entries of each chunk.
    pub chunks: Vec<Range<usize>>,
    pub closed_before: Option<u64>,
    pub answers: Vec<Answer>,
    pub changes: Changes,
    pub built: Mutex<Built>,
    pub ready: Condvar,
}

/// The rows beside the entries: the last state of each key that the batch changed.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub balances: Vec<(Arc<str>, Arc<str>, Balance)>,
    pub definitions: Vec<(Arc<str>, Arc<str>)>,
    pub remainders: Vec<RemainderRow>,
    pub assets: Vec<(String, u8)>,
}

#[derive(Debug, Default)]
pub(crate) struct Built {
    pub chunks: Vec<Arc<Chunk>>,
    /// Hash of the last entry of `chunks`.
    pub last: Hash,
    /// Chunks whose turn in the chain has not come.
    pub waiting: BTreeMap<usize, Bodies>,
    /// Somebody is writing the stubs of the next chunk.
    pub chaining: bool,
    pub head: Option<Head>,
    /// A builder panicked: nobody may wait for it.
    pub failed: bool,
}

impl Batch {
    pub(crate) fn start(
        plan: Plan,
        closed_before: Option<u64>,
        answers: Vec<Answer>,
        changes: Changes,
        salts: Salts,
    ) -> Batch {
        let chunks = build::cut(&plan);
        let head = plan.entries.is_empty().then_some(plan.previous);
        let built = Built { last: plan.previous.hash, head, ..Built::default() };
        let (built, ready) = (Mutex::new(built), Condvar::new());
        let shared = Arc::new(Shared { plan, chunks, closed_before, answers, changes, built, ready });
        build::start(&shared, salts);
        Batch(shared)
    }

    /// Position of the first entry.
    pub fn first(&self) -> u64 {
        self.0.plan.previous.size
    }

    /// Entries, those that the log adds itself included.
    pub fn count(&self) -> usize {
        self.0.plan.entries.len()
    }

    /// (size, hash) of the head that this batch extends; size 0 and zeros before genesis.
    pub fn previous(&self) -> (u64, [u8; 32]) {
        (self.0.plan.previous.size, self.0.plan.previous.hash)
    }

    /// The head after this batch; waits until all entries are built.
    pub fn head(&self) -> Head {
        self.wait(|built| built.head)
    }

    /// The chunks in order; each call starts from the first. `next` waits until its chunk is built.
    pub fn chunks(&self) -> Chunks {
        Chunks { batch: self.clone(), next: 0 }
    }

    pub fn balances(&self) -> impl ExactSizeIterator<Item = BalanceRow<'_>> {
        let rows = self.0.changes.balances.iter();
        rows.map(|(account, asset, balance)| BalanceRow { account, asset, balance: *balance })
    }

    /// (account name, canonical JSON of its `account` part).
    pub fn definitions(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.changes.definitions.iter().map(|(name, definition)| (&**name, &**definition))
    }

    pub fn remainders(&self) -> &[RemainderRow] {
        &self.0.changes.remainders
    }

    /// (code, scale) fixed by this batch.
    pub fn assets(&self) -> impl ExactSizeIterator<Item = (&str, u8)> {
        self.0.changes.assets.iter().map(|(code, scale)| (code.as_str(), *scale))
    }

    /// Commands.
    pub fn len(&self) -> usize {
        self.0.answers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.answers.is_empty()
    }

    pub fn refused(&self) -> usize {
        self.0.answers.iter().filter(|answer| matches!(answer, Answer::Refused(_))).count()
    }

    pub fn replayed(&self) -> usize {
        let replayed = |answer: &&Answer| matches!(answer, Answer::Entry { again: true, .. } | Answer::Past { .. });
        self.0.answers.iter().filter(replayed).count()
    }

    /// The answer to a command; waits until its entry is built.
    pub fn outcome(&self, command: usize) -> Outcome {
        match &self.0.answers[command] {
            Answer::Entry { index, again } => {
                let index = *index as usize;
                let number = self.0.chunks.partition_point(|chunk| chunk.end <= index);
                let chunk = self.chunk(number).expect("every entry is in a chunk");
                let hash = chunk.spans[index - self.0.chunks[number].start].hash;
                Outcome::Recorded { seq: self.0.plan.seq(index), hash, at: self.0.plan.at(index), replayed: *again }
            }
            Answer::Past { seq, hash, at } => Outcome::Recorded { seq: *seq, hash: *hash, at: *at, replayed: true },
            Answer::Refused(refusal) => Outcome::Refused(refusal.clone()),
        }
    }

    /// The ids of refused commands, but for those whose id cannot be that of a stored entry with the same content
    /// (`malformed`) or was already compared with it (`id_conflict`).
    pub fn refused_ids(&self) -> impl Iterator<Item = &str> {
        let requests = &self.0.plan.requests;
        self.0.answers.iter().zip(&requests.commands).filter_map(|(answer, command)| match answer {
            Answer::Refused(refusal) if !matches!(refusal.code, Code::Malformed | Code::IdConflict) => {
                requests.id(command)
            }
            _ => None,
        })
    }

    /// Nothing that is asked of the batch has to wait any more.
    pub fn is_built(&self) -> bool {
        let built = self.0.built.lock().unwrap_or_else(PoisonError::into_inner);
        built.head.is_some()
    }

    pub(crate) fn chunk(&self, number: usize) -> Option<Arc<Chunk>> {
        if number >= self.0.chunks.len() {
            return None;
        }
        Some(self.wait(|built| built.chunks.get(number).cloned()))
    }

    fn wait<T>(&self, look: impl Fn(&Built) -> Option<T>) -> T {
        let mut built: MutexGuard<'_, Built> = self.0.built.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(found) = look(&built) {
                return found;
            }
            assert!(!built.failed, "building the entries failed");
            built = self.0.ready.wait(built).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The chunks of a batch, in order.
#[derive(Debug)]
pub struct Chunks {
    batch: Batch,
    next: usize,
}

impl Iterator for Chunks {
    type Item = Arc<Chunk>;

    fn next(&mut self) -> Option<Arc<Chunk>> {
        let chunk = self.batch.chunk(self.next)?;
        self.next += 1;
        Some(chunk)
    }
}
