"""Sign in and out: the form, the way from wp-admin, and the session's cookie."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from wpbridge.access.caller import NotKnown, TooMany
from wpbridge.access.person import SignedIn
from wpbridge.web.access_log import CALLER
from wpbridge.web.pages import gate
from wpbridge.web.pages.gate import Refused
from wpbridge.web.pages.rendering import NOT_KEPT

if TYPE_CHECKING:
    from wpbridge.web.calls import Parts
    from wpbridge.web.pages.visit import PageParts

Answer: TypeAlias = Callable[[Request, "Parts", "PageParts"], Awaitable[Response]]
_MOST_CHARACTERS: Final = 1_000
_TARGET: Final = re.compile(
    r"/(?:[A-Za-z0-9_~-][A-Za-z0-9_.~-]*/)*(?:[A-Za-z0-9_~-][A-Za-z0-9_.~-]*)?"
    r"(?:\?[A-Za-z0-9_.~%=&+*\[\]-]*)?"
)
"""A path of ours and its query, in which nothing leads to another host, nor up to the path of
another program."""


def to_form(request: Request, pages: "PageParts") -> Response:
    """Send a browser to the form, which leads back to what was asked for."""
    base = pages.settings.web_base_path
    path = request.scope["path"].removeprefix(base)
    query = request.scope["query_string"].decode("latin-1")
    told = f"{path}?{query}" if query else path
    back = f"?to={quote(told, safe='')}" if told != "/" and _TARGET.fullmatch(told) else ""
    return RedirectResponse(f"{base}/sign-in{back}", 303, NOT_KEPT)


async def form(request: Request, parts: "Parts", pages: "PageParts") -> Response:
    """Show the form; who is signed in already goes on."""
    del parts
    entered = await gate.enter(request, pages, b"")
    target = _target(request.query_params.get("to", ""))
    if entered.person is not None:
        return RedirectResponse(f"{entered.base}{target}", 303, NOT_KEPT)
    return _form(pages, target)


async def sign_in(request: Request, parts: "Parts", pages: "PageParts") -> Response:
    """Take a name and a password, and begin a session."""
    del parts
    body = await gate.body_of(request)
    entered = await gate.enter(request, pages, body)
    if entered.is_on_site:
        raise Refused(403, "WordPress has signed you in already")
    gate.check_own_page(request, pages, entered._replace(person=None))
    fields = gate.fields_of(body)
    name, password, target = (
        (fields.get(one) or [""])[-1] for one in ("username", "password", "to")
    )
    address = request.client.host if request.client else ""
    if len(name) > _MOST_CHARACTERS or len(password) > _MOST_CHARACTERS:
        return _form(pages, _target(target), status=401, trouble="wrong")
    try:
        found = await asyncio.to_thread(pages.people.sign_in, name, password, address)
    except NotKnown:
        return _form(pages, _target(target), status=401, trouble="wrong")
    except TooMany as error:
        answer = _form(pages, _target(target), status=429, trouble="often")
        answer.headers["Retry-After"] = str(max(1, round(error.retry_after_seconds)))
        return answer
    request.scope[CALLER] = found.person.name
    answer = RedirectResponse(f"{pages.settings.web_base_path}{_target(target)}", 303, NOT_KEPT)
    _remember(answer, pages, found)
    return answer


async def enter(request: Request, parts: "Parts", pages: "PageParts") -> Response:
    """Take a token of the companion plugin, and begin a session.

    The answer is a page that leads on, and not a redirect: a browser that comes from another site
    would not send the new cookie with a redirect.
    """
    del parts
    entered = await gate.enter(request, pages, b"")
    if entered.is_on_site:
        raise Refused(403, "WordPress has signed you in already")
    address = request.client.host if request.client else ""
    token = request.query_params.get("token", "")
    try:
        found = await asyncio.to_thread(pages.people.enter, token, address)
    except NotKnown:
        raise Refused(
            403, "this link has been used, or is too old: open the dashboard from wp-admin again"
        ) from None
    request.scope[CALLER] = found.person.name
    target = _target(request.query_params.get("to", ""))
    onward = f"{pages.settings.web_base_path}{target}"
    answer = pages.renderer.answer("enter.html", 200, {"onward": onward})
    _remember(answer, pages, found)
    return answer


async def sign_out(request: Request, parts: "Parts", pages: "PageParts") -> Response:
    """End the session, and forget its cookie."""
    del parts
    body = await gate.body_of(request)
    entered = await gate.enter(request, pages, body)
    if entered.is_on_site:
        raise Refused(403, "sign out of WordPress instead")
    gate.check_own_page(request, pages, entered)
    cookie = request.cookies.get(pages.cookie)
    if cookie:
        await asyncio.to_thread(pages.people.sign_out, cookie)
    answer = RedirectResponse(f"{pages.settings.web_base_path}/sign-in", 303, NOT_KEPT)
    answer.delete_cookie(
        pages.cookie, _path(pages), secure=_is_secure(pages), httponly=True, samesite="strict"
    )
    return answer


ROUTES: Final[tuple[tuple[str, str, Answer], ...]] = (
    ("/sign-in", "GET", form),
    ("/sign-in", "POST", sign_in),
    ("/enter", "GET", enter),
    ("/sign-out", "POST", sign_out),
)
"""Path, method and answer. Nobody has to be signed in."""


def _form(pages: "PageParts", target: str, *, status: int = 200, trouble: str = "") -> Response:
    told = {"base": pages.settings.web_base_path, "to": target, "trouble": trouble}
    return pages.renderer.answer("sign_in.html", status, told)


def _target(told: str) -> str:
    """Return the path of ours to go on to; the overview for anything else."""
    return told if _TARGET.fullmatch(told) else "/"


def _remember(answer: Response, pages: "PageParts", found: SignedIn) -> None:
    answer.set_cookie(
        pages.cookie,
        found.cookie,
        max_age=found.seconds,
        path=_path(pages),
        secure=_is_secure(pages),
        httponly=True,
        samesite="strict",
    )


def _path(pages: "PageParts") -> str:
    return f"{pages.settings.web_base_path}/"


def _is_secure(pages: "PageParts") -> bool:
    """Tell whether the cookie may go over HTTPS alone, as people open the dashboard."""
    return (pages.settings.web_url or "").startswith("https://")
