use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use journal::Batch;
use rusqlite::config::DbConfig;
use rusqlite::{CachedStatement, OpenFlags, Statement, TransactionBehavior};

use crate::append::append;
use crate::{Error, Value};

/// Statements kept prepared.
const STATEMENTS_KEPT: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Read,
    Write,
    /// Write, and make the file if it does not exist.
    Create,
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
    pub fn execute(&self, sql: &str, parameters: &[Value]) -> Result<Vec<Vec<Value>>, Error> {
        self.with(|connection| {
            let mut prepared = Prepared::new(connection, sql)?;
            let statement = prepared.statement();
            bind(statement, parameters)?;
            let columns = statement.column_count();
            let mut rows = statement.raw_query();
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push((0..columns).map(|column| Value::read(row.get_ref(column)?)).collect::<Result<_, _>>()?);
            }
            Ok(found)
        })
    }

    /// Run one statement for each row of parameters, all or none; how many rows it changed.
    pub fn execute_many(&self, sql: &str, rows: &[Vec<Value>]) -> Result<usize, Error> {
        self.with(|connection| {
            let run = || {
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
                return run();
            }
            let transaction = rusqlite::Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
            let changed = run()?;
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

fn bind(statement: &mut Statement<'_>, parameters: &[Value]) -> Result<(), Error> {
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
