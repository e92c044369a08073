"""The methods of a queue that look at actions and change nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal

from wpbridge.action import ActionId
from wpbridge.errors import ActionNotFound, InputError
from wpbridge.queue.connection import QueueConnection
from wpbridge.queue.enqueue import Moment
from wpbridge.store.records import FailedRun, LogEntry, Query, Record, StoredResult, Tally, Wait


class QueueReading(QueueConnection):
    """Look at actions, their logs and their numbers."""

    def get(self, action_id: int) -> Record:
        """Return one action; ActionNotFound when there is none."""
        found = self._read(lambda parts: parts.reading.get(action_id))
        if found is None:
            raise ActionNotFound(f"there is no action {action_id}")
        return found

    def find(self, query: Query | None = None, **criteria: Any) -> list[Record]:
        """Return the actions meant (:class:`Query`), 20 of them by default.

        InputError for a page that begins above ``after_id`` and is not in rising order of ids, or
        below ``before_id`` and is not in falling order: pages in another order would leave actions
        out.
        """
        meant = _query(query, criteria)
        is_by_id = meant.order == "id" and not meant.descending
        if meant.after_id is not None and meant.limit and not is_by_id:
            raise InputError('after_id: pages go by id, so give order="id" without descending')
        is_by_falling_id = meant.order == "id" and meant.descending
        if meant.before_id is not None and meant.limit and not is_by_falling_id:
            raise InputError('before_id: pages go by id, so give order="id" and descending')
        return self._read(lambda parts: parts.reading.find(meant))

    def count(self, query: Query | None = None, *, cap: int | None = None, **criteria: Any) -> int:
        """Return how many actions are meant; with ``cap`` that number at most.

        A count that has reached the cap means so many or more. It takes no longer than the cap
        requires, however many actions there are.
        """
        meant = _query(query, criteria)
        return self._read(lambda parts: parts.counting.all(meant, cap=cap))

    def logs(self, action_id: int) -> list[LogEntry]:
        """Return an action's log; ActionNotFound when there is neither action nor log."""
        found = self._read(lambda parts: parts.reading.logs([action_id]))
        if not found:
            self.get(action_id)
        return found

    def failures(
        self,
        query: Query | None = None,
        *,
        failed_since: Moment = None,
        open_only: bool = False,
        **criteria: Any,
    ) -> list[FailedRun]:
        """Return the newest failed actions among those meant, each with the message that says why.

        Args:
            query: what is meant.
            failed_since: only what failed then or later, whenever it was scheduled.
            open_only: only failures that still stand: the action was not requeued, and no later
                run of the same recurring chain has completed.
            criteria: fields of ``query``.
        """
        meant = _query(query, criteria)
        since = None if failed_since is None else self._moment(failed_since)
        with self._turn() as parts:
            return parts.failed.newest(meant, since=since, open_only=open_only)[0]

    def result(self, action_id: int) -> StoredResult | None:
        """Return what an action's handler returned, and how far it said that it was.

        None where nothing is kept: it returned None, has not ended, or its result is too old.
        """
        one = ActionId(action_id)
        return self._read(lambda parts: parts.results.of([one])).get(one)

    def zones_of(self, ids: Sequence[int]) -> dict[ActionId, str]:
        """Return the time zones of those actions whose cron is not read in UTC."""
        with self._turn() as parts:
            return parts.reading.zones_of(ids)

    def waits_of(self, ids: Sequence[int]) -> list[Wait]:
        """Return what actions wait for."""
        with self._turn() as parts:
            return parts.reading.waits_of(ids)

    def stats(
        self,
        by: Literal["status", "hook", "group", "hour"] = "status",
        *,
        hours: int = 24,
        query: Query | None = None,
        cap: int | None = None,
    ) -> list[Tally]:
        """Count actions by hook, group, hour (UTC; of the last ``hours``) or status alone.

        ``query`` counts only the actions that it means, whatever its limit. With ``cap``, each
        number by hook or status is counted that far at most, and less far where there are many
        hooks: :attr:`Tally.cap` has how far. Numbers by group and hour are always exact.
        """
        now, only = self._now(), query or Query()
        match by:
            case "hook":
                return self._read(lambda parts: parts.counting.by_hook(now, only, cap=cap))
            case "group":
                return self._read(lambda parts: parts.counting.by_group(now, only))
            case "hour":
                since = now - timedelta(hours=hours)
                return self._read(lambda parts: parts.counting.by_hour(since, now, only))
            case "status":
                counts = self._read(lambda parts: parts.counting.statuses(only, cap=cap))
                return [Tally(name=name, statuses={name: n}, cap=cap) for name, n in counts.items()]
        raise InputError(f"by: status, hook, group or hour, not {by!r}")


def _query(query: Query | None, criteria: Mapping[str, Any]) -> Query:
    try:
        return replace(query or Query(), **criteria)
    except TypeError as error:
        raise InputError(f"no such criterion: {error}") from error
