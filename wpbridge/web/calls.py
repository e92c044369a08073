"""One request on its way: who calls, what was sent, and the parts of the gateway that answer."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from typing import Any, Literal, Protocol, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from wpbridge.action import ActionId
from wpbridge.dataclass import dataclass
from wpbridge.queue.jobs import JobQueue
from wpbridge.web.problems import Problem
from wpbridge.web.readers import Readers
from wpbridge.web.watching import Watching
from wpbridge.web.writer import Writer

Right: TypeAlias = Literal["enqueue", "read", "operate"]


class Caller(Protocol):
    """Who calls, and what they may do (:class:`wpbridge.access.caller.Caller`)."""

    @property
    def key_name(self) -> str:
        """Return the name under which jobs are added."""
        ...

    @property
    def only_job(self) -> str | None:
        """Return the one job that a read token names; None for no such token."""
        ...

    def may(self, right: Right) -> bool:
        """Return whether the caller has a right."""
        ...

    def may_enqueue(self, hook: str, group: str) -> bool:
        """Return whether the caller may add actions of this hook to this group."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of a running gateway."""

    writer: Writer
    readers: Readers
    watching: Watching
    explain: Callable[[ActionId], dict[str, Any]]
    """Explains an action, on any thread."""
    troubles: Callable[[JobQueue], list[str]]
    """Returns what keeps the gateway from working; empty for nothing."""
    base_path: str = ""
    """What stands before ``/v1`` in addresses; empty for nothing."""

    def close(self) -> None:
        """Write what waits, then close everything."""
        self.writer.close()
        self.watching.close()
        self.readers.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request that may be answered: its caller has the right that the route asks for."""

    request: Request
    parts: Parts
    caller: Caller
    body: Any = None
    query: Mapping[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Mapping[str, str]:
        """Return the parts of the path that the route names."""
        found: Mapping[str, str] = self.request.path_params
        return found

    def header(self, name: str) -> str:
        """Return a header that may be given once at most; empty for none."""
        given = self.request.headers.getlist(name)
        if len(given) > 1:
            raise Problem("bad-request", f"give {name} once")
        return given[0] if given else ""


Answer: TypeAlias = Callable[[Call], Awaitable[Response]]
