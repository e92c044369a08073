"""Checks what an import has added: it counts all of it, and compares a sample."""

import random
from collections.abc import Iterator
from typing import Final

from wpbridge.action import ActionId
from wpbridge.migrate.transfer.wishes import Report
from wpbridge.store.bulk.rows import Spans, WholeRow, in_memory
from wpbridge.store.opened import OpenStore

SAMPLE: Final = 50
"""Rows that are compared value by value at the end."""
ENDED: Final = ("complete", "failed", "canceled")
_SAMPLED_BYTES: Final = 1 << 20


class Verification:
    """The ids that an import was given, and a sample of the rows that it wrote."""

    def __init__(self, store: OpenStore) -> None:
        self._parts = store
        self._layout = store.layout
        self._spans = Spans()
        self._sample: list[tuple[ActionId, WholeRow]] = []

    def remember(self, action_id: ActionId, row: WholeRow, added: int) -> None:
        """Take in the row that was added as the ``added``-th of all.

        Each of them, but for large ones, is as likely to be in the sample at the end.
        """
        self._spans.add(action_id)
        if in_memory(row) > _SAMPLED_BYTES:
            return
        if len(self._sample) < SAMPLE:
            self._sample.append((action_id, row))
            return
        place = int(random.random() * added)  # noqa: S311 - a sample
        if place < SAMPLE:
            self._sample[place] = (action_id, row)

    def problems(self, report: Report) -> Iterator[str]:
        """Compare what is there now with what was added, and name what differs."""
        there = self._parts.whole_rows.statuses_in(self._spans)
        if sum(there.values()) < report.added:
            yield f"{report.added:,} actions were added, and {sum(there.values()):,} are there"
        for status in ENDED:
            if there.get(status, 0) < report.statuses[status]:
                yield (
                    f"{report.statuses[status]:,} {status} ones were added, and"
                    f" {there.get(status, 0):,} are there"
                )
        rows = self._parts.whole_rows.again([i for i, _ in self._sample], logs=True)
        for action_id, written in self._sample:
            row = rows.get(action_id)
            if row is not None and (why := self._difference(written, row)):
                yield f"action {action_id} (there {written.id}) differs: {why}"

    def _difference(self, row: WholeRow, there: WholeRow) -> str:
        """Name the columns that are not as they were written; a runner may be at work."""
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
