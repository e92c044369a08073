"""One request on its way: who calls, what was sent, and the parts of the gateway that answer."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from wpbridge.access.caller import Caller
from wpbridge.access.callers import Callers
from wpbridge.access.rates import Rates
from wpbridge.action import ActionId
from wpbridge.dataclass import dataclass
from wpbridge.queue.jobs import JobQueue
from wpbridge.web.counted import Counted
from wpbridge.web.metrics import Metrics
from wpbridge.web.own_runner import OwnRunner
from wpbridge.web.problems import Problem
from wpbridge.web.readers import Readers
from wpbridge.web.sender import Sender
from wpbridge.web.watching import Watching
from wpbridge.web.writer import Writer

if TYPE_CHECKING:
    from wpbridge.web.pages.visit import PageParts


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of a running gateway."""

    writer: Writer
    sender: Sender
    """Sends what is enqueued through the broker."""
    readers: Readers
    watching: Watching
    callers: Callers
    rates: Rates
    own: OwnRunner | None
    """Runs wpbridge's own hooks; None where another process of the gateway does."""
    refusal: Callable[[JobQueue], str | None]
    """Says why no action of wpbridge's own hooks may be added; None where they may."""
    allow_private: bool
    """Whether callbacks may go to private addresses that the key's list allows."""
    explain: Callable[[ActionId], dict[str, Any]]
    """Explains an action, on any thread."""
    troubles: Callable[[JobQueue], list[str]]
    """Returns what keeps the gateway from working; empty for nothing."""
    metrics: Metrics
    """What `/metrics` tells."""
    counted: Counted
    """What this process counts."""
    pages: "PageParts | None" = None
    """What the dashboard's pages share; None where there is no dashboard."""
    base_path: str = ""
    """What stands before ``/v1`` in addresses; empty for nothing."""

    def close(self) -> None:
        """Write what waits, then close everything."""
        if self.own is not None:
            self.own.close()
        if self.pages is not None:
            self.pages.close()
        self.metrics.close()
        self.writer.close()
        self.sender.close()
        self.watching.close()
        self.readers.close()
        self.callers.close()


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

    @property
    def address(self) -> str:
        """Return the address from which the request has come; empty where nobody knows."""
        return self.request.client.host if self.request.client else ""

    def header(self, name: str) -> str:
        """Return a header that may be given once at most; empty for none."""
        given = self.request.headers.getlist(name)
        if len(given) > 1:
            raise Problem("bad-request", f"give {name} once")
        return given[0] if given else ""


Answer: TypeAlias = Callable[[Call], Awaitable[Response]]
