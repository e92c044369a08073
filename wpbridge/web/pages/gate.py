"""Find out which person asks for a page, and refuse what did not come from a page of ours."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import parse_qs

from starlette.requests import Request

from wpbridge.access.caller import NotKnown
from wpbridge.access.person import Person
from wpbridge.site.config import Settings
from wpbridge.site.web_kinds import Listen
from wpbridge.web import bodies
from wpbridge.web.headers import FORWARD
from wpbridge.web.pages.guarding import is_own_host, is_own_page
from wpbridge.web.pages.visit import PageParts
from wpbridge.web.problems import Problem

MOST_BODY: Final = 1_048_576
MOST_FIELDS: Final = 2_000
BASE: Final = "wpbridge.base"
"""The key of a scope under which stands what is before each path outside, once that is known."""
SAFE: Final = frozenset({"GET", "HEAD"})


class Entered(NamedTuple):
    """Who asks, and how the dashboard looks from where they are."""

    person: Person | None
    """None for somebody who has not signed in."""
    base: str
    csrf: str = ""
    is_on_site: bool = False
    address: str = ""
    """From where the person asks, if somebody hands the request on who knows it."""


class Refused(Exception):
    """The request is not answered: with this status, for this reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def cookie_name(settings: Settings) -> str:
    """Return the name of the session's cookie.

    Cookies know no ports, and several gateways may be served by one host. Over HTTPS the name has a
    prefix, by which browsers take such a cookie from this very host alone. A page of another host
    of the domain could else sign people in as somebody else.
    """
    told = f"{Listen.of(settings.web_listen).told}{settings.web_base_path}"
    name = f"wpbridge_{hashlib.sha256(told.encode()).hexdigest()[:8]}"
    if not (settings.web_url or "").startswith("https://"):
        return name
    return f"__Secure-{name}" if settings.web_base_path else f"__Host-{name}"


async def body_of(request: Request) -> bytes:
    """Return the body of a request, which must be small.

    Raises:
        Refused: it is too large, or comes too slowly.
    """
    if request.method in SAFE:
        return b""
    try:
        async with asyncio.timeout(10):
            return await bodies.body_of(request, most=MOST_BODY)
    except TimeoutError:
        raise Refused(408, "the form did not arrive in time") from None
    except Problem as problem:
        raise Refused(problem.status, problem.detail) from None


def fields_of(body: bytes) -> Mapping[str, Sequence[str]]:
    """Return what a form has sent: the values of each name.

    Raises:
        Refused: it is no form.
    """
    try:
        return parse_qs(
            body.decode("ascii"),
            keep_blank_values=True,
            max_num_fields=MOST_FIELDS,
            errors="strict",
        )
    except ValueError:
        raise Refused(400, "the form cannot be read") from None


async def enter(request: Request, pages: PageParts, body: bytes) -> Entered:
    """Return who asks.

    Raises:
        Refused: the request may not be answered at all.
    """
    if not is_own_host(request, pages.hosts):
        raise Refused(
            421,
            "the dashboard is not served under this name: add it to hosts below [web] in the"
            " settings",
        )
    forwards = request.headers.getlist(FORWARD)
    if forwards:
        return await _forwarded(request, pages, forwards, body)
    person = await _person(request, pages)
    return Entered(person, pages.settings.web_base_path)


def check_own_page(request: Request, pages: PageParts, entered: Entered) -> None:
    """Refuse a change that was not sent by a page of ours.

    Raises:
        Refused: it was not, or nobody knows.
    """
    if request.method in SAFE or entered.is_on_site:
        # The companion plugin has checked WordPress's nonce, and its signature says so.
        return
    is_signing_in = entered.person is None
    if not is_own_page(request, pages.settings, lets_programs_in=is_signing_in):
        raise Refused(403, "this change was not sent by a page of the dashboard")


async def _forwarded(
    request: Request, pages: PageParts, forwards: Sequence[str], body: bytes
) -> Entered:
    if not pages.settings.web_on_site or len(forwards) > 1:
        raise Refused(403, "requests of the companion plugin are not taken: see on_site")
    try:
        found = await asyncio.to_thread(
            pages.people.forwarded,
            forwards[0],
            method=request.method,
            path=request.scope["path"],
            query=request.scope["query_string"].decode("latin-1"),
            body=body,
        )
    except NotKnown as error:
        raise Refused(403, str(error)) from None
    request.scope[BASE] = found.base_path
    return Entered(
        found.person, found.base_path, found.csrf, is_on_site=True, address=found.address
    )


async def _person(request: Request, pages: PageParts) -> Person | None:
    cookie = request.cookies.get(pages.cookie)
    if cookie:
        found = pages.people.remembered(cookie)
        if found is None:
            found = await asyncio.to_thread(pages.people.of_cookie, cookie)
        if found is not None:
            return found
    header = pages.settings.web_proxy_header
    names = request.headers.getlist(header) if header else []
    if not names:
        return None
    if len(names) > 1:
        raise Refused(400, f"the proxy has sent {header} more than once")
    address = request.client.host if request.client else ""
    try:
        return await asyncio.to_thread(pages.people.of_proxy, names[0], address)
    except NotKnown as error:
        raise Refused(403, str(error)) from None
