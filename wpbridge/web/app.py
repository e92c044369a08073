"""Put the gateway together: the table of routes, and before each answer its checks."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Router
from starlette.routing import Route as StarletteRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from wpbridge.access.caller import Caller
from wpbridge.errors import WpbridgeError
from wpbridge.telling.log import tell
from wpbridge.telling.metrics import OTHER
from wpbridge.web import bodies
from wpbridge.web.access_log import CALLER
from wpbridge.web.callers import TOKEN, gate_of
from wpbridge.web.calls import Call, Parts
from wpbridge.web.going import headers_of
from wpbridge.web.headers import FORWARD, HEADERS, SafeHeaders
from wpbridge.web.problems import Problem, problem_of
from wpbridge.web.queries import Parameters
from wpbridge.web.route import NDJSON, Route
from wpbridge.web.routes import ROUTES

BODY_SECONDS: Final = 10.0
"""A body must have arrived after so long."""
_METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_PROBLEM_OF_STATUS: Final = {404: "not-found", 405: "wrong-method"}


def make_app(
    open_parts: Callable[[], Parts],
    *,
    routes: Sequence[Route] = ROUTES,
    pages: Callable[[Callable[[], Parts]], Sequence[StarletteRoute]] | None = None,
    base_path: str = "",
) -> Starlette:
    """Return the ASGI application.

    Args:
        open_parts: starts the parts when the server starts; they are closed when it ends.
        routes: the table.
        pages: makes the routes of the dashboard, given what returns the parts; None for none.
        base_path: what stands before every path.
    """
    holder: dict[str, Any] = {}

    def prepare() -> None:
        holder["parts"] = open_parts()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        try:
            if not holder:
                prepare()
        except WpbridgeError as error:
            app.state.why_not = error
            raise
        app.state.parts = holder["parts"]
        app.state.let_go = holder["parts"].watching.let_go
        holder["gate"] = gate_of(holder["parts"].callers, holder["parts"].rates)
        try:
            yield
        finally:
            await asyncio.to_thread(holder["parts"].close)

    table = [
        StarletteRoute(
            route.path,
            _endpoint(route, holder, headers_of(route, base_path)),
            methods=[route.method],
            name=route.name,
        )
        for route in routes
    ]
    if pages is not None:
        table += pages(lambda: holder["parts"])
    whole: list[BaseRoute] = list(table)
    if base_path:
        # It would lead to whatever host the request names.
        whole = [Mount(base_path, app=Router(table, redirect_slashes=False))]
        if pages is not None:
            whole.append(StarletteRoute(base_path, _to_pages))
    app = Starlette(
        routes=whole,
        lifespan=lifespan,
        exception_handlers={HTTPException: _http_error, Exception: _broken},
    )
    # Opens the parts before the server starts. It waits for the database, on any thread.
    app.state.prepare = prepare
    app.state.table = tuple(routes)
    app.state.routes = table
    app.state.base_path = base_path
    app.add_middleware(SafeHeaders)
    app.router.redirect_slashes = False
    return app


def _endpoint(route: Route, holder: dict[str, Any], headers: Mapping[str, str]) -> ASGIApp:
    """Return what answers a route, with these headers.

    It is an ASGI application: Starlette would put one more round of catching errors around a
    function, and each request would go through both.
    """
    parameters = Parameters(route.query, passed={TOKEN} if route.takes_tokens else frozenset())
    check = None if route.body is None else bodies.checker(route.body.schema)

    async def answer(request: Request) -> Response:
        try:
            _check_way(request)
            takes = route.takes_tokens
            caller = await holder["gate"](request, takes) if route.rights else NOBODY
            request.scope[CALLER] = caller.name
            _check_rights(route, caller)
            call = Call(
                request=request,
                parts=holder["parts"],
                caller=caller,
                query=parameters.of(request),
                body=await _body(route, check, request),
            )
            return await route.answer(call)
        except Problem as problem:
            return problem.answer()
        except WpbridgeError as error:
            return problem_of(error).answer()

    def note(status: int, seconds: float) -> None:
        holder["parts"].counted.answered(route.path, route.method, status, seconds)

    return _Endpoint(answer, note, headers)


class _Endpoint:
    """Answers a request by a function."""

    def __init__(
        self,
        answer: Callable[[Request], Awaitable[Response]],
        note: Callable[[int, float], None],
        headers: Mapping[str, str],
    ) -> None:
        """``note`` is given the status of each answer, and how long it took to make it."""
        self._answer = answer
        self._note = note
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        began, status = time.perf_counter(), 500
        try:
            response = await self._answer(Request(scope, receive, send))
            status = response.status_code
            response.headers.update(self._headers)
        finally:
            self._note(status, time.perf_counter() - began)
        await response(scope, receive, send)


async def _body(route: Route, check: bodies.Check | None, request: Request) -> Any:
    if route.body is None or check is None:
        return None
    bodies.check_media_type(request, [route.body.media_type])
    try:
        async with asyncio.timeout(BODY_SECONDS):
            text = await bodies.body_of(request, most=route.body.most)
    except TimeoutError:
        raise Problem("too-slow", f"send the body within {BODY_SECONDS:g} s") from None
    if route.body.media_type == NDJSON:
        return text
    value = bodies.value_of(text)
    check(value)
    return value


NOBODY: Final = Caller(name="", key_name="", rights=frozenset())
"""Who calls a route that everybody may call."""


def _check_way(request: Request) -> None:
    if FORWARD in request.headers:
        raise Problem("not-found", "through the site there are pages alone")


def _check_rights(route: Route, caller: Caller) -> None:
    if not route.rights:
        return
    is_token = caller.only_job is not None or caller.ticket is not None
    if is_token and not route.takes_tokens:
        raise Problem("not-allowed", "a token for one job or one action does not allow this")
    if not any(caller.may(right) for right in route.rights):
        raise Problem("not-allowed", f"this needs the right {' or '.join(route.rights)}")


async def _to_pages(request: Request) -> Response:
    """Lead from the address without a slash at its end to the dashboard."""
    return RedirectResponse(f"{request.app.state.base_path}/", 303, {"Cache-Control": "no-store"})


async def _http_error(request: Request, error: Exception) -> Response:
    """Answer what Starlette itself has refused."""
    assert isinstance(error, HTTPException)  # noqa: S101 - it is called for nothing else
    kind = _PROBLEM_OF_STATUS.get(error.status_code, "bad-request")
    method = request.method if request.method in _METHODS else OTHER
    request.app.state.parts.counted.answered(OTHER, method, error.status_code, 0.0)
    pages = request.app.state.parts.pages
    page = pages.missing(request) if pages is not None and kind == "not-found" else None
    if page is not None:
        return cast("Response", page)
    if kind != "wrong-method":
        return Problem(kind, "look at /openapi.json, or at /docs, for what there is").answer()
    methods = _methods(request)
    answer = Problem(kind, f"it takes {', '.join(methods)}").answer()
    answer.headers["Allow"] = ", ".join(methods)
    return answer


def _methods(request: Request) -> list[str]:
    """Return the methods that the address of a request takes."""
    path = request.scope["path"].removeprefix(request.app.state.base_path)
    found = {
        method
        for route in request.app.state.routes
        if route.path_regex.match(path)
        for method in route.methods or ()
    }
    return sorted(found)


async def _broken(request: Request, error: Exception) -> Response:
    """Answer that the gateway has a fault, and say in the log which. The client gets no detail."""
    tell("gateway.broken", path=request.url.path, exc_info=error)
    answer = Problem("broken", "the log of the gateway has the reason").answer()
    # It does not pass by what adds them to the others.
    answer.headers.update(HEADERS)
    return answer
