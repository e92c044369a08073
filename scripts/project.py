"""What a tree of wpbridge says of itself: its version, its libraries and its extras."""

import re
import tomllib
from pathlib import Path
from typing import Any, Final

NO_WHEELS: Final = frozenset({"fast"})
"""Extras that may have to be built: mysqlclient, the driver in C, has no wheels."""


def version_of(tree: Path) -> str:
    """Return the version of a tree. Nothing of the tree is imported."""
    text = (tree / "wpbridge" / "__init__.py").read_text("utf-8")
    [found] = re.findall(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    return str(found)


def libraries_of(tree: Path) -> list[str]:
    """Return what the base of a tree requires, as pip reads it."""
    return list(_project(tree)["dependencies"])


def extras_of(tree: Path) -> list[str]:
    """Return the names of all extras of a tree."""
    return sorted(_project(tree)["optional-dependencies"])


def extras_with_wheels(tree: Path) -> list[str]:
    """Return the extras of a tree that nothing has to be built for."""
    return [name for name in extras_of(tree) if name not in NO_WHEELS]


def _project(tree: Path) -> dict[str, Any]:
    told: dict[str, Any] = tomllib.loads((tree / "pyproject.toml").read_text("utf-8"))["project"]
    return told
