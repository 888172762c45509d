"""Reads our own source: which files there are, and what they import. Knows syntax; runs nothing."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("models", "eventlog", "training", "service", "client")


def python_files(*folders: str) -> list[Path]:
    """Return every Python file below `folders` of the repository."""
    return sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))


def parse(file: Path) -> ast.Module:
    """Return the syntax tree of `file`."""
    return ast.parse(file.read_text("utf-8"), str(file))


def imported_modules(tree: ast.AST) -> Iterator[str]:
    """Yield the dotted name of each module that `tree` imports, at any depth."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def dotted(node: ast.AST) -> str:
    """Return `a.b.c` for the expression a.b.c, and the empty text for any other."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        head = dotted(node.value)
        return f"{head}.{node.attr}" if head else ""
    return ""
