"""Answer whether the gateway lives and can work, and what it offers."""

import asyncio

from starlette.responses import HTMLResponse, JSONResponse, Response

from wpbridge.errors import WpbridgeError
from wpbridge.web import openapi as made
from wpbridge.web.calls import Call
from wpbridge.web.problems import Problem

_NO_STORE = {"Cache-Control": "no-store"}


async def livez(call: Call) -> Response:
    """Answer as long as the process does. The database is not asked."""
    del call
    return JSONResponse({"status": "alive"}, 200, _NO_STORE)


async def readyz(call: Call) -> Response:
    """Answer whether a request could be answered now."""
    try:
        troubles = await call.parts.readers.ask(call.parts.troubles)
    except WpbridgeError as error:
        raise Problem("unavailable", str(error), retry_after_seconds=5.0) from None
    if troubles:
        raise Problem("unavailable", "; ".join(troubles), retry_after_seconds=5.0)
    return JSONResponse({"status": "ready"}, 200, _NO_STORE)


async def metrics(call: Call) -> Response:
    """Tell Prometheus what is measured."""
    text = await asyncio.to_thread(call.parts.metrics.text)
    return Response(text, 200, _NO_STORE, "text/plain; version=0.0.4; charset=utf-8")


async def openapi(call: Call) -> Response:
    """Return the OpenAPI document."""
    return JSONResponse(made.document(call.request.app.state.table, call.parts.base_path))


async def docs(call: Call) -> Response:
    """Return the page of the API for people."""
    return HTMLResponse(made.page(call.request.app.state.table, call.parts.base_path))
