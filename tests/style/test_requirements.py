"""What pip installs: pinned, hashed, licensed. Crates are looked at by `cargo deny` (native/deny.toml)."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.licenses import canonicalize_license_expression
from packaging.requirements import Requirement

REQUIREMENTS = ("runtime", "test", "build")

# Permissive licences, and weak copyleft that stops at the file or at the library.
ALLOWED = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "ISC",
    "LGPL-3.0-only", "LGPL-3.0-or-later", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0", "Unicode-3.0", "Unlicense", "Zlib",
}  # fmt: skip

# Distributions that name their licence only in words.
IN_WORDS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}


# Distributions that name it only in a file that comes with them.
IN_A_FILE = {"atheris": "Apache-2.0"}


def pins(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9][a-z0-9._-]*)==([^\s;]+)", path.read_text(), re.MULTILINE))


def is_allowed(expression: str) -> bool:
    """An SPDX expression, AND of ORs: of each OR one alternative must be allowed."""
    flat = expression.replace("(", "").replace(")", "").replace("/", " OR ")
    return all(any(part.strip() in ALLOWED for part in term.split(" OR ")) for term in flat.split(" AND "))


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_every_requirement_is_pinned_and_hashed(repository: Path, name: str) -> None:
    text = (repository / "requirements" / f"{name}.txt").read_text()
    blocks = re.split(r"^(?=\S)", text, flags=re.MULTILINE)[1:]
    assert blocks
    for block in blocks:
        assert re.match(r"[a-z0-9._-]+==\S+", block), block
        assert "--hash=sha256:" in block, block
    assert not re.search(r"https?:|--(extra-)?index-url|--find-links|--trusted-host", text)


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_what_is_wanted_is_what_is_pinned(repository: Path, name: str) -> None:
    pinned = pins(repository / "requirements" / f"{name}.txt")
    for line in (repository / "requirements" / f"{name}.in").read_text().splitlines():
        wanted = line.split("#")[0].strip()
        if wanted and not wanted.startswith("-"):
            requirement = Requirement(wanted)
            assert requirement.name in pinned, wanted
            assert requirement.specifier.contains(pinned[requirement.name]), wanted


def test_the_wheel_asks_for_nothing_that_is_not_pinned(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    pinned = pins(repository / "requirements" / "runtime.txt")
    extras = project["optional-dependencies"].values()
    for wanted in [*project["dependencies"], *(line for extra in extras for line in extra)]:
        requirement = Requirement(wanted)
        assert requirement.specifier.contains(pinned[requirement.name]), wanted


def test_the_same_version_everywhere(repository: Path) -> None:
    runtime, test = (pins(repository / "requirements" / f"{name}.txt") for name in ("runtime", "test"))
    assert runtime.items() <= test.items()


def licence_of(name: str) -> str:
    about = metadata.metadata(name)
    if expression := about.get("License-Expression"):
        return canonicalize_license_expression(expression)
    classifiers = [c.rpartition(" :: ")[2] for c in about.get_all("Classifier") or [] if c.startswith("License :: ")]
    named = [IN_WORDS[c] for c in classifiers if c in IN_WORDS]
    said = about.get("License") or IN_A_FILE.get(name, "none")
    return " AND ".join(named) or IN_WORDS.get(said, said)


def test_python_packages_have_licences_we_may_ship(repository: Path) -> None:
    names = {name for file in REQUIREMENTS for name in pins(repository / "requirements" / f"{file}.txt")}
    installed = {str(d.metadata["Name"]).lower().replace("_", "-").replace(".", "-") for d in metadata.distributions()}
    refused = {name: licence for name in sorted(names & installed) if not is_allowed(licence := licence_of(name))}
    assert not refused
