"""Receipts: an entry's stub, the parts that its holder may see, and the proof that it stands in the signed tree.

A receipt for an account shows what concerns that account and nothing else: of the other parts there are salted hashes
only. What belongs to the whole entry (who asked, reference, reason, metadata) is shown only if every leg of the entry
concerns the account, for it may speak of the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tallystick.core.body import Body, Part, disclose
from tallystick.core.bundle import make_bundle
from tallystick.core.digest import LeafIndex
from tallystick.core.policy import AcceptedCheckpoint, Policy
from tallystick.core.proof import Proof
from tallystick.core.tiles import TILE_WIDTH, Tile, TileMissing, TileReader, tiles_of
from tallystick.errors import Rejected, RetryLater
from tallystick.log.signed import published_checkpoint
from tallystick.storage.ports import LedgerStore, TileStore

__all__ = ["NotSealed", "Receipt", "Receipts", "concerning"]

SHARED = ("id", "event", "pending", "reverses", "effective", "expires")
WHOLE = ("by", "action", "reason", "reference")


class NotSealed(RetryLater):
    """The entry is recorded; no published checkpoint covers it yet."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """`proof` is a C2SP tlog-proof, `disclosure` the entry beside it (core.body); `seq` and tree `size` for people."""

    seq: int
    size: int
    proof: bytes
    disclosure: bytes


class Receipts:
    """Makes receipts of one ledger from its published tiles."""

    def __init__(self, store: LedgerStore, tile_store: TileStore, policy: Policy) -> None:
        self._store, self._tiles, self._policy = store, tile_store, policy

    def receipt(self, seq: int, account: str | None) -> Receipt:
        """Of entry `seq`, for a holder of `account`, or with all parts.

        Errors: `NotSealed`; `Rejected` if the entry does not concern the account.
        """
        signed = self._published(seq)
        checkpoint = signed.checkpoint
        reader = TileReader(self._tiles.get, checkpoint.size, checkpoint.root)
        rows = [row for page in self._store.entries(seq, seq + 1) for row in page]
        if not rows:
            raise Rejected("no such entry", ledger=self._store.origin, entry=seq)
        body = Body.parse(rows[0].body)
        indexes = None if account is None else concerning(body, account)
        if indexes == []:
            raise Rejected(
                f"entry {seq} does not concern the account", ledger=self._store.origin, seq=seq, account=account
            )
        proof = Proof(LeafIndex(seq), tuple(reader.inclusion(LeafIndex(seq))), signed.note.note)
        return Receipt(seq, checkpoint.size, proof.format(), disclose(rows[0].stub, body, indexes).format())

    def receipts_bundle(self, seqs: Sequence[int], account: str | None) -> dict[str, bytes]:
        """The evidence bundle of some entries, for a holder of `account` or with all parts (core.bundle)."""
        made = {seq: self.receipt(seq, account) for seq in seqs}
        signed = self._published(max(seqs, default=0))
        entries = {seq: (receipt.disclosure, receipt.proof) for seq, receipt in made.items()}
        return make_bundle(self._policy, signed.note.note.format(), {}, entries, {})

    def ledger_bundle(self) -> dict[str, bytes]:
        """The evidence bundle of the whole published ledger, with all parts: for an auditor. Held in memory."""
        signed = self._published(0)
        size = signed.checkpoint.size
        tiles = {}
        for tile in map(str, tiles_of(size)):
            data = self._tiles.get(tile)
            if data is None:
                raise TileMissing("a tile is missing", tile=tile, ledger=self._store.origin, next_step="Publish again.")
            tiles[tile] = data
        earlier = {row.size: row.note for row in self._store.checkpoints() if row.size < size}
        return make_bundle(self._policy, signed.note.note.format(), earlier, {}, tiles, dict(self.bodies()))

    def bodies(self) -> Iterator[tuple[str, bytes]]:
        """All parts of the published entries, to lie beside the tiles.

        `bodies/<n>.jsonl` has a line, the array of parts, for each entry of bundle n (docs/reference/formats.md).
        """
        size = self._published(0).checkpoint.size
        for first in range(0, size, TILE_WIDTH):
            rows = [row for page in self._store.entries(first, min(first + TILE_WIDTH, size)) for row in page]
            name = str(Tile(None, first // TILE_WIDTH)).removeprefix("tile/entries/")
            yield f"bodies/{name}.jsonl", b"".join((row.body or b"[]") + b"\n" for row in rows)

    def _published(self, seq: int) -> AcceptedCheckpoint:
        """The published checkpoint, if it covers entry `seq`."""
        signed = published_checkpoint(self._store.origin, self._tiles, self._policy)
        if signed is None or signed.checkpoint.size <= seq:
            raise NotSealed(
                f"entry {seq} is recorded, but no published checkpoint covers it yet",
                ledger=self._store.origin,
                seq=seq,
                published=signed.checkpoint.size if signed else 0,
                next_step="Seal and publish (`tallystick seal`), or ask again after the next seal.",
            )
        return signed


def concerning(body: Body, account: str) -> list[int]:
    """Indexes of the parts that concern `account`; none if the entry does not."""
    own: list[int] = []
    shared: list[int] = []
    whole: list[int] = []
    alone = True  # every leg concerns the account
    for i, part in enumerate(body.parts):
        if not isinstance(part, Part):
            alone = False  # a destroyed part may have been a leg of others
            continue
        name = part.path.split("/", 1)[0]
        if name == "legs":
            mine = account in (part.value["debit"], part.value["credit"])
            alone &= mine
        elif name == "balances":
            mine = part.value["account"] == account
        elif name == "account":
            mine = part.value["name"] == account
        else:
            mine = False
            if name in SHARED:
                shared.append(i)
            elif name in WHOLE or name == "metadata":
                whole.append(i)
        if mine:
            own.append(i)
    return sorted(own + shared + (whole if alone else [])) if own else []
