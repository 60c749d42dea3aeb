"""Verify a whole ledger from its published tiles, and with its bodies the double entry too.

The steps, with the numbers that stand at the code and in the output:

 1. The checkpoint is signed as the trust policy asks.
 2. Every entry hashes to what its tile holds.
 3. Every stub is canonical, has exactly its members, is of this ledger, follows without a gap and is later.
 4. Every stub names the hash of the one before; the ledger begins once, with its genesis.
 5. Batches are numbered in order; every seal states the first entry, the count and the root of its batch.
 6. Every tile at every level holds the hashes of these entries.
 7. The tree of these entries has the signed root.
 8. Every checkpoint seen before is a prefix of this tree.
 9. No signature is older than the entries it covers; the log's own bears the time of the last seal.
10. (auditor) Every body is what its stub commits to.
11. (auditor) The rules of double entry hold, and every balance follows from the entries before.

Memory: a tile per level, one bundle of 256 entries and one body at a time; at auditor depth, besides, the `Book`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from itertools import islice

from tallystick_verify.chain import Chain
from tallystick_verify.entry import BODY_IN_STUB, Stub, check_body, parse_body, split_bundle
from tallystick_verify.errors import Incomplete, Malformed, Tampering, VerificationError, Violation
from tallystick_verify.merkle import TILE_WIDTH, TileHasher, leaf_hash, tile_path
from tallystick_verify.note import Checkpoint
from tallystick_verify.policy import TrustedCheckpoint, TrustPolicy
from tallystick_verify.report import Report
from tallystick_verify.rules import Book
from tallystick_verify.source import MAX_SMALL_BYTES, Source, read_tile
from tallystick_verify.witnessing import check_times, say_which_keys_are_not_asked_for, say_who_is_missing

__all__ = ["Bodies", "Progress", "verify_ledger"]

Progress = Callable[[int, int], None]
Bodies = Callable[[int], Generator[bytes | None, None, None]]
"""Given the size, the body of every entry in order, as canonical JSON array; None where it is absent."""

_TITLES = (
    "checkpoint signed as the policy asks",
    "entries hash to what their tiles hold",
    "stubs canonical, of this ledger, without gaps, ever later",
    "chain unbroken from one genesis",
    "batches in order, seals true",
    "tiles at every level",
    "root of the tree",
    "checkpoints seen before are prefixes",
    "signatures dated like what they cover",
    "bodies are those recorded",
    "double entry and every balance",
)


def verify_ledger(
    source: Source,
    policy: TrustPolicy,
    *,
    depth: str = "public",
    bodies: Bodies | None = None,
    seen: Sequence[bytes] = (),
    disclosed: Mapping[int, bytes] | None = None,
    progress: Progress | None = None,
) -> Report:
    """The report of a ledger that verified; else `Tampering` or `Incomplete`, carrying the report so far.

    `depth` is "public" or "auditor"; `seen` are checkpoints kept from earlier, with their signatures; `disclosed` are
    the hashes that entries were said to have elsewhere, by seq.
    """
    report = Report(f"ledger at {source.name}", depth, _TITLES if depth == "auditor" else _TITLES[:9])
    try:
        return _Ledger(source, policy, report, disclosed or {}).verify(bodies, seen, progress or _silent)
    except VerificationError as error:
        raise report.failed(error) from None


def _silent(_done: int, _total: int) -> None:
    """No progress wanted."""


class _Ledger:
    def __init__(self, source: Source, policy: TrustPolicy, report: Report, disclosed: Mapping[int, bytes]) -> None:
        self.source = source
        self.policy = policy
        self.report = report
        self.auditor = report.depth == "auditor"
        self.last: Stub | None = None
        self.disclosed = disclosed

    def verify(self, bodies: Bodies | None, seen: Sequence[bytes], progress: Progress) -> Report:
        trusted = self._checkpoint()
        given = bodies(trusted.checkpoint.size) if bodies and self.auditor else None
        with nullcontext() if given is None else closing(given):
            return self._pass_by(trusted, given, seen, progress)

    def _pass_by(
        self,
        trusted: TrustedCheckpoint,
        bodies: Iterator[bytes | None] | None,
        seen: Sequence[bytes],
        progress: Progress,
    ) -> Report:
        report, checkpoint = self.report, trusted.checkpoint
        olds = self._seen(checkpoint, seen)
        tiles, chain = TileHasher(), Chain(checkpoint.origin)
        audit = _Audit(bodies, report) if self.auditor else None
        # 2. to 6. and 8., and with bodies 10. and 11., as the entries pass by once.
        done = 0
        while done < checkpoint.size:
            width = min(TILE_WIDTH, checkpoint.size - done)
            stubs, leaves = self._bundle(done // TILE_WIDTH, width, chain)
            for number, (stub_bytes, leaf) in enumerate(zip(stubs, leaves, strict=True)):
                self.last = stub = chain.take(stub_bytes, leaf)  # 3. 4. 5.
                if stub.kind == "genesis":
                    say_which_keys_are_not_asked_for(report, self.policy, stub)
                if audit is not None:
                    audit.take(stub)
                if done + number + 1 in olds:
                    self._prefix(tiles, leaves[: number + 1], olds.pop(done + number + 1))
            for tile in tiles.append(leaves):
                self._tile(*tile, checkpoint)
            done += width
            progress(done, checkpoint.size)
        for tile in tiles.finish():
            self._tile(*tile, checkpoint)
        self._passed_by(chain)
        # 7.
        root = tiles.frontier.root()
        if root != checkpoint.root:
            raise Tampering(
                "the entries are not those that were signed",
                step=7,
                ledger=checkpoint.origin,
                tree_size=checkpoint.size,
                expected=checkpoint.root,
                found=root,
            )
        report.passed(7, root.hex())
        if seen:
            report.passed(8, f"{len(seen)} of them")
        else:
            what = "no earlier checkpoint was given: a rolled-back or forked history would not show"
            report.skipped(8, what, required=False)
        # 9.
        if self.last is not None:
            check_times(report, 9, trusted, self.last)
        say_who_is_missing(report, self.policy, trusted)
        if audit is not None:
            audit.finish()
        else:
            report.not_checked(
                "bodies: amounts, balances and the rules of double entry (auditor depth)", required=False
            )
        return report.finish()

    def _checkpoint(self) -> TrustedCheckpoint:
        # 1.
        raw = self.source.read("checkpoint", MAX_SMALL_BYTES)
        if raw is None:
            raise Incomplete("missing", step=1, file="checkpoint", source=self.source.name)
        try:
            trusted = self.policy.accept(raw)
        except Tampering as error:
            error.add(step=1)
            raise
        checkpoint = trusted.checkpoint
        self.report.facts.update(ledger=checkpoint.origin, size=checkpoint.size, root=checkpoint.root)
        self.report.passed(1, "by " + ", ".join(signature.key.shown() for signature in trusted.signatures))
        for seq in self.disclosed:
            if seq >= checkpoint.size:
                raise Tampering("a disclosed entry is not in the tree", step=2, ledger=checkpoint.origin, seq=seq)
        return trusted

    def _passed_by(self, chain: Chain) -> None:
        report = self.report
        report.passed(2, f"{chain.size} entries")
        report.passed(3, f"{chain.size} stubs")
        report.passed(4, f"entries 0 to {chain.size - 1}" if chain.size else "no entries")
        report.passed(5, f"{chain.seals} seals")
        report.passed(6, "all full and partial tiles")
        if chain.open_since < chain.size:
            report.not_checked(f"entries {chain.open_since} to {chain.size - 1} are in no sealed batch", required=False)

    def _bundle(self, number: int, width: int, chain: Chain) -> tuple[list[bytes], list[bytes]]:
        # 2.
        raw, found_width = read_tile(self.source, "entries", number, width)
        try:
            stubs = split_bundle(raw, found_width)[:width]
        except Tampering as error:
            error.add(step=2, ledger=chain.origin, file=tile_path("entries", number, found_width))
            raise
        leaves = [leaf_hash(stub) for stub in stubs]
        first = number * TILE_WIDTH
        for seq in range(first, first + width) if self.disclosed else ():
            if self.disclosed.get(seq, leaves[seq - first]) != leaves[seq - first]:
                facts = {"expected": leaves[seq - first], "found": self.disclosed[seq]}
                raise Tampering("the entry was disclosed as another", step=2, ledger=chain.origin, seq=seq, **facts)
        tile, tile_width = read_tile(self.source, 0, number, width)
        if len(tile) != 32 * tile_width:
            raise Malformed("tile of the wrong length", step=2, file=tile_path(0, number, tile_width), found=len(tile))
        if b"".join(leaves) != tile[: 32 * width]:
            at = next(at for at in range(width) if leaves[at] != tile[32 * at : 32 * at + 32])
            raise Tampering(
                "the entry is not the one that the tree holds",
                step=2,
                ledger=chain.origin,
                seq=first + at,
                expected=tile[32 * at : 32 * at + 32],
                found=leaves[at],
            )
        return stubs, leaves

    def _tile(self, level: int, number: int, hashes: bytes, checkpoint: Checkpoint) -> None:
        # 6. Level 0 was compared entry by entry in 2.
        if level == 0:
            return
        width = len(hashes) // 32
        raw, found_width = read_tile(self.source, level, number, width)
        if len(raw) != 32 * found_width:
            raise Malformed(
                "tile of the wrong length", step=6, file=tile_path(level, number, found_width), found=len(raw)
            )
        if raw[: len(hashes)] != hashes:
            at = next(at for at in range(width) if raw[32 * at : 32 * at + 32] != hashes[32 * at : 32 * at + 32])
            first = (number * TILE_WIDTH + at) * TILE_WIDTH**level
            raise Tampering(
                "a tile holds another hash than its entries have",
                step=6,
                ledger=checkpoint.origin,
                file=tile_path(level, number, found_width),
                entries=f"{first} to {first + TILE_WIDTH**level - 1}",
                expected=hashes[32 * at : 32 * at + 32],
                found=raw[32 * at : 32 * at + 32],
            )

    def _seen(self, checkpoint: Checkpoint, seen: Sequence[bytes]) -> dict[int, bytes]:
        """Size → root of the checkpoints seen before, which must be this ledger's and not of a larger tree."""
        # 8.
        olds: dict[int, bytes] = {checkpoint.size: checkpoint.root}
        for raw in seen:
            try:
                old = self.policy.accept(raw, quorum=False).checkpoint
            except Tampering as error:
                error.add(step=8)
                raise
            facts = {"step": 8, "ledger": old.origin, "tree_size": old.size}
            if old.origin != checkpoint.origin:
                raise Tampering("the earlier checkpoint is of another ledger", **facts, expected=checkpoint.origin)
            if old.size > checkpoint.size:
                message = "regression: the ledger is shorter than a checkpoint that was seen"
                raise Tampering(message, **facts, expected=f"at least {old.size}", found=checkpoint.size)
            if olds.setdefault(old.size, old.root) != old.root:
                message = "two signed roots of one size: a split view or a rewritten history"
                raise Tampering(message, **facts, expected=old.root, found=olds[old.size])
        del olds[checkpoint.size]  # step 7 looks at it
        olds.pop(0, None)
        return olds

    def _prefix(self, tiles: TileHasher, leaves: list[bytes], expected: bytes) -> None:
        # 8.
        frontier = tiles.frontier.copy()
        for leaf in leaves:
            frontier.append(leaf)
        if frontier.root() != expected:
            raise Tampering(
                "history was rewritten: an earlier signed checkpoint is not a prefix",
                step=8,
                ledger=self.last.ledger if self.last else None,
                tree_size=frontier.size,
                expected=expected,
                found=frontier.root(),
            )


class _Audit:
    """Steps 10 and 11, entry by entry."""

    def __init__(self, bodies: Iterator[bytes | None] | None, report: Report) -> None:
        self._bodies = bodies
        self._report = report
        self._book = Book()
        self._entries = 0
        self._destroyed: dict[int, int] = {}  # seq -> how many parts
        self._missing: int | None = None if bodies is not None else 0

    def take(self, stub: Stub) -> None:
        if self._missing is not None or self._bodies is None:
            return
        # 10.
        try:
            raw = next(self._bodies, None)
            if raw is None and stub.kind in BODY_IN_STUB:
                raw = b"[]"  # nothing can be absent
            if raw is None:
                self._missing = stub.seq
                return
            parts = parse_body(raw)
            check_body(stub, parts)
        except Tampering as error:
            error.add(step=10, ledger=stub.ledger, seq=stub.seq)
            raise
        destroyed = sum(isinstance(part, str) for part in parts)
        if destroyed:
            self._destroyed[stub.seq] = destroyed
        # 11.
        try:
            self._book.apply(stub, parts)
        except Violation as violation:
            violation.add(step=11)
            raise
        self._entries += 1

    def finish(self) -> None:
        report = self._report
        if self._missing is not None:
            what = "bodies were not given" if self._bodies is None else f"the body of entry {self._missing} is absent"
            for step in (10, 11):
                report.skipped(step, f"{what}: nothing from entry {self._missing} on", required=True)
            return
        if self._bodies is not None and next(self._bodies, None) is not None:
            raise Tampering("there are more bodies than entries", step=10, expected=self._entries)
        report.passed(10, f"{self._entries} bodies")
        for seq, count in islice(self._destroyed.items(), 20):
            report.not_checked(
                f"entry {seq}: {count} destroyed part(s); the body's root stands, their content is gone", required=False
            )
        if len(self._destroyed) > 20:
            report.not_checked(f"{len(self._destroyed) - 20} more entries have destroyed parts", required=False)
        unbalanced = {asset: rest for asset, rest in self._book.trial_balance().items() if rest}
        if unbalanced and not self._book.open:
            raise Tampering("the trial balance is not zero", step=11, expected=0, found=unbalanced)
        if self._book.open:
            for what, seq in self._book.open.items():
                report.not_checked(f"entry {seq}: {what}", required=True)
            report.partly(11, f"{len(self._book.open)} rules could not be decided, see below")
        else:
            report.passed(11, f"{len(self._book.totals)} balances re-derived; trial balance zero in every asset")
