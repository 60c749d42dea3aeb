"""Real servers for tests: each on 127.0.0.1 or a socket of its own, in a folder of its own, ended by its process id."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

PASSWORD = "only-for-tests"
START_SECONDS = 30


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def postgres_binaries() -> Path:
    """The newest installed PostgreSQL's folder of programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    if found:
        return found[-1].parent
    if on_path:
        return Path(on_path).parent
    message = "no PostgreSQL programs: apt-get install postgresql"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@dataclass
class PostgresServer:
    """A cluster with scram, data checksums and fsync, reachable by unix socket and loopback."""

    folder: Path
    binaries: Path
    port: int
    settings: dict[str, str] = field(default_factory=dict)
    # PostgreSQL refuses to run as root.
    user: str | None = "postgres" if os.geteuid() == 0 else None

    def initialise(self) -> None:
        password = self.folder / "password"
        password.write_text(PASSWORD)
        if self.user:
            shutil.chown(self.folder, self.user)
            shutil.chown(password, self.user)
        self._run(
            "initdb", "--pgdata", str(self.folder / "data"), "--username", "admin", "--pwfile", str(password),
            "--auth", "scram-sha-256", "--data-checksums", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync",
        )  # fmt: skip

    def start(self) -> None:
        """Return when it answers; also after `stop`, on the same data and port."""
        settings = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            "fsync": "on",
            "shared_buffers": "128MB",
            "max_connections": "50",
            **self.settings,
        }
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        self._run(
            "pg_ctl", "start", "--pgdata", str(self.folder / "data"), "--log", str(self.folder / "log"),
            "--wait", "--timeout", str(START_SECONDS), "--options", options,
        )  # fmt: skip

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "stop", "--pgdata", str(self.folder / "data"), "--wait", "--mode", mode)

    def running(self) -> bool:
        return (self.folder / "data" / "postmaster.pid").exists()

    def _run(self, program: str, *arguments: str) -> None:
        said = self.folder / "output"
        with said.open("a") as output:  # not a pipe: the server inherits it and would hold it open
            ran = subprocess.run(
                [str(self.binaries / program), *arguments],
                user=self.user, group=self.user, extra_groups=[] if self.user else None, cwd=self.folder, check=False,
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
            )  # fmt: skip
        log = self.folder / "log"
        assert ran.returncode == 0, f"{program}:\n{said.read_text()}\n{log.read_text() if log.exists() else ''}"

    def dsn(self, database: str = "postgres", user: str = "admin", password: str = PASSWORD) -> str:
        """A connection string; `admin` is the superuser."""
        return f"host={self.folder} port={self.port} dbname={database} user={user} password={password}"

    def execute(self, statement: str, database: str = "postgres") -> None:
        with psycopg.connect(self.dsn(database), autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[arg-type]  # not a literal


@dataclass(frozen=True)
class PostgresDatabase:
    """An empty database of a running server."""

    server: PostgresServer
    name: str

    def dsn(self, user: str = "admin", password: str = PASSWORD) -> str:
        return self.server.dsn(self.name, user, password)

    def execute(self, statement: str) -> None:
        """As superuser."""
        self.server.execute(statement, self.name)


def _started() -> Iterator[PostgresServer]:
    binaries = postgres_binaries()
    # Not pytest's own folder: the server's user may not pass through it, and a socket's path is at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="tallystick-pg-"))
    server = PostgresServer(folder, binaries, free_port())
    try:
        server.initialise()
        server.start()
        yield server
    finally:
        if server.running():
            server.stop("immediate")
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A server for the whole session, for tests that leave it running."""
    yield from _started()


@pytest.fixture
def own_postgres_server() -> Iterator[PostgresServer]:
    """A server for one test that stops it, fills it or breaks it."""
    yield from _started()


@contextmanager
def new_database(server: PostgresServer) -> Iterator[PostgresDatabase]:
    """An empty database for the length of a `with`."""
    name = f"t{uuid.uuid4().hex}"
    server.execute(f"CREATE DATABASE {name}")
    yield PostgresDatabase(server, name)
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def postgres_database(postgres_server: PostgresServer) -> Iterator[PostgresDatabase]:
    with new_database(postgres_server) as database:
        yield database
