"""The tables of all ledgers of an installation, who may do what with them, and what nobody may.

Rows are told apart by the ledger's number. Row security is left out: the roles belong to the installation, whose
service reads every ledger; a tenant never holds a database login.
"""

from __future__ import annotations

from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0001"
down_revision = None

TABLES = (
    """CREATE TABLE tallystick.ledger (number int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
       origin text COLLATE "C" NOT NULL UNIQUE)""",
    # A row per entry, so that anybody can read the ledger with plain SQL.
    """CREATE TABLE tallystick.entry (ledger int4 NOT NULL, seq int8 NOT NULL, id text COLLATE "C", stub text NOT NULL,
       body text NOT NULL, hash bytea NOT NULL, PRIMARY KEY (ledger, seq), CONSTRAINT entry_id UNIQUE (ledger, id))""",
    # fillfactor leaves room on the page, so that an update moves no index entry (heap-only tuples).
    """CREATE TABLE tallystick.balance (ledger int4 NOT NULL, account text COLLATE "C" NOT NULL,
       asset text COLLATE "C" NOT NULL, debits numeric(39,0) NOT NULL, credits numeric(39,0) NOT NULL,
       pending_debits numeric(39,0) NOT NULL, pending_credits numeric(39,0) NOT NULL,
       PRIMARY KEY (ledger, account, asset)) WITH (fillfactor = 50)""",
    """CREATE TABLE tallystick.account (ledger int4 NOT NULL, name text COLLATE "C" NOT NULL, definition text NOT NULL,
       PRIMARY KEY (ledger, name))""",
    """CREATE TABLE tallystick.remainder (ledger int4 NOT NULL, id text COLLATE "C" NOT NULL, seq int8 NOT NULL,
       kind text NOT NULL, remaining text NOT NULL, expires int8, PRIMARY KEY (ledger, id))""",
    "CREATE INDEX remainder_expires ON tallystick.remainder (ledger, expires) WHERE expires IS NOT NULL",
    """CREATE TABLE tallystick.asset (ledger int4 NOT NULL, code text COLLATE "C" NOT NULL, scale int4 NOT NULL,
       PRIMARY KEY (ledger, code))""",
    """CREATE TABLE tallystick.head (ledger int4 PRIMARY KEY, size int8 NOT NULL, hash bytea NOT NULL, at int8 NOT NULL,
       batch int8 NOT NULL, batch_first int8 NOT NULL, closed_before int8) WITH (fillfactor = 10)""",
    """CREATE TABLE tallystick.checkpoint (ledger int4 NOT NULL, size int8 NOT NULL, root bytea NOT NULL,
       note bytea NOT NULL, frontier bytea NOT NULL, PRIMARY KEY (ledger, size))""",
    # Projections: derived from entries, rebuilt at will.
    """CREATE TABLE tallystick.projection (ledger int4 NOT NULL, name text COLLATE "C" NOT NULL, position int8 NOT NULL,
       PRIMARY KEY (ledger, name))""",
    """CREATE TABLE tallystick.posting (ledger int4 NOT NULL, account text COLLATE "C" NOT NULL,
       asset text COLLATE "C" NOT NULL, seq int8 NOT NULL, effective int8 NOT NULL, debits numeric(39,0) NOT NULL,
       credits numeric(39,0) NOT NULL, PRIMARY KEY (ledger, account, asset, seq))""",
    "CREATE INDEX posting_seq ON tallystick.posting (ledger, seq)",  # the audit reads it entry by entry
    """CREATE TABLE tallystick.metadata (ledger int4 NOT NULL, key text COLLATE "C" NOT NULL,
       value text COLLATE "C" NOT NULL, seq int8 NOT NULL, PRIMARY KEY (ledger, key, value, seq))""",
    "CREATE INDEX metadata_seq ON tallystick.metadata (ledger, seq)",
)

APPEND_ONLY = (
    """CREATE FUNCTION tallystick.refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS
       $$BEGIN RAISE EXCEPTION '% is append-only, % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
       END$$""",
    *(
        statement
        for table in ("entry", "checkpoint")
        for statement in (
            f"""CREATE TRIGGER append_only_rows BEFORE UPDATE OR DELETE ON tallystick.{table}
                FOR EACH ROW EXECUTE FUNCTION tallystick.refuse_change()""",
            f"""CREATE TRIGGER append_only_table BEFORE TRUNCATE ON tallystick.{table}
                FOR EACH STATEMENT EXECUTE FUNCTION tallystick.refuse_change()""",
            # ALWAYS: session_replication_role = replica does not skip them.
            f"ALTER TABLE tallystick.{table} ENABLE ALWAYS TRIGGER append_only_rows",
            f"ALTER TABLE tallystick.{table} ENABLE ALWAYS TRIGGER append_only_table",
        )
    ),
)

RIGHTS = (
    "REVOKE ALL ON SCHEMA tallystick FROM PUBLIC",
    "REVOKE ALL ON FUNCTION tallystick.refuse_change() FROM PUBLIC",
    "GRANT USAGE ON SCHEMA tallystick TO tallystick_writer, tallystick_reader",
    "GRANT SELECT ON ALL TABLES IN SCHEMA tallystick TO tallystick_writer, tallystick_reader",
    """GRANT INSERT ON tallystick.ledger, tallystick.entry, tallystick.balance, tallystick.account,
       tallystick.remainder, tallystick.asset, tallystick.head, tallystick.checkpoint, tallystick.projection,
       tallystick.posting, tallystick.metadata TO tallystick_writer""",
    """GRANT UPDATE ON tallystick.head, tallystick.balance, tallystick.account, tallystick.remainder,
       tallystick.projection TO tallystick_writer""",
    "GRANT DELETE ON tallystick.posting, tallystick.metadata TO tallystick_writer",
)


def upgrade() -> None:
    """Alembic calls this."""
    for statement in (*TABLES, *APPEND_ONLY, *RIGHTS):
        op.execute(statement)
