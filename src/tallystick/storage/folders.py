"""Folders that hold ledgers or tiles: making them durably, and what `tallystick doctor` looks at in them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from tallystick.storage.ports import Finding

__all__ = ["diagnose_folder", "flush_folder", "make_folder"]

ENOUGH_BYTES = 1 << 30
TOO_FEW_BYTES = 1 << 26


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Make a folder and those above it where absent, each durable in the one above."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(mode, exist_ok=True)
    flush_folder(folder.parent)


def flush_folder(folder: Path) -> None:
    """Make the names in a folder survive the loss of power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def diagnose_folder(what: str, folder: Path, *, private: bool) -> list[Finding]:
    """Whether it is there, who else may write (or, if `private`, read) in it, and how much room is left."""
    try:
        status = folder.stat()
        space = os.statvfs(folder)
    except FileNotFoundError:
        return [Finding("warning", f"{what} folder", f"{folder} is absent", "It is made by the first write.")]
    except OSError as error:
        advice = "Let this user into the folder."
        return [Finding("error", f"{what} folder", f"{folder}: {error.strerror}", advice)]
    return [_rights(what, folder, status, private=private), _room(what, space)]


def _rights(what: str, folder: Path, status: os.stat_result, *, private: bool) -> Finding:
    found = f"{folder} {stat.filemode(status.st_mode)}"
    others_may = stat.S_IWGRP | stat.S_IWOTH | (stat.S_IROTH | stat.S_IXOTH if private else 0)
    if not os.access(folder, os.W_OK | os.X_OK):
        return Finding(
            "warning", f"{what} folder", f"{found}, not writable here", "Reading works; give the right to write."
        )
    if status.st_mode & others_may:
        return Finding("warning", f"{what} folder", found, f"chmod {'700' if private else '755'} {folder}")
    return Finding("ok", f"{what} folder", found)


def _room(what: str, space: os.statvfs_result) -> Finding:
    free = space.f_bavail * space.f_frsize
    found = f"{free / (1 << 30):.1f} GiB free"
    if free < TOO_FEW_BYTES:
        return Finding("error", f"{what} space", found, "Free some space: writing is about to stop.")
    return Finding(
        "ok" if free >= ENOUGH_BYTES else "warning",
        f"{what} space",
        found,
        "" if free >= ENOUGH_BYTES else "Free some space.",
    )
