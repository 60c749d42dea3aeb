"""Verify a receipt: one entry of a ledger and the parts of it that were shown to its holder.

The steps, with the numbers that stand at the code and in the output:

 1. The checkpoint is signed as the trust policy asks.
 2. The stub is canonical, has exactly its members, is of this ledger and of the proof's index.
 3. The stub stands in the tree that was signed.
 4. Every disclosed part stands in the body that the stub commits to.
 5. No signature is older than the entry.
"""

from __future__ import annotations

from tallystick_verify.disclosure import check_disclosure, parse_disclosure
from tallystick_verify.entry import parse_stub
from tallystick_verify.errors import Tampering, VerificationError
from tallystick_verify.merkle import leaf_hash, verify_inclusion
from tallystick_verify.policy import TrustPolicy
from tallystick_verify.proof import parse_proof
from tallystick_verify.report import Report
from tallystick_verify.witnessing import check_times, say_who_is_missing

__all__ = ["RECEIPT_STEPS", "verify_receipt"]

RECEIPT_STEPS = (
    "checkpoint signed as the policy asks",
    "stub canonical and the one that the proof names",
    "stub in the signed tree",
    "disclosed parts in the stub's body",
    "signatures not older than the entry",
)


def verify_receipt(proof: bytes, disclosure: bytes, policy: TrustPolicy, *, subject: str = "receipt") -> Report:
    """The report of a receipt that verified; else `Tampering`, carrying the report so far.

    `proof` is the `.tlog-proof` file, `disclosure` the `.json` beside it.
    """
    report = Report(f"receipt {subject}", "holder", RECEIPT_STEPS)
    try:
        return _verify(report, proof, disclosure, policy)
    except VerificationError as error:
        raise report.failed(error) from None


def _verify(report: Report, proof_raw: bytes, disclosure_raw: bytes, policy: TrustPolicy) -> Report:
    step = 1
    try:
        # 1.
        proof = parse_proof(proof_raw)
        trusted = policy.accept(proof.checkpoint)
        checkpoint = trusted.checkpoint
        report.passed(1, "by " + ", ".join(signature.key.shown() for signature in trusted.signatures))
        # 2.
        step = 2
        disclosure = parse_disclosure(disclosure_raw)
        stub = parse_stub(disclosure.stub)
        facts = {"ledger": stub.ledger, "seq": stub.seq}
        if stub.ledger != checkpoint.origin:
            raise Tampering("the entry is of another ledger", **facts, expected=checkpoint.origin)
        if stub.seq != proof.index:
            raise Tampering("the proof is of another entry", **facts, expected=stub.seq, found=proof.index)
        report.passed(2, f"{stub.kind} {stub.seq}")
        # 3.
        step = 3
        leaf = leaf_hash(disclosure.stub)
        try:
            verify_inclusion(leaf, proof.index, checkpoint.size, proof.hashes, checkpoint.root)
        except Tampering as error:
            error.add(**facts)
            raise
        report.passed(3, f"entry {stub.seq} of {checkpoint.size}")
        # 4.
        step = 4
        try:
            check_disclosure(stub, disclosure)
        except Tampering as error:
            error.add(**facts)
            raise
        paths = [part.path for part in disclosure.parts if part.path is not None]
        report.passed(4, f"{len(paths)} of {stub.parts}: {', '.join(paths)}" if paths else f"none of {stub.parts}")
    except Tampering as error:
        error.add(step=step)
        raise
    # 5.
    check_times(report, 5, trusted, stub)
    report.facts.update(ledger=stub.ledger, seq=stub.seq, kind=stub.kind, batch=stub.batch, at_us=stub.at, hash=leaf)
    hidden = [part.index for part in disclosure.parts if part.raw is None]
    if hidden:
        report.not_checked(
            f"entry {stub.seq}: parts {hidden}, destroyed or withheld: only their hashes are there", required=False
        )
    if len(disclosure.parts) < stub.parts:
        report.not_checked(
            f"entry {stub.seq}: {stub.parts - len(disclosure.parts)} of {stub.parts} parts were not shown",
            required=False,
        )
    if proof.has_extra:
        report.not_checked("the proof's extra line, which nothing authenticates", required=False)
    report.not_checked("the rest of the ledger: chain, batches, double entry (ledger or bundle)", required=False)
    say_who_is_missing(report, policy, trusted)
    return report.finish()
