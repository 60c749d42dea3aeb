"""What the demo does, step by step, and the facts of it; how they are printed is `demo`'s.

1. Open an installation and a ledger.
2. Import a file of payments in five parts; seal and publish after each.
3. Hand out a receipt for one customer's payment, and the parts that an auditor gets.
4. The untouched ledger must verify: the library's audit, the receipt, the independent verifier at holder's and
   auditor's depth.
5. For each tampering, a process of its own changes the row behind the ledger's back. Who notices?
6. Put the row back: all must verify again, so that it was the tampering that was noticed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tallystick.cli import tampering
from tallystick.cli.intake import take_in
from tallystick.cli.proofs import write_receipt
from tallystick.core.receipt import verify_receipt
from tallystick.errors import IntegrityViolation, Misconfigured, RetryLater
from tallystick.ledger.exporting import decimal_text
from tallystick.ledger.importing import Line, parse_mapping, read_lines
from tallystick.log.ledger import Ledger
from tallystick.log.receipts import Receipt
from tallystick.wiring import Installation, create_installation

__all__ = ["Opened", "Proven", "Recording", "Story", "Tampering", "Witness", "tell"]

ORIGIN = "demo.example/ledger/customers"
BY = "service:demo"
BATCHES = 5
SECONDS_MAX = 60


@dataclass(frozen=True, slots=True)
class Opened:
    """Step 1."""

    folder: Path
    ledger: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recording:
    """Step 2: how many accounts, transactions, entries and seals; the trial balance as (asset, debits, credits)."""

    accounts: int
    transactions: int
    entries: int
    seals: int
    root: str
    trial_balance: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Proven:
    """Step 3: the receipt of entry `seq` for `account`."""

    seq: int
    id: str
    account: str
    counterparty: str
    amount: str
    asset: str
    files: tuple[Path, Path]
    bytes: int


@dataclass(frozen=True, slots=True)
class Witness:
    """What somebody saw: `entry`, `expected` and `found` where they noticed something, else all empty."""

    who: str
    noticed: bool
    says: str
    entry: int | None = None
    expected: str = ""
    found: str = ""


@dataclass(frozen=True, slots=True)
class Tampering:
    """Step 5: what was changed in the row of entry `seq`, and who said what."""

    title: str
    seq: int
    before: str
    after: str
    witnesses: tuple[Witness, ...]

    @property
    def caught(self) -> bool:
        """Everybody who looked noticed."""
        return all(witness.noticed for witness in self.witnesses)


@dataclass(slots=True)
class Story:
    """All facts. `proven` only if the clean ledger verified, every tampering was caught, and all is well again."""

    opened: Opened | None = None
    recording: Recording | None = None
    receipt: Proven | None = None
    clean: tuple[Witness, ...] = ()
    tamperings: list[Tampering] = field(default_factory=list)
    restored: tuple[Witness, ...] = ()

    @property
    def proven(self) -> bool:
        quiet = [*self.clean, *self.restored]
        return (
            bool(self.clean and self.restored)
            and not any(witness.noticed for witness in quiet)
            and len(self.tamperings) == len(TAMPERINGS)
            and all(each.caught for each in self.tamperings)
        )

    def facts(self) -> dict[str, Any]:
        """Everything, for JSON."""
        caught = [each.caught for each in self.tamperings]
        return {**asdict(self), "caught": caught, "proven": self.proven}


TAMPERINGS = (
    ("amount", "The administrator raises the amount in the entry's row"),
    ("everything", "The same, and everything in the row made to fit: balances, body root, stub, hash"),
)
Step = Callable[[Story], None]


def tell(folder: Path, told: Step) -> Story:
    """Do everything below `folder`; `told` is called whenever a step has added its facts."""
    if find_spec("tallystick_verify") is None:
        raise Misconfigured(
            "the independent verifier is not installed",
            next_step="Run `pip install tallystick-verify`, or `make demo`.",
        )
    story = Story()
    with create_installation(folder / "books") as installation:
        ledger = installation.create(ORIGIN, by=BY)
        try:
            keys = [log.key for log in ledger.policy.logs] + [witness.key for witness in ledger.policy.witnesses]
            story.opened = Opened(folder, ORIGIN, tuple(map(str, keys)))
            told(story)
            story.recording = _record(ledger)
            told(story)
            (folder / "policy").write_bytes(ledger.policy.format())
        finally:
            ledger.close()
        view = _View(folder, installation)
        story.receipt = view.hand_out()
        told(story)
        story.clean = tuple(view.everybody())
        told(story)
        for how, title in TAMPERINGS:
            done = view.tamper(how)
            before, after = (decimal_text(done[name], story.receipt.asset) for name in ("before", "after"))
            witnesses = tuple(view.everybody())
            view.tamper("restore")
            story.tamperings.append(Tampering(title, story.receipt.seq, before, after, witnesses))
            told(story)
        story.restored = tuple(view.everybody())
        told(story)
    return story


def _lines() -> Iterator[Line]:
    data = files("tallystick.cli") / "demo_data"
    mapping = parse_mapping((data / "payments.toml").read_bytes())
    return read_lines((data / "payments.csv").read_bytes(), "csv", mapping)


def _record(ledger: Ledger) -> Recording:
    lines = list(_lines())
    names = {
        leg[side]: None
        for line in lines
        if isinstance(line.outcome, dict)
        for leg in line.outcome["legs"]  # type: ignore[attr-defined]
        for side in ("debit", "credit")
    }
    customers = [name for name in names if name.startswith("customers:")]
    definition = {"kind": "account", "limit": "debits_must_not_exceed_credits"}
    ledger.record([{**definition, "name": name} for name in customers], by=BY, format="objects").accepted()
    booked, seals, root = 0, 0, b""
    size = -(-len(lines) // BATCHES)
    for first in range(0, len(lines), size):
        intake = take_in(lines[first : first + size], ledger, by=BY, before_recording=_must_be_good)
        _must_be_good(intake.bad)
        booked += intake.booked
        sealed = ledger.seal()
        assert sealed is not None
        seals, root = seals + 1, sealed.root
        ledger.publish()
    totals = tuple(
        (total.asset, decimal_text(total.debits, total.asset), decimal_text(total.credits, total.asset))
        for total in ledger.trial_balance()
    )
    return Recording(len(names), booked, ledger.head().size, seals, root.hex(), totals)


def _must_be_good(bad: object) -> None:
    if bad:
        raise AssertionError(f"the demo's own file has bad lines: {bad}")


class _View:
    """Everybody who looks at the ledger from outside the process that wrote it."""

    def __init__(self, folder: Path, installation: Installation) -> None:
        self._folder, self._installation = folder, installation
        self._policy = installation.policy(ORIGIN)
        (self._database,) = (folder / "books").rglob("*.sqlite")
        self._seq, self._account = -1, ""
        self._stem = folder / "receipt" / "payment"
        self._says: dict[str, Any] = {}

    def hand_out(self) -> Proven:
        """A receipt for the customer of a payment from the middle of the history."""
        ledger = self._installation.open(ORIGIN)
        try:
            payments = [e for e in ledger.entries() if e.values.get("metadata/kind") == "payment"]
            entry = payments[len(payments) // 2]
            leg = entry.values["legs/0"]
            self._seq, self._account = entry.seq, leg["debit"]
            made = ledger.receipt(self._seq, account=self._account)
        finally:
            ledger.close()
        self._stem.parent.mkdir()
        paths = write_receipt(self._stem, made.proof, made.disclosure)
        self._says = self._shown(made)
        amount = decimal_text(leg["amount"], leg["asset"])
        size = len(made.proof) + len(made.disclosure)
        return Proven(self._seq, str(entry.id), self._account, leg["credit"], amount, leg["asset"], paths, size)

    def tamper(self, how: str) -> dict[str, Any]:
        """Change the row in a process of its own."""
        command = [sys.executable, str(tampering.__file__), str(self._database), str(self._seq), how]
        done = subprocess.run(command, capture_output=True, check=True, timeout=SECONDS_MAX)  # noqa: S603 (our own file)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def everybody(self) -> Iterator[Witness]:
        """What each of them says now."""
        yield self._operator()
        yield self._auditor()
        yield from self._holder()

    def _operator(self) -> Witness:
        who = "operator, library audit"
        ledger = self._installation.open(ORIGIN)
        try:
            seen = ledger.audit()
        except IntegrityViolation as error:
            return _noticed(who, error.message, error.facts)
        finally:
            ledger.close()
        return Witness(who, noticed=False, says=f"{seen.size} entries and all beside them agree")

    def _auditor(self) -> Witness:
        """The auditor has the published tiles, and is given the parts as the database has them now."""
        bodies = self._folder / "bodies"
        ledger = self._installation.open(ORIGIN)
        try:
            for name, data in ledger.bodies():
                path = bodies / name.removeprefix("bodies/")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
        finally:
            ledger.close()
        tiles = str(self._installation.tiles_folder(ORIGIN))
        return self._independent("auditor, independent verifier", "ledger", tiles, "--bodies", str(bodies))

    def _holder(self) -> Iterator[Witness]:
        """The receipt of before still holds, and what the operator hands out now must say the same."""
        who = "customer, library"
        kept = [self._stem.with_name(self._stem.name + ending) for ending in (".tlog-proof", ".json")]
        verify_receipt(kept[0].read_bytes(), kept[1].read_bytes(), self._policy)
        ledger = self._installation.open(ORIGIN)
        try:
            made = ledger.receipt(self._seq, account=self._account)
        finally:
            ledger.close()
        now = self._shown(made)
        same = now == self._says
        own, claimed = self._says["legs/0"], now["legs/0"]
        try:
            verify_receipt(made.proof, made.disclosure, self._policy)
        except IntegrityViolation as error:
            expected, found = (decimal_text(leg["amount"], leg["asset"]) for leg in (own, claimed))
            yield Witness(who, not same, f"the new receipt: {error.message}", self._seq, expected, found)
        else:
            yield Witness(who, noticed=False, says="old and new receipt verify" + ("" if same else " BUT DIFFER"))
        fresh = write_receipt(self._folder / "receipt" / "again", made.proof, made.disclosure)
        yield self._independent(
            "customer, independent verifier", "receipt", str(fresh[0]), "--disclosure", str(fresh[1])
        )

    def _independent(self, who: str, *arguments: str) -> Witness:
        command = [
            sys.executable,
            "-m",
            "tallystick_verify",
            *arguments,
            "--policy",
            str(self._folder / "policy"),
            "--json",
        ]
        done = subprocess.run(command, capture_output=True, check=False, timeout=SECONDS_MAX)  # noqa: S603 (our own arguments)
        if done.returncode not in (0, 1):
            raise RetryLater(
                "the independent verifier could not complete", exit=done.returncode, said=done.stderr.decode()
            )
        report = json.loads(done.stdout)
        if done.returncode == 0:
            return Witness(who, noticed=False, says=f"verified at {report['depth']} depth")
        failure = report["failure"]
        return _noticed(who, failure["message"], failure)

    @staticmethod
    def _shown(made: Receipt) -> dict[str, Any]:
        """Path and value of the parts that a receipt shows, true or not."""
        parts = (json.loads(shown["part"]) for shown in json.loads(made.disclosure)["parts"])
        return {path: value for _, path, value in parts}


def _noticed(who: str, message: str, facts: Any) -> Witness:
    expected, found = (facts.get(name) for name in ("expected", "found"))
    shown = [value.hex() if isinstance(value, bytes) else str(value) for value in (expected, found)]
    return Witness(who, True, message, facts.get("seq"), *shown)  # noqa: FBT003 (the second is `noticed`)
