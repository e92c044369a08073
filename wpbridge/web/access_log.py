"""Write a line for each request: what was asked, and what was answered.

No line has a header, a query or a body, since keys, tokens and the data of customers stand there.
"""

import time
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wpbridge.telling.log import tell

CALLER: Final = "wpbridge.caller"
"""Where the scope of a request has the name of who sent it, once that is known."""
_MOST_CHARACTERS: Final = 500


class AccessLog:
    """An application that tells of each request of another one."""

    def __init__(self, app: ASGIApp) -> None:
        """Take the application that answers."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the other one answer, then tell."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, size = time.perf_counter(), 0, 0

        async def counted(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
            size += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, counted)
        finally:
            tell(
                "gateway.request",
                method=scope["method"],
                path=scope["path"][:_MOST_CHARACTERS],
                status=status,
                milliseconds=round((time.perf_counter() - began) * 1000, 1),
                bytes=size,
                caller=scope.get(CALLER),
            )
