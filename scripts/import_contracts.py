"""Kinds of import contracts that import-linter does not have; pyproject.toml names them."""

import ast
from pathlib import Path
from typing import Any

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class DoorContract(Contract):
    """Only what a room names in its ``DOOR`` is imported from other rooms.

    A room is a package whose ``__init__`` has a ``DOOR``. The names of the ``__init__`` itself are
    open to everybody.
    """

    root = fields.ModuleField()

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: FBT001 - import-linter calls it so
        """Find imports that go past a door."""
        del verbose
        doors = _doors(str(self.root))
        past = [
            (importer, imported)
            for imported in graph.modules
            for importer in graph.find_modules_that_directly_import(imported)
            if any(_is_past(importer, imported, room, door) for room, door in doors.items())
        ]
        return ContractCheck(kept=not past, metadata={"past": sorted(past)})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Name each import."""
        past: Any = check.metadata["past"]
        for importer, imported in past:
            output.print_error(f"{importer} imports {imported}, which is behind its room's door")


def _doors(root: str) -> dict[str, frozenset[str]]:
    found = {}
    for file in Path(root).rglob("__init__.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "DOOR":
                assert node.value is not None
                names = ast.literal_eval(node.value)
                found[".".join(file.parent.parts)] = frozenset(names)
    return found


def _is_past(importer: str, imported: str, room: str, door: frozenset[str]) -> bool:
    inside = f"{room}."
    if not imported.startswith(inside) or importer == room or importer.startswith(inside):
        return False
    return imported.removeprefix(inside).split(".")[0] not in door
