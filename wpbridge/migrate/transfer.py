"""Queues to files and back, and from one site straight to another; streaming, safe to repeat.

Each action is added under a key made of where it comes from and its id there. What was added
before is known by it: the same file again, or a second start after a crash, adds only the rest.
docs/explain/migrations.md.
"""

import contextlib
import gc
import random
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from wpbridge.action import ActionId
from wpbridge.errors import InputError
from wpbridge.migrate.added import Notes
from wpbridge.migrate.files import Line, header_of
from wpbridge.migrate.journal import Journal
from wpbridge.migrate.lines import (
    ACTIONS,
    END,
    VERSION,
    in_zone,
    key_of,
    line_of,
    moved,
    row_of,
)
from wpbridge.migrate.writer import Writer
from wpbridge.outcome import class_name
from wpbridge.site.moments import iso
from wpbridge.store.moving.bulk import BATCH, Fate, Spans, WholeRow, in_memory
from wpbridge.store.records import Query
from wpbridge.store.running.runner_store import SqlStore

SAMPLE: Final = 50
"""Rows that are compared value by value at the end."""
ENDED: Final = ("complete", "failed", "canceled")
SWITCH_SECONDS: Final = 0.0005
OBJECTS_A_COLLECTION: Final = 50_000
BATCH_BYTES: Final = 16 << 20
"""A batch that takes so much memory is written before it has its usual number of rows."""
_SAMPLED_BYTES: Final = 1 << 20
AHEAD: Final = 2
"""Batches that wait or are written while more is read."""
_TOLD: Final = 200


def lines_of(
    store: SqlStore,
    query: Query,
    *,
    now: datetime,
    logs: bool = True,
    origin: str | None = None,
    count: int | None = None,
    tick: Callable[[int], None] = lambda _count: None,
) -> Iterator[dict[str, Any]]:
    """A queue as lines: header, actions by id, end.

    Args:
        store: whose.
        query: which actions; its order and limit do not count.
        now: for the header.
        logs: with their log rows.
        origin: what the actions are known by where they are added; the server's own name and the
            prefix unless given.
        count: how many there are about, for who reads the lines.
        tick: told of each window read.
    """
    parts = store.parts
    yield {
        "wpbridge": ACTIONS,
        "version": VERSION,
        "origin": origin or parts.bulk.identity(),
        "prefix": store.names.prefix,
        "schema": store.layout.describe(),
        "zone": str(parts.inserts.zone),
        "logs": logs,
        "made": iso(now),
        "count": count,
    }
    statuses: Counter[str] = Counter()
    for window in parts.bulk.read(query, logs=logs):
        for row in window:
            line = line_of(row)
            statuses[line["status"]] += 1
            yield line
        tick(len(window))
    yield {"wpbridge": END, "actions": statuses.total(), "statuses": dict(statuses)}


@dataclass(slots=True, kw_only=True)
class Report:
    """What an import did."""

    read: int = 0
    added: int = 0
    known: int = 0
    """Added before, by the same file."""
    refused: int = 0
    """Their like was there (``unique``)."""
    left_out: int = 0
    """Of other statuses than asked for."""
    rejected: int = 0
    waits_lost: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    """Of those added."""
    samples: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """What the look at the end found; empty when all is as it was written."""
    is_whole: bool = False
    """The file's end was there."""

    @property
    def is_good(self) -> bool:
        """Nothing was rejected, nothing missing, and nothing waits for ever."""
        return self.is_whole and not (self.rejected or self.problems or self.waits_lost)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """How an import is to be done."""

    now: datetime
    shift: timedelta = timedelta(0)
    """Added to the dates of pending actions."""
    statuses: frozenset[str] = frozenset()
    """Only these; empty for all."""
    unique: bool = False
    """Leave out pending actions whose hook, args and group are pending here already."""
    into_itself: bool = False
    """Also into the queue that the lines come from."""
    dry_run: bool = False


_Batch: TypeAlias = list[tuple[Line, str, WholeRow]]
"""Lines with the keys and the rows they mean."""


class Import:
    """One import into one store."""

    def __init__(
        self,
        store: SqlStore,
        wishes: Wishes,
        reject: Callable[[Line, str], None],
        tick: Callable[[int], None] = lambda _count: None,
        journal: Journal | None = None,
    ) -> None:
        """Looks at the tables.

        Args:
            store: where they are added.
            wishes: how.
            reject: gets the lines that cannot be added.
            tick: told of each batch.
            journal: for the undo; without, there is none.

        Raises:
            SchemaError: the tables are only to be read.
        """
        store.check_writable()
        self.report = Report()
        self._journal = journal
        self._notes: Notes | None = None
        self._session = store.session
        self._parts = store.parts
        self._layout = store.layout
        self._wishes = wishes
        self._reject_line = reject
        self._tick = tick
        self._origin = ""
        self._zone_differs = False
        self._last_id = 0
        self._batch: _Batch = []
        self._batch_bytes = 0
        self._writing: deque[tuple[Future[list[Fate]], _Batch]] = deque()
        self._late: list[tuple[str, str, str]] = []
        self._spans = Spans()
        self._writer = Writer()
        self._seen: set[int] = set()
        self._sample: list[tuple[ActionId, WholeRow]] = []

    def run(self, lines: Iterable[Line]) -> Report:
        """Add them; the last line may be the last of a whole file or not.

        Raises:
            InputError: it is no exported queue, or one of this very site.
        """
        with _two_threads(), self._writer:
            try:
                return self._run(iter(lines))
            except (KeyboardInterrupt, SystemExit):
                # The writing thread may wait for a lock, and would keep the process.
                self._session.cut()
                raise

    def _run(self, rows: Iterator[Line]) -> Report:
        self._begin(next(rows, None))
        for line in rows:
            if self.report.is_whole:
                self._reject(line, "it stands behind the file's last line")
            elif line.value.get("wpbridge") == END and not line.why:
                self._end(line.value)
            else:
                self._take(line)
        self._flush()
        self._wait_for_batches(0)
        self._settle_late()
        if not self._wishes.dry_run:
            self._verify()
        return self.report

    def _begin(self, line: Line | None) -> None:
        header = header_of(line)
        self._origin = header["origin"]
        if self._origin == self._parts.bulk.identity() and not self._wishes.into_itself:
            raise InputError(
                "these actions come from this very queue: each would be there twice"
                " (--into-itself adds them all the same)"
            )
        self._zone_differs = header.get("zone") != str(self._parts.inserts.zone)
        if self._journal is not None and not self._wishes.dry_run:
            self._notes = Notes(self._journal, self._wishes.now, self._origin)

    def _end(self, line: dict[str, Any]) -> None:
        self.report.is_whole = True
        told = line.get("actions")
        if told != self.report.read:
            count = told if isinstance(told, int) else "no number of"
            self.report.problems.append(
                f"the file was written with {count} actions and holds {self.report.read}"
            )

    def _take(self, line: Line) -> None:
        report = self.report
        report.read += 1
        try:
            if line.why:
                raise InputError(line.why)  # noqa: TRY301 - one way out for all
            row = self._prepared(line.value)
        except InputError as error:
            self._reject(line, str(error))
            return
        except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError) as error:
            # Whatever a line holds, it ends no import.
            self._reject(line, f"it cannot be read: {class_name(error)}")
            return
        if self._wishes.statuses and row.status not in self._wishes.statuses:
            report.left_out += 1
            return
        if line.text:
            # It is the same, and smaller.
            line.value = {}
        self._batch.append((line, key_of(self._origin, row.id), row))
        self._batch_bytes += len(line.text) + in_memory(row)
        if len(self._batch) == BATCH or self._batch_bytes >= BATCH_BYTES:
            self._flush()

    def _prepared(self, line: dict[str, Any]) -> WholeRow:
        """The row as it is to be here; InputError for one that these tables cannot hold."""
        row = row_of(line)
        if row.id <= self._last_id:
            raise InputError(
                f"id {row.id} comes after {self._last_id}: each stands once, in rising order"
            )
        self._last_id = row.id
        if row.extended_args is not None and not self._layout.has_extended_args:
            raise InputError("args of more than 191 bytes: these tables have no extended_args")
        if self._wishes.shift:
            row = moved(row, self._wishes.shift)
        return in_zone(row, self._parts.inserts.zone) if self._zone_differs else row

    def _flush(self) -> None:
        """Hand the batch to the other thread: while the server writes it, the next are read."""
        batch, self._batch = self._batch, []
        self._batch_bytes = 0
        if batch:
            if self._notes is not None:
                self._notes.adding(row for _, _, row in batch)
            before = self._writing[-1][0] if self._writing else None
            self._writing.append((self._writer.submit(self._write, batch, before), batch))
        self._wait_for_batches(AHEAD)

    def _write(self, batch: _Batch, before: Future[list[Fate]] | None) -> list[Fate]:
        """In the other thread, which alone speaks to the server meanwhile."""
        if before is not None:
            # None goes in front of one that failed: ids keep the order of the lines.
            before.result()
        return (self._try if self._wishes.dry_run else self._add)(batch)

    def _wait_for_batches(self, most: int) -> None:
        """Until no more of them are to be written; raises what writing one met."""
        while len(self._writing) > most:
            future, batch = self._writing.popleft()
            were_there = Spans()
            for (line, _, row), fate in zip(batch, future.result(), strict=True):
                self._settle(line, row, fate)
                if not fate.is_new:
                    were_there.add(row.id)
            if self._notes is not None:
                self._notes.were_there(were_there)
            self._tick(len(batch))

    def _try(self, batch: _Batch) -> list[Fate]:
        known = self._parts.bulk.known([key for _, key, _ in batch])
        return [
            Fate(id=one.id, is_new=False, why=one.why_not(row))
            if (one := known.get(key)) is not None
            else Fate(id=None, is_new=not self._is_like_another(row))
            for _, key, row in batch
        ]

    def _is_like_another(self, row: WholeRow) -> bool:
        """For a trial of ``unique``: the like of it is there, or stands before it."""
        if not self._wishes.unique or row.status != "pending":
            return False
        mine = hash((row.hook, row.args, row.group))
        if mine in self._seen or self._parts.bulk.same(row):
            return True
        self._seen.add(mine)
        return False

    def _add(self, batch: _Batch) -> list[Fate]:
        bulk, wishes = self._parts.bulk, self._wishes
        keyed = [(key, row) for _, key, row in batch]
        fates = bulk.add(keyed, unique=wishes.unique, now=wishes.now)
        waits = [
            (key, key_of(self._origin, after), how)
            for (key, row), fate in zip(keyed, fates, strict=True)
            if row.waits and fate.id is not None and not fate.why
            for after, how in row.waits
        ]
        self._late += bulk.wait(waits)
        return fates

    def _reject(self, line: Line, why: str) -> None:
        self.report.rejected += 1
        self._reject_line(line, why)

    def _settle(self, line: Line, row: WholeRow, fate: Fate) -> None:
        report = self.report
        if fate.why:
            self._reject(line, fate.why)
        elif not fate.is_new:
            report.known += fate.id is not None
            report.refused += fate.id is None
        else:
            report.added += 1
            report.statuses[row.status] += 1
            if len(report.samples) < 3:  # noqa: PLR2004 - a few
                when = row.scheduled or "no date"
                told = f"{row.hook} {row.status} {when} {row.extended_args or row.args}"
                report.samples.append(told[:_TOLD])
            if fate.id is not None:
                self._spans.add(fate.id)
                self._choose(fate.id, row)

    def _choose(self, action_id: ActionId, row: WholeRow) -> None:
        """Each of those added, but for large ones, is as likely to be in the sample at the end."""
        if in_memory(row) > _SAMPLED_BYTES:
            return
        if len(self._sample) < SAMPLE:
            self._sample.append((action_id, row))
            return
        place = int(random.random() * self.report.added)  # noqa: S311 - a sample
        if place < SAMPLE:
            self._sample[place] = (action_id, row)

    def _settle_late(self) -> None:
        """Waits for actions that stand further down in the file."""
        for start in range(0, len(self._late), BATCH):
            self.report.waits_lost += len(self._parts.bulk.wait(self._late[start : start + BATCH]))

    def _verify(self) -> None:
        report = self.report
        found = self._parts.bulk.statuses_in(self._spans)
        if sum(found.values()) < report.added:
            report.problems.append(
                f"{report.added:,} actions were added, and {sum(found.values()):,} are there"
            )
        for status in ENDED:
            if found.get(status, 0) < report.statuses[status]:
                report.problems.append(
                    f"{report.statuses[status]:,} {status} ones were added, and"
                    f" {found.get(status, 0):,} are there"
                )
        now = self._parts.bulk.again([i for i, _ in self._sample], logs=True)
        for action_id, row in self._sample:
            there = now.get(action_id)
            if there is not None and (why := self._difference(row, there)):
                report.problems.append(f"action {action_id} (there {row.id}) differs: {why}")

    def _difference(self, row: WholeRow, there: WholeRow) -> str:
        """Names of columns that are not as they were written; a runner may be at work."""
        if row.status == "pending" and (there.status != row.status or there.is_claimed):
            return ""
        names = ["hook", "status", "scheduled", "args", "schedule", "attempts", "last_attempt"]
        names += ["priority"] if self._layout.has_priority else []
        names += ["extended_args"] if self._layout.has_extended_args else []
        if row.waits:
            # Dated as soon as they have ended.
            names.remove("scheduled")
        different = [name for name in names if getattr(row, name) != getattr(there, name)]
        if self._parts.groups.first(row.group) != self._parts.groups.first(there.group):
            different.append("group")
        if len(row.logs) > len(there.logs):
            different.append("logs")
        return ", ".join(different)


@contextlib.contextmanager
def _two_threads() -> Iterator[None]:
    """The interpreter as an import wants it.

    The writing thread mostly waits for the server, and has little to do when it answers. And
    nearly nothing that is made refers to itself, so a collection finds nothing.
    """
    interval, counts = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(OBJECTS_A_COLLECTION)
    try:
        yield
    finally:
        gc.set_threshold(*counts)
        sys.setswitchinterval(interval)


def copy(
    source_store: SqlStore,
    query: Query,
    target: SqlStore,
    wishes: Wishes,
    reject: Callable[[Line, str], None],
    *,
    logs: bool = True,
    origin: str | None = None,
    tick: Callable[[int], None] = lambda _count: None,
    journal: Journal | None = None,
) -> Report:
    """From one queue to another, with the keys that a file would have."""
    if source_store.parts.bulk.identity() == target.parts.bulk.identity():
        raise InputError("source and target are the same queue")
    lines = lines_of(source_store, query, now=wishes.now, logs=logs, origin=origin)
    numbered = (Line(number=n, value=line) for n, line in enumerate(lines, 1))
    return Import(target, replace(wishes, into_itself=False), reject, tick, journal).run(numbered)
