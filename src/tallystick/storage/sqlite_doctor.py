"""What `tallystick doctor` looks at in a folder of SQLite ledgers."""

from __future__ import annotations

from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tallystick.errors import RetryLater, TallystickError
from tallystick.storage.folders import diagnose_folder
from tallystick.storage.migrations import REVISIONS, upgrade_sqlite
from tallystick.storage.ports import Finding
from tallystick.storage.sqlite_connection import Connection, make_durable

__all__ = ["diagnose"]

# Their locks do not reach other machines, and SQLite's shared memory does not work on them.
NETWORK = {"9p", "afs", "ceph", "cifs", "fuse.sshfs", "glusterfs", "lustre", "nfs", "nfs4", "smb3"}


def diagnose(folder: Path) -> list[Finding]:
    """Findings on the folder and on each file in it."""
    findings = [*diagnose_folder("ledgers", folder, private=True), *_file_system(folder)]
    for path in sorted(folder.glob("*.sqlite")):
        try:
            with closing(Connection(path, "ro")) as connection:
                findings += _file(path.name, connection)
        except TallystickError as error:
            findings.append(Finding("error", path.name, error.message, error.next_step or "Verify the ledger."))
    return findings


def _file_system(folder: Path) -> list[Finding]:
    mounts = Path("/proc/self/mounts")
    if not mounts.exists():
        return []
    place = folder.resolve()
    points = (line.split()[1:3] for line in mounts.read_text("utf-8", "surrogateescape").splitlines())
    under = [(Path(point), kind) for point, kind in points if place.is_relative_to(point)]
    kind = max(under, key=lambda mount: len(mount[0].parts))[1] if under else "unknown"
    if kind in NETWORK:
        return [Finding("error", "file system", kind, "Keep SQLite on a local disk, or use PostgreSQL.")]
    return [Finding("ok", "file system", kind)]


def _file(name: str, connection: Connection) -> list[Finding]:
    make_durable(connection)  # as the writer does: raises what would be wrong with journal_mode and synchronous
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    rows = connection.execute("SELECT version_num FROM alembic_version") if "alembic_version" in tables else []
    origins = connection.execute("SELECT origin FROM meta") if "meta" in tables else []
    revision = str(rows[0][0]) if rows else "none"
    known = revision in REVISIONS["sqlite"]
    findings = [
        Finding("ok", name, str(origins[0][0]) if origins else "no ledger yet"),
        Finding("ok", f"{name} journal_mode, synchronous", "wal, full"),
        _expect(
            name,
            "schema",
            revision,
            REVISIONS["sqlite"][-1],
            "Run a command that writes, such as `tallystick seal`."
            if known
            else "A later release migrated it: use that one.",
        ),
    ]
    if revision == REVISIONS["sqlite"][-1]:
        drift = _drift(_catalogue(connection), _installed())
        for what, kinds in (("append-only triggers", {"trigger"}), ("tables and indexes", {"table", "index", "view"})):
            found = [f"{key} is {how}" for key, how in drift if key.split()[0] in kinds]
            findings.append(_expect(name, f"{what} changed", found, [], "Find out who changed them; audit the ledger."))
    return findings


def _catalogue(connection: Connection) -> dict[str, str]:
    """What stands in the file's schema, and the statement that made it."""
    sql = "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'"
    return {f"{kind} {name}": f"{table} {made}" for kind, name, table, made in connection.execute(sql)}


@cache
def _installed() -> dict[str, str]:
    """The catalogue of a file that was made just now."""
    try:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "new.sqlite"
            upgrade_sqlite(path)
            with closing(Connection(path, "ro")) as connection:
                return _catalogue(connection)
    except OSError as error:
        raise RetryLater(f"no file to compare with: {error.strerror}", next_step="Make room in TMPDIR.") from error


def _drift(found: dict[str, str], expected: dict[str, str]) -> list[tuple[str, str]]:
    return [
        (key, "missing" if key not in found else "not ours" if key not in expected else "changed")
        for key in sorted(found | expected)
        if found.get(key) != expected.get(key)
    ]


def _expect(name: str, what: str, found: object, expected: object, next_step: str) -> Finding:
    if found == expected:
        return Finding("ok", f"{name} {what}", str(found))
    return Finding("error", f"{name} {what}", f"{found}, not {expected}", next_step)
