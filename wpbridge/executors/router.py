"""Several executors as one: it hands each call on by a rule that it is given."""

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
        self._known: dict[tuple[str, str], Executor | None] = {}
        """What runs a hook in a group, as far as somebody has asked."""

    def _of(self, hook: str, group: str) -> Executor | None:
        place = (hook, group)
        if place not in self._known:
            self._known[place] = self._executors.get(self._where(hook, group))
        return self._known[place]

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
        """Return why the hook's executor will not run it; None when it will."""
        executor = self._of(hook, group)
        return executor.refuses(hook, group) if executor else "nothing runs it any more"

    def missing(self) -> frozenset[str]:
        """Return the missing hooks of all executors."""
        return frozenset().union(*(e.missing() for e in self._executors.values()))

    def start_mark(self, hook: str, group: str) -> StartMark:
        """Return what the hook's executor says."""
        executor = self._of(hook, group)
        return executor.start_mark(hook, group) if executor else "with_ending"

    def has_room(self, *, ahead: bool = False) -> bool:
        """Return whether some executor has room."""
        return any(executor.has_room(ahead=ahead) for executor in self._executors.values())

    def admit(self, waiting: Sequence[Call]) -> list[Call]:
        """Return what each executor would start of its own calls."""
        own = {name: list[Call]() for name in self._executors}
        for call in waiting:
            own[self._where(call.action.hook, call.action.group)].append(call)
        return [call for name, e in self._executors.items() for call in e.admit(own[name])]

    def trouble(self) -> str | None:
        """Return the trouble of the first executor that has one."""
        troubles = (executor.trouble() for executor in self._executors.values())
        return next((trouble for trouble in troubles if trouble), None)

    def ignored(self, action: Action) -> None:
        """Tell the executor that would have run the action."""
        if executor := self._of(action.hook, action.group):
            executor.ignored(action)

    def submit(self, call: Call) -> None:
        """Give a call to the executor of its hook."""
        executor = self._of(call.action.hook, call.action.group)
        if executor is None:
            raise HandlerNotFound(f"nothing runs the hook {call.action.hook}")
        executor.submit(call)

    def reports(self, timeout_seconds: float) -> list[Report]:
        """Return the reports of all executors, which share one mailbox."""
        return self._mailbox.take(timeout_seconds)

    def wake(self) -> None:
        """End a wait in :meth:`reports`; safe in a signal handler."""
        self._mailbox.wake()

    def running(self) -> dict[Call, datetime]:
        """Return the running calls of all executors."""
        found: dict[Call, datetime] = {}
        for executor in self._executors.values():
            found |= executor.running()
        return found

    def recall(self, only: Collection[Call] | None = None) -> list[Call]:
        """Take calls back from all executors."""
        return [call for e in self._executors.values() for call in e.recall(only)]

    def resize(self, concurrency: int) -> None:
        """Resize all executors, one that stands for two kinds of handlers once."""
        for executor in {id(e): e for e in self._executors.values()}.values():
            executor.resize(concurrency)

    def announce_stop(self) -> None:
        """Let all executors know that the runner wants to stop."""
        for executor in self._executors.values():
            executor.announce_stop()

    def close(self) -> None:
        """Close all executors."""
        for executor in self._executors.values():
            executor.close()
