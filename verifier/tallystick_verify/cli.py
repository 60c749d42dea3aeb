"""The command line: `tallystick-verify receipt|bundle|ledger`. The report goes to stdout, all else to stderr."""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

from tallystick_verify import __version__
from tallystick_verify.bodies import read_bodies, read_body_file
from tallystick_verify.bundle import verify_bundle
from tallystick_verify.errors import Configuration, Incomplete, Usage, VerificationError, printable, shown
from tallystick_verify.ledger import Bodies, Progress, verify_ledger
from tallystick_verify.policy import TrustPolicy, parse_policy
from tallystick_verify.receipt import verify_receipt
from tallystick_verify.report import Report
from tallystick_verify.source import MAX_SMALL_BYTES, Folder, open_source

__all__ = ["main"]

_EXAMPLES = """\
examples:
  tallystick-verify receipt pay-0001.tlog-proof --disclosure pay-0001.json --policy policy
  tallystick-verify bundle evidence.zip --policy policy
  tallystick-verify ledger https://log.bank.example/customers --policy policy --seen last-week.checkpoint
  tallystick-verify ledger ./published --policy policy --depth auditor --bodies ./bodies

exit status: 0 verified, 1 tampering found, 2 could not complete, 64 usage, 78 configuration
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Usage(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="tallystick-verify",
        description="Check a Tallystick ledger, receipt or evidence bundle without trusting whoever made it.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="receipt|bundle|ledger")

    receipt = commands.add_parser("receipt", help="one entry and the parts shown to its holder (holder depth)")
    receipt.add_argument("file", metavar="FILE.tlog-proof", type=Path)
    receipt.add_argument("--disclosure", metavar="FILE.json", type=Path, required=True, help="the stub and its parts")
    receipt.add_argument("--policy", type=Path, required=True, help="trust policy (C2SP tlog-policy)")

    bundle = commands.add_parser("bundle", help="an evidence bundle")
    bundle.add_argument("place", metavar="FOLDER|ZIP", type=Path)
    bundle.add_argument(
        "--policy", type=Path, help="trust policy; without it only the bundle's own is there, and the verdict says so"
    )

    bundle.add_argument("--depth", choices=("public", "holder", "auditor"), help="default: the deepest it is made for")

    ledger = commands.add_parser("ledger", help="a whole ledger from its published tiles")
    ledger.add_argument("place", metavar="FOLDER|URL")
    ledger.add_argument("--policy", type=Path, required=True, help="trust policy (C2SP tlog-policy)")
    ledger.add_argument("--bodies", type=Path, metavar="FOLDER|FILE", help="bodies, for auditor depth")
    ledger.add_argument("--depth", choices=("public", "auditor"), help="default: auditor with --bodies, else public")
    ledger.add_argument(
        "--seen", type=Path, action="append", default=[], metavar="CHECKPOINT", help="a checkpoint kept from earlier"
    )
    for command in (receipt, bundle, ledger):
        command.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status."""
    as_json = "--json" in (sys.argv[1:] if arguments is None else arguments)
    try:
        return _main(arguments, as_json=as_json)
    except Exception:  # noqa: BLE001 - a bug or the system's refusal must not exit with Python's own 1: tampering
        traceback.print_exc()
        return Incomplete.exit_code


def _main(arguments: Sequence[str] | None, *, as_json: bool) -> int:
    try:
        options = _parser().parse_args(arguments)
        report = _run(options)
    except VerificationError as error:
        if error.report is None:
            _complain(error, as_json=as_json)
            return error.exit_code
        report = error.report
    if as_json:
        sys.stdout.write(json.dumps(report.as_json(), ensure_ascii=False, indent=1) + "\n")
    else:
        sys.stdout.write(report.as_text())
    return report.exit_code


def _complain(error: VerificationError, *, as_json: bool) -> None:
    """An error before anything was verified."""
    if as_json:
        plain = {"verdict": "could not complete", "exit": error.exit_code, "failure": error.as_json()}
        sys.stdout.write(json.dumps(plain, ensure_ascii=False, indent=1) + "\n")
    facts = "".join(f"\n  {name}: {printable(shown(value))}" for name, value in error.facts.items())
    sys.stderr.write(f"tallystick-verify: {printable(error.message)}{facts}\n")


def _run(options: argparse.Namespace) -> Report:
    if options.command == "bundle":
        policy = _policy(options.policy) if options.policy else None
        return verify_bundle(open_source(str(options.place)), policy, depth=options.depth, progress=_progress())
    policy = _policy(options.policy)
    if options.command == "receipt":
        return verify_receipt(_file(options.file), _file(options.disclosure), policy, subject=str(options.file))
    depth = options.depth or ("auditor" if options.bodies else "public")
    if options.bodies and depth == "public":
        raise Usage("--bodies are for auditor depth")
    return verify_ledger(
        open_source(options.place),
        policy,
        depth=depth,
        bodies=_bodies(options.bodies) if options.bodies else None,
        seen=[_file(path) for path in options.seen],
        progress=_progress(),
    )


def _bodies(place: Path) -> Bodies:
    if not place.exists():
        raise Incomplete("no such folder or file", file=str(place))
    if place.is_file():
        return partial(read_body_file, Folder(place.parent), place.name)
    return partial(read_bodies, Folder(place), "")


def _file(path: Path) -> bytes:
    raw = Folder(path.parent).read(path.name, MAX_SMALL_BYTES << 5)
    if raw is None:
        raise Incomplete("no such file", file=str(path))
    return raw


def _policy(path: Path) -> TrustPolicy:
    raw = Folder(path.parent).read(path.name, MAX_SMALL_BYTES)
    if raw is None:
        raise Configuration("no such trust policy", file=str(path))
    return parse_policy(raw)


def _progress() -> Progress | None:
    """A line on stderr that overwrites itself, where a person watches."""
    if not sys.stderr.isatty():
        return None

    def show(done: int, total: int) -> None:
        end = "\r\x1b[K" if done == total else ""
        if done % (256 * 40) == 0 or end:
            sys.stderr.write(f"\r{done:,} of {total:,} entries ({100 * done // total} %){end}")
            sys.stderr.flush()

    return show
