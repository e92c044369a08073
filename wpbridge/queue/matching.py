"""The methods of a queue that find and cancel actions as the plugin's own functions do."""

import contextlib
from dataclasses import replace
from datetime import datetime
from typing import Literal

from wpbridge.action import ActionId, Status
from wpbridge.clock import from_timestamp
from wpbridge.codec import schedule
from wpbridge.errors import CodecError, InputError
from wpbridge.queue.changing import LIVE
from wpbridge.queue.enqueue import NOTHING, Args, encoded
from wpbridge.queue.moving import QueueMoving
from wpbridge.store.records import Query


class QueueMatching(QueueMoving):
    """Find and cancel by hook, args and group."""

    def next_scheduled(
        self, hook: str, args: Args | None = None, group: str = ""
    ) -> datetime | Literal[True] | None:
        """Return when it runs next; as ``as_next_scheduled_action``.

        True when it runs now or is async, None when there is none (the plugin says false). The
        date is the schedule's own, as there.
        """
        found = self._read(lambda parts: parts.reading.next_of(self.matching(hook, args, group)))
        if found is None:
            return None
        if found.status == Status.IN_PROGRESS:
            return True
        try:
            planned = schedule.decode(found.schedule)
        except CodecError:
            return found.scheduled_at or True
        if isinstance(planned, schedule.Async):
            return True
        if planned.timestamp is not None:
            with contextlib.suppress(OverflowError, ValueError, OSError):
                return from_timestamp(planned.timestamp)
        return found.scheduled_at or True

    def has_scheduled(self, hook: str, args: Args | None = None, group: str = "") -> bool:
        """Tell whether one is pending or running; as ``as_has_scheduled_action``."""
        query = self.matching(hook, args, group)
        live = replace(query, statuses=LIVE, order="none", limit=1)
        return bool(self._read(lambda parts: parts.reading.find(live)))

    def unschedule(
        self, hook: str, args: Args | None = NOTHING, group: str = ""
    ) -> ActionId | None:
        """Cancel the next pending one and return its id; None when there is none.

        As ``as_unschedule_action``: without ``args`` only an action with empty args is meant;
        ``args=None`` means any.
        """
        query = replace(self.matching(hook, args, group), statuses=(Status.PENDING,), limit=1)
        with self._turn() as parts:
            while found := parts.reading.find(query):
                if parts.edits.cancel([found[0].id], now=self._now()):
                    return found[0].id
        return None

    def unschedule_all(self, hook: str = "", args: Args | None = NOTHING, group: str = "") -> int:
        """Cancel all pending ones and return how many; as ``as_unschedule_all_actions``.

        As there, empty args mean any args when only a hook or only a group is given, and only
        empty args when both are.
        """
        if not hook and not group:
            raise InputError("unschedule_all: name a hook, a group, or both")
        if not args and not (hook and group):
            args = None
        query = self.matching(hook, args, group, may_be_any=True)
        return len(self.cancel(query).ids)

    def matching(
        self, hook: str, args: Args | None, group: str = "", *, may_be_any: bool = False
    ) -> Query:
        """Return the query that the plugin's functions would make: no group means any."""
        if not hook and not may_be_any:
            raise InputError("hook: it is empty")
        return Query(
            hooks=(hook,) if hook else (),
            groups=(group,) if group else (),
            args=None if args is None else encoded(args),
            limit=0,
        )
