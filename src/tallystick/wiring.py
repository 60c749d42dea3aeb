"""Puts an installation together: the only place that names adapters, the clock and the source of randomness."""

from __future__ import annotations

import os
import re
import time
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

from tallystick import settings
from tallystick.core.policy import Policy
from tallystick.custody.ports import Algorithm, Signer
from tallystick.custody.softkey import create_soft_key, load_soft_key
from tallystick.errors import Misconfigured, Rejected, TallystickError
from tallystick.log.ledger import Ledger
from tallystick.log.opening import create, own_policy
from tallystick.storage.files import FileTileStore
from tallystick.storage.ports import Finding, StoreFactory

__all__ = ["Installation", "create_installation", "open_installation"]

_ORIGIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*", re.ASCII)

_ALGORITHMS: tuple[Algorithm, ...] = ("ed25519", "ml-dsa-44")


def now() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1000


class Installation:
    """The ledgers of one folder of settings, keys and tiles, and of one database."""

    def __init__(self, config: settings.Settings) -> None:
        self.settings = config
        self._stores = _store_factory(config)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close what was opened; ledgers are closed by whoever opened them."""
        self._stores.close()

    def ledgers(self) -> list[str]:
        """The origins, sorted."""
        return self._stores.ledgers()

    def create(self, origin: str, *, by: str, explicit_accounts: bool = False) -> Ledger:
        """Make a ledger with new soft keys and open it to write."""
        if not _ORIGIN.fullmatch(origin) or len(origin) > 200:
            raise Rejected(
                "not an origin",
                expected="a schema-less URL such as bank.example/ledger/customers: letters, digits, '.', '_', '-', '/'",
                found=origin,
            )
        if origin in self.ledgers():
            with closing(self._stores.open(origin, write=False)) as store:
                if store.head() is not None:  # without an entry it is what an attempt that broke off left behind
                    raise Rejected("the ledger exists already", ledger=origin)
        signers = self._new_signers(origin)
        policy = own_policy(signers, origin)
        (self._keys(origin) / "policy").write_bytes(policy.format())
        store = self._stores.open(origin, write=True, create=True)
        try:
            create(store, signers, now, os.urandom, by=by, explicit_accounts=explicit_accounts)
            return Ledger(store, self._tiles(origin), policy, now, os.urandom, signers)
        except BaseException:
            store.close()
            raise

    def open(self, origin: str, *, write: bool = False) -> Ledger:
        """Open a ledger to read, or to write with its keys."""
        policy = self.policy(origin)
        signers = self._signers(origin) if write else None
        store = self._stores.open(origin, write=write)
        try:
            return Ledger(store, self._tiles(origin), policy, now, os.urandom, signers)
        except BaseException:
            store.close()
            raise

    def policy(self, origin: str) -> Policy:
        """The trust policy kept beside the keys: what this installation demands of its own checkpoints."""
        path = self._keys(origin) / "policy"
        try:
            return Policy.parse(path.read_bytes())
        except FileNotFoundError:
            raise Misconfigured(
                "no trust policy for this ledger", ledger=origin, file=path, next_step="See `tallystick ledger list`."
            ) from None

    def tiles_folder(self, origin: str) -> Path:
        """Where the ledger's tiles are published."""
        return self.settings.tiles_folder / _slug(origin)

    def diagnose(self) -> list[Finding]:
        """What `tallystick doctor` says."""
        findings = self._stores.diagnose()
        try:
            origins = self.ledgers()
        except TallystickError as error:  # the database is away: the findings say so, and the folders go unseen
            return [*findings, Finding("error", "ledgers", str(error), "Tiles and keys were not looked at.")]
        for origin in origins:
            findings += self._tiles(origin).diagnose()
        return findings

    def _tiles(self, origin: str) -> FileTileStore:
        return FileTileStore(self.tiles_folder(origin))

    def _keys(self, origin: str) -> Path:
        return self.settings.keys_folder / _slug(origin)

    def _new_signers(self, origin: str) -> list[Signer]:
        self._refuse_soft_keys(origin)
        folder = self._keys(origin)
        folder.mkdir(parents=True, exist_ok=True)
        return [self._kept_or_new(folder / f"{name}.pem", name) for name in _ALGORITHMS]

    def _kept_or_new(self, path: Path, algorithm: Algorithm) -> Signer:
        """A key that an earlier attempt to create the ledger left behind, before it had an entry, serves again."""
        if path.exists():
            return load_soft_key(path, self._passphrase())
        return create_soft_key(path, algorithm, self._passphrase())

    def _signers(self, origin: str) -> list[Signer]:
        self._refuse_soft_keys(origin)
        return [load_soft_key(self._keys(origin) / f"{name}.pem", self._passphrase()) for name in _ALGORITHMS]

    def _refuse_soft_keys(self, origin: str) -> None:
        if self.settings.profile == "production":
            raise Misconfigured(
                "a soft key is not for production",
                ledger=origin,
                next_step='Keys in an HSM are not supported yet; set profile = "development" to try the product.',
            )

    def _passphrase(self) -> bytes | None:
        reference = self.settings.passphrase
        return None if reference is None else self.settings.secret(reference)


def _slug(origin: str) -> str:
    """A folder name: `+` occurs in no origin (C2SP signed-note)."""
    return origin.replace("/", "+")


def create_installation(home: Path | None, database_url: str = "sqlite:database") -> Installation:
    """Write the settings of a new installation and open it."""
    folder = settings.home_folder(home)
    settings.write_default(folder, database_url)
    return open_installation(folder)


def open_installation(home: Path | None = None) -> Installation:
    """Open the installation in a folder (default: TALLYSTICK_HOME, else the working folder)."""
    return Installation(settings.load(settings.home_folder(home)))


def _store_factory(config: settings.Settings) -> StoreFactory:
    kind, _, rest = config.database_url.partition(":")
    if kind == "sqlite":
        from tallystick.storage.sqlite import SqliteStores

        return SqliteStores(Path(rest))
    if kind in {"postgresql", "postgres"} or re.match(r"[a-z]+ ?=", config.database_url):
        from tallystick.storage.postgres import PostgresStores

        return PostgresStores(config.database_url)
    raise Misconfigured("no such database", expected="sqlite:FOLDER, postgresql://… or libpq's name=value", found=kind)
