use journal::{Batch, Head};
use rusqlite::types::ToSql;
use rusqlite::{ffi, params, Connection, OptionalExtension, Transaction, TransactionBehavior};

use crate::value::Text;
use crate::Error;

const HEAD: &str = "SELECT size, hash FROM head";

const ENTRY: &str = "INSERT INTO entry (seq, id, stub, body, hash) VALUES (?, ?, ?, ?, ?)";

// Each of these writes all columns of a row, so that replacing it is the cheapest upsert: a third less than DO UPDATE.

const BALANCE: &str = "REPLACE INTO balance (account, asset, debits, credits, pending_debits, pending_credits)
    VALUES (?, ?, ?, ?, ?, ?)";

const DEFINITION: &str = "REPLACE INTO account (name, definition) VALUES (?, ?)";

const REMAINDER: &str = "REPLACE INTO remainder (id, seq, kind, remaining, expires) VALUES (?, ?, ?, ?, ?)";

const ASSET: &str = "INSERT INTO asset (code, scale) VALUES (?, ?)";

const NEW_HEAD: &str = "REPLACE INTO head (one, size, hash, at, batch, batch_first, closed_before)
    VALUES (1, ?, ?, ?, ?, ?, ?)";

/// Store a batch in one transaction, each chunk of entries while the next is being built.
///
/// Nothing is written, and the code says why, if the head is not `batch.previous` (`HEAD_MOVED`) or an id is taken
/// (`ID_EXISTS`).
///
/// The settings of connection and file are the caller's. Of those that keep every commit durable, these were measured
/// fastest with entries of about 1 KB on two cores:
///
/// ```sql
/// PRAGMA page_size = 16384;          -- before the first table. 4096: half as fast from 1,000 entries a batch on, as
///                                    -- three entries fill a page badly; 65536: slower for single entries
/// PRAGMA journal_mode = WAL;
/// PRAGMA synchronous = FULL;
/// PRAGMA wal_autocheckpoint = 4000;  -- 64 MiB; 16 MiB is as fast, with shorter pauses. Without it and with `checkpoint` on
///                                    -- a second connection the WAL grows as long as the writer is busy, and nothing is
///                                    -- gained
/// PRAGMA cache_size = -65536;        -- 64 MiB, for ids that come in no order
/// ```
///
/// `mmap_size`, several rows to an INSERT and a partial index on `id` made no difference.
pub(crate) fn append(connection: &Connection, batch: &Batch) -> Result<(), Error> {
    // Rolls back when dropped, on errors and panics alike.
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    compare_head(connection, batch)?;
    insert_entries(connection, batch)?;
    put_changes(connection, batch)?;
    put_head(connection, batch.head())?;
    Ok(transaction.commit()?)
}

fn compare_head(connection: &Connection, batch: &Batch) -> Result<(), Error> {
    let head = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?));
    let (size, hash) = connection.prepare_cached(HEAD)?.query_row([], head).optional()?.unwrap_or((0, vec![0; 32]));
    let (expected_size, expected_hash) = batch.previous();
    if (size, hash.as_slice()) == (signed(expected_size), &expected_hash) {
        return Ok(());
    }
    Err(Error::new("HEAD_MOVED", format!("the batch extends a ledger of {expected_size} entries, found {size}")))
}

fn insert_entries(connection: &Connection, batch: &Batch) -> Result<(), Error> {
    let mut insert = connection.prepare_cached(ENTRY)?;
    for chunk in batch.chunks() {
        for row in chunk.rows() {
            let parameters: [&dyn ToSql; 5] =
                [&signed(row.seq), &row.id, &Text(row.stub), &Text(row.body), &&row.hash[..]];
            insert.execute(parameters).map_err(|error| match error.sqlite_error() {
                // Ids are the only unique column; violations of the primary key have a code of their own.
                Some(failure) if failure.extended_code == ffi::SQLITE_CONSTRAINT_UNIQUE => {
                    Error::new("ID_EXISTS", format!("id {:?} is taken", row.id.unwrap_or_default()))
                }
                _ => error.into(),
            })?;
        }
    }
    Ok(())
}

/// The last state of what the entries changed.
fn put_changes(connection: &Connection, batch: &Batch) -> Result<(), Error> {
    let mut put = connection.prepare_cached(BALANCE)?;
    let mut decimals = [itoa::Buffer::new(); 4];
    for row in batch.balances() {
        let [debits, credits, pending_debits, pending_credits] = &mut decimals;
        put.execute(params![
            row.account,
            row.asset,
            debits.format(row.balance.debits),
            credits.format(row.balance.credits),
            pending_debits.format(row.balance.pending_debits),
            pending_credits.format(row.balance.pending_credits),
        ])?;
    }
    let mut put = connection.prepare_cached(DEFINITION)?;
    for (name, definition) in batch.definitions() {
        put.execute([name, definition])?;
    }
    let mut put = connection.prepare_cached(REMAINDER)?;
    for row in batch.remainders() {
        put.execute(params![row.id, signed(row.seq), row.kind, row.remaining, row.expires.map(signed)])?;
    }
    let mut put = connection.prepare_cached(ASSET)?;
    for (code, scale) in batch.assets() {
        put.execute(params![code, scale])?;
    }
    Ok(())
}

fn put_head(connection: &Connection, head: Head) -> Result<(), Error> {
    connection.prepare_cached(NEW_HEAD)?.execute(params![
        signed(head.size),
        &head.hash[..],
        signed(head.at),
        signed(head.batch),
        signed(head.batch_first),
        head.closed_before.map(signed),
    ])?;
    Ok(())
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).expect("integers stay below 2^53")
}
