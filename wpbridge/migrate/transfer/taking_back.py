"""Notes in a journal what imports and copies add, and takes it back.

A step names the actions of a batch by their ids where they come from, with a mark of each, and is
on the disk before the batch is written; another one those of them that were there from before.
Which of the others were added the keys tell: each has the date of its run. So a crash between the
two takes nothing away from the undo, and what an earlier import had added is left alone.
docs/explain/migrations.md.
"""

import secrets
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from datetime import datetime
from typing import Any, Final, Self

from wpbridge.action import ActionId
from wpbridge.clock import from_text, to_text
from wpbridge.dataclass import dataclass
from wpbridge.errors import InputError
from wpbridge.migrate.journal import Journal
from wpbridge.migrate.transfer.lines import key_of
from wpbridge.store.bulk.keys import mark_of
from wpbridge.store.bulk.rows import Spans, WholeRow
from wpbridge.store.database.session import Transaction
from wpbridge.store.opened import OpenStore

KIND: Final = "import"
_MARK: Final = 8
"""Characters."""
_SAMPLE: Final = 50


class Notes:
    """What one run writes into the journal."""

    def __init__(self, journal: Journal, run: datetime, origin: str) -> None:
        """``run`` is the date of the run's keys."""
        self._journal = journal
        self._run = to_text(run)
        self._origin = origin
        self._by = secrets.token_hex(4)

    def adding(self, rows: Iterable[WholeRow]) -> None:
        """Note that rows are about to be added, in rising order.

        It is on the disk when this returns.
        """
        ids, marks = Spans(), list[str]()
        for row in rows:
            ids.add(row.id)
            marks.append(
                mark_of(row.status, row.scheduled, row.attempts, row.last_attempt, len(row.logs))
            )
        self._journal.add(
            {
                "by": self._by,
                "run": self._run,
                "origin": self._origin,
                "adding": ids.spans,
                "marks": "".join(marks),
            }
        )

    def were_there(self, ids: Spans) -> None:
        """Note that some of them were not added by this run."""
        if ids.spans:
            self._journal.add({"by": self._by, "were_there": ids.spans})


@dataclass(slots=True, kw_only=True)
class TakenBack:
    """What an undo did, or would do."""

    removed: Counter[str] = field(default_factory=Counter)
    """Actions deleted, by their status."""
    changed: int = 0
    """They have run since, somebody has changed them, or another action waits for them."""
    held: int = 0
    """A runner has them just now: they stay, for the time being."""
    gone: int = 0
    """They were never added after all, or are deleted already."""
    samples: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """What the look at the end found."""

    def add(self, other: "TakenBack") -> None:
        """Add what was done with one batch."""
        self.removed += other.removed
        self.changed += other.changed
        self.held += other.held
        self.gone += other.gone


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    """What one step of the journal tells: a batch that was to be added."""

    by: str
    run: datetime
    marks: Mapping[str, str]
    """By the keys."""

    @classmethod
    def of(cls, step: Mapping[str, Any], were_there: Mapping[str, Spans]) -> Self:
        by, origin, marks = str(step["by"]), str(step["origin"]), str(step["marks"])
        run = from_text(str(step["run"]))
        spans = [(int(first), int(last)) for first, last in step["adding"]]
        if any(last < first for first, last in spans):
            raise ValueError
        if run is None or len(marks) != _MARK * sum(last - first + 1 for first, last in spans):
            raise ValueError
        ids = list(_numbers(spans))
        left_out = were_there.get(by, Spans())
        return cls(
            by=by,
            run=run,
            marks={
                key_of(origin, number): marks[_MARK * place : _MARK * (place + 1)]
                for place, number in enumerate(ids)
                if number not in left_out
            },
        )


def take_back(
    store: OpenStore,
    journal: Journal,
    *,
    dry_run: bool = False,
    tick: Callable[[int], None] = lambda _count: None,
) -> TakenBack:
    """Delete what the journal's runs have added and nobody has touched since, with its logs.

    A transaction for each batch; after a crash it is called again and does the rest. An action that
    has run since, here, stays: deleted, its origin would run it once more.

    Raises:
        InputError: the journal is damaged, or the keys are gone.
        SchemaError: the tables are only to be read.
    """
    store.check_writable()
    done, sample = TakenBack(), list[ActionId]()
    for batch in _batches(journal):
        if not store.own.has(store.names.keys):
            raise InputError(
                f"the table {store.names.keys} is gone, which tells what was added: nothing can be"
                " taken back"
            )
        told, ids = _take_back(store, batch, dry_run=dry_run)
        done.add(told)
        sample += ids[: _SAMPLE - len(sample)]
        tick(len(batch.marks))
    if dry_run:
        done.samples += _shown(store, sample[:3])
    else:
        left = store.whole_rows.again(sample, logs=False)
        done.problems += [f"action {i} is still there" for i in left]
        journal.add(
            {
                "undone": dict(done.removed),
                "changed": done.changed,
                "held": done.held,
                "gone": done.gone,
                "problems": done.problems,
            }
        )
    return done


def count(journal: Journal) -> int:
    """Count the actions that there may be to take back."""
    return sum(len(batch.marks) for batch in _batches(journal))


def _batches(journal: Journal) -> Iterator[_Batch]:
    """Read the batches of a journal. InputError where a step is damaged."""
    were_there: defaultdict[str, Spans] = defaultdict(Spans)

    def leave_out(step: Mapping[str, Any]) -> None:
        for first, last in step.get("were_there", ()):
            were_there[str(step["by"])].spans.append((int(first), int(last)))

    for _ in journal.meanings(leave_out):
        pass
    for batch in journal.meanings(
        lambda step: _Batch.of(step, were_there) if "adding" in step else None
    ):
        if batch is not None and batch.marks:
            yield batch


def _numbers(spans: Iterable[tuple[int, int]]) -> Iterator[int]:
    for first, last in spans:
        yield from range(first, last + 1)


def _take_back(
    store: OpenStore, batch: _Batch, *, dry_run: bool
) -> tuple[TakenBack, list[ActionId]]:
    """Take back one batch. Returns the ids of what was removed, too."""
    parts = store
    attempts: list[tuple[TakenBack, list[ActionId]]] = []

    def work(connection: Transaction) -> tuple[TakenBack, list[ActionId]]:
        found = parts.bulk_keys.added_on(connection, list(batch.marks), batch.run)
        if store.session.in_doubt and attempts:
            told, removed = attempts[-1]
            if not {one.id for one in found} & set(removed):
                # The COMMIT that was not answered did it.
                return told, removed
        told, removed = TakenBack(gone=len(batch.marks) - len(found)), []
        for one in found:
            if one.is_in_hand:
                told.held += 1
            elif one.mark != batch.marks[one.key] or one.is_waited_for:
                told.changed += 1
            else:
                removed.append(one.id)
                told.removed[one.status] += 1
        if not dry_run:
            parts.retention.remove(connection, removed)
        attempts.append((told, removed))
        return told, removed

    return store.session.transact(work)


def _shown(store: OpenStore, ids: list[ActionId]) -> list[str]:
    return [
        f"{row.hook} {row.status} {row.scheduled or 'no date'} {row.extended_args or row.args}"
        for row in store.whole_rows.again(ids, logs=False).values()
    ]
