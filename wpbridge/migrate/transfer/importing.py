"""Adds the actions of a file to a queue, while the file is read. It can be repeated.

Each action is added under a key made of where it comes from and its id there. What was added
before is known by it: the same file again, or a second start after a crash, adds only the rest.
docs/explain/migrations.md.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Any, Final, TypeAlias

from wpbridge.errors import InputError
from wpbridge.migrate.journal import Journal
from wpbridge.migrate.transfer.background_writer import BackgroundWriter, two_threads
from wpbridge.migrate.transfer.files import Line, header_of
from wpbridge.migrate.transfer.line_to_row import row_of
from wpbridge.migrate.transfer.lines import END, key_of
from wpbridge.migrate.transfer.other_site import in_zone, moved
from wpbridge.migrate.transfer.taking_back import Notes
from wpbridge.migrate.transfer.verifying import Verification
from wpbridge.migrate.transfer.wishes import Report, Wishes
from wpbridge.outcome import class_name
from wpbridge.store.bulk.bulk import Fate
from wpbridge.store.bulk.inserting import BATCH
from wpbridge.store.bulk.rows import Spans, WholeRow, in_memory
from wpbridge.store.opened import OpenStore

BATCH_BYTES: Final = 16 << 20
"""A batch that takes so much memory is written before it has its usual number of rows."""
AHEAD: Final = 2
"""Batches that wait or are written while more is read."""
_TOLD: Final = 200


_Batch: TypeAlias = list[tuple[Line, str, WholeRow]]
"""Lines with the keys and the rows they mean."""


class Import:
    """One import into one store."""

    def __init__(
        self,
        store: OpenStore,
        wishes: Wishes,
        reject: Callable[[Line, str], None],
        tick: Callable[[int], None] = lambda _count: None,
        journal: Journal | None = None,
    ) -> None:
        """Look at the tables.

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
        self._parts = store
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
        self._added = Verification(store)
        self._writer = BackgroundWriter()
        self._seen: set[int] = set()

    def run(self, lines: Iterable[Line]) -> Report:
        """Add the lines. They may end before the file's last line.

        Raises:
            InputError: it is no exported queue, or one of this very site.
        """
        with two_threads(), self._writer:
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
            self.report.problems += self._added.problems(self.report)
        return self.report

    def _begin(self, line: Line | None) -> None:
        header = header_of(line)
        self._origin = header["origin"]
        if self._origin == self._parts.whole_rows.identity() and not self._wishes.into_itself:
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
        """Return the row as it is to be here. InputError for one that these tables cannot hold."""
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
        """Hand the batch to the other thread.

        While the server writes it, the next lines are read.
        """
        batch, self._batch = self._batch, []
        self._batch_bytes = 0
        if batch:
            if self._notes is not None:
                self._notes.adding(row for _, _, row in batch)
            before = self._writing[-1][0] if self._writing else None
            self._writing.append((self._writer.submit(self._write, batch, before), batch))
        self._wait_for_batches(AHEAD)

    def _write(self, batch: _Batch, before: Future[list[Fate]] | None) -> list[Fate]:
        """Write a batch.

        This runs in the other thread, which alone speaks to the server meanwhile.
        """
        if before is not None:
            # None goes in front of one that failed: ids keep the order of the lines.
            before.result()
        return (self._try if self._wishes.dry_run else self._add)(batch)

    def _wait_for_batches(self, most: int) -> None:
        """Wait until at most so many are still to be written. It raises what writing one raised."""
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
        """Tell, for a trial of ``unique``, whether its like is there or stands before it."""
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
                self._added.remember(fate.id, row, report.added)

    def _settle_late(self) -> None:
        """Add the waits for actions that stand further down in the file."""
        for start in range(0, len(self._late), BATCH):
            self.report.waits_lost += len(self._parts.bulk.wait(self._late[start : start + BATCH]))
