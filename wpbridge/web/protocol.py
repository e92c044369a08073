"""Read HTTP strictly: what two programs may understand in two ways is refused before any route.

A proxy before the gateway may decide by the path who gets through. So a path has no escapes, no
empty parts and no dots that lead elsewhere: it means the same to both.
"""

import json
import re
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from wpbridge.telling.log import tell
from wpbridge.web.headers import HEADERS
from wpbridge.web.problems import MEDIA_TYPE, Problem

HEAD_SECONDS: Final = 10.0
"""The head of a request must have arrived after so long."""
LAST_SECONDS: Final = 1.0
"""So long a connection that has just been taken may send its first request at the end."""
MOST_HEAD_BYTES: Final = 32_768
MOST_UNENDED_BYTES: Final = 524_288
"""More than a head, and a chunk in which the body before it may end."""
_TARGET: Final = re.compile(
    rb"(?:/|(?:/(?!\.{1,2}(?:/|\?|$))(?:[A-Za-z0-9_.:~-]|%3[Aa])+)+/?)(?:\?[^#]*)?"
)
"""A path and perhaps a query. With a slash at its end it is another path, which only the dashboard
has. Some clients escape the colon of ``jobs:batch``."""


class StrictProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        base_path: str = getattr(getattr(self.config.app, "state", None), "base_path", "")
        self._base = base_path.encode()
        """What stands before each path. With a slash alone behind it, it is the overview's."""
        self._head_bytes = 0
        self._unended_bytes = 0
        """What has come since the last head that was whole, and the chunk in which that ended."""
        self._patience: Any = None
        self._is_last = False
        """Whether the server ends, and answers one request more at the most."""

    def connection_made(self, transport: Any) -> None:
        """Wait for the head of the first request, but not for ever."""
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._head_is_here()
        super().connection_lost(exc)

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """Answer a client that sends no more, but only what it will not wait for again and again.

        Who has sent half a request, or waits for news, is taken for gone.
        """
        cycle = self._cycle_now()
        if cycle is None or cycle.more_body or cycle.scope["method"] == "GET":
            return None
        cycle.keep_alive = False
        return True

    def data_received(self, data: bytes) -> None:
        """Read what has come. The parser would keep a header without an end as long as it comes."""
        super().data_received(data)
        if self._patience is not None:
            self._unended_bytes += len(data)
            if self._unended_bytes > MOST_UNENDED_BYTES:
                self.send_400_response("")

    def on_message_begin(self) -> None:
        """Wait for the rest of the head."""
        super().on_message_begin()
        self._head_bytes = self._unended_bytes = 0
        self._wait_for_head()

    def on_url(self, url: bytes) -> None:
        """Take in a part of the target."""
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take in a header."""
        super().on_header(name, value)
        self._count(len(name) + len(value))

    def on_headers_complete(self) -> None:
        """Refuse targets of another form than a path, and what two programs may read in two ways.

        An error here becomes the answer 400.
        """
        self._head_is_here()
        names = [name for name, _ in self.headers]
        target = self.url.removeprefix(self._base)
        if not _TARGET.fullmatch(target if target.startswith(b"/") else self.url):
            raise ValueError
        if self.parser.get_http_version() not in {"1.0", "1.1"}:
            raise ValueError
        if names.count(b"host") > 1 or names.count(b"content-length") > 1:
            raise ValueError
        if b"transfer-encoding" in names and b"content-length" in names:
            raise ValueError
        super().on_headers_complete()
        if self._is_last:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """Close, once what runs is answered, and also what a new client is just sending.

        The client could not know: its connection was taken a moment ago.
        """
        cycle: Any = self.cycle
        if cycle is not None:
            super().shutdown()
            return
        self._is_last = True
        self._wait_for_head()

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be read, and close."""
        del msg
        self._refuse(Problem("bad-request", "send HTTP as RFC 9112 has it, with a plain path"))

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MOST_HEAD_BYTES:
            raise ValueError

    def _wait_for_head(self) -> None:
        self._head_is_here()
        if self._is_last:
            self._patience = self.loop.call_later(LAST_SECONDS, self.transport.close)
        else:
            self._patience = self.loop.call_later(HEAD_SECONDS, self._cut)

    def _head_is_here(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _cut(self) -> None:
        self._refuse(Problem("too-slow", f"send the head within {HEAD_SECONDS:g} s"))

    def _refuse(self, problem: Problem) -> None:
        """Answer and close; behind a request that is whole, once that has its answer."""
        if self.transport.is_closing():
            return
        cycle = self._cycle_now()
        if cycle is not None and not cycle.more_body:
            cycle.keep_alive = False
            return
        if cycle is None:
            body = json.dumps(problem.document()).encode()
            head = (
                f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n"
                "cache-control: no-store\r\nconnection: close\r\n"
            )
            head += "".join(f"{name.lower()}: {value}\r\n" for name, value in HEADERS.items())
            head += "\r\n"
            self.transport.write(STATUS_LINE[problem.status] + head.encode() + body)
        tell("gateway.request", status=problem.status)
        self.transport.close()

    def _cycle_now(self) -> RequestResponseCycle | None:
        """Return the request that has no whole answer yet; None if there is none."""
        cycle: Any = self.cycle
        return None if cycle is None or cycle.response_complete else cycle
