"""What the signatures on a checkpoint say beyond their validity, and what nobody in hand has said."""

from __future__ import annotations

from tallystick_verify.entry import Stub
from tallystick_verify.errors import Tampering
from tallystick_verify.policy import TrustedCheckpoint, TrustPolicy
from tallystick_verify.report import Report

__all__ = ["check_times", "say_which_keys_are_not_asked_for", "say_who_is_missing"]

_WITNESS_CLOCK_SKEW_S = 300


def check_times(report: Report, step: int, trusted: TrustedCheckpoint, entry: Stub) -> None:
    """Nothing, or `Tampering`: no signature is older than `entry`, which it covers.

    The log itself signs with the time of the seal that closes the tree; a witness's clock may go wrong by five minutes.
    """
    timed = [(signature.key, signature.seconds) for signature in trusted.signatures if signature.seconds is not None]
    entry_s = entry.at // 1_000_000
    sealed = entry.kind == "seal" and entry.seq == trusted.checkpoint.size - 1
    for key, seconds in timed:
        own = key.name == trusted.checkpoint.origin
        early = seconds + (0 if own else _WITNESS_CLOCK_SKEW_S) < entry_s
        if early or (own and sealed and seconds != entry_s):
            what = "before an entry it covers" if early else "with another time than the last seal"
            raise Tampering(
                f"time anomaly: signed {what}",
                step=step,
                ledger=entry.ledger,
                seq=entry.seq,
                signer=key.name,
                expected=f"{'' if own and sealed else 'at least '}{entry_s}",
                found=seconds,
            )
    if timed:
        report.passed(step, f"{len(timed)} signature{'s' if len(timed) > 1 else ''} with a time")
    else:
        report.skipped(step, "no signature states a time: entries could be dated ahead unnoticed", required=False)


def say_who_is_missing(report: Report, policy: TrustPolicy, trusted: TrustedCheckpoint) -> None:
    """List what no check of the evidence in hand can show."""
    origin = trusted.checkpoint.origin
    signers = {signature.key for signature in trusted.signatures}
    witnesses = policy.independent_witnesses(origin)
    if not witnesses:
        report.not_checked(
            "witnesses: the policy names none, so the log could show others another history", required=False
        )
    for key in witnesses:
        if key not in signers:
            report.not_checked(f"witness {key.name} did not cosign; the policy does without", required=False)
    report.not_checked("anchors: none was checked; the checkpoint's time is its signers' word", required=False)


def say_which_keys_are_not_asked_for(report: Report, policy: TrustPolicy, genesis: Stub) -> None:
    """List the ledger's own keys, as its genesis names them, whose signatures the policy does without."""
    named = genesis.body.get("keys", []) if isinstance(genesis.body, dict) else []
    asked = {str(key) for key in (*policy.logs, *policy.witnesses.values())}
    for text in named if isinstance(named, list) else []:
        if text not in asked:
            shown = f"{text[:80]}…" if isinstance(text, str) else "unreadable"
            report.not_checked(
                f"signatures by the ledger's key {shown}, which the policy does not ask for", required=False
            )
