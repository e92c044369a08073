"""Several executors as one: each call goes where the routing table says."""

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from wpbridge.action import Action
from wpbridge.errors import HandlerNotFound
from wpbridge.executors.base import Call, Executor, Mailbox, Report, StartMark
from wpbridge.executors.openings import Openings


class Router:
    """See :class:`wpbridge.executors.base.Executor`. All its executors share one mailbox."""

    def __init__(
        self,
        executors: Mapping[str, Executor],
        where: Callable[[str, str], str],
        mailbox: Mailbox,
    ) -> None:
        """``where`` names the executor of a hook and group slug; others are not ours to run."""
        self._executors = executors
        self._where = where
        self._mailbox = mailbox

    def _of(self, hook: str, group: str) -> Executor | None:
        return self._executors.get(self._where(hook, group))

    def openings(self) -> Sequence[Openings]:
        """Those of all executors, each with what is routed to it."""
        return [
            replace(openings, is_routed=functools.partial(self._is_routed, name))
            for name, executor in self._executors.items()
            for openings in executor.openings()
        ]

    def _is_routed(self, name: str, hook: str, group: str) -> bool:
        return self._where(hook, group) == name

    def refuses(self, hook: str, group: str) -> str | None:
        """As its executor says."""
        executor = self._of(hook, group)
        return executor.refuses(hook, group) if executor else "nothing runs it any more"

    def missing(self) -> frozenset[str]:
        """Of all of them."""
        return frozenset().union(*(e.missing() for e in self._executors.values()))

    def start_mark(self, hook: str, group: str) -> StartMark:
        """As its executor says."""
        executor = self._of(hook, group)
        return executor.start_mark(hook, group) if executor else "with_ending"

    def has_room(self) -> bool:
        """Somewhere."""
        return any(executor.has_room() for executor in self._executors.values())

    def admit(self, waiting: Sequence[Call]) -> list[Call]:
        """What each executor would start of its own."""
        own = {name: list[Call]() for name in self._executors}
        for call in waiting:
            own[self._where(call.action.hook, call.action.group)].append(call)
        return [call for name, e in self._executors.items() for call in e.admit(own[name])]

    def trouble(self) -> str | None:
        """The first there is."""
        troubles = (executor.trouble() for executor in self._executors.values())
        return next((trouble for trouble in troubles if trouble), None)

    def ignored(self, action: Action) -> None:
        """To the executor that would have run it."""
        if executor := self._of(action.hook, action.group):
            executor.ignored(action)

    def submit(self, call: Call) -> None:
        """To its executor."""
        executor = self._of(call.action.hook, call.action.group)
        if executor is None:
            raise HandlerNotFound(f"nothing runs the hook {call.action.hook}")
        executor.submit(call)

    def reports(self, timeout_seconds: float) -> list[Report]:
        """Of all of them."""
        return self._mailbox.take(timeout_seconds)

    def wake(self) -> None:
        """See :class:`Executor`."""
        self._mailbox.wake()

    def running(self) -> dict[Call, datetime]:
        """Of all of them."""
        found: dict[Call, datetime] = {}
        for executor in self._executors.values():
            found |= executor.running()
        return found

    def recall(self, only: Collection[Call] | None = None) -> list[Call]:
        """From all of them."""
        return [call for e in self._executors.values() for call in e.recall(only)]

    def announce_stop(self) -> None:
        """To all of them."""
        for executor in self._executors.values():
            executor.announce_stop()

    def close(self) -> None:
        """All of them."""
        for executor in self._executors.values():
            executor.close()
