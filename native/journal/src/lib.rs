//! The rules of double entry, and the entries they write. The contract is docs/reference/entries.md.
//!
//! ```text
//! text ─command, member─> Requests ─apply, rules, moves─> Plan ─build, entry─> Batch of Chunks ─> a store
//!                  loaded State, Targets ^                 └ balances, definitions, remainders, assets that changed
//! ```
//!
//! `Journal` holds the state between batches. Nothing here reads a clock, randomness or a file: `now` and the seed of the
//! salts are passed in, and what is missing is named for the caller to load.

mod apply;
mod balance;
mod batch;
mod build;
mod chunk;
mod command;
mod content;
mod copy;
mod definition;
mod effect;
mod entry;
mod fault;
mod head;
mod journal;
mod kind;
mod member;
mod moves;
mod names;
mod plan;
mod reading;
mod refusal;
mod replay;
mod request;
mod rules;
mod state;
mod stored;
mod target;
mod value;
#[cfg(test)]
mod vector;

pub use balance::{Balance, BalanceRow, RemainderRow};
pub use batch::{Batch, Chunks, Outcome};
pub use chunk::{Chunk, Row};
pub use copy::CopyImage;
pub use fault::Fault;
pub use head::Head;
pub use journal::{balance_row, Existing, Journal, Loaded};
pub use kind::Kind;
pub use reading::{derive, searchable, Derived, Metadatum, Posting};
pub use refusal::{Code, Refusal};
pub use replay::{follow, Contradiction, Replay, StoredRow};
pub use request::Requests;
