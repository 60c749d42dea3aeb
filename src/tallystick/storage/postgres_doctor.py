"""What `tallystick doctor` looks at in PostgreSQL: whether "recorded" can be believed, and who could change records."""

from __future__ import annotations

from tallystick.errors import TallystickError
from tallystick.storage.migrations import REVISIONS
from tallystick.storage.ports import Finding
from tallystick.storage.postgres_pool import Connection, connect, named_errors

__all__ = ["diagnose"]

OLDEST_VERSION = 15

# setting: (what it must be, level otherwise, what to do)
SETTINGS = {
    "fsync": ("on", "error", "Set fsync = on: without it a loss of power destroys the database."),
    "full_page_writes": ("on", "error", "Set full_page_writes = on: without it a loss of power tears pages."),
    "synchronous_commit": (
        ("on", "remote_write", "remote_apply", "local"),
        "warning",
        "Set synchronous_commit = on; Tallystick's own sessions set it, other writers of this database do not.",
    ),
    "data_checksums": ("on", "warning", "Stop the server and run pg_checksums --enable."),
    "session_replication_role": (
        "origin",
        "error",
        "Find out who set it for this database or login, and RESET it: it switches off triggers and foreign keys.",
    ),
    "server_encoding": ("UTF8", "error", "Make the database anew with ENCODING 'UTF8'."),
}

TRIGGERS = """SELECT c.relname || '.' || t.tgname, t.tgenabled::text, pg_get_triggerdef(t.oid) FROM pg_trigger t
    JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'tallystick' AND NOT t.tgisinternal"""
EXPECTED_TRIGGERS = {
    f"{table}.append_only_{what}": f"CREATE TRIGGER append_only_{what} BEFORE {events} ON tallystick.{table} "
    f"FOR EACH {each} EXECUTE FUNCTION tallystick.refuse_change()"
    for table in ("entry", "checkpoint")
    for what, events, each in (("rows", "DELETE OR UPDATE", "ROW"), ("table", "TRUNCATE", "STATEMENT"))
}
FUNCTION = """SELECT l.lanname, p.proconfig, regexp_replace(btrim(p.prosrc), '\\s+', ' ', 'g')
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
    WHERE n.nspname = 'tallystick' AND p.proname = 'refuse_change'"""
SOURCE = (
    "BEGIN RAISE EXCEPTION '% is append-only, % refused', TG_TABLE_NAME, TG_OP "
    "USING ERRCODE = 'restrict_violation'; END"
)
EXPECTED_FUNCTION = ("plpgsql", ["search_path=pg_catalog"], SOURCE)

# What would change, hide or double rows behind the writer's back, and was not made by a migration.
ADDED = """WITH ours AS (SELECT c.* FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'tallystick')
    SELECT 'rule ' || r.rulename || ' on ' || c.relname FROM pg_rewrite r JOIN ours c ON c.oid = r.ev_class
    UNION ALL SELECT 'policy ' || p.polname || ' on ' || c.relname FROM pg_policy p JOIN ours c ON c.oid = p.polrelid
    UNION ALL SELECT 'row security on ' || relname FROM ours WHERE relrowsecurity
    UNION ALL SELECT 'table ' || i.inhrelid::regclass || ' inherits ' || c.relname
        FROM pg_inherits i JOIN ours c ON c.oid = i.inhparent WHERE c.relkind = 'r'
    UNION ALL SELECT relname || ' is not kept in the write-ahead log' FROM ours
        WHERE relkind = 'r' AND relpersistence <> 'p'
    UNION ALL SELECT 'relation ' || relname FROM ours WHERE relkind NOT IN ('r', 'i', 'S', 't')
    ORDER BY 1"""
KEYS = """SELECT c.relname || ' ' || pg_get_constraintdef(k.oid) FROM pg_constraint k
    JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'tallystick' AND k.contype IN ('p', 'u')"""
EXPECTED_KEYS = {
    "ledger PRIMARY KEY (number)",
    "ledger UNIQUE (origin)",
    "entry PRIMARY KEY (ledger, seq)",
    "entry UNIQUE (ledger, id)",
    "checkpoint PRIMARY KEY (ledger, size)",
    "head PRIMARY KEY (ledger)",
    "balance PRIMARY KEY (ledger, account, asset)",
    "account PRIMARY KEY (ledger, name)",
    "remainder PRIMARY KEY (ledger, id)",
    "asset PRIMARY KEY (ledger, code)",
    "projection PRIMARY KEY (ledger, name)",
}

# Whoever else may change or empty the append-only tables. The owner can, as owners can; superusers pass every check.
CHANGERS = """SELECT r.rolname || ' may ' || p.name || ' ' || t.name
    FROM pg_roles r, unnest(ARRAY['entry', 'checkpoint']) AS t (name),
        unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) AS p (name)
    WHERE NOT r.rolsuper AND NOT pg_has_role(r.oid, 'tallystick_owner', 'MEMBER') AND r.rolname !~ '^pg_'
        AND (has_table_privilege(r.oid, 'tallystick.' || t.name, p.name)
            OR p.name = 'UPDATE' AND has_any_column_privilege(r.oid, 'tallystick.' || t.name, 'UPDATE'))"""

LOGIN = """SELECT current_user, r.rolsuper, pg_has_role(r.oid, 'tallystick_owner', 'MEMBER'),
        pg_has_role(r.oid, 'tallystick_writer', 'MEMBER'), pg_has_role(r.oid, 'tallystick_reader', 'MEMBER')
    FROM pg_roles r WHERE r.rolname = current_user"""


def diagnose(dsn: str) -> list[Finding]:
    """Findings, and as the last one an error if the database could not be asked further."""
    findings: list[Finding] = []
    try:
        with named_errors(), connect(dsn) as connection:
            _server(connection, findings)
            if _schema(connection, findings):
                _rights(connection, findings)
    except TallystickError as error:
        next_step = error.next_step or "Start the server and look at its log."
        findings.append(Finding("error", "connection", error.message, next_step))
    return findings


def _server(connection: Connection, findings: list[Finding]) -> None:
    version = connection.info.server_version
    findings.append(
        Finding("ok", "version", str(version))
        if version >= OLDEST_VERSION * 10000
        else Finding("error", "version", str(version), f"Upgrade PostgreSQL to {OLDEST_VERSION} or later.")
    )
    sql = "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)"
    found: dict[str, str] = dict(connection.execute(sql, (list(SETTINGS),)).fetchall())
    for name, (good, level, next_step) in SETTINGS.items():
        value = found.get(name, "unknown")
        fine = value in good if isinstance(good, tuple) else value == good
        findings.append(Finding("ok", name, value) if fine else Finding(level, name, value, next_step))  # type: ignore[arg-type]
    encrypted = connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()
    local = connection.info.host.startswith("/") or connection.info.hostaddr in ("127.0.0.1", "::1")
    if not local and encrypted != (True,):
        findings.append(Finding("warning", "transport", "not encrypted", "Add sslmode=verify-full to the connection."))


def _schema(connection: Connection, findings: list[Finding]) -> bool:
    expected = REVISIONS["postgres"][-1]
    if connection.execute("SELECT to_regclass('tallystick.alembic_version')").fetchone() == (None,):
        findings.append(Finding("warning", "schema", "absent", "Create a ledger: tallystick ledger create ORIGIN"))
        return False
    row = connection.execute("SELECT version_num FROM tallystick.alembic_version").fetchone()
    found = "none" if row is None else str(row[0])
    if found in REVISIONS["postgres"]:
        advice = "Run a command that writes, such as `tallystick seal`, as a member of tallystick_owner."
    else:
        advice = "A later release migrated it: use that one."
    findings.append(Finding("ok", "schema", found) if found == expected else Finding("error", "schema", found, advice))
    return True


def _rights(connection: Connection, findings: list[Finding]) -> None:
    row = connection.execute(LOGIN).fetchone()
    assert row is not None  # current_user is a role
    login, superuser, owner, writer, reader = row
    if superuser or owner:
        what = "superuser" if superuser else "owner of the tables"
        advice = "Serve with a login that only has tallystick_writer: this one can change what was recorded."
        findings.append(Finding("warning", "login", f"{login} is {what}", advice))
    elif writer or reader:
        findings.append(Finding("ok", "login", f"{login} {'writes' if writer else 'reads'}"))
    else:
        findings.append(Finding("error", "login", f"{login} has no role here", f"GRANT tallystick_writer TO {login};"))

    faults = _trigger_faults(connection)
    advice = "Find out who changed it, verify the ledger, then ALTER TABLE … ENABLE ALWAYS TRIGGER …."
    findings.append(
        Finding("error", "append-only triggers", "; ".join(faults), advice)
        if faults
        else Finding("ok", "append-only triggers", f"{len(EXPECTED_TRIGGERS)} enabled always")
    )

    drift = [name for (name,) in connection.execute(ADDED)]
    drift += [f"no {key}" for key in sorted(EXPECTED_KEYS - {key for (key,) in connection.execute(KEYS)})]
    advice = "This is not what was installed: find out who changed it, and audit the ledgers."
    findings.append(
        Finding("error", "catalogue", "; ".join(drift), advice)
        if drift
        else Finding("ok", "catalogue", "no rules, policies or children; all keys are there")
    )

    changers = [name for (name,) in connection.execute(CHANGERS)]
    findings.append(
        Finding("error", "rights", "; ".join(changers), "REVOKE them; find out who granted them.")
        if changers
        else Finding("ok", "rights", "only owner and superusers can change entry and checkpoint")
    )


def _trigger_faults(connection: Connection) -> list[str]:
    """How the triggers, and the function that they call, differ from those installed."""
    found = {name: (enabled, definition) for name, enabled, definition in connection.execute(TRIGGERS)}
    faults = [f"{name} is not ours" for name in sorted(found.keys() - EXPECTED_TRIGGERS)]
    for name, definition in EXPECTED_TRIGGERS.items():
        if name not in found:
            faults.append(f"{name} is missing")
        elif found[name][1] != definition:
            faults.append(f"{name} was changed")
        elif found[name][0] != "A":
            faults.append(f"{name} is not ENABLE ALWAYS")
    if connection.execute(FUNCTION).fetchall() != [EXPECTED_FUNCTION]:
        faults.append("the function refuse_change was changed")
    return faults
