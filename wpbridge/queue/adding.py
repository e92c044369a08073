"""The methods of a queue that add actions."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import islice
from typing import Any, Final, Literal, overload

from wpbridge.action import ActionId, NewAction
from wpbridge.codec.args import MAX_COLUMN_BYTES
from wpbridge.codec.keys import THROUGH
from wpbridge.errors import InputError
from wpbridge.queue.connection import QueueConnection
from wpbridge.queue.enqueue import NOTHING, Args, Enqueue, Moment, Sent, led_by, request_of
from wpbridge.store.queueing.adding import Added, Request
from wpbridge.telling import traces

BULK: Final = 1000
"""Actions that one transaction of :meth:`wpbridge.Queue.enqueue_many` adds."""


class QueueAdding(QueueConnection):
    """Enqueue and schedule actions."""

    @overload
    def enqueue(self, new: Enqueue, *, connection: Any = None) -> ActionId | None: ...

    @overload
    def enqueue(self, new: Enqueue, *, through: Literal["celery"]) -> Sent: ...

    def enqueue(
        self,
        new: Enqueue,
        *,
        connection: Any = None,
        through: Literal["celery"] | None = None,
    ) -> ActionId | Sent | None:
        """Add one action.

        Returns its id; that of the earlier action when ``key`` was used before; None when it is
        unique and its like is pending or running (the plugin returns 0).

        Args:
            new: what and when. Without a date, interval or cron it is async: due at once. With
                ``after`` it waits until those actions have ended.
            connection: the caller's own open transaction. The action exists when the caller
                commits, and not before.
            through: ``celery`` puts the action into a message of the broker, and not into the
                table. It returns when the broker has confirmed the message. A handler may then
                run twice, with the same idempotency key. What the broker loses before the action
                has ended is lost. While the broker is away, the action becomes a row instead.
                ``unique``, ``key``, ``after`` and dates are refused.

        Raises:
            InputError: something is wrong with it; nothing is written or sent.
            ConfigError: ``through`` without a broker, or with one that may forget.
            StoreError: the database refused, or does not answer.
        """
        if through is None:
            return self._add([new], connection)[0].id
        if connection is not None:
            raise InputError("through: no transaction of yours holds what the broker has")
        return self._send([new])[0]

    def enqueue_async(
        self, hook: str, args: Args = NOTHING, *, connection: Any = None, **more: Any
    ) -> ActionId | None:
        """Add an action that runs once, as soon as possible; as ``as_enqueue_async_action``."""
        return self.enqueue(Enqueue(hook=hook, args=args, **more), connection=connection)

    def schedule_single(
        self, at: Moment, hook: str, args: Args = NOTHING, *, connection: Any = None, **more: Any
    ) -> ActionId | None:
        """Add an action that runs once, at a date; as ``as_schedule_single_action``."""
        new = Enqueue(hook=hook, args=args, at=self._now() if at is None else at, **more)
        return self.enqueue(new, connection=connection)

    def schedule_recurring(
        self,
        at: Moment,
        interval: int | timedelta | str,
        hook: str,
        args: Args = NOTHING,
        *,
        connection: Any = None,
        **more: Any,
    ) -> ActionId | None:
        """Add an action that runs again some seconds after each run.

        As ``as_schedule_recurring_action``: an interval of 0 makes a single action.
        """
        new = Enqueue(hook=hook, args=args, at=at, interval=interval, **more)
        return self.enqueue(new, connection=connection)

    def schedule_cron(
        self,
        at: Moment,
        expression: str,
        hook: str,
        args: Args = NOTHING,
        *,
        connection: Any = None,
        **more: Any,
    ) -> ActionId | None:
        """Add an action that runs by a cron expression, from a date on.

        As ``as_schedule_cron_action``; ``tz`` reads the expression in a named time zone instead
        of UTC.
        """
        new = Enqueue(hook=hook, args=args, at=at, cron=expression, **more)
        return self.enqueue(new, connection=connection)

    @overload
    def enqueue_many(
        self, new: Iterable[Enqueue], *, connection: Any = None
    ) -> list[ActionId | None]: ...

    @overload
    def enqueue_many(self, new: Iterable[Enqueue], *, through: Literal["celery"]) -> list[Sent]: ...

    def enqueue_many(
        self,
        new: Iterable[Enqueue],
        *,
        connection: Any = None,
        through: Literal["celery"] | None = None,
    ) -> list[ActionId | None] | list[Sent]:
        """Add many, :data:`BULK` a transaction, each checked before its transaction begins.

        A crash leaves the first transactions whole and nothing of the rest. With ``connection``
        all of them are added in the caller's one transaction. ``through`` is as for
        :meth:`enqueue`: a crash then leaves any of those whose messages were being sent.
        """
        if through is not None:
            if connection is not None:
                raise InputError("through: no transaction of yours holds what the broker has")
            sent: list[Sent] = []
            waiting = iter(new)
            while part := list(islice(waiting, BULK)):
                sent += self._send(part)
            return sent
        found: list[ActionId | None] = []
        rest = iter(new)
        while part := list(islice(rest, BULK)):
            found += [added.id for added in self._add(part, connection)]
        return found

    def check(self, new: Enqueue) -> NewAction:
        """Return the row that would be written, or raise what :meth:`enqueue` would raise."""
        request = request_of(new, self._now())
        with self._turn() as parts:
            self._known(request.after)
            parts.adding.check(request)
        return request.action

    def check_through(self, new: Enqueue) -> None:
        """Raise what ``enqueue(new, through="celery")`` would raise of the action itself."""
        prepared = self._through().prepared(new, self._now())
        if _may_not_fit(new, prepared.action):
            # Should it become a row, the tables must be able to hold it.
            with self._turn() as parts:
                parts.adding.check(Request(action=prepared.action))

    def refusal(self, new: Enqueue) -> ActionId | None:
        """Return the action for which this unique or keyed one would be refused now, if any."""
        request = request_of(new, self._now())
        with self._turn() as parts:
            self._known(request.after)
            made = parts.keys.made([request.key]).get(request.key) if request.key else None
            if made is not None or not request.unique:
                return made
            return parts.adding.same_as(request.action, self._unique_by)

    def _add(self, new: Sequence[Enqueue], connection: Any) -> list[Added]:
        if self._before_adding is not None:
            self._before_adding()
        with traces.producing([one.hook for one in new], _group_of(new)) as span:
            added = self._add_traced(new, connection, span.traceparent)
            span.added(one.id for one in added if one.is_new)
            return added

    def _send(self, new: Sequence[Enqueue]) -> list[Sent]:
        """Send actions to the broker; make rows of them while it is away."""
        from wpbridge.queue.through import lasting_site_mark  # noqa: PLC0415 - few have a broker

        if self._before_adding is not None:
            self._before_adding()
        through = self._through()
        now = self._now()
        prepared = [through.prepared(one, now) for one in new]
        with self._turn() as parts:
            for one, its in zip(new, prepared, strict=True):
                if _may_not_fit(one, its.action):
                    parts.adding.check(Request(action=its.action))
        with traces.producing([one.hook for one in new], _group_of(new)) as span:
            with self._turn() as parts:
                site = lasting_site_mark(parts)
            if through.send([one.message(site, span.traceparent) for one in prepared]):
                return [Sent(key=one.key) for one in prepared]
            requests = [
                led_by(Request(action=one.action, key=f"{THROUGH}{one.key}"), span.traceparent)
                for one in prepared
            ]
            with self._turn() as parts:
                added = parts.adding.add(requests, by=self._unique_by, now=now)
            self.wake()
            span.added(one.id for one in added if one.is_new)
            return [
                Sent(key=one.key, action_id=row.id)
                for one, row in zip(prepared, added, strict=True)
            ]

    def _add_traced(self, new: Sequence[Enqueue], connection: Any, traceparent: str) -> list[Added]:
        now = self._now()
        requests = [led_by(request_of(one, now), traceparent) for one in new]
        after = [i for request in requests for i in request.after]
        with self._turn() as parts:
            if connection is None:
                self._known(after)
                added = parts.adding.add(requests, by=self._unique_by, now=now)
                if any(one.action.scheduled_at <= now for one in requests):
                    self.wake()
                return added
            with self.store.inside(connection) as inner:
                self._known(after, inner)
                return inner.adding.add(requests, by=self._unique_by, now=now)


def _may_not_fit(new: Enqueue, action: NewAction) -> bool:
    """Tell whether there are tables that cannot hold an action. Its args are always ASCII."""
    return len(action.args) > MAX_COLUMN_BYTES or not f"{new.hook}{new.group}".isascii()


def _group_of(new: Sequence[Enqueue]) -> str:
    """Return the group of actions; empty when they have several."""
    groups = {one.group for one in new}
    return groups.pop() if len(groups) == 1 else ""
