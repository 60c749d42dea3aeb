//! From a plan to stored bytes. Bodies are independent of each other, so any thread takes the next chunk of them; stubs
//! are a chain, and whoever completes the chunk that is next in it writes its stubs.

use std::ops::Range;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::thread;

use merkle::{Hash, Tree};

use crate::batch::Shared;
use crate::chunk::{Chunk, Spans};
use crate::entry::{write_stub, BodyWriter, Salts};
use crate::kind::Kind;
use crate::plan::Plan;
use crate::Head;

/// Chunks are closed at so many entries or balances, whichever comes first: few enough that whoever stores them soon has
/// the first, and enough to hide their hand-over.
const CHUNK_ENTRIES_MAX: usize = 128;
const CHUNK_BALANCES_MAX: usize = 2_048;

/// A guess at the bytes of a part, and of a stub, for one allocation per chunk.
const PART_SIZE: usize = 200;
const STUB_SIZE: usize = 320;

/// A chunk whose stubs are not written yet.
#[derive(Debug)]
pub(crate) struct Bodies {
    chunk: Chunk,
    roots: Vec<(usize, Hash)>,
}

/// Cut the entries of a plan into chunks.
pub(crate) fn cut(plan: &Plan) -> Vec<Range<usize>> {
    let mut chunks = Vec::with_capacity(plan.entries.len() / CHUNK_ENTRIES_MAX + 1);
    let mut start = 0;
    for end in 1..=plan.entries.len() {
        let balances = plan.entries[end - 1].balances.1 - plan.entries[start].balances.0;
        let full = end - start == CHUNK_ENTRIES_MAX || balances as usize >= CHUNK_BALANCES_MAX;
        if full || end == plan.entries.len() {
            chunks.push(start..end);
            start = end;
        }
    }
    chunks
}

struct Job {
    shared: Arc<Shared>,
    salts: Salts,
    next: AtomicUsize,
}

impl Drop for Job {
    fn drop(&mut self) {
        self.salts.forget();
    }
}

/// Start building. A single chunk is built when this returns: another thread would only add its start to the wait.
pub(crate) fn start(shared: &Arc<Shared>, salts: Salts) {
    let job = Arc::new(Job { shared: Arc::clone(shared), salts, next: AtomicUsize::new(0) });
    if shared.chunks.len() <= 1 {
        return work(&job);
    }
    // One core is left to whoever stores the chunks.
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let workers = (cores - 1).clamp(1, shared.chunks.len());
    for _ in 0..workers {
        let own = Arc::clone(&job);
        let spawned = thread::Builder::new().name("journal".into()).spawn(move || work(&own));
        if spawned.is_err() {
            work(&job);
        }
    }
}

fn work(job: &Job) {
    let built = catch_unwind(AssertUnwindSafe(|| loop {
        let index = job.next.fetch_add(1, Ordering::Relaxed);
        let Some(range) = job.shared.chunks.get(index) else { break };
        let bodies = bodies(&job.shared.plan, range.clone(), &job.salts);
        chain(&job.shared, index, bodies);
    }));
    if built.is_err() {
        job.shared.built.lock().unwrap_or_else(PoisonError::into_inner).failed = true;
        job.shared.ready.notify_all();
    }
}

fn bodies(plan: &Plan, range: Range<usize>, salts: &Salts) -> Bodies {
    let entries = &plan.entries[range.clone()];
    let balances: usize = entries.iter().map(|entry| plan.balances(entry).len()).sum();
    let legs: usize = entries.iter().map(|entry| plan.legs(entry).len()).sum();
    let capacity = (balances + legs + 2 * entries.len()) * PART_SIZE + entries.len() * STUB_SIZE;
    let mut writer = BodyWriter::new(salts, capacity);
    let mut spans = Vec::with_capacity(entries.len());
    let mut roots = Vec::with_capacity(entries.len());
    for index in range.clone() {
        let id = plan.id(&plan.entries[index]).map(|id| {
            let start = writer.out.len();
            writer.out.extend_from_slice(id.as_bytes());
            start..writer.out.len()
        });
        let start = writer.out.len();
        roots.push(writer.body(plan, index));
        spans.push(Spans { id, body: start..writer.out.len(), stub: 0..0, hash: [0; 32] });
    }
    Bodies { chunk: Chunk { first: plan.seq(range.start), data: writer.out, spans }, roots }
}

/// Take the bodies of a chunk, and write the stubs of all chunks that are next in the chain.
fn chain(shared: &Shared, index: usize, bodies: Bodies) {
    let mut built = shared.built.lock().unwrap_or_else(PoisonError::into_inner);
    built.waiting.insert(index, bodies);
    while !built.chaining {
        let next = built.chunks.len();
        let Some(bodies) = built.waiting.remove(&next) else { break };
        let previous = built.last;
        built.chaining = true;
        drop(built);
        let (chunk, last) = stubs(&shared.plan, shared.chunks[next].start, bodies, previous);
        built = shared.built.lock().unwrap_or_else(PoisonError::into_inner);
        built.chaining = false;
        built.last = last;
        built.chunks.push(Arc::new(chunk));
        if built.chunks.len() == shared.chunks.len() {
            built.head = Some(head_after(shared, last));
        }
        shared.ready.notify_all();
    }
}

fn stubs(plan: &Plan, first: usize, bodies: Bodies, mut last: Hash) -> (Chunk, Hash) {
    let Bodies { mut chunk, roots } = bodies;
    for (offset, ((parts, root), spans)) in roots.iter().zip(&mut chunk.spans).enumerate() {
        let start = chunk.data.len();
        write_stub(&mut chunk.data, plan, first + offset, *parts, root, &last);
        last = Tree::Log.leaf(&chunk.data[start..]);
        (spans.stub, spans.hash) = (start..chunk.data.len(), last);
    }
    (chunk, last)
}

fn head_after(shared: &Shared, hash: Hash) -> Head {
    let plan = &shared.plan;
    let count = plan.entries.len();
    let mut head = Head {
        size: plan.seq(count),
        hash,
        at: plan.at(count - 1),
        closed_before: shared.closed_before,
        ..plan.previous
    };
    if plan.entries[count - 1].kind == Kind::Seal {
        head.batch += 1;
        head.batch_first = head.size;
    }
    head
}
