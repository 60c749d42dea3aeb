from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from importing.conftest import oxford  # noqa: F401 (a fixture)

from tallystick.cli import main

ORIGIN = "bank.example/ledger/customers"


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def row(self) -> dict[str, Any]:
        (only,) = self.rows
        return only


class Tallystick:
    """The program, run in this process on one installation."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def run(self, *arguments: str | Path, stdin: bytes = b"") -> Ran:
        result = CliRunner().invoke(main, ["--home", str(self.home), *map(str, arguments)], input=stdin)
        return Ran(result.exit_code, result.stdout, result.stderr)

    def ok(self, *arguments: str | Path, stdin: bytes = b"") -> Ran:
        ran = self.run(*arguments, stdin=stdin)
        assert ran.code == 0, ran
        return ran

    def pay(self, id: str, amount: str, debit: str = "bank:cash", credit: str = "customers:ada") -> Ran:
        return self.ok("record", "--id", id, "--debit", debit, "--credit", credit, "--amount", amount, "--asset", "EUR")


@pytest.fixture
def tallystick(tmp_path: Path) -> Tallystick:
    program = Tallystick(tmp_path / "books")
    program.ok("init")
    program.ok("ledger", "create", ORIGIN, "--by", "user:test")
    return program
