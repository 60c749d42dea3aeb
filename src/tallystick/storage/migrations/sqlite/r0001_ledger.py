"""The tables of one ledger in a file of its own."""

from __future__ import annotations

from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0001"
down_revision = None

TABLES = (
    "CREATE TABLE meta (origin TEXT NOT NULL) STRICT",
    # A row per entry, so that anybody can read the ledger with plain SQL.
    """CREATE TABLE entry (seq INTEGER PRIMARY KEY, id TEXT, stub TEXT NOT NULL, body TEXT NOT NULL, hash BLOB NOT NULL)
       STRICT""",
    "CREATE UNIQUE INDEX entry_id ON entry (id)",
    # Totals reach 2^127, SQLite's integers 2^63: decimal text.
    """CREATE TABLE balance (account TEXT NOT NULL, asset TEXT NOT NULL, debits TEXT NOT NULL, credits TEXT NOT NULL,
       pending_debits TEXT NOT NULL, pending_credits TEXT NOT NULL, PRIMARY KEY (account, asset))
       STRICT, WITHOUT ROWID""",
    "CREATE TABLE account (name TEXT NOT NULL PRIMARY KEY, definition TEXT NOT NULL) STRICT, WITHOUT ROWID",
    """CREATE TABLE remainder (id TEXT NOT NULL PRIMARY KEY, seq INTEGER NOT NULL, kind TEXT NOT NULL,
       remaining TEXT NOT NULL, expires INTEGER) STRICT, WITHOUT ROWID""",
    "CREATE INDEX remainder_expires ON remainder (expires) WHERE expires IS NOT NULL",
    "CREATE TABLE asset (code TEXT NOT NULL PRIMARY KEY, scale INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    """CREATE TABLE head (one INTEGER NOT NULL PRIMARY KEY DEFAULT 1 CHECK (one = 1), size INTEGER NOT NULL,
       hash BLOB NOT NULL, at INTEGER NOT NULL, batch INTEGER NOT NULL, batch_first INTEGER NOT NULL,
       closed_before INTEGER) STRICT""",
    """CREATE TABLE checkpoint (size INTEGER PRIMARY KEY, root BLOB NOT NULL, note BLOB NOT NULL,
       frontier BLOB NOT NULL) STRICT""",
    # Projections: derived from entries, rebuilt at will.
    "CREATE TABLE projection (name TEXT NOT NULL PRIMARY KEY, position INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    """CREATE TABLE posting (account TEXT NOT NULL, asset TEXT NOT NULL, seq INTEGER NOT NULL,
       effective INTEGER NOT NULL, debits TEXT NOT NULL, credits TEXT NOT NULL, PRIMARY KEY (seq, account, asset))
       STRICT, WITHOUT ROWID""",  # in the order in which it is written, and read by the audit
    "CREATE INDEX posting_account ON posting (account, asset, seq)",
    """CREATE TABLE metadata (key TEXT NOT NULL, value TEXT NOT NULL, seq INTEGER NOT NULL,
       PRIMARY KEY (seq, key, value)) STRICT, WITHOUT ROWID""",
    "CREATE INDEX metadata_key ON metadata (key, value, seq)",
)


def upgrade() -> None:
    """Alembic calls this."""
    for statement in TABLES:
        op.execute(statement)
    for table in ("entry", "checkpoint"):
        for event in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{event.lower()} BEFORE {event} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only: {event} refused'); END"
            )
