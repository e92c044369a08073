"""Let scripts of the origins that the settings name ask the API, and nothing else.

The dashboard answers no script of another origin. Nobody has to send a cookie or a key where a
proxy says who a person is, so a script could read pages as whoever its browser belongs to.
"""

from collections.abc import Sequence
from typing import Any, Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from wpbridge.web.routes import ROUTES

_BELOW: Final = "/v1/"
_OTHERS: Final = frozenset(route.path for route in ROUTES if not route.path.startswith(_BELOW))
_MAY_SEND: Final = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "Last-Event-ID",
    "Prefer",
    "traceparent",
)
"""What a script of an allowed origin may send."""
_MAY_READ: Final = (
    "Location",
    "Retry-After",
    "Idempotency-Replayed",
    "Preference-Applied",
)
"""What it may read, beside the body."""


class ApiOrigins:
    """An application that answers scripts of some origins for the API's addresses alone."""

    def __init__(self, app: ASGIApp, *, origins: Sequence[str], base_path: str) -> None:
        """Take the application that answers."""
        self._app = app
        self._base = base_path
        self._open: Any = CORSMiddleware(
            app,
            allow_origins=origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=_MAY_SEND,
            expose_headers=_MAY_READ,
            max_age=600,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the other one answer."""
        path = str(scope.get("path", "")).removeprefix(self._base)
        is_api = path.startswith(_BELOW) or path in _OTHERS
        await (self._open if is_api else self._app)(scope, receive, send)
