"""What imports and copies have added, in a journal, and taking it back.

A step names the actions of a batch by their ids where they come from, and is on the disk before the
batch is written. Which of them were added, and by which run, the keys tell: each has the run's
date. So a crash between the two takes nothing away from the undo, and what was there from before
is left alone by it. docs/explain/migrations.md.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from wpbridge.clock import from_text, to_text
from wpbridge.errors import InputError
from wpbridge.migrate.journal import Journal
from wpbridge.migrate.lines import key_of
from wpbridge.store.bulk import Added, Spans, WholeRow
from wpbridge.store.sqlstore import SqlStore

KIND: Final = "import"


@dataclass(slots=True, kw_only=True)
class TakenBack:
    """What an undo did, or would do."""

    removed: Counter[str] = field(default_factory=Counter)
    """Actions deleted, by their status."""
    changed: int = 0
    """They have run since, or somebody has ended them: they stay."""
    held: int = 0
    """A runner has them just now: they stay, for the time being."""


def note(journal: Journal, run: datetime, origin: str, rows: Iterable[WholeRow]) -> None:
    """Tell the journal what is about to be added; on the disk when this returns."""
    spans: defaultdict[str, Spans] = defaultdict(Spans)
    for row in rows:
        spans[row.status].add(row.id)
    told = {status: some.spans for status, some in spans.items()}
    journal.add({"run": to_text(run), "origin": origin, "adding": told})


def take_back(
    store: SqlStore,
    journal: Journal,
    *,
    dry_run: bool = False,
    tick: Callable[[int], None] = lambda _count: None,
) -> TakenBack:
    """Delete what the journal's runs have added and nobody has touched since, with its logs.

    A transaction for each batch; after a crash it is called again and does the rest. An action that
    has run since, here, stays: deleted, its origin would run it once more.

    Raises:
        InputError: the journal is damaged.
    """
    done = TakenBack()
    for step in journal.steps():
        if "adding" in step:
            tick(_take_back(store, step, done, dry_run=dry_run))
    if not dry_run:
        journal.add({"undone": dict(done.removed), "changed": done.changed, "held": done.held})
    return done


def _take_back(store: SqlStore, step: dict[str, Any], done: TakenBack, *, dry_run: bool) -> int:
    """One batch; returns how many it was meant to be."""
    run = from_text(step.get("run"))
    if run is None:
        raise InputError("the journal is damaged: a step tells no date of its run")
    statuses = {
        key_of(step["origin"], number): status
        for status, spans in step["adding"].items()
        for first, last in spans
        for number in range(first, last + 1)
    }
    parts = store.parts

    def work(connection: Connection) -> TakenBack:
        told = TakenBack()
        untouched: list[Added] = []
        for one in parts.bulk.added_on(connection, list(statuses), run):
            if one.is_held:
                told.held += 1
            elif _was_touched(one, statuses[one.key], run):
                told.changed += 1
            else:
                untouched.append(one)
                told.removed[one.status] += 1
        if not dry_run:
            parts.retention.remove(connection, [one.id for one in untouched])
        return told

    told = store.session.transact(work)
    done.removed += told.removed
    done.changed += told.changed
    done.held += told.held
    return len(statuses)


def _was_touched(one: Added, status: str, run: datetime) -> bool:
    """Whether it has another status than it was added with, or was tried since."""
    tried = from_text(one.last_attempt)
    return one.status != status or (tried is not None and tried >= run)
