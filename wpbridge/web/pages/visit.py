"""One request for a page: who asks, what was sent, and what the page is made with."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from wpbridge.access.people import People
from wpbridge.access.person import Person
from wpbridge.clock import SystemClock
from wpbridge.dashboard.failure_index import FailureIndex
from wpbridge.dashboard.overview import OverviewReader
from wpbridge.dashboard.sites import Sites
from wpbridge.dataclass import dataclass
from wpbridge.doctor.explain import Explanation
from wpbridge.queue.jobs import JobQueue
from wpbridge.site.config import Settings
from wpbridge.site.resolve import Site
from wpbridge.site.rules import Role, allows
from wpbridge.web.headers import FORWARD
from wpbridge.web.pages.board import Board, Seen
from wpbridge.web.pages.texts import speak, tr

if TYPE_CHECKING:
    from wpbridge.web.calls import Parts
    from wpbridge.web.many.index import SitesIndex
    from wpbridge.web.pages.rendering import Renderer

T = TypeVar("T")
_PAGE_DIGITS: Final = 5
"""The number of a page has no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageParts:
    """What the pages of a running gateway share."""

    settings: Settings
    people: People
    board: Board
    checks: Board
    """The doctor's. It has one reader, so that slow checks keep no page waiting."""
    overview: OverviewReader
    """What reads the numbers of the first page."""
    counts: Board
    """For numbers that a page can do without: they may take less time."""
    renderer: "Renderer"
    hosts: frozenset[str]
    """The names by which browsers may ask."""
    site: str
    """What the site is called."""
    location: Site
    """Where its tables are."""
    zone: tzinfo
    """Times are shown in it."""
    explain: Callable[[JobQueue, int], Explanation]
    """Explains an action, asking this queue."""
    cookie: str
    """The name of the session's cookie."""
    sites: Sites = field(default_factory=Sites)
    """What is known of a network's sites."""

    failures: FailureIndex = field(default_factory=FailureIndex)
    """The failures that are remembered."""
    index: "SitesIndex | None" = None
    """What the index of many sites shows; None for the pages of one site."""
    site_base: str = ""
    """What stands before the name of a site in its addresses, on the index of many sites."""

    def missing(self, request: Request) -> Response | None:
        """Return a page that says that there is none; None for a program, which wants no page.

        On the site's own address there is none either: only a checked header says where it lies.
        """
        if "text/html" not in request.headers.get("accept", "") or FORWARD in request.headers:
            return None
        speak(request.headers.get("accept-language", ""))
        return self.renderer.answer("outside.html", 404, {"reason": tr("there is no such page")})

    def close(self) -> None:
        """Close the connections."""
        self.failures.close()
        self.board.close()
        self.counts.close()
        self.checks.close()
        self.people.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request by a person who may make it."""

    request: Request
    parts: "Parts"
    """Those of the gateway."""
    pages: PageParts
    person: Person
    base: str
    """What stands before every path of the dashboard, as the person's browser sees it."""
    csrf: str = ""
    """What the forms of a page must carry; empty where the browser's headers suffice."""
    is_on_site: bool = False
    """Whether the companion plugin hands the answer on at the site's own address."""
    told_address: str = ""
    """From where the person asks, as the companion plugin says it."""
    form: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What a form has sent: the values of each name."""
    page: str = ""
    """The name of the page."""

    @property
    def settings(self) -> Settings:
        """Return the settings."""
        return self.pages.settings

    @property
    def zone(self) -> tzinfo:
        """Return the zone that times are shown in."""
        return self.pages.zone

    @property
    def path(self) -> Mapping[str, str]:
        """Return the parts of the path that the table names."""
        found: Mapping[str, str] = self.request.path_params
        return found

    @property
    def address(self) -> str:
        """Return the address from which the person asks; empty for a Unix socket."""
        own = self.request.client.host if self.request.client else ""
        return self.told_address or own

    def now(self) -> datetime:
        """Return the present time."""
        return SystemClock().now()

    def query(self, name: str, default: str = "") -> str:
        """Return a parameter of the address; the last one where it stands there several times."""
        return self.request.query_params.get(name, default)

    def queries(self, name: str) -> list[str]:
        """Return the values of a parameter of the address, without empty ones."""
        return [value for value in self.request.query_params.getlist(name) if value]

    def page_number(self) -> int:
        """Return which page of a list the address means, from 1; the first where it says none."""
        told = self.query("page")
        is_number = told.isascii() and told.isdigit() and len(told) <= _PAGE_DIGITS
        return max(1, int(told)) if is_number else 1

    def sent(self, name: str, default: str = "") -> str:
        """Return a value that a form has sent."""
        values = self.form.get(name, ())
        return values[-1] if values else default

    def may(self, role: Role) -> bool:
        """Tell whether the person may do what needs a role."""
        return allows(self.person.role, role)

    def url(self, path: str = "", **query: object) -> str:
        """Return the address of a path of the dashboard, such as ``actions/17``.

        Parameters that are None or empty are left out; a list becomes several.
        """
        pairs = [
            (name.rstrip("_"), one)
            for name, value in query.items()
            for one in (value if isinstance(value, list | tuple) else [value])
            if one not in (None, "")
        ]
        # What is no UTF-8 in a row goes as its bytes, and half a character as a question mark.
        given = [(name, _sendable(str(one))) for name, one in pairs]
        told = f"?{urlencode(given)}" if pairs else ""
        return f"{self.base}/{path.lstrip('/')}{told}"

    async def ask(self, question: Callable[[JobQueue], T]) -> T:
        """Return what a question finds, for this request alone: see :meth:`Board.ask`."""
        return await self.pages.board.ask(question)

    async def shared(self, key: str, question: Callable[[JobQueue], T]) -> Seen[T]:
        """Return what a question finds, asked once for all readers: see :meth:`Board.shared`."""
        return await self.pages.board.shared(key, question)

    async def soon(self, key: str, question: Callable[[JobQueue], T]) -> T | None:
        """Return what is shared if that is known soon, else None: see :meth:`Board.soon`."""
        return await self.pages.counts.soon(key, question)

    async def change(self, work: Callable[[JobQueue], T]) -> T:
        """Change something, and have everything read anew afterwards."""
        try:
            return await self.parts.readers.ask(work)
        finally:
            self.pages.board.forget()
            self.pages.counts.forget()
            self.pages.failures.doubt()
            self.pages.checks.forget()

    def render(self, template: str, status: int = 200, **context: Any) -> Response:
        """Return a page made of a template."""
        return self.pages.renderer.page(self, template, status, context)

    def go_to(self, address: str) -> Response:
        """Send the browser to an address of the dashboard, with a GET."""
        return RedirectResponse(address, 303, {"Cache-Control": "private, no-store"})

    def done(self, what: str, to: str, count: int = 1) -> Response:
        """Go to a page, which says what was done; ``what`` is a verb that ``notices`` knows."""
        mark = "&" if "?" in to else "?"
        return self.go_to(f"{to}{mark}{urlencode({'done': what, 'n': count})}")


def _sendable(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


Answer: TypeAlias = Callable[[Visit], Awaitable[Response]]
