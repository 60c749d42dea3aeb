"""Verify an evidence bundle: a folder or zip that holds a whole ledger or some receipts (docs/reference/formats.md).

    manifest.json                   {"anchors":[],"cannot_show","files":{path:SHA-256},"kind","ledger","size","v":1}
    policy                          the trust policy that the maker proposes
    checkpoint, checkpoints/<size>  the one of this bundle, and earlier ones
    tile/…                          kind "ledger": tiles and entry bundles
    bodies/<N>.jsonl                kind "ledger": all parts of all entries
    entries/<seq>.json              disclosures
    entries/<seq>.tlog-proof        proofs; kind "receipts": one for every disclosure

The steps, with the numbers that stand at the code and in the output:

 1. The manifest is canonical and lists exactly the bundle's files, with their hashes, and only such as belong there.
 2. The trust policy is the verifier's own, not only the bundle's.
 3. The checkpoint is signed as the policy asks, for the ledger and size that the manifest names; the log has signed the
    earlier ones.
 4. Every disclosure is of the entry that it is named for, and its parts are in that entry's body.
 5. Every proof, with the disclosure beside it, verifies as a receipt; no two checkpoints of one size have two roots.
 6. Kind "ledger": the whole ledger verifies, every disclosure is of one of its entries, and with bodies or full
    disclosures of all entries so does the double entry.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from functools import partial
from typing import Any

from tallystick_verify import strictjson
from tallystick_verify.bodies import read_bodies
from tallystick_verify.disclosure import check_disclosure, parse_disclosure
from tallystick_verify.entry import parse_stub
from tallystick_verify.errors import Incomplete, Malformed, Tampering, Usage, VerificationError
from tallystick_verify.ledger import Bodies, Progress, verify_ledger
from tallystick_verify.merkle import TILE_WIDTH, leaf_hash, tile_number, tile_paths
from tallystick_verify.note import Checkpoint
from tallystick_verify.policy import TrustedCheckpoint, TrustPolicy, parse_policy
from tallystick_verify.proof import parse_proof
from tallystick_verify.receipt import verify_receipt
from tallystick_verify.report import Report
from tallystick_verify.source import Folder, Web, Zip
from tallystick_verify.witnessing import say_who_is_missing

__all__ = ["verify_bundle"]

_TITLES = (
    "manifest lists exactly these files",
    "trust policy is the verifier's own",
    "checkpoints signed as the policy asks",
    "disclosures are of the entries they are named for",
    "proofs verify as receipts",
    "the whole ledger",
)
_MEMBERS = {"anchors", "cannot_show", "files", "kind", "ledger", "size", "v"}
_ENTRY = re.compile(r"entries/(0|[1-9][0-9]*)\.(json|tlog-proof)")
_EARLIER = re.compile(r"checkpoints/(0|[1-9][0-9]*)")
MAX_FILE_BYTES = 32 << 20


def verify_bundle(
    source: Folder | Zip | Web,
    policy: TrustPolicy | None,
    *,
    depth: str | None = None,
    progress: Progress | None = None,
) -> Report:
    """The report of a bundle that verified; else `Tampering` or `Incomplete`, carrying the report so far.

    Without `policy` the bundle's own is used, and the end is `Incomplete`: nobody outside vouches for its keys.
    `depth` is "public", "holder" or "auditor"; by default the deepest that the bundle is made for.
    """
    if isinstance(source, Web):
        raise Usage("a bundle is a folder or a zip", found=source.name)
    report = Report(f"bundle {source.name}", depth or "holder", _TITLES)
    try:
        return _Bundle(source, report).verify(policy, depth, progress)
    except VerificationError as error:
        if error.report is not None:  # of the step's own verification
            report.inner = error.report
            error.facts["step"] = 5 if error.report.depth == "holder" else 6
        raise report.failed(error) from None


class _Bundle:
    def __init__(self, source: Folder | Zip, report: Report) -> None:
        self.source = source
        self.report = report
        self.files: dict[str, Any] = {}
        self.bodies: dict[int, str] = {}  # seq -> file of a full disclosure

    def verify(self, policy: TrustPolicy | None, depth: str | None, progress: Progress | None) -> Report:
        report = self.report
        # 1.
        try:
            manifest = self._manifest()
        except Tampering as error:
            error.add(step=1)
            raise
        report.passed(1, f"{len(self.files)} files")
        # 2.
        if policy is None:
            policy = parse_policy(self._read("policy", step=2))
            what = "who signed: the only trust policy is the bundle's own; give yours with --policy"
            report.skipped(2, what, required=True)
        else:
            report.passed(2, "given")
        # 3.
        try:
            trusted, seen = self._checkpoints(policy, manifest)
        except Tampering as error:
            error.add(step=3)
            raise
        checkpoint = trusted.checkpoint
        report.facts.update(kind=manifest["kind"], ledger=checkpoint.origin, size=checkpoint.size, root=checkpoint.root)
        report.passed(3, "by " + ", ".join(signature.key.shown() for signature in trusted.signatures))
        # 4.
        leaves, shown_in_part = self._disclosures(checkpoint.origin)
        report.passed(4, f"{len(leaves)} disclosures, {len(leaves) - shown_in_part} of them of all parts")
        # 5.
        notes = self._receipts(policy, manifest["kind"], set(leaves))
        seen = self._one_history(policy, checkpoint, [*seen, *notes])
        # 6.
        if manifest["kind"] == "receipts":
            report.steps.pop()
            if depth == "auditor":
                report.not_checked("the whole ledger, which a bundle of receipts does not hold", required=True)
            if seen:
                report.not_checked(f"that {len(seen)} earlier checkpoints are of the same history", required=False)
            say_who_is_missing(report, policy, trusted)
        else:
            has_bodies = any(path.startswith("bodies/") for path in self.files)
            report.depth = depth or ("auditor" if has_bodies or (leaves and not shown_in_part) else "public")
            bodies: Bodies | None = None
            if report.depth == "auditor":
                bodies = partial(read_bodies, self.source, "bodies/") if has_bodies else self._bodies_of_disclosures
            report.inner = verify_ledger(
                self.source,
                policy,
                depth="auditor" if report.depth == "auditor" else "public",
                bodies=bodies,
                seen=seen,
                disclosed=leaves,
                progress=progress,
            )
            report.passed(6, "see below")
        for what in manifest["cannot_show"]:
            report.not_checked(f"the maker's own word: {what}", required=False)
        return report.finish()

    def _checkpoints(self, policy: TrustPolicy, manifest: dict[str, Any]) -> tuple[TrustedCheckpoint, list[bytes]]:
        """The latest, and the signed notes of the earlier ones."""
        # 3.
        trusted = policy.accept(self._read("checkpoint", step=3))
        latest, seen = trusted.checkpoint, []
        if (latest.origin, latest.size) != (manifest["ledger"], manifest["size"]):
            found = f"{manifest['ledger']} {manifest['size']}"
            raise Malformed(
                "the manifest names another ledger or size", expected=f"{latest.origin} {latest.size}", found=found
            )
        for path in sorted(self.files):
            match = _EARLIER.fullmatch(path)
            if match is None:
                continue
            raw = self._read(path, step=3)
            earlier = policy.accept(raw, quorum=False).checkpoint
            if (earlier.origin, str(earlier.size)) != (latest.origin, match[1]) or earlier.size > latest.size:
                found = f"{earlier.origin} {earlier.size}"
                raise Tampering("an earlier checkpoint is another than its name says", file=path, found=found)
            if earlier.size == latest.size and earlier.root != latest.root:
                facts = {"expected": latest.root, "found": earlier.root}
                raise Tampering("two signed roots of one size", ledger=latest.origin, tree_size=latest.size, **facts)
            seen.append(raw)
        return trusted, seen

    def _read(self, path: str, *, step: int) -> bytes:
        raw = self.source.read(path, MAX_FILE_BYTES)
        if raw is None:
            raise Incomplete("missing", step=step, file=path, source=self.source.name)
        return raw

    def _manifest(self) -> dict[str, Any]:
        raw = self.source.read("manifest.json", MAX_FILE_BYTES)
        if raw is None:
            raise Incomplete(
                "not an evidence bundle: it has no manifest", file="manifest.json", source=self.source.name
            )
        manifest = strictjson.read(raw)
        if not isinstance(manifest, dict) or set(manifest) != _MEMBERS or manifest["v"] != 1:
            raise Malformed("a manifest has other members", expected=",".join(sorted(_MEMBERS)))
        if (
            not isinstance(manifest["files"], dict)
            or manifest["kind"] not in ("ledger", "receipts")
            or not isinstance(manifest["cannot_show"], list)
            or not all(isinstance(what, str) for what in manifest["cannot_show"])
            or manifest["anchors"] != []
            or type(manifest["size"]) is not int
        ):
            raise Malformed("a member of the manifest has another form")
        self.files = manifest["files"]
        there = set(self.source.list("")) - {"manifest.json"}
        belongs = {"policy", "checkpoint"}
        if manifest["kind"] == "ledger":
            tiles = set(tile_paths(manifest["size"]))
            belongs |= tiles | {f"bodies/{tile_number(n)}.jsonl" for n in range(-(-manifest["size"] // TILE_WIDTH))}
            if not tiles <= self.files.keys():
                raise Tampering("a tile of this size is missing", file=min(tiles - self.files.keys()))
        for path in sorted(self.files.keys() | there):
            if path not in there:
                raise Tampering("a file of the manifest is missing", file=path)
            if path not in self.files:
                raise Tampering("a file that the manifest does not list", file=path)
            if not (path in belongs or _ENTRY.fullmatch(path) or _EARLIER.fullmatch(path)):
                raise Malformed("a file that does not belong into a bundle of this kind", file=path)
            found = self.source.sha256(path)
            if self.files[path] != found:
                raise Tampering(
                    "a file is not the one that the manifest lists", file=path, expected=self.files[path], found=found
                )
        return manifest

    def _disclosures(self, origin: str) -> tuple[dict[int, bytes], int]:
        """The entry hash by seq of every disclosure, and how many show only some parts."""
        # 4.
        leaves: dict[int, bytes] = {}
        shown_in_part = 0
        for path in self.files:
            match = _ENTRY.fullmatch(path)
            if match is None or match[2] != "json":
                continue
            try:
                disclosure = parse_disclosure(self._read(path, step=4))
                stub = parse_stub(disclosure.stub)
                if (stub.ledger, stub.seq) != (origin, int(match[1])):
                    raise Tampering(
                        "of another entry", expected=f"{origin} {match[1]}", found=f"{stub.ledger} {stub.seq}"
                    )
                check_disclosure(stub, disclosure)
            except Tampering as error:
                error.add(step=4, file=path, ledger=origin, seq=int(match[1]))
                raise
            leaves[stub.seq] = leaf_hash(disclosure.stub)
            if disclosure.full:
                self.bodies[stub.seq] = path
            elif stub.parts:
                shown_in_part += 1
        return leaves, shown_in_part

    def _bodies_of_disclosures(self, size: int) -> Generator[bytes | None, None, None]:
        for seq in range(size):
            path = self.bodies.get(seq)
            yield None if path is None else parse_disclosure(self._read(path, step=5)).body()

    def _receipts(self, policy: TrustPolicy, kind: str, disclosed: set[int]) -> list[bytes]:
        """The checkpoints of the proofs, each once."""
        # 5.
        matches = (_ENTRY.fullmatch(path) for path in self.files)
        proven = sorted(int(match[1]) for match in matches if match and match[2] == "tlog-proof")
        if kind == "receipts" and (set(proven) != disclosed or not proven):
            raise Tampering(
                "receipts are a disclosure and a proof each", step=5, expected=len(disclosed), found=len(proven)
            )
        notes: dict[bytes, None] = {}
        for seq in proven:
            proof, disclosure = (self._read(f"entries/{seq}{end}", step=5) for end in (".tlog-proof", ".json"))
            inner = verify_receipt(proof, disclosure, policy, subject=f"of entry {seq}")
            notes[parse_proof(proof).checkpoint] = None
            for open_ in inner.unchecked if kind == "receipts" else ():
                self.report.not_checked(open_.what, required=open_.required)
        some = ", ".join(map(str, proven[:20])) + (" …" if len(proven) > 20 else "")
        self.report.passed(5, f"{len(proven)}: entries {some}" if proven else "none enclosed")
        return list(notes)

    def _one_history(self, policy: TrustPolicy, latest: Checkpoint, notes: list[bytes]) -> list[bytes]:
        """The notes of earlier sizes, one for each; none may be later than the bundle's, nor two of one size differ."""
        # 5.
        roots, kept = {latest.size: latest.root}, []
        for raw in notes:
            one = policy.accept(raw, quorum=False).checkpoint
            facts = {"step": 5, "ledger": one.origin, "tree_size": one.size}
            if one.size > latest.size:
                raise Tampering("a checkpoint is later than the bundle's own", **facts, expected=f"<= {latest.size}")
            if one.size not in roots:
                kept.append(raw)
            if roots.setdefault(one.size, one.root) != one.root:
                raise Tampering("two signed roots of one size", **facts, expected=roots[one.size], found=one.root)
        return kept
