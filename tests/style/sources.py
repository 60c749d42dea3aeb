"""The repository's own sources, as tests look at them."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Module:
    path: Path  # relative to the repository
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        parts = self.path.with_suffix("").parts[1:]  # without src/ or verifier/
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def at(self, node: ast.AST) -> str:
        return f"{self.path}:{getattr(node, 'lineno', 1)}"
