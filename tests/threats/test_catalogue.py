"""What keeps an administrator from changing records in passing, taken away in every way we know: the doctor says so."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from servers import PostgresServer, new_database

from tallystick import open_installation
from tallystick.cli import main
from tallystick.storage.ports import Finding

from .conftest import Bank, new_bank
from .stages import copied

NO_EFFECT = "CREATE TRIGGER entry_no_update BEFORE UPDATE ON entry BEGIN SELECT 1; END"
SQLITE = {
    "a trigger dropped": ("DROP TRIGGER entry_no_update", "trigger entry_no_update is missing"),
    "another dropped": ("DROP TRIGGER checkpoint_no_delete", "trigger checkpoint_no_delete is missing"),
    "one of the same name": (f"DROP TRIGGER entry_no_update; {NO_EFFECT}", "trigger entry_no_update is changed"),
    "one that forges": (
        "CREATE TRIGGER forge AFTER INSERT ON entry BEGIN UPDATE balance SET credits = '0'; END",
        "trigger forge is not ours",
    ),
    "the schema written directly": (
        "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'entry_no_delete'",
        "trigger entry_no_delete is missing",
    ),
    "a table's text": (
        """PRAGMA writable_schema = ON;
           UPDATE sqlite_schema SET sql = replace(sql, 'hash BLOB NOT NULL', 'hash BLOB') WHERE name = 'entry'""",
        "table entry is changed",
    ),
    "the ids' index": ("DROP INDEX entry_id", "index entry_id is missing"),
    "a table of the attacker's": ("CREATE TABLE drawer (a)", "table drawer is not ours"),
    "a view": ("CREATE VIEW v AS SELECT 1", "view v is not ours"),
}
ENTRY = "tallystick.entry"
POSTGRES = {
    "a trigger dropped": (f"DROP TRIGGER append_only_rows ON {ENTRY}", "entry.append_only_rows is missing"),
    "all disabled": (f"ALTER TABLE {ENTRY} DISABLE TRIGGER ALL", "entry.append_only_rows is not ENABLE ALWAYS"),
    "enabled for replicas": (
        f"ALTER TABLE {ENTRY} ENABLE REPLICA TRIGGER append_only_table",
        "entry.append_only_table is not ENABLE ALWAYS",
    ),
    "one of the same name": (
        f"""DROP TRIGGER append_only_rows ON {ENTRY};
           CREATE TRIGGER append_only_rows BEFORE DELETE ON {ENTRY} FOR EACH ROW
           EXECUTE FUNCTION tallystick.refuse_change();
           ALTER TABLE {ENTRY} ENABLE ALWAYS TRIGGER append_only_rows""",
        "entry.append_only_rows was changed",
    ),
    "a function that refuses nothing": (
        """CREATE OR REPLACE FUNCTION tallystick.refuse_change() RETURNS trigger LANGUAGE plpgsql
           SET search_path = pg_catalog AS 'BEGIN RETURN NEW; END'""",
        "the function refuse_change was changed",
    ),
    "one that forges": (
        f"CREATE TRIGGER forge BEFORE INSERT ON {ENTRY} EXECUTE FUNCTION tallystick.refuse_change()",
        "entry.forge is not ours",
    ),
    "a rule": (f"CREATE RULE forge AS ON INSERT TO {ENTRY} DO INSTEAD NOTHING", "rule forge on entry"),
    "row security that hides": (
        f"ALTER TABLE {ENTRY} ENABLE ROW LEVEL SECURITY; CREATE POLICY hide ON {ENTRY} USING (seq < 3)",
        "policy hide on entry; row security on entry",
    ),
    "a child with rows of its own": (f"CREATE TABLE public.more () INHERITS ({ENTRY})", "more inherits entry"),
    "no write-ahead log": (f"ALTER TABLE {ENTRY} SET UNLOGGED", "entry is not kept in the write-ahead log"),
    "no key": (f"ALTER TABLE {ENTRY} DROP CONSTRAINT entry_pkey", "no entry PRIMARY KEY (ledger, seq)"),
    "ids twice": (f"ALTER TABLE {ENTRY} DROP CONSTRAINT entry_id", "no entry UNIQUE (ledger, id)"),
    "a view in place": ("CREATE VIEW tallystick.entries AS SELECT 1", "relation entries"),
    "rights": (f"GRANT TRUNCATE ON {ENTRY} TO tallystick_writer", "tallystick_writer may TRUNCATE entry"),
    "triggers switched off for all": (
        """DO $$BEGIN
           EXECUTE format('ALTER DATABASE %I SET session_replication_role = replica', current_database()); END$$""",
        "replica",
    ),
    "and for one login": ("ALTER ROLE admin SET session_replication_role = replica", "replica"),
}


@pytest.fixture(scope="module")
def file_bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    bank = new_bank(tmp_path_factory.mktemp("catalogue") / "bank", None)
    bank.record(0, 3)
    return bank


@pytest.fixture(scope="module")
def server_bank(tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer) -> Iterator[Bank]:
    with ExitStack() as after:
        database = after.enter_context(new_database(postgres_server))
        bank = new_bank(tmp_path_factory.mktemp("catalogue") / "bank", database)
        bank.record(0, 3)
        yield bank


def errors(bank: Bank) -> list[Finding]:
    with open_installation(bank.home) as installation:
        return [finding for finding in installation.diagnose() if finding.level == "error"]


def doctor(bank: Bank) -> int:
    return CliRunner().invoke(main, ["--home", str(bank.home), "doctor"]).exit_code


@pytest.mark.threat(9)
@pytest.mark.parametrize("how", SQLITE)
def test_the_doctor_names_what_became_of_a_file(file_bank: Bank, how: str) -> None:
    damage, words = SQLITE[how]
    whole = file_bank.file.read_bytes()
    assert errors(file_bank) == []
    with closing(sqlite3.connect(file_bank.file, isolation_level=None)) as connection:
        connection.executescript(damage)
    (found,) = errors(file_bank)
    assert doctor(file_bank) == 78
    clean_up(file_bank.file, whole)
    assert words in found.found
    assert found.next_step
    assert errors(file_bank) == []


def clean_up(file: Path, whole: bytes) -> None:
    for leftover in (file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-shm")):
        leftover.unlink(missing_ok=True)
    file.write_bytes(whole)


@pytest.mark.threat(9)
@pytest.mark.parametrize("how", POSTGRES)
def test_the_doctor_names_what_became_of_a_database(server_bank: Bank, tmp_path: Path, how: str) -> None:
    damage, words = POSTGRES[how]
    assert server_bank.database is not None
    with ExitStack() as after:
        bank = server_bank
        if "ROLE" in damage:  # roles are the whole server's
            after.callback(server_bank.database.execute, "ALTER ROLE admin RESET session_replication_role")
            server_bank.database.execute(damage)
        else:
            shutil.copytree(server_bank.home, tmp_path / "bank")
            copy = after.enter_context(copied(server_bank.database, tmp_path / "bank"))
            bank = Bank(tmp_path / "bank", copy)
            copy.execute(damage)
        (found,) = errors(bank)
        assert doctor(bank) == 78
    assert words in found.found
    assert found.next_step
    assert errors(server_bank) == []
