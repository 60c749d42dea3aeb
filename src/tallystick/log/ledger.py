"""One ledger: what an application, the command line and the service call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tallystick.core.policy import Policy
from tallystick.custody.ports import Signer
from tallystick.errors import Misconfigured
from tallystick.ledger.outcome import Recorded
from tallystick.log.auditor import Audited, Auditor, Progress, silent
from tallystick.log.opening import floor, must_match_genesis
from tallystick.log.projections import Projections
from tallystick.log.publisher import Published, Publisher
from tallystick.log.queries import AssetTotals, Entry, Queries, StatementLine
from tallystick.log.receipts import Receipt, Receipts
from tallystick.log.recorder import Clock, Format, Randomness, Recorder
from tallystick.log.sealer import Sealed, Sealer
from tallystick.storage.ports import BalanceRow, Head, LedgerStore, TileStore

__all__ = ["Ledger"]


class Ledger:
    """A ledger, opened to read, or to write with `signers`.

    `record` may be called from any thread; calls that overlap share a commit.
    """

    def __init__(
        self,
        store: LedgerStore,
        tile_store: TileStore,
        policy: Policy,
        clock: Clock,
        randomness: Randomness,
        signers: Sequence[Signer] | None = None,
    ) -> None:
        self._store, self._tiles, self._policy = store, tile_store, policy
        self._projections = Projections(store, write=signers is not None)
        self._queries = Queries(store, self._projections)
        self._publisher = Publisher(store, tile_store, policy)
        self._receipts = Receipts(store, tile_store, policy)
        self._auditor = Auditor(store, tile_store, self._projections, policy)
        self._recorder: Recorder | None = None
        if signers is not None:
            must_match_genesis(store, signers)
            self._recorder = Recorder(store, clock, randomness, floor=floor(store, tile_store, policy))
            self._sealer = Sealer(store, self._recorder, signers, policy)

    @property
    def origin(self) -> str:
        return self._store.origin

    @property
    def policy(self) -> Policy:
        """What a verifier should demand: both log keys."""
        return self._policy

    def head(self) -> Head:
        """Where the ledger stands."""
        head = self._store.head()
        if head is None:
            raise Misconfigured("the ledger has no genesis entry", ledger=self.origin)
        return head

    # Writing

    def record(self, payload: Any, *, by: str, format: Format = "objects", dry_run: bool = False) -> Recorded:
        """Record commands (docs/reference/entries.md); durable on return, unless it is a dry run.

        `payload`: bytes of JSON (one object or an array) or NDJSON, a sequence of dicts (`objects`), or an Arrow table.
        `by`: who asks, e.g. `service:payments`.

        A refusal is an outcome, not an error. `RetryLater`: not known to be recorded; ask again with the same ids.
        """
        recorder = self._writer()
        return (recorder.try_out if dry_run else recorder.record)(payload, format=format, by=by)

    def seal(self) -> Sealed | None:
        """Close the open batch and sign the tree; None if everything is sealed."""
        self._writer()
        floor(self._store, self._tiles, self._policy)  # also what others published since we opened
        return self._sealer.seal()

    def publish(self) -> Published | None:
        """Publish what is sealed as tiles; None if nothing is."""
        return self._publisher.publish()

    def follow(self) -> int:
        """Bring the reading tables up to date, so that readers need not; how many entries they show."""
        return self._projections.follow()

    def rebuild(self) -> int:
        """Derive the reading tables again; how many entries they show."""
        return self._projections.rebuild()

    # Reading

    def entry(self, key: int | str) -> Entry:
        """By sequence or id."""
        return self._queries.entry(key)

    def entries(
        self,
        first: int = 0,
        end: int | None = None,
        *,
        account: str | None = None,
        metadata: tuple[str, str] | None = None,
    ) -> Iterator[Entry]:
        """In order of sequence; of one account, or with one metadata value, if asked for."""
        return self._queries.entries(first, end, account=account, metadata=metadata)

    def balances(
        self, account: str, asset: str | None = None, *, at_seq: int | None = None, at: int | None = None
    ) -> list[BalanceRow]:
        """Now, after entry `at_seq`, or as recorded at `at` (microseconds since 1970 UTC)."""
        return self._queries.balances(account, asset, at_seq=at_seq, at=at)

    def effective_balances(self, account: str, asset: str | None, effective: int) -> list[BalanceRow]:
        """Posted balances by effective time (microseconds since 1970 UTC)."""
        return self._queries.effective_balances(account, asset, effective)

    def statement(self, account: str, asset: str, first: int = 0, end: int | None = None) -> Iterator[StatementLine]:
        """Every entry that touched the account in this asset, each with the balance after it."""
        return self._queries.statement(account, asset, first, end)

    def trial_balance(self) -> list[AssetTotals]:
        """Totals per asset."""
        return self._queries.trial_balance()

    def accounts(self, prefix: str = "") -> Iterator[tuple[str, bytes | None, list[BalanceRow]]]:
        """(name, definition or None, balances) of every account whose name starts with `prefix`, in order of name."""
        return self._queries.accounts(prefix)

    # Proving

    def receipt(self, key: int | str, *, account: str | None = None) -> Receipt:
        """Of an entry, disclosing only what concerns `account`, or all parts."""
        return self._receipts.receipt(self._queries.entry(key).seq, account)

    def bundle(self, keys: Sequence[int | str] | None = None, *, account: str | None = None) -> dict[str, bytes]:
        """An evidence bundle, path → bytes: of some entries, or of the whole published ledger for an auditor."""
        if keys is None:
            return self._receipts.ledger_bundle()
        return self._receipts.receipts_bundle([self._queries.entry(key).seq for key in keys], account)

    def bodies(self) -> Iterator[tuple[str, bytes]]:
        """All parts of the published entries, (path, bytes), for an auditor who reads the tiles: 256 entries a file."""
        return self._receipts.bodies()

    def audit(self, progress: Progress = silent) -> Audited:
        """Check everything that is stored; evidence, or the first contradiction."""
        return self._auditor.audit(progress)

    def close(self) -> None:
        self._store.close()

    def _writer(self) -> Recorder:
        if self._recorder is None:
            raise Misconfigured(
                "the ledger was opened to read", ledger=self.origin, next_step="Open it with write=True."
            )
        return self._recorder
