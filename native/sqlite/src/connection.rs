use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use journal::Batch;
use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, OpenFlags, Statement, TransactionBehavior};

use crate::append::append;
use crate::{Error, Rows, Value};

/// Statements kept prepared.
const STATEMENTS_KEPT: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Read,
    Write,
    /// Write, and make the file if it does not exist.
    Create,
}

/// Blobs of consecutive rows, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The integer of the first row.
    pub first: i64,
    pub data: Vec<u8>,
    pub lengths: Vec<usize>,
}

/// One connection for any thread, one call at a time.
#[derive(Debug)]
pub struct Connection {
    inner: Mutex<Option<rusqlite::Connection>>,
}

impl Connection {
    pub fn open(path: &Path, mode: Mode, busy_timeout: Duration) -> Result<Self, Error> {
        let mode = match mode {
            Mode::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
            Mode::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
            Mode::Create => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        };
        // The mutex here does what SQLite's own would do again.
        let inner = rusqlite::Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        inner.busy_timeout(busy_timeout)?;
        inner.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        // https://www.sqlite.org/security.html: the file may have been prepared by somebody hostile.
        inner.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        inner.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        Ok(Connection { inner: Mutex::new(Some(inner)) })
    }

    /// Run one statement; all its rows.
    pub fn execute(&self, sql: &str, parameters: &[Value<'_>]) -> Result<Rows, Error> {
        self.with(|connection| {
            let mut prepared = Prepared::new(connection, sql)?;
            let statement = prepared.statement();
            bind(statement, parameters)?;
            let columns = statement.column_count();
            let mut rows = statement.raw_query();
            let mut found = Rows::new(columns);
            while let Some(row) = rows.next()? {
                for column in 0..columns {
                    found.push(row.get_ref(column)?)?;
                }
            }
            Ok(found)
        })
    }

    /// The first run of what a statement of two columns, an integer and a blob, gives: rows as long as each integer is
    /// one more than the one before. `None` if it gives no row.
    pub fn pack(&self, sql: &str, parameters: &[Value<'_>]) -> Result<Option<Run>, Error> {
        self.with(|connection| {
            let mut prepared = Prepared::new(connection, sql)?;
            let statement = prepared.statement();
            bind(statement, parameters)?;
            if statement.column_count() != 2 {
                return Err(Error::new(
                    "SQLITE_RANGE",
                    format!("2 columns are packed, not {}", statement.column_count()),
                ));
            }
            let mut rows = statement.raw_query();
            let mut run: Option<Run> = None;
            while let Some(row) = rows.next()? {
                let (ValueRef::Integer(integer), ValueRef::Blob(blob)) = (row.get_ref(0)?, row.get_ref(1)?) else {
                    return Err(Error::new("SQLITE_CORRUPT", "a row is not an integer and a blob".to_owned()));
                };
                let run = run.get_or_insert_with(|| Run { first: integer, data: Vec::new(), lengths: Vec::new() });
                if integer.checked_sub(run.first) != i64::try_from(run.lengths.len()).ok() {
                    break;
                }
                run.data.extend_from_slice(blob);
                run.lengths.push(blob.len());
            }
            Ok(run)
        })
    }

    /// Run one statement for each row of parameters, all or none; how many rows it changed.
    pub fn execute_many<'a>(&self, sql: &str, rows: impl Iterator<Item = &'a [Value<'a>]>) -> Result<usize, Error> {
        self.with(|connection| {
            let run = |rows| {
                let mut prepared = Prepared::new(connection, sql)?;
                let statement = prepared.statement();
                let mut changed = 0;
                for row in rows {
                    bind(statement, row)?;
                    changed += statement.raw_execute()?;
                }
                Ok(changed)
            };
            if !connection.is_autocommit() {
                return run(rows);
            }
            let transaction = rusqlite::Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
            let changed = run(rows)?;
            transaction.commit()?;
            Ok(changed)
        })
    }

    /// Store a batch; see `append`.
    pub fn append(&self, batch: &Batch) -> Result<(), Error> {
        self.with(|connection| append(connection, batch))
    }

    /// Copy what is committed in the WAL into the database as far as readers allow, without blocking a writer.
    pub fn checkpoint(&self) -> Result<(), Error> {
        self.execute("PRAGMA wal_checkpoint(PASSIVE)", &[]).map(drop)
    }

    /// Close for good; a second call does nothing.
    pub fn close(&self) -> Result<(), Error> {
        let mut inner = self.lock();
        match inner.take().map(rusqlite::Connection::close) {
            Some(Err((connection, error))) => {
                *inner = Some(connection);
                Err(error.into())
            }
            _ => Ok(()),
        }
    }

    fn with<T>(&self, work: impl FnOnce(&rusqlite::Connection) -> Result<T, Error>) -> Result<T, Error> {
        match &*self.lock() {
            Some(connection) => work(connection),
            None => Err(Error::new("SQLITE_MISUSE", "the connection is closed".to_owned())),
        }
    }

    /// A panic in a call has rolled its transaction back on its way, so the connection is sound.
    fn lock(&self) -> MutexGuard<'_, Option<rusqlite::Connection>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Some pragmas act while they are prepared, so they are prepared each time.
enum Prepared<'c> {
    Once(Statement<'c>),
    Kept(CachedStatement<'c>),
}

impl<'c> Prepared<'c> {
    fn new(connection: &'c rusqlite::Connection, sql: &str) -> Result<Self, Error> {
        let word = sql.trim_start().get(..6).unwrap_or_default();
        if word.eq_ignore_ascii_case("pragma") {
            return Ok(Prepared::Once(connection.prepare(sql)?));
        }
        Ok(Prepared::Kept(connection.prepare_cached(sql)?))
    }

    fn statement(&mut self) -> &mut Statement<'c> {
        match self {
            Prepared::Once(statement) => statement,
            Prepared::Kept(statement) => statement,
        }
    }
}

fn bind(statement: &mut Statement<'_>, parameters: &[Value<'_>]) -> Result<(), Error> {
    let expected = statement.parameter_count();
    if parameters.len() != expected {
        let message = format!("the statement takes {expected} parameters, found {}", parameters.len());
        return Err(Error::new("SQLITE_RANGE", message));
    }
    for (index, parameter) in parameters.iter().enumerate() {
        statement.raw_bind_parameter(index + 1, parameter)?;
    }
    Ok(())
}
