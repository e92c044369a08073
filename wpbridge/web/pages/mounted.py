"""Put the pages beside the gateway's API: routes, and before each answer its checks."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from wpbridge.access.caller import TooMany
from wpbridge.errors import (
    ActionNotFound,
    InputError,
    StoreError,
    WpbridgeError,
)
from wpbridge.telling.log import tell
from wpbridge.web.access_log import CALLER
from wpbridge.web.calls import Parts
from wpbridge.web.pages import gate, signing_in, statics, texts
from wpbridge.web.pages.gate import Entered, Refused
from wpbridge.web.pages.rendering import NOT_KEPT
from wpbridge.web.pages.table import DEEDS, INDEX, PAGES, Deed, Page
from wpbridge.web.pages.visit import PageParts, Visit
from wpbridge.web.problems import NO_DATABASE, problem_of

_FORM = "application/x-www-form-urlencoded"


def page_routes(parts_of: Callable[[], Parts]) -> list[StarletteRoute]:
    """Return the routes of all pages, changes, files and ways to sign in."""
    return _routes(parts_of, PAGES, DEEDS)


def index_routes(parts_of: Callable[[], Parts]) -> list[StarletteRoute]:
    """Return those of the index of many sites, on which nothing can be changed."""
    return _routes(parts_of, INDEX, ())


def _routes(
    parts_of: Callable[[], Parts], pages: Sequence[Page], deeds: Sequence[Deed]
) -> list[StarletteRoute]:
    made: list[tuple[str, str, ASGIApp]] = [
        (page.path, "GET", _PageEndpoint(parts_of, page.path, _guarded(page))) for page in pages
    ]
    made += [
        (deed.path, "POST", _PageEndpoint(parts_of, deed.path, _guarded(deed))) for deed in deeds
    ]
    made += [
        (path, method, _PageEndpoint(parts_of, path, answer))
        for path, method, answer in signing_in.ROUTES
    ]
    made.append((statics.PATH, "GET", _PageEndpoint(parts_of, statics.PATH, statics.answer)))
    return [
        StarletteRoute(path, endpoint, methods=[method], name=f"page {method} {path}")
        for path, method, endpoint in made
    ]


def _guarded(row: Page | Deed) -> signing_in.Answer:
    """Return what answers for a page or a change, once the person may have it."""

    async def answer(request: Request, parts: Parts, pages: PageParts) -> Response:
        body = await gate.body_of(request)
        entered = await gate.enter(request, pages, body)
        if entered.person is None:
            if isinstance(row, Page):
                return signing_in.to_form(request, pages)
            raise Refused(401, "nobody is signed in any more: sign in, and do it once more")
        request.scope[CALLER] = entered.person.name
        gate.check_own_page(request, pages, entered)
        visit = _visit(request, parts, pages, entered, body=body, name=row.name)
        if not visit.may(row.role):
            return visit.render("refused.html", 403, needed=row.role)
        return await _answered(visit, row)

    return answer


def _visit(
    request: Request, parts: Parts, pages: PageParts, entered: Entered, *, body: bytes, name: str
) -> Visit:
    assert entered.person is not None  # noqa: S101 - the caller has looked
    if body and _media_type(request) != _FORM:
        raise Refused(415, f"send {_FORM}")
    return Visit(
        request=request,
        parts=parts,
        pages=pages,
        person=entered.person,
        base=entered.base,
        csrf=entered.csrf,
        is_on_site=entered.is_on_site,
        told_address=entered.address,
        form=gate.fields_of(body) if body else {},
        page=name,
    )


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _answered(visit: Visit, row: Page | Deed) -> Response:
    """Return the answer, or a page that says in one sentence why there is none."""
    try:
        return await row.answer(visit)
    except ActionNotFound as error:
        return visit.render("trouble.html", 404, reason=str(error))
    except InputError as error:
        return visit.render("trouble.html", 422, reason=str(error))
    except StoreError as error:
        return visit.render("trouble.html", 503, reason=str(error))
    except WpbridgeError as error:
        return visit.render("trouble.html", problem_of(error).status, reason=str(error))


class _PageEndpoint:
    """Answers requests for one path of the dashboard."""

    def __init__(self, parts_of: Callable[[], Parts], path: str, answer: signing_in.Answer) -> None:
        self._parts_of = parts_of
        self._path = path
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        began, status = time.perf_counter(), 500
        request = Request(scope, receive, send)
        texts.speak(request.headers.get("accept-language", ""))
        parts = self._parts_of()
        pages = parts.pages
        assert pages is not None  # noqa: S101 - there are no such routes without them
        try:
            response = await self._safely(request, parts, pages)
            status = response.status_code
        finally:
            seconds = time.perf_counter() - began
            parts.counted.answered(self._path, request.method, status, seconds)
        await response(scope, receive, send)

    async def _safely(self, request: Request, parts: Parts, pages: PageParts) -> Response:
        refused: dict[str, Any]
        headers = {}
        try:
            return await self._answer(request, parts, pages)
        except Refused as error:
            status, refused = error.status, {"reason": error.reason}
        except TooMany as error:
            status, refused = 429, {"reason": str(error)}
            headers["Retry-After"] = str(max(1, round(error.retry_after_seconds)))
        except StoreError:
            status, refused = 503, {"reason": NO_DATABASE}
            headers["Retry-After"] = "5"
        except Exception as error:  # noqa: BLE001 - the person gets a page, and the log the rest
            tell("gateway.broken", path=request.url.path, exc_info=error)
            status, refused = 500, {"reason": "the log of the gateway has the reason"}
        refused["base"] = request.scope.get(gate.BASE, pages.settings.web_base_path)
        answer = pages.renderer.answer("outside.html", status, refused)
        answer.headers.update({**NOT_KEPT, **headers})
        return answer
