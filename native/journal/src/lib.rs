//! The rules of double entry, and the entries they write. The contract is docs/reference/entries.md.

mod balance;
mod batch;
mod chunk;
mod head;
mod refusal;

pub use balance::{Balance, BalanceRow, RemainderRow};
pub use batch::{Batch, Chunks, Outcome};
pub use chunk::{Chunk, Row};
pub use head::Head;
pub use refusal::{Code, Refusal};
