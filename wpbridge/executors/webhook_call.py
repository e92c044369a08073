"""One HTTP POST with a limit of time and a limit of size for all of it.

`requests` limits the time of each read, not of the call, and reads and unpacks whole answers. So
the call is made on a thread of its own, which is given up when its time is over, and at most
:data:`MOST_BYTES` of the answer's body are read, as they come.
"""

import http.client
import os
import queue
import socket
import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Any, Final, TypeAlias
from urllib.parse import urljoin, urlsplit

import requests
import requests.adapters
import requests.utils

from wpbridge.dataclass import dataclass
from wpbridge.errors import ExecutionError
from wpbridge.outcome import class_name, exact
from wpbridge.telling import traces

Connect: TypeAlias = Callable[[], socket.socket]
MOST_BYTES: Final = 65_536
"""Of an answer's body. What lies beyond is not read, and the connection is closed."""
DONE: Final = range(200, 300)
"""The statuses of an answer that says that the work is done."""
_SHOWN_CHARACTERS: Final = 200
_FIRST_BYTES: Final = 4 * _SHOWN_CHARACTERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer of a receiver, as far as it counts."""

    status: int
    retry_after: tuple[str, ...]
    """The values of all headers of this name, as they came."""
    redirects_to: str
    """Scheme and host that a redirect names, without the rest, which may hold secrets; or empty."""
    text: str
    """The start of the body on one line; empty where it is packed or was not read."""


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    seconds: float,
    unread: Collection[int] = (),
    *,
    connect: Connect | None = None,
) -> Answer:
    """Post a body and return the answer, whatever its status.

    Proxies and certificate bundles come from the environment, as `requests` reads them. Logins of
    a netrc file are not used. Redirects are not followed.

    Args:
        url: where to; a login in it is sent as basic authentication.
        body: as it is sent.
        headers: sent beside those of HTTP itself.
        seconds: for the whole call, from looking up the host to the end of the answer.
        unread: statuses whose body is not read, however it comes.
        connect: makes the connection in place of a look-up of the URL's host, and no proxy is used
            then. An ExecutionError that it raises is raised here.

    Raises:
        ExecutionError: there is no whole answer, or not in time. The message names no part of the
            URL, since there may be a token in it.
    """
    with traces.requesting("POST", url) as span:
        answer = _posted(url, body, {**headers, **span.headers}, seconds, unread, connect)
        span.answered(answer.status)
        return answer


def _posted(  # noqa: PLR0917 - those of :func:`post`
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    seconds: float,
    unread: Collection[int],
    connect: Connect | None,
) -> Answer:
    line = _Line()
    answers: queue.Queue[Answer | Exception] = queue.Queue()

    def run() -> None:
        try:
            adapter = _Adapter(line, connect)
            answers.put(_answer(adapter, url, body, headers, seconds, unread=unread))
        except Exception as error:  # noqa: BLE001 - the caller's thread says what went wrong
            answers.put(error)
        finally:
            line.cut()

    # A look-up of a host name cannot be interrupted: its thread ends when the look-up does.
    threading.Thread(target=run, name="wpbridge-webhook", daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        line.cut()
        answer = requests.Timeout()
    if isinstance(answer, ExecutionError):
        raise answer
    if isinstance(answer, Exception):
        raise ExecutionError(_reason(answer, seconds)) from None
    return answer


class _Line:
    """The connections of one call, which any thread can cut."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._is_cut = False

    def keep(self, opened: socket.socket) -> None:
        """Keep a new connection, to cut it in time; raise where the call is over already.

        The descriptor is doubled: TLS takes the given object's own away.
        """
        double = socket.socket(fileno=os.dup(opened.fileno()))
        with self._lock:
            if not self._is_cut:
                self._sockets.append(double)
                return
        double.close()
        opened.close()
        raise requests.ConnectTimeout

    def cut(self) -> None:
        """End all connections, whatever waits for them, and open no more."""
        with self._lock:
            self._is_cut = True
            sockets, self._sockets = self._sockets, []
        for one in sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


class _Final(http.client.HTTPResponse):
    """The final answer: those of status 1xx before it are skipped, as 100 is by the base class."""

    def _read_status(self) -> tuple[str, int, str]:
        version, status, reason = super()._read_status()  # type: ignore[misc]
        is_early = 100 <= status < 200 and status != http.HTTPStatus.SWITCHING_PROTOCOLS  # noqa: PLR2004
        return version, http.HTTPStatus.CONTINUE if is_early else status, reason


class _Session(requests.Session):
    """Knows no redirects: even where none is followed, the base class would read their bodies."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return None, so that no redirect is followed."""
        del resp
        return None


class _Adapter(requests.adapters.HTTPAdapter):
    """Makes connections whose line can be cut."""

    def __init__(self, line: _Line, connect: Connect | None) -> None:
        super().__init__()
        self._line = line
        self.connect = connect

    def get_connection_with_tls_context(self, *args: Any, **more: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **more)
        line, connect, plain = self._line, self.connect, pool.ConnectionCls

        class Held(plain):  # type: ignore[misc,valid-type]
            response_class = _Final

            def _new_conn(self) -> socket.socket:
                opened: socket.socket = connect() if connect else super()._new_conn()
                line.keep(opened)
                return opened

        pool.ConnectionCls = Held
        return pool


def _answer(
    adapter: _Adapter,
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    seconds: float,
    *,
    unread: Collection[int],
) -> Answer:
    with _Session() as session:
        # With trust_env a netrc file would add its login. What else it does is done here.
        session.trust_env = False
        if adapter.connect is None:
            session.proxies = dict(requests.utils.get_environ_proxies(url))
        bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
        session.verify = bundle or True
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        with session.post(
            url,
            data=body,
            headers={**headers, "Accept-Encoding": "identity"},
            timeout=seconds,
            allow_redirects=False,
            stream=True,
        ) as response:
            status = response.status_code
            return Answer(
                status=status,
                retry_after=tuple(response.raw.headers.getlist("Retry-After")),
                redirects_to=_place(url, response.headers.get("Location")),
                text="" if status in unread else _text(_body(response), response.headers),
            )


def _body(response: requests.Response) -> bytes:
    """The start of the body as it came. It may break off only where the status is a failure."""
    read = b""
    try:
        while more := response.raw.read(MOST_BYTES - len(read), decode_content=False):
            read += more
    except Exception:
        if response.status_code in DONE:
            raise
    return read


def _place(url: str, location: str | None) -> str:
    """Scheme, host and port of a Location."""
    if location is None:
        return ""
    try:
        parts = urlsplit(urljoin(url, location))
        port = f":{parts.port}" if parts.port else ""
        return exact(f"{parts.scheme}://{parts.hostname}{port}", most=_SHOWN_CHARACTERS)
    except ValueError:
        return ""


def _text(read: bytes, headers: Mapping[str, str]) -> str:
    if headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        return ""
    first = read[:_FIRST_BYTES]
    charset = requests.utils.get_encoding_from_headers(headers)
    try:
        text = first.decode(charset or "utf-8", "replace")
    except (LookupError, ValueError):
        text = first.decode("utf-8", "replace")
    return " ".join(text[:_SHOWN_CHARACTERS].split())


def _reason(error: Exception, seconds: float) -> str:
    """What went wrong, by the classes of the errors alone: their texts may hold the URL."""
    causes = _causes(error)
    if isinstance(error, requests.Timeout) or any(isinstance(c, TimeoutError) for c in causes):
        return f"no answer within {seconds:g} s"
    invalid = [c for c in causes if isinstance(c, http.client.HTTPException)]
    if invalid and not isinstance(invalid[-1], ConnectionError):
        return f"did not answer with valid HTTP: {class_name(invalid[-1])}"
    system = [c.strerror for c in causes if isinstance(c, OSError) and c.strerror]
    told = f" ({exact(system[-1], most=_SHOWN_CHARACTERS)})" if system else ""
    return f"could not be reached: {class_name(error)}{told}"


def _causes(error: BaseException) -> list[BaseException]:
    """The error, and those that led to it, the first one last."""
    found: list[BaseException] = []
    left: BaseException | None = error
    while left is not None and left not in found:
        found.append(left)
        left = left.__cause__ or left.__context__
    return found
