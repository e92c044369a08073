"""Make a bulk page by page, and go on after a crash from the page that was made last.

Each page is one transaction, which also writes a row of the audit table: how far it came, and what
was done until then. So the row says where to go on, and no page is made twice.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from wpbridge.action import ActionId
from wpbridge.dataclass import dataclass
from wpbridge.queue.bulk import Bulk, thing_of
from wpbridge.queue.bulk_filters import alike
from wpbridge.queue.commands import command_of
from wpbridge.queue.jobs import JobQueue
from wpbridge.store.queueing.edits import REQUEUED_FROM
from wpbridge.store.rows.audit import AuditRecord
from wpbridge.telling.fingerprint import fingerprint
from wpbridge.telling.fingerprints import Fingerprints

if TYPE_CHECKING:
    from wpbridge.store.records import Record

PAGE: Final = 500
"""Actions that one transaction changes."""
PAGES_A_LOOK: Final = 10
"""So many pages are found by one statement."""
MOST_REASONS: Final = 10
"""So many reasons are told apart; all others count as one."""
OTHERS: Final = "other reasons"
MEANWHILE: Final = "it changed meanwhile"
_MOST_REQUEUES: Final = 100
_AROUND: Final = timedelta(days=1)
"""So far the clocks of the database and of hosts may differ."""


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far a bulk has come."""

    last_id: ActionId = ActionId(0)
    """The last id of the last page."""
    changed: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    """How many actions were left, by the reason."""

    @property
    def seen(self) -> int:
        """Return how many of the actions that were meant have been looked at."""
        return self.changed + self.skipped.total()

    def skip(self, reasons: Mapping[str, int]) -> None:
        """Count actions that were left."""
        for reason, count in reasons.items():
            is_known = reason in self.skipped or len(self.skipped) < MOST_REASONS
            self.skipped[reason if is_known else OTHERS] += count


class BulkPages:
    """Makes the pages of one bulk, as one action of ``wpbridge_bulk`` asks for them."""

    def __init__(self, queue: JobQueue, action_id: ActionId, bulk: Bulk) -> None:
        """Look how far it has come."""
        self._queue = queue
        self._bulk = bulk
        self._command = command_of(bulk.verb)
        self._values = self._command.read(bulk.told, queue.now())
        self._thing = thing_of(action_id)
        self._fingerprints = Fingerprints()
        self._ahead: list[ActionId] = []
        self._meant: set[ActionId] = set()
        self._is_last = False
        self.progress = _progress(queue, action_id)

    def step(self) -> bool:
        """Make the next page; return False when there is none.

        A crash leaves it made with its row in the audit table, or not begun.
        """
        if not self._ahead:
            self._look()
        page, self._ahead = self._ahead[:PAGE], self._ahead[PAGE:]
        if not page:
            return False
        if meant := [one for one in page if one in self._meant]:
            self._change(meant, page[-1])
        self.progress.last_id = page[-1]
        return bool(self._ahead) or not self._is_last

    def _look(self) -> None:
        """Find the actions of some pages. They are asked once more when they are changed.

        The database may sort all that match for each look, so there are fewer looks than pages.
        """
        most = PAGE * PAGES_A_LOOK
        query = replace(
            self._bulk.filter.query,
            order="id",
            descending=False,
            after_id=self.progress.last_id,
            up_to_id=self._bulk.up_to_id,
            limit=most,
        )
        found: Sequence[Record] = self._queue.find(query)
        self._ahead = [one.id for one in found]
        self._is_last = len(found) < most
        if wanted := self._bulk.filter.fingerprint:
            found = alike(self._queue, found, wanted, known=self._fingerprints)
        self._meant = {one.id for one in found}

    def _change(self, ids: Sequence[ActionId], reached: ActionId) -> None:
        """Change these actions in one transaction. The filter is asked once more, and the guards.

        What was left is known before the transaction, so its row can tell of it.
        """
        before, bulk = self.progress, self._bulk
        after = before

        def detail(result: object) -> dict[str, Any]:
            nonlocal after
            after = self._after(before, ids, self._command.counted(result), reached)
            return {
                "last_id": reached,
                "skipped": len(ids) - self._command.counted(result),
                "so_far": {"changed": after.changed, "skipped": dict(after.skipped)},
            }

        with self._queue.noted(
            who=bulk.who,
            verb=bulk.verb,
            thing=self._thing,
            address=bulk.address,
            counted=self._command.counted,
            detail=detail,
        ):
            which = replace(bulk.filter.query, ids=tuple(ids), limit=0)
            done = self._command.function(self._queue, which, self._values)
        if not done.ids:
            after = self._after(before, ids, 0, reached, done.skipped)
        self.progress = after

    def _after(
        self,
        before: Progress,
        ids: Sequence[ActionId],
        changed: int,
        reached: ActionId,
        left: Mapping[ActionId, str] | None = None,
    ) -> Progress:
        """Return how far it has come when a page of these actions is made."""
        reasons = Counter(map(fingerprint, (self._queue.left if left is None else left).values()))
        if others := len(ids) - changed - reasons.total():
            reasons[MEANWHILE] += others
        found = Progress(
            last_id=reached, changed=before.changed + changed, skipped=Counter(before.skipped)
        )
        found.skip(reasons)
        return found


def _progress(queue: JobQueue, action_id: ActionId) -> Progress:
    """Return how far a bulk has come, also under the action that was requeued as this one."""
    one: ActionId | None = action_id
    for _ in range(_MOST_REQUEUES):
        if one is None:
            break
        row = _last_row(queue, one)
        if row is not None and (found := _read(row)) is not None:
            return found
        one = _requeued_from(queue, one)
    return Progress()


def _last_row(queue: JobQueue, action_id: ActionId) -> AuditRecord | None:
    """Return the newest row of a bulk. Older rows than its action are not read."""
    logs = queue.ask(lambda store: store.reading.logs([action_id]))
    since = logs[0].at - _AROUND if logs and logs[0].at is not None else None
    thing = thing_of(action_id)
    rows = queue.ask(lambda store: store.audit.page(thing=thing, since=since, most=1))
    return rows[0] if rows else None


def _read(row: AuditRecord) -> Progress | None:
    """Return the progress that a row tells of; None for the row of the bulk's beginning."""
    detail = json.loads(row.detail)
    if "so_far" not in detail:
        return None
    so_far = detail["so_far"]
    return Progress(
        last_id=ActionId(detail["last_id"]),
        changed=so_far["changed"],
        skipped=Counter(so_far["skipped"]),
    )


def _requeued_from(queue: JobQueue, action_id: ActionId) -> ActionId | None:
    for entry in queue.ask(lambda store: store.reading.logs([action_id])):
        number = entry.message.removeprefix(REQUEUED_FROM)
        if entry.message.startswith(REQUEUED_FROM) and number.isdigit():
            return ActionId(int(number))
    return None
