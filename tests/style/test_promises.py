"""What never happens here, looked for in the source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from style.sources import Module

READS_ENVIRONMENT = {"tallystick.settings"}
HAS_CLOCK_AND_DICE = {
    "tallystick.wiring",  # elsewhere time and randomness are passed in
    "tallystick.cli",
    "tallystick.storage.files",  # names of temporary files
}
CLOCK_AND_DICE = re.compile(
    r"^(time\.(time|time_ns)|(datetime\.)?(datetime|date)\.(now|utcnow|today)|os\.urandom|secrets\.\w+|random\.\w+|uuid\.uuid[14])$"
)


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def product(modules: list[Module]) -> Iterator[tuple[Module, ast.AST]]:
    for module in modules:
        if module.path.parts[0] == "src":
            for node in ast.walk(module.tree):
                yield module, node


def within(module: Module, names: set[str]) -> bool:
    return any(module.name == name or module.name.startswith(f"{name}.") for name in names)


def test_only_settings_reads_the_environment(modules: list[Module]) -> None:
    readers = [
        module.at(node)
        for module, node in product(modules)
        if not within(module, READS_ENVIRONMENT)
        and (
            dotted(node) in {"os.environ", "os.getenv", "os.environb"}
            or (
                isinstance(node, ast.ImportFrom)
                and node.module == "os"
                and {alias.name for alias in node.names} & {"environ", "getenv"}
            )
        )
    ]
    assert not readers


def test_time_and_randomness_are_passed_in(modules: list[Module]) -> None:
    calls = [
        f"{module.at(node)}: {dotted(node.func)}"
        for module, node in product(modules)
        if isinstance(node, ast.Call)
        and not within(module, HAS_CLOCK_AND_DICE)
        and CLOCK_AND_DICE.match(dotted(node.func))
    ]
    assert not calls


def test_verification_returns_evidence_or_raises(modules: list[Module]) -> None:
    answers = [
        module.at(node)
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.name.lstrip("_").startswith(("verify", "audit"))
        and isinstance(node.returns, ast.Name)
        and node.returns.id == "bool"
    ]
    assert not answers


def test_no_error_is_swallowed(modules: list[Module]) -> None:
    """No bare `except`, and a handler of every exception does more than pass or say no."""
    swallowed = []
    for module in modules:
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.ExceptHandler):
                continue
            broad = node.type is None or dotted(node.type) in {"Exception", "BaseException"}
            ends = all(isinstance(s, (ast.Pass, ast.Continue)) or returns_a_no(s) for s in node.body)
            if node.type is None or (broad and ends):
                swallowed.append(module.at(node))
    assert not swallowed


def returns_a_no(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Return) and (
        statement.value is None
        or (isinstance(statement.value, ast.Constant) and statement.value.value in {None, False})
    )


def test_nothing_is_promised_for_later(repository: Path, tracked: list[Path]) -> None:
    promise = re.compile(r"\b(TODO|FIXME|raise NotImplementedError|unimplemented!|todo!)")
    left = [
        f"{path}:{number}"
        for path in tracked
        if path.suffix in {".py", ".pyi", ".rs", ".sql", ".toml", ".sh"} and path.name != Path(__file__).name
        for number, line in enumerate((repository / path).read_text().splitlines(), 1)
        if promise.search(line)
    ]
    assert not left


def test_no_path_of_somebodys_machine(repository: Path, tracked: list[Path]) -> None:
    machine = re.compile(
        r"(?<![\w.])/(work|root|home)/\w|\buv\.lock$|pypi\.org/simple|proxy\.golang\.org", re.MULTILINE
    )
    found = [
        f"{path}: {match.group()}"
        for path in tracked
        if path.suffix not in {".bin", ".gz"} and path.name not in {Path(__file__).name, ".gitignore"}
        if (match := machine.search(read(repository / path)))
    ]
    assert not found
    assert not [path for path in tracked if path.name == "uv.lock"]


def read(path: Path) -> str:
    return path.read_bytes().decode("utf-8", errors="replace")
