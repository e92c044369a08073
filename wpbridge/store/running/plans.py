"""Ask how the server would run the statements of a claim: which indexes it uses, what it reads."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from wpbridge.dataclass import dataclass
from wpbridge.store.opened import OpenStore
from wpbridge.store.running.candidates import Finder, Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of the server's plan for a statement."""

    name: str
    """The name of the statement."""
    index: str | None
    """The index that the server uses."""
    wanted: str | None
    """The index that it should use; None where any will do."""
    rows: int
    reads_all: bool
    sorts: bool


def plans(store: OpenStore, values: Mapping[str, object]) -> list[Step]:
    """Return the plan of every statement that a claim may send; nothing on SQLite."""
    finder = Finder(store.tables, lambda _: True, store.groups.slug_on)
    return [_step(plan, row) for plan in finder.plans() for row in _explained(store, plan, values)]


def _explained(
    store: OpenStore, plan: Plan, values: Mapping[str, object]
) -> list[Mapping[str, Any]]:
    told = plan.statement.text
    used = {name: value for name, value in values.items() if f":{name}" in told}
    return store.session.run(partial(store.dialect.plan, select=told, values=used))


def _step(plan: Plan, told: Mapping[str, Any]) -> Step:
    extra = str(told.get("extra") or "")
    return Step(
        name=plan.name,
        index=None if told.get("key") is None else str(told["key"]),
        wanted=plan.index,
        rows=int(told.get("rows") or 0),
        reads_all=told.get("type") == "ALL",
        sorts="filesort" in extra or "temporary" in extra,
    )
