"""The command line: `tallystick NOUN VERB`. Each command parses, calls one function of the library, and prints."""

from __future__ import annotations

import click

from tallystick.cli.accounts import account
from tallystick.cli.demo import demo
from tallystick.cli.exports import export
from tallystick.cli.imports import import_
from tallystick.cli.ledgers import init, ledger, seal
from tallystick.cli.program import Program
from tallystick.cli.proofs import bundle, policy, receipt, verify
from tallystick.cli.reading import balance, entries, statement, trial_balance
from tallystick.cli.recording import record
from tallystick.cli.session import options
from tallystick.cli.upkeep import completion, doctor

__all__ = ["main"]


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="tallystick")
@options(ledger=True)
def main() -> None:
    """Double-entry ledgers whose every entry can be proven.

    \b
    Begin:
      tallystick init books && cd books
      tallystick ledger create bank.example/ledger/customers
      tallystick record --id 1 --debit bank:cash --credit customers:ada --amount 100.00 --asset EUR/2
      tallystick seal
      tallystick receipt get 1 --for customers:ada
      tallystick verify 1.tlog-proof

    \b
    Exit codes: 0 done or verified, 1 tampering found, 2 could not complete, 64 usage or refused,
    78 configuration. Results go to stdout, all else to stderr.
    """


for command in (
    account, balance, bundle, completion, demo, doctor, entries, export, import_, init, ledger, policy, receipt, record,
    seal, statement, trial_balance, verify,
):  # fmt: skip
    main.add_command(command)
