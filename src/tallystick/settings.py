"""Settings: one TOML file, environment variables over it. Nothing else reads the environment.

    profile = "development" | "production"     TALLYSTICK_PROFILE
    [database]
    url = "sqlite:database"                    TALLYSTICK_DATABASE_URL   sqlite:FOLDER, or libpq's URL or name=value
    [tiles]
    folder = "tiles"                           TALLYSTICK_TILES_FOLDER
    [keys]
    folder = "keys"                            TALLYSTICK_KEYS_FOLDER
    passphrase = "file:///run/secrets/x"       TALLYSTICK_KEYS_PASSPHRASE   optional; a reference, not the secret

Folders are relative to the file. The file is `tallystick.toml` in the installation's folder: `--home`, else
TALLYSTICK_HOME, else the working folder.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tallystick.errors import Misconfigured

__all__ = ["FILE_NAME", "Settings", "home_folder", "load", "write_default"]

FILE_NAME = "tallystick.toml"

_NAMES = {
    ("profile",): "TALLYSTICK_PROFILE",
    ("database", "url"): "TALLYSTICK_DATABASE_URL",
    ("tiles", "folder"): "TALLYSTICK_TILES_FOLDER",
    ("keys", "folder"): "TALLYSTICK_KEYS_FOLDER",
    ("keys", "passphrase"): "TALLYSTICK_KEYS_PASSPHRASE",
}
_DEFAULTS = {
    ("profile",): "development",
    ("database", "url"): "sqlite:database",
    ("tiles", "folder"): "tiles",
    ("keys", "folder"): "keys",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """An installation's settings; every path is absolute."""

    home: Path
    profile: str
    database_url: str
    tiles_folder: Path
    keys_folder: Path
    passphrase: str | None  # a reference: file://…

    def secret(self, reference: str) -> bytes:
        """The bytes that a reference names, without a trailing newline."""
        scheme, _, path = reference.partition("://")
        if scheme != "file":
            raise Misconfigured(
                "a secret is named by file://PATH", found=scheme, next_step="Write file:///path/to/secret."
            )
        try:
            return Path(path).read_bytes().removesuffix(b"\n")
        except OSError as error:
            raise Misconfigured("a secret cannot be read", file=path, found=error.strerror) from None


def home_folder(given: Path | None, environment: Mapping[str, str] = os.environ) -> Path:
    """The installation's folder."""
    return (given or Path(environment.get("TALLYSTICK_HOME", "."))).resolve()


def load(home: Path, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the file and the environment; `Misconfigured` names what is wrong."""
    path = home / FILE_NAME
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise Misconfigured(
            f"no {FILE_NAME} here", folder=home, next_step="Run `tallystick init`, or name the folder with --home."
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Misconfigured(f"{FILE_NAME} cannot be read", file=path, found=error) from None
    values: dict[tuple[str, ...], str] = dict(_DEFAULTS)
    for key, value in _flat(table):
        if key not in _NAMES or not isinstance(value, str):
            raise Misconfigured(
                f"{FILE_NAME} has a setting that is not known",
                file=path,
                found=".".join(key),
                expected=", ".join(".".join(name) for name in _NAMES),
            )
        values[key] = value
    values.update({key: environment[name] for key, name in _NAMES.items() if name in environment})
    if (profile := values["profile",]) not in {"development", "production"}:
        raise Misconfigured("profile is not known", expected="development or production", found=profile)
    url = values["database", "url"]
    if url.startswith("sqlite:"):
        url = f"sqlite:{home / url.removeprefix('sqlite:')}"
    return Settings(
        home,
        profile,
        url,
        home / values["tiles", "folder"],
        home / values["keys", "folder"],
        values.get(("keys", "passphrase")),
    )


def write_default(home: Path, database_url: str) -> None:
    """Write the file of a new installation; `Misconfigured` if there is one."""
    home.mkdir(parents=True, exist_ok=True)
    try:
        # Its owner's alone: the URL may hold a password. JSON's escapes are TOML's.
        descriptor = os.open(home / FILE_NAME, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f'profile = "development"\n\n[database]\nurl = {json.dumps(database_url)}\n\n')
            file.write('[tiles]\nfolder = "tiles"\n\n[keys]\nfolder = "keys"\n')
    except FileExistsError:
        raise Misconfigured("there is an installation already", folder=home) from None


def _flat(table: Mapping[str, Any], prefix: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    found: list[tuple[tuple[str, ...], Any]] = []
    for name, value in table.items():
        found += _flat(value, (*prefix, name)) if isinstance(value, dict) else [((*prefix, name), value)]
    return found
