//! Work on all cores by threads that end with the call. A pool that lives longer would be gone in a forked process, whose
//! first call would wait for it for ever; starting a thread costs some ten microseconds, which large inputs repay.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

/// Bytes of input for which a thread is worth starting.
const BYTES_PER_THREAD: usize = 128 * 1024;

/// Do each task on some thread; `bytes` is how much they all have to hash.
pub fn for_each<T: Send>(bytes: usize, tasks: impl Iterator<Item = T> + Send, work: impl Fn(T) + Sync) {
    let threads = cores().min(bytes / BYTES_PER_THREAD);
    if threads < 2 {
        return tasks.for_each(work);
    }
    let tasks = Mutex::new(tasks);
    let next = || tasks.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work_on = || {
        while let Some(task) = next() {
            work(task);
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            // Without another thread this one does it all.
            if thread::Builder::new().spawn_scoped(scope, work_on).is_err() {
                break;
            }
        }
        work_on();
    });
}

/// Asking the system reads files: once will do.
fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| thread::available_parallelism().map_or(1, usize::from))
}
