"""Documents say what is there: links lead somewhere, commands exist, generated parts are those of the code."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from tallystick.cli import main

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def pages(repository: Path, tracked: list[Path]) -> dict[Path, str]:
    return {path: (repository / path).read_text() for path in tracked if path.suffix == ".md"}


def test_links_lead_somewhere(repository: Path, pages: dict[Path, str]) -> None:
    broken = [
        f"{page}: {target}"
        for page, text in pages.items()
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", FENCE.sub("", text))
        if "://" not in target and not (repository / page.parent / target).exists()
    ]
    assert not broken


def test_every_target_that_is_named_exists(repository: Path, pages: dict[Path, str]) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (repository / "Makefile").read_text(), re.MULTILINE))
    named = re.compile(r"(?:`|^)make ([a-z-]+)", re.MULTILINE)
    assert not [
        f"{page}: {name}" for page, text in pages.items() for name in named.findall(text) if name not in targets
    ]


def shell_lines(text: str) -> list[str]:
    blocks = [
        body.replace("\\\n", " ") for language, body in FENCE.findall(text) if language in {"sh", "bash", "console"}
    ]
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]


def test_every_command_that_is_shown_exists(pages: dict[Path, str]) -> None:
    """Words up to the first argument name a command; every option is one of that command's."""
    wrong = []
    for page, text in pages.items():
        for line in shell_lines(text):
            words = shlex.split(line, comments=True)
            if words[:1] != ["tallystick"]:
                continue
            command: click.Command = main
            known = {"--help", "--version"}
            for word in words[1:]:
                if word in {"|", ">", "<", "&&", ";"}:
                    break
                known |= {
                    option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
                }
                if word.startswith("--"):
                    if word.split("=")[0] not in known:
                        wrong.append(f"{page}: {line}: {word}")
                elif isinstance(command, click.Group):
                    below = command.commands.get(word)
                    if below is None:
                        if not previous_takes_value(command, words, word):
                            wrong.append(f"{page}: {line}: {word}")
                        continue
                    command = below
    assert not wrong


def previous_takes_value(command: click.Command, words: list[str], word: str) -> bool:
    before = words[words.index(word) - 1]
    return any(before in p.opts and isinstance(p, click.Option) and not p.is_flag for p in command.params)


def test_generated_parts_are_those_of_the_code(repository: Path) -> None:
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=repository, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_first_screen_shows_the_two_commands(pages: dict[Path, str]) -> None:
    first = "\n".join(pages[Path("README.md")].splitlines()[:40])
    assert "make demo" in first
    assert "make test" in first
