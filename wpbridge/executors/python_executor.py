"""What both ways to run Python handlers have in common: threads, and child processes."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import timedelta

from wpbridge.action import Action
from wpbridge.executors.base import Call, StartMark
from wpbridge.executors.handlers import Handler
from wpbridge.executors.openings import NO_HOOKS, HookSet, Openings


class PythonExecutor(ABC):
    """The part of :class:`wpbridge.executors.base.Executor` that asks handlers."""

    def __init__(self, handlers: Mapping[str, Handler], default_timeout: timedelta | None) -> None:
        """``default_timeout`` is that of handlers that name none; None for no limit."""
        self._handlers = handlers
        self._hooks = HookSet(frozenset(handlers))
        self._default_timeout = default_timeout

    @abstractmethod
    def _free(self) -> int:
        """Return how many more calls would start soon."""

    def openings(self) -> Sequence[Openings]:
        """The hooks with a handler, while there is room."""
        return [Openings(hooks=self._hooks if self.has_room(ahead=True) else NO_HOOKS)]

    def refuses(self, hook: str, group: str) -> str | None:
        """Return None, since every handler is run."""
        del hook, group
        return None

    def missing(self) -> frozenset[str]:
        """No hook: what has no handler is never claimed."""
        return frozenset()

    def start_mark(self, hook: str, group: str) -> StartMark:
        """As the handler was marked. A child's death is seen from here, so the mark may be late."""
        del group
        handler = self._handlers.get(hook)
        return "once" if handler is not None and handler.at_most_once else "with_ending"

    def has_room(self, *, ahead: bool = False) -> bool:
        """Return whether some thread or child would stand idle."""
        del ahead
        return bool(self._handlers) and self._free() > 0

    def admit(self, waiting: Sequence[Call]) -> list[Call]:
        """As many as there are idle threads or children."""
        return list(waiting[: max(0, self._free())])

    def ignored(self, action: Action) -> None:
        """Do nothing: no Python handler asks for it."""
        del action
