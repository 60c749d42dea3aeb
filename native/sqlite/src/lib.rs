//! One SQLite library for the whole process, and the one transaction that stores a batch.
//!
//! Two copies of SQLite in one process that open the same file break each other's POSIX locks
//! (<https://www.sqlite.org/howtocorrupt.html> section 2.2.1), so all access goes through this bundled one.

mod append;
mod connection;
mod error;
mod value;

pub use connection::{Connection, Mode, Run};
pub use error::Error;
pub use value::{Rows, Value};
