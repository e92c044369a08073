"""Moves actions that ended long ago into a packed file, which ``migrate import`` reads.

In small batches: rows are locked, written as a gzip member of their own, forced to the disk, noted
in the journal, and only then deleted, in the transaction that locked them. Killed at any moment,
nothing is lost: what was written and not noted is cut off the file, what was noted and not deleted
is deleted when the archive goes on. docs/explain/migrations.md.
"""

import contextlib
import gzip
import io
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from wpbridge.action import ActionId, Status
from wpbridge.clock import from_text, to_text
from wpbridge.dataclass import dataclass
from wpbridge.errors import InputError
from wpbridge.migrate.journal import Journal
from wpbridge.migrate.packed_file import PackedFile
from wpbridge.migrate.transfer.exporting import lines_of
from wpbridge.migrate.transfer.files import read, source
from wpbridge.migrate.transfer.lines import END, dumped
from wpbridge.migrate.transfer.row_to_line import line_of
from wpbridge.store.database.session import Transaction
from wpbridge.store.opened import OpenStore
from wpbridge.store.records import Query
from wpbridge.store.upkeep.retention import Expiry

KIND: Final = "archive"
BATCH_SIZE: Final = 500
ENDING: Final = ".jsonl.gz"
ENDED: Final = (Status.COMPLETE, Status.FAILED, Status.CANCELED)
"""What can be archived."""
_SAMPLE: Final = 100
_LEVEL: Final = 6


@dataclass(kw_only=True)
class Report:
    """What an archive has done, in all its runs together."""

    file: Path
    archived: int = 0
    """Actions in the file."""
    stayed: int = 0
    """Of these, changed by somebody before they were deleted: they are in the queue, too."""
    statuses: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    """What the verification found."""


def journal_of(file: Path) -> Path:
    """Return where an archive's journal lies: beside the archive."""
    return file.with_name(f"{file.name}.journal")


def file_for(output: str, now: datetime, site: str) -> Path:
    """Return the file to write: the named one, or one with today's date in the named folder.

    In a folder an archive of the site that was stopped goes on; the next of the same day gets a
    number.

    Raises:
        InputError: the folder is not there, or the file is there and whole, or nobody's.
    """
    target = Path(output)
    if not target.is_dir():
        if not output.endswith(ENDING):
            raise InputError(f"--output {output}: no such folder; a file's name ends in {ENDING}")
        if target.exists() and not _is_unfinished(target):
            raise InputError(f"--output {output}: it is there already; an archive is never changed")
        if not target.parent.is_dir():
            raise InputError(f"--output {output}: there is no folder {target.parent}")
        return target
    for journal in sorted(target.glob(f"actions-*{ENDING}.journal")):
        file = journal.with_name(journal.name.removesuffix(".journal"))
        if _is_unfinished(file, site):
            return file
    number = 1
    while True:
        some = "" if number == 1 else f"-{number}"
        file = target / f"actions-{now.date().isoformat()}{some}{ENDING}"
        if not file.exists() and not journal_of(file).exists():
            return file
        number += 1


def _is_unfinished(file: Path, site: str | None = None) -> bool:
    """Tell whether a file has a journal of this site (or of any) that tells of no end."""
    try:
        lines = journal_of(file).read_bytes().splitlines()
        is_others = site is not None and lines and json.loads(lines[0])["site"] != site
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return False
    return not is_others and not any(line.startswith(b'{"end":') for line in lines)


class Archive:
    """One archive that is being written, for the first time or again after it was stopped."""

    def __init__(self, store: OpenStore, journal: Journal, file: Path, *, now: datetime) -> None:
        """Open the archive. ``journal`` tells what was asked when it was begun, and this counts.

        Raises:
            SchemaError: the tables are only to be read, as those without transactions are.
            InputError: the file is not as long as the journal says.
        """
        store.check_writable()
        self._store = store
        self._parts = store
        self._journal = journal
        self._now = now
        try:
            self._expiries = [_expiry(told) for told in journal.asked["rules"]]
        except (LookupError, TypeError, ValueError):
            raise InputError(f"journal {journal.file}: its rules are damaged") from None
        self.report = Report(file=file)
        self._last_id = 0
        self._unsure: tuple[int, int] | None = None
        """Where the batch lies that may not be deleted yet."""
        self._packed = PackedFile(file, self._replay(), level=_LEVEL, label="--output")

    def run(
        self, *, batch_size: int = BATCH_SIZE, tick: Callable[[int], None] = lambda _count: None
    ) -> Report:
        """Archive all that is old. It returns when the file is whole and was checked."""
        with contextlib.closing(self._packed):
            if self._unsure is not None:
                self._move_again(*self._unsure)
            if not self._packed.end:
                header = next(lines_of(self._store, Query(), now=self._now))
                self._append(dumped(header), {"count": 0, "last": 0, "statuses": {}})
            while ids := self._parts.retention.next(self._expiries, self._last_id, batch_size):
                before = self.report.archived
                for part in self._parts.whole_rows.in_windows(ids):
                    self._move(part)
                self._last_id = max(self._last_id, ids[-1])
                tick(self.report.archived - before)
            counts = self.report.statuses
            last = {"wpbridge": END, "actions": counts.total(), "statuses": dict(counts)}
            self._append(dumped(last), None)
        self.report.problems += self._verify()
        self._journal.add({"end": True, "archived": self.report.archived})
        return self.report

    # One batch

    def _move(self, ids: Sequence[ActionId], written: dict[int, bytes] | None = None) -> None:
        """Write a batch, unless it is written, and delete the rows that have not changed since."""

        def move(connection: Transaction) -> None:
            nonlocal written
            # Told again after a deadlock or a lost COMMIT, it finds its batch written.
            locked = self._parts.retention.lock(connection, ids, self._expiries)
            rows = self._parts.whole_rows.on(connection, locked)
            lines = {row.id: dumped(line_of(row)) for row in rows}
            if written is None:
                if not lines:
                    return
                step = {
                    "count": len(lines),
                    "last": max(lines),
                    "statuses": dict(Counter(row.status for row in rows)),
                }
                self._append(b"".join(lines.values()), step)
                written = lines
            same = [ActionId(i) for i, line in lines.items() if written.get(i) == line]
            self._parts.retention.remove(connection, same)

        self._store.session.transact(move)
        if written is not None:
            left = self._store.session.run(
                lambda c: self._parts.whole_rows.on(c, [ActionId(i) for i in written or ()])
            )
            self._journal.add({"moved": len(written) - len(left), "stayed": len(left)})
            self.report.stayed += len(left)

    def _move_again(self, start: int, end: int) -> None:
        """Do the batch again that was written when the archive was stopped."""
        try:
            with self.report.file.open("rb") as stream:
                stream.seek(start)
                data = io.BytesIO(gzip.decompress(stream.read(end - start)))
            written = {int(line.value["id"]): line.text for line in read(data)}
        except (OSError, EOFError, zlib.error, ValueError, LookupError, TypeError) as error:
            raise InputError(f"{self.report.file}: its last batch is damaged: {error}") from None
        self._move([ActionId(i) for i in sorted(written)], written)

    def _append(self, data: bytes, step: dict[str, Any] | None) -> None:
        """Force a member to the disk, then note it in the journal. The file's end needs no note."""
        start, end = self._packed.add(data)
        if step is not None:
            self._journal.add({"from": start, "to": end, **step})
            self._count(step)

    # Going on

    def _replay(self) -> int:
        """Take in what the journal tells. Returns how many bytes of the file it tells of."""
        return max(self._journal.meanings(self._take_in), default=0)

    def _take_in(self, step: dict[str, Any]) -> int:
        """Take in one step. Returns where the member that it tells of ends, or 0."""
        if "to" in step:
            start, end = int(step["from"]), int(step["to"])
            self._unsure = (start, end) if step["count"] else None
            self._count(step)
            return end
        if "moved" in step:
            self._unsure = None
            self.report.stayed += int(step["stayed"])
        return 0

    def _count(self, step: dict[str, Any]) -> None:
        self.report.archived += int(step["count"])
        self.report.statuses.update(step["statuses"])
        self._last_id = max(self._last_id, int(step["last"]))

    # Looking again

    def _verify(self) -> Iterator[str]:
        """Read the file back, count its actions, and look whether a sample is gone from here."""
        found, last, sample = 0, 0, list[ActionId]()
        every = max(1, self.report.archived // _SAMPLE)
        with source(str(self.report.file)) as stream:
            for line in read(stream):
                if line.why:
                    yield f"line {line.number}: {line.why}"
                elif "id" in line.value:
                    found += 1
                    if line.value["id"] <= last:
                        yield f"line {line.number}: id {line.value['id']} is out of order"
                    last = int(line.value["id"])
                    if found % every == 0:
                        sample.append(ActionId(last))
        if found != self.report.archived:
            yield f"the file holds {found} actions, and {self.report.archived} were written"
        left = self._store.session.run(lambda c: self._parts.whole_rows.on(c, sample))
        if len(left) > self.report.stayed:
            yield f"{len(left)} of {len(sample)} actions looked for are in the queue, too"


# What is asked, as a journal keeps it


def asked(expiries: Sequence[Expiry]) -> dict[str, Any]:
    """Return the rules for the journal: a later run archives what was old at the beginning."""
    return {
        "rules": [
            {
                "status": one.status.value,
                "before": to_text(one.before),
                "hooks": one.hooks,
                "except_hooks": one.except_hooks,
                "groups": one.groups,
            }
            for one in expiries
        ]
    }


def _expiry(told: dict[str, Any]) -> Expiry:
    """Read a rule of a journal.

    It raises one of the errors of a damaged step for any other rule.
    """
    before, status = from_text(told["before"]), Status(told["status"])
    names = {key: tuple(told[key]) for key in ("hooks", "except_hooks", "groups")}
    is_text = all(isinstance(name, str) for several in names.values() for name in several)
    if before is None or status not in ENDED or not is_text:
        raise ValueError
    return Expiry(status=status, before=before, **names)
