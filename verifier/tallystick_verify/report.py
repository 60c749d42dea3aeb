"""What was checked, step by step, and what was not: the thing a verification hands back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tallystick_verify.errors import Incomplete, VerificationError, printable, shown

__all__ = ["Report", "Step", "Unchecked"]

DEPTHS = ("public", "holder", "auditor")


@dataclass(slots=True)
class Step:
    """One numbered step; the numbers are those of the docstring of the verification that made it."""

    number: int
    title: str
    outcome: str = "not finished"
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Unchecked:
    """Something that was not checked. `required` by the depth asked for: then the verdict is "could not complete"."""

    what: str
    required: bool


@dataclass(slots=True)
class Report:
    """Evidence of a verification. `verdict` is "verified" only if nothing required is missing."""

    subject: str
    depth: str
    titles: tuple[str, ...]
    steps: list[Step] = field(init=False)
    facts: dict[str, object] = field(default_factory=dict)
    unchecked: list[Unchecked] = field(default_factory=list)
    failure: VerificationError | None = None
    inner: Report | None = None  # the verification that a step of this one consists of

    def __post_init__(self) -> None:
        self.steps = [Step(number, title) for number, title in enumerate(self.titles, start=1)]

    def passed(self, number: int, detail: str) -> None:
        """Step `number` found what it expected."""
        step = self.steps[number - 1]
        step.outcome, step.detail = "ok", detail

    def partly(self, number: int, detail: str) -> None:
        """Step `number` found nothing wrong, but could not see all; what stays open is in `unchecked`."""
        step = self.steps[number - 1]
        step.outcome, step.detail = "partly checked", detail

    def skipped(self, number: int, why: str, *, required: bool) -> None:
        """Step `number` could not be done, or not wholly."""
        step = self.steps[number - 1]
        step.outcome, step.detail = "not checked", why
        self.not_checked(why, required=required)

    def not_checked(self, what: str, *, required: bool) -> None:
        """Something stays open."""
        if all(other.what != what for other in self.unchecked):
            self.unchecked.append(Unchecked(what, required))

    def failed(self, error: VerificationError) -> VerificationError:
        """The error, which now carries this report; the step that it names ended the verification."""
        self.failure, error.report = error, self
        step = next((step for step in self.steps if step.number == error.facts.get("step")), None)
        if step is None:
            return error
        step.outcome = "FAILED" if error.exit_code == 1 else "could not complete"
        step.detail = error.message
        return error

    def finish(self) -> Report:
        """The report, or `Incomplete` if something required was not checked."""
        if self.inner is not None:
            self.unchecked += [open_ for open_ in self.inner.unchecked if open_ not in self.unchecked]
        missing = [open_.what for open_ in self.unchecked if open_.required]
        if missing:
            raise Incomplete(f"not everything that {self.depth} depth requires was checked", missing="; ".join(missing))
        return self

    @property
    def exit_code(self) -> int:
        return 0 if self.failure is None else self.failure.exit_code

    @property
    def verdict(self) -> str:
        return {0: "verified", 1: "TAMPERING FOUND"}.get(self.exit_code, "could not complete")

    def as_json(self) -> dict[str, Any]:
        """The report as JSON-ready members."""
        return {
            "subject": self.subject,
            "verdict": self.verdict,
            "exit": self.exit_code,
            "depth": self.depth,
            "facts": {
                name: value if isinstance(value, (str, int)) else shown(value) for name, value in self.facts.items()
            },
            "steps": [
                {"number": step.number, "title": step.title, "outcome": step.outcome, "detail": step.detail}
                for step in self.steps
            ],
            "inner": None if self.inner is None else self.inner.as_json(),
            "not_checked": [{"what": open_.what, "required": open_.required} for open_ in self.unchecked],
            "failure": None if self.failure is None else self.failure.as_json(),
        }

    def as_text(self) -> str:
        """The report for people; the verdict, the depth and what was not checked stand last."""
        lines = [self.subject, *self.step_lines()]
        if self.inner is not None:
            lines += ["", self.inner.subject, *self.inner.step_lines()]
        if self.failure is not None:
            lines += ["", f"{self.failure.message}:"]
            lines += [f"     {name}: {shown(value)}" for name, value in self.failure.facts.items()]
        lines += ["", f"verdict: {self.verdict}", f"depth: {self.depth}"]
        if self.exit_code == 1:
            lines.append("not checked: whatever comes after the record named above")
        else:
            lines.append("not checked:" if self.unchecked else "not checked: nothing")
        lines += [f"  - {open_.what}" + (" (REQUIRED)" if open_.required else "") for open_ in self.unchecked]
        return "\n".join(map(printable, lines)) + "\n"

    def step_lines(self) -> list[str]:
        """The numbered steps and the facts, a line each."""
        lines = []
        for step in self.steps:
            detail = f" ({step.detail})" if step.detail else ""
            lines.append(f"{step.number:>3}. {step.title}: {step.outcome}{detail}")
        return lines + [f"     {name}: {shown(value)}" for name, value in self.facts.items()]
