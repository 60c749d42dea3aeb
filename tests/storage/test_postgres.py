from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import psycopg
import pytest
from journals import Writing, begun, transfer
from servers import PASSWORD, PostgresDatabase, PostgresServer, new_database

from tallystick.errors import IntegrityViolation, Misconfigured, RetryLater, TallystickError
from tallystick.storage.ports import Finding, HeadMoved, IdExists, LedgerStore
from tallystick.storage.postgres import PostgresStores
from tallystick.storage.postgres_pool import named_errors

ORIGIN = "bank.example/ledger"
Opened = Callable[[str], PostgresStores]
ENTRY = "INSERT INTO tallystick.entry VALUES (1, 0, NULL, '{}', '', '\\x00')"
CHECKPOINT = "INSERT INTO tallystick.checkpoint VALUES (1, 1, '\\x00', '\\x00', '\\x00')"


@pytest.fixture(scope="module", autouse=True)
def logins(postgres_server: PostgresServer) -> None:
    """What a database administrator makes for the service, for an auditor and for whoever has no business here."""
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as connection:
        there = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
    for role in {"tallystick_owner", "tallystick_writer", "tallystick_reader"} - there:
        postgres_server.execute(f"CREATE ROLE {role} NOLOGIN")
    postgres_server.execute(f"CREATE ROLE service LOGIN PASSWORD '{PASSWORD}' IN ROLE tallystick_writer")
    postgres_server.execute(f"CREATE ROLE auditor LOGIN PASSWORD '{PASSWORD}' IN ROLE tallystick_reader")
    postgres_server.execute(f"CREATE ROLE stranger LOGIN PASSWORD '{PASSWORD}'")


def install(database: PostgresDatabase) -> None:
    """The tables, migrated by the administrator, and one row in each append-only one."""
    stores = PostgresStores(database.dsn())
    stores.open(ORIGIN, write=True, create=True)
    stores.close()
    database.execute(ENTRY)
    database.execute(CHECKPOINT)


@pytest.fixture(scope="module")
def guarded(postgres_server: PostgresServer, logins: None) -> Iterator[PostgresDatabase]:  # noqa: ARG001 # first
    """For tests that fail to change it."""
    with new_database(postgres_server) as database:
        install(database)
        yield database


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Opens factories by connection string, and closes them."""
    with ExitStack() as after:
        yield lambda dsn: after.enter_context(closing(PostgresStores(dsn)))


@pytest.fixture
def installed(postgres_database: PostgresDatabase) -> PostgresDatabase:
    """For tests that change it."""
    install(postgres_database)
    return postgres_database


@pytest.fixture
def store(postgres_database: PostgresDatabase, opened: Opened) -> LedgerStore:
    """A ledger of the administrator's, with nothing but its genesis."""
    return begun(opened(postgres_database.dsn()).open(ORIGIN, write=True, create=True)).store


def attempt(database: PostgresDatabase, user: str, *statements: str) -> None:
    with psycopg.connect(database.dsn(user), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


CHANGES = [
    "UPDATE tallystick.entry SET body = 'forged'",
    "DELETE FROM tallystick.entry WHERE seq = 0",
    "TRUNCATE tallystick.entry",
    "UPDATE tallystick.checkpoint SET size = 2",
    "DELETE FROM tallystick.checkpoint",
    "TRUNCATE tallystick.checkpoint",
]


@pytest.mark.parametrize("change", CHANGES)
def test_not_even_the_superuser_changes_the_record_in_passing(guarded: PostgresDatabase, change: str) -> None:
    for before in ("SELECT 1", "SET session_replication_role = replica"):
        with pytest.raises(psycopg.errors.RestrictViolation, match="is append-only"):
            attempt(guarded, "admin", before, change)
    attempt(guarded, "admin", "DO $$BEGIN ASSERT (SELECT count(*) FROM tallystick.entry) = 1; END$$")


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("user", ["service", "auditor", "stranger"])
def test_nobody_else_may_try(guarded: PostgresDatabase, user: str, change: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        attempt(guarded, user, change)


@pytest.mark.parametrize(
    "evasion",
    [
        "SET session_replication_role = replica",
        "ALTER TABLE tallystick.entry DISABLE TRIGGER append_only_rows",
        "ALTER TABLE tallystick.entry DISABLE TRIGGER ALL",
        "DROP TRIGGER append_only_rows ON tallystick.entry",
        "CREATE OR REPLACE FUNCTION tallystick.refuse_change() RETURNS trigger LANGUAGE sql AS 'SELECT NULL'",
        "SET ROLE tallystick_owner",
        "GRANT UPDATE ON tallystick.entry TO service",
        "GRANT tallystick_owner TO service",
        "DROP TABLE tallystick.entry",
        "DROP SCHEMA tallystick CASCADE",
        "CREATE RULE forge AS ON INSERT TO tallystick.entry DO INSTEAD NOTHING",
        "CREATE TRIGGER forge BEFORE INSERT ON tallystick.entry EXECUTE FUNCTION tallystick.refuse_change()",
        "UPDATE tallystick.ledger SET origin = 'other'",
        "UPDATE tallystick.alembic_version SET version_num = 'x'",
        "CREATE TABLE tallystick.other (a int)",
    ],
)
def test_the_service_cannot_get_round_it(guarded: PostgresDatabase, evasion: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        attempt(guarded, "service", evasion, CHANGES[0])


@pytest.mark.parametrize(
    "write",
    [ENTRY, CHECKPOINT, "UPDATE tallystick.head SET size = 0", "DELETE FROM tallystick.posting",
     "INSERT INTO tallystick.ledger (origin) VALUES ('x')", "UPDATE tallystick.balance SET debits = 0"],
)  # fmt: skip
def test_the_auditor_reads_and_only_reads(guarded: PostgresDatabase, write: str) -> None:
    attempt(guarded, "auditor", "SELECT * FROM tallystick.entry", "SELECT * FROM tallystick.balance")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        attempt(guarded, "auditor", write)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        attempt(guarded, "stranger", "SELECT * FROM tallystick.entry")


def test_the_service_records_and_the_auditor_reads_it(opened: Opened, postgres_database: PostgresDatabase) -> None:
    service = opened(postgres_database.dsn("service"))
    with pytest.raises(Misconfigured, match="permission denied"):
        service.open(ORIGIN, write=True, create=True)
    opened(postgres_database.dsn()).open("some.other/ledger", write=True, create=True)
    writing = begun(service.open(ORIGIN, write=True, create=True))
    writing.record(transfer("a"))
    writing.record(*(transfer(f"b{i}") for i in range(300)))
    writing.store.project("statements", 0, 1, {"metadata": [("k", "v", 1)]})
    writing.store.reset_projection("statements", ["metadata"])
    auditor = opened(postgres_database.dsn("auditor"))
    assert auditor.open(ORIGIN, write=False).head() == writing.store.head()
    reckless = auditor.open(ORIGIN, write=True)
    with pytest.raises(Misconfigured, match="permission denied"):
        reckless.commit(Writing(reckless).apply(transfer("c")))
    stranger = opened(postgres_database.dsn("stranger"))
    with pytest.raises(Misconfigured, match="permission denied"):
        stranger.open(ORIGIN, write=False)


def test_a_login_without_superuser_can_install(
    opened: Opened, postgres_server: PostgresServer, postgres_database: PostgresDatabase
) -> None:
    postgres_server.execute("DROP ROLE IF EXISTS installer")
    postgres_server.execute(f"CREATE ROLE installer LOGIN CREATEROLE PASSWORD '{PASSWORD}' IN ROLE tallystick_owner")
    postgres_server.execute(f"GRANT CREATE ON DATABASE {postgres_database.name} TO installer")
    stores = opened(postgres_database.dsn("installer"))
    begun(stores.open(ORIGIN, write=True, create=True))
    assert levels(stores)["login"] == "warning"
    attempt(postgres_database, "admin", "REASSIGN OWNED BY installer TO admin", "DROP OWNED BY installer")
    postgres_server.execute("DROP ROLE installer")


def test_of_many_writers_on_one_head_one_wins(store: LedgerStore) -> None:
    def race(writing: Writing, *ids: str) -> str:
        batch = writing.apply(*(transfer(id) for id in ids))
        try:
            store.commit(batch)
        except HeadMoved:
            return "moved"
        return "won"

    for count in (1, 200):
        writers = [Writing(store) for _ in range(6)]
        with ThreadPoolExecutor(6) as pool:
            ran = list(pool.map(race, writers, *([f"{count}-{w}-{i}" for w in range(6)] for i in range(count))))
        assert sorted(ran) == ["moved"] * 5 + ["won"]
    head = store.head()
    assert head is not None
    assert head.size == 202


def test_a_row_beyond_the_head_is_no_faster_writer(store: LedgerStore, postgres_database: PostgresDatabase) -> None:
    postgres_database.execute("INSERT INTO tallystick.entry VALUES (1, 1, NULL, '{}', '', '\\x00')")
    for count in (1, 200):
        writing = Writing(store)
        with pytest.raises(IntegrityViolation, match="rows stand beyond the head"):
            store.commit(writing.apply(*(transfer(f"{count}-{i}") for i in range(count))))


def test_an_id_of_a_row_that_somebody_inserted_exists(store: LedgerStore, postgres_database: PostgresDatabase) -> None:
    postgres_database.execute("INSERT INTO tallystick.entry VALUES (1, 99, 'forged', '{}', '', '\\x00')")
    with pytest.raises(IdExists):
        store.commit(Writing(store).apply(transfer("forged")))
    assert [row.seq for row in store.by_id(["forged"])] == [99]


def test_a_run_of_stubs_ends_before_a_missing_row(store: LedgerStore, postgres_database: PostgresDatabase) -> None:
    Writing(store).record_many([f"tµ{i}" for i in range(9)])
    whole = {row.seq: row.stub for page in store.entries(0, 99) for row in page}
    postgres_database.execute("ALTER TABLE tallystick.entry DISABLE TRIGGER ALL")
    postgres_database.execute("DELETE FROM tallystick.entry WHERE seq IN (3, 4, 8)")
    runs = [(first, len(lengths)) for first, _, lengths in store.stubs(0, 99)]
    assert runs == [(0, 3), (5, 3), (9, 1)]
    assert [data for _, data, _ in store.stubs(0, 99)] == [
        b"".join(whole[seq] for seq in range(first, first + count)) for first, count in runs
    ]
    assert [(first, len(lengths)) for first, _, lengths in store.stubs(4, 6)] == [(5, 1)]


def test_a_database_that_goes_away_and_comes_back(opened: Opened, own_postgres_server: PostgresServer) -> None:
    stores = opened(own_postgres_server.dsn())
    writing = begun(stores.open(ORIGIN, write=True, create=True))
    writing.record(transfer("before"))
    own_postgres_server.stop("immediate")
    batch = writing.apply(transfer("while away"))
    for ask in (writing.store.head, lambda: writing.store.commit(batch), lambda: stores.open(ORIGIN, write=False)):
        with pytest.raises(RetryLater, match="the database is away"):
            ask()
    assert [finding.what for finding in stores.diagnose() if finding.level == "error"] == ["connection"]
    own_postgres_server.start()
    writing.journal.rollback(batch)
    assert writing.store.head() is not None
    writing.record(transfer("after"))
    assert [row.id for chunk in writing.store.entries(0, 9) for row in chunk] == [None, "before", "after"]


def test_a_terminated_connection_is_replaced(store: LedgerStore, postgres_database: PostgresDatabase) -> None:
    writing = Writing(store)
    writing.record(transfer("a"))
    terminate = """SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()"""
    postgres_database.execute(terminate)
    batch = writing.apply(transfer("b"))
    with pytest.raises(RetryLater):
        store.commit(batch)
    store.commit(batch)
    postgres_database.execute(terminate)
    with pytest.raises(RetryLater):
        store.head()
    head = store.head()
    assert head is not None
    assert head.size == 3


def test_a_read_only_server_says_so(opened: Opened, store: LedgerStore, postgres_database: PostgresDatabase) -> None:
    name = postgres_database.name
    postgres_database.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    stores = opened(postgres_database.dsn())
    standby = stores.open(ORIGIN, write=True)
    with pytest.raises(RetryLater, match="read-only"):
        standby.commit(Writing(standby).apply(transfer("a")))
    assert standby.head() == store.head()


def test_our_sessions_are_durable_whatever_the_database_says(
    opened: Opened, postgres_database: PostgresDatabase
) -> None:
    postgres_database.execute(f"ALTER DATABASE {postgres_database.name} SET synchronous_commit = off")
    stores = opened(postgres_database.dsn())
    stores.open(ORIGIN, write=True, create=True)
    with stores._write.use() as connection:
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)
    assert levels(stores)["synchronous_commit"] == "warning"


def levels(stores: PostgresStores) -> dict[str, str]:
    return {finding.what: finding.level for finding in stores.diagnose()}


def test_a_schema_of_another_release_is_refused(opened: Opened, installed: PostgresDatabase) -> None:
    stores = opened(installed.dsn())
    installed.execute("UPDATE tallystick.alembic_version SET version_num = '9999'")
    for write in (True, False):
        with pytest.raises(Misconfigured, match="newer release"):
            stores.open(ORIGIN, write=write)
    assert levels(stores)["schema"] == "error"
    installed.execute("DELETE FROM tallystick.alembic_version")
    with pytest.raises(Misconfigured, match="older release"):
        stores.open(ORIGIN, write=False)


def test_two_processes_that_install_at_once_install_once(postgres_database: PostgresDatabase) -> None:
    def install(_: int) -> str:
        stores = PostgresStores(postgres_database.dsn())
        origin = stores.open(ORIGIN, write=True, create=True).origin
        stores.close()
        return origin

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(install, range(4))) == {ORIGIN}
    stores = PostgresStores(postgres_database.dsn())
    assert stores.ledgers() == [ORIGIN]
    stores.close()


@pytest.mark.parametrize(
    "damage, repair, what, words",
    [
        ("ALTER TABLE tallystick.entry ENABLE TRIGGER append_only_rows",
         "ALTER TABLE tallystick.entry ENABLE ALWAYS TRIGGER append_only_rows",
         "append-only triggers", "entry.append_only_rows is not ENABLE ALWAYS"),
        ("ALTER TABLE tallystick.entry DISABLE TRIGGER append_only_table",
         "ALTER TABLE tallystick.entry ENABLE ALWAYS TRIGGER append_only_table",
         "append-only triggers", "entry.append_only_table is not ENABLE ALWAYS"),
        ("ALTER TRIGGER append_only_rows ON tallystick.checkpoint RENAME TO other",
         "ALTER TRIGGER other ON tallystick.checkpoint RENAME TO append_only_rows",
         "append-only triggers", "checkpoint.append_only_rows is missing"),
        ("GRANT DELETE ON tallystick.entry TO tallystick_writer",
         "REVOKE DELETE ON tallystick.entry FROM tallystick_writer",
         "rights", "tallystick_writer may DELETE entry"),
        ("GRANT UPDATE (body) ON tallystick.entry TO stranger",
         "REVOKE UPDATE (body) ON tallystick.entry FROM stranger",
         "rights", "stranger may UPDATE entry"),
    ],
)  # fmt: skip
def test_the_doctor_names_what_was_weakened(
    opened: Opened, guarded: PostgresDatabase, damage: str, repair: str, what: str, words: str
) -> None:
    stores = opened(guarded.dsn())
    assert {finding.level for finding in stores.diagnose()} == {"ok", "warning"}
    guarded.execute(damage)
    (found,) = [finding for finding in stores.diagnose() if finding.level == "error"]
    guarded.execute(repair)
    assert found.what == what
    assert words in found.found
    assert found.next_step


def test_the_doctor_knows_who_is_asking(opened: Opened, guarded: PostgresDatabase) -> None:
    def login(user: str) -> Finding:
        return next(finding for finding in opened(guarded.dsn(user)).diagnose() if finding.what == "login")

    assert (login("admin").level, login("admin").found) == ("warning", "admin is superuser")
    assert (login("service").level, login("service").found) == ("ok", "service writes")
    assert (login("auditor").level, login("auditor").found) == ("ok", "auditor reads")


def test_the_doctor_before_anything_is_installed(opened: Opened, postgres_database: PostgresDatabase) -> None:
    stores = opened(postgres_database.dsn())
    assert levels(stores)["schema"] == "warning"
    assert stores.ledgers() == []


@pytest.mark.parametrize("dsn", ["no equals sign", "host=/nowhere port=99999999"])
def test_a_connection_string_is_not_repeated_in_errors(opened: Opened, dsn: str) -> None:
    with pytest.raises((Misconfigured, RetryLater)) as caught:
        opened(f"{dsn} password=hunter2").ledgers()
    assert "hunter2" not in str(caught.value)


def test_without_psycopg_the_line_to_install_it_is_given() -> None:
    script = """
import sys
sys.modules["psycopg"] = None
from tallystick.errors import Misconfigured
try:
    import tallystick.storage.postgres
except Misconfigured as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "pip install 'tallystick[postgres]'" in ran.stdout, ran.stderr


@pytest.mark.parametrize(
    "error, family",
    [
        (psycopg.errors.DiskFull, RetryLater),
        (psycopg.errors.IoError, RetryLater),
        (psycopg.errors.TooManyConnections, RetryLater),
        (psycopg.errors.CannotConnectNow, RetryLater),
        (psycopg.errors.DeadlockDetected, RetryLater),
        (psycopg.errors.DataCorrupted, IntegrityViolation),
        (psycopg.errors.UndefinedTable, Misconfigured),
    ],
)
def test_what_the_database_says_is_named_for_what_to_do(
    error: type[psycopg.Error], family: type[TallystickError]
) -> None:
    with pytest.raises(family, match="in its own words"), named_errors():
        raise error("in its own words")
