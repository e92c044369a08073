"""The methods of a queue that say anew when pending actions run: their dates and priorities."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from wpbridge.action import ActionId, NewAction, Status
from wpbridge.codec import schedule
from wpbridge.errors import InputError
from wpbridge.queue import copies
from wpbridge.queue.changing import QueueChanging, Which, unless_pending
from wpbridge.queue.enqueue import PRIORITIES, Enqueue, Interval, Moment, new_action
from wpbridge.store.opened import OpenStore
from wpbridge.store.records import Change, Record


class QueueMoving(QueueChanging):
    """Change when actions run."""

    def reschedule(
        self,
        which: Which,
        *,
        at: Moment = None,
        interval: Interval = None,
        cron: str | None = None,
        tz: str | None = None,
        dry_run: bool = False,
    ) -> Change:
        """Move free pending actions to another date, or give them another recurrence.

        With ``at`` alone a recurring action keeps its recurrence. An async one becomes a single.
        One that waits for others goes on waiting, and runs at its new date or when they end.
        """
        if at is None and interval is None and cron is None:
            raise InputError("reschedule: give a date, an interval or a cron expression")
        # Checked before anything is written: a bad expression changes nothing.
        new = Enqueue(hook="any", at=at, interval=interval, cron=cron, tz=tz)
        wanted = new_action(new, self._now())
        keeps = interval is None and cron is None
        return self._move(which, wanted, _unless_free, keeps=keeps, dry_run=dry_run)

    def make_due(self, which: Which, *, dry_run: bool = False) -> Change:
        """Make free pending actions due now, and wake the daemons of this host.

        What waits for other actions is left: no date makes it due.
        """
        wanted = new_action(Enqueue(hook="any", at=self._now()), self._now())
        waiting: set[ActionId] = set()

        def refuse(record: Record) -> str | None:
            if record.id in waiting:
                return "it waits for others: explain says for which"
            return _unless_free(record)

        def look(parts: OpenStore, page: Sequence[Record]) -> None:
            waiting.update(wait.action_id for wait in parts.reading.waits_of([r.id for r in page]))

        return self._move(which, wanted, refuse, keeps=True, dry_run=dry_run, look=look)

    def set_priority(self, which: Which, priority: int, *, dry_run: bool = False) -> Change:
        """Give free pending actions another priority: 0 to 255, lower runs first.

        Raises:
            InputError: it is no priority, or the plugin's tables are older than priorities.
        """
        if isinstance(priority, bool) or priority not in PRIORITIES:
            raise InputError(f"priority: a whole number from 0 to 255, not {priority!r}")
        with self._turn() as parts:
            if not parts.layout.has_priority:
                raise InputError(
                    "priority: the tables of this plugin have no priorities; they have since 3.6"
                )

        def refuse(record: Record) -> str | None:
            if record.status == Status.PENDING and record.priority == priority:
                return "it has this priority"
            return _unless_free(record)

        return self._change(
            which,
            refuse,
            lambda parts, page: parts.edits.set_priority(
                [r.id for r in page], priority, now=self._now()
            ),
            pending_only=True,
            dry_run=dry_run,
        )

    def _move(
        self,
        which: Which,
        wanted: NewAction,
        refuse: Callable[[Record], str | None],
        *,
        keeps: bool,
        dry_run: bool,
        look: Callable[[OpenStore, Sequence[Record]], None] | None = None,
    ) -> Change:
        """Give actions the date of ``wanted``, and its schedule unless they keep their own."""
        now = self._now()

        def move(parts: OpenStore, page: Sequence[Record]) -> list[ActionId]:
            moves: dict[ActionId, NewAction] = {}
            waiting = {wait.action_id for wait in parts.reading.waits_of([r.id for r in page])}
            for record in page:
                recurrence = schedule.recurring(record.schedule) if keeps else None
                zone = parts.reading.zones_of([record.id]).get(record.id) if recurrence else None
                moved = copies.rescheduled(record, wanted, recurrence, zone=zone)
                is_waiting = record.id in waiting and not record.is_dated
                moves[record.id] = replace(moved, is_waiting=True) if is_waiting else moved
            return parts.edits.move(moves, now=now)

        change = self._change(which, refuse, move, pending_only=True, dry_run=dry_run, look=look)
        if change.ids and not dry_run and wanted.scheduled_at <= self._now():
            self.wake()
        return change


def _unless_free(record: Record) -> str | None:
    if record.status == Status.PENDING and record.claim_id:
        return "a runner has claimed it"
    return unless_pending(record)
