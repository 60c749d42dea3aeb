"""What a module of the product looks like."""

from __future__ import annotations

import ast
import doctest
import importlib
import sys

import grimp
from style.sources import Module

LINES_MAX = 550  # a file is read in one sitting
BANNED_PARTS = {"utils", "util", "helpers", "helper", "manager", "managers", "common", "misc"}
ENTRY_POINTS = {"tallystick", "tallystick.cli", "tallystick.__main__"}


def is_public(module: Module) -> bool:
    return not any(part.startswith("_") for part in module.name.split("."))


def definitions(module: Module) -> list[str]:
    return [
        node.name
        for node in module.tree.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and not node.name.startswith("_")
    ]


def test_every_module_opens_with_what_it_is(modules: list[Module]) -> None:
    silent = [str(module.path) for module in modules if module.tree.body and not ast.get_docstring(module.tree)]
    assert not silent


def test_public_names_are_exported_on_purpose(modules: list[Module]) -> None:
    missing = [
        str(module.path)
        for module in modules
        if is_public(module)
        and definitions(module)
        and not any(
            isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets)
            for node in module.tree.body
        )
    ]
    assert not missing


def test_a_file_is_read_in_one_sitting(modules: list[Module]) -> None:
    long = {str(module.path): n for module in modules if (n := module.text.count("\n")) > LINES_MAX}
    assert not long


def test_packages_are_named_for_what_they_know(modules: list[Module]) -> None:
    vague = [str(module.path) for module in modules if BANNED_PARTS & set(module.path.with_suffix("").parts)]
    vague += [
        f"{module.path}: {name}"
        for module in modules
        for name in definitions(module)
        if name.lower().endswith(("manager", "helper", "utils"))
    ]
    assert not vague


def test_no_module_is_dead(modules: list[Module]) -> None:
    """Each is imported by another one, unless it is where a program begins or only holds others."""
    for package, entries in {"tallystick": ENTRY_POINTS, "tallystick_verify": {"tallystick_verify.__main__"}}.items():
        graph = grimp.build_graph(package, cache_dir=None)
        empty = {module.name for module in modules if not module.tree.body[1:]}
        loaded_by_name = {name for name in graph.modules if ".migrations" in name}  # by the migration tool
        dead = {
            name
            for name in graph.modules - entries - empty - loaded_by_name - {package}
            if not graph.find_modules_that_directly_import(name)
        }
        assert not dead


def test_the_verifier_needs_the_standard_library_and_cryptography_only(modules: list[Module]) -> None:
    allowed = sys.stdlib_module_names | {"tallystick_verify", "cryptography"}
    foreign = [
        module.at(node)
        for module in modules
        if module.path.parts[0] == "verifier"
        for node in ast.walk(module.tree)
        for name in imported(node)
        if name.split(".")[0] not in allowed
    ]
    assert not foreign


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module]
    return []


def test_examples_in_docstrings_hold(modules: list[Module]) -> None:
    failed = {}
    for module in modules:
        if ">>> " in module.text:
            result = doctest.testmod(importlib.import_module(module.name))
            if result.failed:
                failed[module.name] = result.failed
    assert not failed
