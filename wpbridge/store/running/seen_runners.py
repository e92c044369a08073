"""Read the rows of runners for people: what each process is, and what is wished of it.

There is a row for each process that runs now, or died lately, so the whole table is read.
"""

import json
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Final, NamedTuple

from wpbridge.dataclass import dataclass
from wpbridge.store.base import RunnerRecord
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.texts import date
from wpbridge.store.running.ownership import Ownership
from wpbridge.store.schema.rows import reader
from wpbridge.store.schema.tables import RUNNERS
from wpbridge.store.structure.tables import Tables

_LONGEST: Final = 40
"""Characters of a word that a runner says of itself."""
_NEWER: Final = ("places", "wish", "about")
RELAY: Final = "relay"
"""The kind of a runner that runs nothing: it hands actions over to workers of Celery."""
CELERY: Final = "celery"
"""The kind of a process of a Celery worker, which runs only what a relay has named to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a runner says of its process. Where its release does not tell, everything is empty."""

    kind: str = ""
    """The command whose process it is: ``work``, ``claim-and-run``, ``run``, ``serve`` or
    ``relay``; ``celery`` for a process of a Celery worker."""
    supervisor: int | None = None
    """The process id of the daemon's first process, if it is a daemon's worker."""
    state: str = ""
    """``working``, ``quiet`` or ``stopping``."""
    executors: Mapping[str, int] = field(default_factory=dict)
    """How many actions can run at once in ``python``, ``isolated`` and ``php``."""
    memory_bytes: int | None = None
    restarts: Mapping[str, int] = field(default_factory=dict)
    """How often a ``worker`` in its place, or a warm ``php`` worker, has died."""
    done: Mapping[str, int] = field(default_factory=dict)
    """How many actions it has ended, by how they ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRunner:
    """A runner's row, with what people see of it."""

    runner: RunnerRecord
    started_at: datetime | None
    """By the database's clock."""
    places: int | None
    """How many actions it can run at once; None where its release does not tell."""
    wish: str
    """What people wish of it: empty, ``quiet`` or ``stop``."""
    about: About

    @property
    def runs_what_is_due(self) -> bool:
        """Tell whether it looks for due actions and runs them itself.

        A relay and the workers of Celery do not: together they run what a route hands to Celery,
        and nothing else.
        """
        return self.about.kind not in (RELAY, CELERY)

    @property
    def has_obeyed(self) -> bool:
        """Tell whether it does what is wished of it, by what it last said of itself."""
        if self.wish == "stop":
            return self.about.state == "stopping"
        return not self.wish or self.about.state in ("quiet", "stopping")


class _Row(NamedTuple):
    runner_id: object
    started_gmt: object
    places: object
    wish: object
    about: object


def seen_runners(tables: Tables) -> list[SeenRunner]:
    """Return every runner of wpbridge that has a row, the oldest first."""
    table = tables.names.runners
    if not tables.own.has(table):
        return []

    def read(connection: Connection) -> list[SeenRunner]:
        there = tables.dialect.columns(connection, table)
        rows = reader(_Row, RUNNERS, lacking=[name for name in _NEWER if name not in there])
        statement = text(f"SELECT {rows.columns} FROM {table}")
        told = {int(str(row.runner_id)): row for row in rows.read(connection.execute(statement))}
        everyone = Ownership(tables).everyone(connection)
        return [_seen(one, told[one.id]) for one in everyone if one.id in told]

    return tables.session.run(read)


def _seen(runner: RunnerRecord, row: _Row) -> SeenRunner:
    return SeenRunner(
        runner=runner,
        started_at=date(row.started_gmt),
        places=None if row.places is None else int(str(row.places)),
        wish=str(row.wish or ""),
        about=_about(str(row.about or "")),
    )


def _about(text: str) -> About:
    """Read what :mod:`wpbridge.runner.about` has written. What is something else is left out."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return About()
    if not isinstance(told, dict):
        return About()
    return About(
        kind=_word(told.get("kind")),
        supervisor=_whole(told.get("supervisor")),
        state=_word(told.get("state")),
        executors=_counts(told.get("executors")),
        memory_bytes=_whole(told.get("memory")),
        restarts=_counts(told.get("restarts")),
        done=_counts(told.get("done")),
    )


def _word(value: object) -> str:
    return value[:_LONGEST] if isinstance(value, str) else ""


def _whole(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < 1 << 63 else None


def _counts(value: object) -> dict[str, int]:
    pairs = value.items() if isinstance(value, dict) else ()
    found = {_word(name): _whole(count) for name, count in pairs}
    return {name: count for name, count in found.items() if count is not None}
