"""`receipt …`, `bundle`, `policy …`, `verify`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tallystick.cli.ledgers import audit
from tallystick.cli.session import Session, options, pass_session, safe
from tallystick.errors import Misconfigured
from tallystick.ledger.exporting import time_text

if TYPE_CHECKING:
    from tallystick.core.policy import Policy

__all__ = ["bundle", "policy", "receipt", "verify", "write_receipt"]

PROOF = ".tlog-proof"
MANIFEST = "manifest.json"
EXIT_UNVOUCHED = 2  # could not complete: whose signatures count was not asked of anybody here


@click.group()
def receipt() -> None:
    """Hand out receipts."""


def _key(id: str | None, seq: int | None) -> int | str:
    if (id is None) == (seq is None):
        raise click.UsageError("name the entry by its ID or by --seq")
    return seq if id is None and seq is not None else str(id)


def write_receipt(stem: Path, proof: bytes, disclosure: bytes) -> tuple[Path, Path]:
    """Write the two files of a receipt, `STEM.tlog-proof` and `STEM.json`."""
    paths = (stem.with_name(stem.name + PROOF), stem.with_name(stem.name + ".json"))
    for path, data in zip(paths, (proof, disclosure), strict=True):
        path.write_bytes(data)
    return paths


@receipt.command()
@click.argument("id", required=False)
@click.option("--seq", type=click.IntRange(min=0), help="The entry's sequence instead of its ID.")
@click.option("--for", "account", metavar="ACCOUNT", help="Show only what concerns this account.")
@click.option("--full", is_flag=True, help="Show all parts: both sides, all metadata.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Folder, or name without ending. Default: the sequence."
)
@options(ledger=True)
@pass_session
def get(
    session: Session, id: str | None, seq: int | None, account: str | None, full: bool, output: Path | None
) -> None:
    """Write the receipt of entry ID: a proof (C2SP tlog-proof) and beside it what the entry says.

    Say for whom: a receipt --for an account holds no byte of anybody else's legs, balances or metadata.

    \b
    Examples:
      tallystick receipt get inv-7 --for customers:ada -o receipts/
      tallystick receipt get --seq 1042 --full
    """
    if (account is None) == (not full):
        raise click.UsageError("say whom the receipt is for: --for ACCOUNT, or --full for everything")
    with session.ledger() as ledger:
        made = ledger.receipt(_key(id, seq), account=account)
    stem = Path(str(made.seq)) if output is None else output / str(made.seq) if output.is_dir() else output
    proof, entry = write_receipt(stem, made.proof, made.disclosure)
    session.show(
        {"seq": made.seq, "size": made.size, "proof": proof, "entry": entry},
        f"entry {made.seq}, proven in the tree of {made.size}: {proof}, {entry}",
    )


@click.command(short_help="Write an evidence bundle.")
@click.argument("ids", nargs=-1)
@click.option("--for", "account", metavar="ACCOUNT", help="Show only what concerns this account.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="A new folder, or a file ending in .zip."
)
@options(ledger=True)
@pass_session
def bundle(session: Session, ids: tuple[str, ...], account: str | None, output: Path) -> None:
    """Write an evidence bundle: of the entries IDS, or of the whole published ledger with all parts.

    \b
    Examples:
      tallystick bundle -o audit-2026.zip
      tallystick bundle inv-7 inv-8 --for customers:ada -o ada/
    """
    from tallystick.core.archive import write_zip

    if account is not None and not ids:
        raise click.UsageError("--for needs IDS: a bundle of the whole ledger shows everything")
    with session.ledger() as ledger:
        files = ledger.bundle(ids or None, account=account)
    if output.suffix == ".zip":
        output.write_bytes(write_zip(files))
    else:
        _write_folder(output, files)
    said = json.loads(files[MANIFEST])
    result = {"bundle": output, "files": len(files), "kind": said["kind"], "size": said["size"]}
    text = f"{output}: {len(files)} files, {said['kind']} at size {said['size']}. It cannot show:"
    session.show({**result, "cannot_show": said["cannot_show"]}, "\n  ".join([text, *said["cannot_show"]]))


def _write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise click.UsageError(f"{folder} is not empty")
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


@click.group()
def policy() -> None:
    """Trust policies: whose signatures a checkpoint must carry."""


@policy.command("show")
@options(ledger=True)
@pass_session
def show_policy(session: Session) -> None:
    """Print the ledger's trust policy (C2SP tlog-policy). Whoever verifies gets it once, from somebody they trust.

    \b
    Example:
      tallystick policy show > policy
    """
    with session.ledger() as ledger:
        text = ledger.policy.format().decode()
        origin = ledger.origin
    session.show({"ledger": origin, "policy": text}, text.rstrip("\n"))


@click.command(short_help="Verify a receipt, a bundle or the ledger.")
@click.argument("path", type=click.Path(exists=True, path_type=Path), required=False)
@click.option(
    "--policy",
    "policy_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Trust policy. Default: the installation's own for this ledger.",
)
@options(ledger=True)
@pass_session
def verify(session: Session, path: Path | None, policy_file: Path | None) -> int:
    """Verify a receipt (X.tlog-proof beside X.json), an evidence bundle (folder or .zip), or without PATH the ledger.

    Exit 0 only if everything asked for was checked and holds; 1 names what contradicts what; 2 if the only trust policy
    is the one that a bundle brings along, for then nobody vouches for its keys. `tallystick-verify` does the same with
    no code in common.

    \b
    Examples:
      tallystick verify 1042.tlog-proof --policy policy
      tallystick verify audit-2026.zip --policy policy
      tallystick verify
    """
    if path is None:
        if policy_file is not None:
            raise click.UsageError("--policy is for a receipt or a bundle; the ledger is checked by its own")
        audit(session)
    elif path.is_dir() or path.suffix == ".zip":
        return _verify_bundle(session, path, policy_file)
    else:
        _verify_receipt(session, path.with_suffix(""), policy_file)
    return 0


def _policy(session: Session, policy_file: Path | None) -> Policy:
    from tallystick.core.policy import Policy

    if policy_file is not None:
        return Policy.parse(policy_file.read_bytes())
    with session.installation() as installation:
        return installation.policy(session.chosen(installation.ledgers()))


def _verify_receipt(session: Session, stem: Path, policy_file: Path | None) -> None:
    from tallystick.core.receipt import verify_receipt

    proof, disclosure = (stem.with_name(stem.name + ending).read_bytes() for ending in (PROOF, ".json"))
    seen = verify_receipt(proof, disclosure, _policy(session, policy_file))
    entry, checkpoint = seen.entry, seen.checkpoint.checkpoint
    shown = {part.path: part.value for part in entry}
    result = {
        "verified": True,
        "ledger": checkpoint.origin,
        "seq": entry.stub.seq,
        "kind": entry.stub.kind,
        "at": time_text(entry.stub.at),
        "hash": seen.hash,
        "size": checkpoint.size,
        "assurance": seen.assurance.name.lower(),
        "shown": shown,
        "hidden": entry.stub.parts - len(shown),
    }
    said = (
        f"verified: entry {entry.stub.seq} ({entry.stub.kind}) of {safe(checkpoint.origin)}, recorded {result['at']}, "
        f"stands in the signed tree of {checkpoint.size} entries ({result['assurance']})"
    )
    lines = [said, *(f"  {safe(name)}: {safe(json.dumps(value, ensure_ascii=False))}" for name, value in shown.items())]
    if result["hidden"]:
        lines.append(f"  parts that are not shown here: {result['hidden']}")
    session.show(result, "\n".join(lines))


def _bundle_policy(session: Session, policy_file: Path | None, files: Mapping[str, bytes]) -> Policy | None:
    """The given policy, else the installation's for the bundle's ledger; None if nobody here has one."""
    from tallystick.core.bundle import Manifest
    from tallystick.core.policy import Policy

    if policy_file is not None:
        return Policy.parse(policy_file.read_bytes())
    try:
        with session.installation() as installation:
            origin = session.origin or Manifest.parse(files.get(MANIFEST, b"")).ledger
            return installation.policy(origin) if origin in installation.ledgers() else None
    except Misconfigured:  # no installation here
        return None


def _verify_bundle(session: Session, path: Path, policy_file: Path | None) -> int:
    from tallystick.core.archive import read_zip
    from tallystick.core.bundle import verify_bundle

    if path.is_dir():
        files = {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()}
    else:
        files = read_zip(path.read_bytes())
    seen = verify_bundle(files, _bundle_policy(session, policy_file, files))
    checkpoint = seen.checkpoint.checkpoint
    result: dict[str, Any] = {
        "verified": not seen.policy_is_enclosed,
        "ledger": checkpoint.origin,
        "kind": seen.manifest.kind,
        "size": checkpoint.size,
        "entries": seen.entries,
        "readable": seen.readable,
        "assurance": seen.assurance.name.lower(),
        "policy_is_enclosed": seen.policy_is_enclosed,
        "not_shown": list(seen.not_shown),
    }
    said = (
        f"{'NOT verified, but free of contradictions' if seen.policy_is_enclosed else 'verified'}: "
        f"{seen.entries} entries of {safe(checkpoint.origin)} stand in the signed tree of {checkpoint.size} "
        f"({result['assurance']}); of {seen.readable} every part was read"
    )
    lines = [said]
    if seen.policy_is_enclosed:
        lines.append("The only policy is the bundle's own: its maker chose whom to trust. Give yours with --policy.")
    session.show(result, "\n  ".join([*lines, "Not shown:", *seen.not_shown]))
    return EXIT_UNVOUCHED if seen.policy_is_enclosed else 0
