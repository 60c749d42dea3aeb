"""What the signatures on a checkpoint say beyond their validity, and what nobody in hand has said."""

from __future__ import annotations

from tallystick_verify.errors import Tampering
from tallystick_verify.policy import TrustedCheckpoint, TrustPolicy
from tallystick_verify.report import Report

__all__ = ["check_times", "say_who_is_missing"]

_WITNESS_CLOCK_SKEW_S = 300


def check_times(report: Report, step: int, trusted: TrustedCheckpoint, at_us: int, seq: int) -> None:
    """Nothing, or `Tampering`: no signature is older than the entry `seq`, recorded at `at_us`, which it covers.

    The log itself signs by the clock that it records by; a witness's clock may go wrong by five minutes.
    """
    timed = [signature for signature in trusted.signatures if signature.seconds]
    if not timed:
        report.skipped(step, "no signature states a time: entries could be dated ahead unnoticed", required=False)
        return
    last_s = at_us // 1_000_000
    for signature in timed:
        skew_s = 0 if signature.key.name == trusted.checkpoint.origin else _WITNESS_CLOCK_SKEW_S
        if signature.seconds is not None and signature.seconds + skew_s < last_s:
            raise Tampering(
                "time anomaly: signed before its last entry was recorded",
                step=step,
                ledger=trusted.checkpoint.origin,
                seq=seq,
                signer=signature.key.name,
                expected=f"at least {last_s}",
                found=signature.seconds,
            )
    report.passed(step, f"{len(timed)} signature{'s' if len(timed) > 1 else ''} with a time")


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
