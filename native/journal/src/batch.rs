use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::{BalanceRow, Chunk, Head, Refusal, RemainderRow};

/// The answer to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Recorded { seq: u64, hash: [u8; 32], at: u64, replayed: bool },
    Refused(Box<Refusal>),
}

/// An applied batch: entries that are being built in the background and handed on in chunks. Clones share one batch.
#[derive(Clone, Debug)]
pub struct Batch(pub(crate) Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    pub previous: Head,
    pub count: usize,
    pub chunk_count: usize,
    pub changes: Changes,
    pub built: Mutex<Built>,
    pub ready: Condvar,
}

/// The rows beside the entries: the last state of each key that the batch changed.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub balances: Vec<(Arc<str>, Arc<str>, crate::Balance)>,
    pub definitions: Vec<(Arc<str>, String)>,
    pub remainders: Vec<RemainderRow>,
    pub assets: Vec<(String, u8)>,
}

#[derive(Debug, Default)]
pub(crate) struct Built {
    pub chunks: Vec<Arc<Chunk>>,
    pub head: Option<Head>,
    /// The builder panicked: nobody may wait for it.
    pub failed: bool,
}

impl Batch {
    /// Position of the first entry.
    pub fn first(&self) -> u64 {
        self.0.previous.size
    }

    /// Entries, those that the log adds itself included.
    pub fn count(&self) -> usize {
        self.0.count
    }

    /// (size, hash) of the head that this batch extends; size 0 and zeros before genesis.
    pub fn previous(&self) -> (u64, [u8; 32]) {
        (self.0.previous.size, self.0.previous.hash)
    }

    /// The head after this batch; waits until all entries are built.
    pub fn head(&self) -> Head {
        let mut built = self.lock();
        loop {
            assert!(!built.failed, "building the entries failed");
            if let Some(head) = built.head {
                return head;
            }
            built = self.0.ready.wait(built).unwrap_or_else(PoisonError::into_inner);
        }
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
        self.0.changes.definitions.iter().map(|(name, definition)| (&**name, definition.as_str()))
    }

    pub fn remainders(&self) -> &[RemainderRow] {
        &self.0.changes.remainders
    }

    /// (code, scale) fixed by this batch.
    pub fn assets(&self) -> impl ExactSizeIterator<Item = (&str, u8)> {
        self.0.changes.assets.iter().map(|(code, scale)| (code.as_str(), *scale))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Built> {
        self.0.built.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn chunk(&self, index: usize) -> Option<Arc<Chunk>> {
        if index == self.0.chunk_count {
            return None;
        }
        let mut built = self.lock();
        loop {
            assert!(!built.failed, "building the entries failed");
            if let Some(chunk) = built.chunks.get(index) {
                return Some(Arc::clone(chunk));
            }
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
