"""Send requests and take answers: with the key, within a time, and again where that may help."""

import json
import random
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

from wpbridge import __version__
from wpbridge.client.errors import NO_TYPE, BadAnswer, ClientError, Problem, Unreachable
from wpbridge.client.retrying import STATUSES, pause, retry_after_of
from wpbridge.errors import InputError

MOST_BYTES: Final = 64 << 20
"""No answer of a gateway is larger."""
_TOKEN: Final = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
"""What a JWT looks like. An API key has no dots."""
_PROBLEM: Final = "application/problem+json"


class _Bearer(AuthBase):
    """Puts the key into a request. So no entry of a netrc file takes its place."""

    def __init__(self, key: str) -> None:
        self._header = f"Bearer {key}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put it in."""
        request.headers["Authorization"] = self._header
        return request


class Wire:
    """Speaks with one gateway. Certificates are checked, and redirects are not followed."""

    def __init__(self, url: str, key: str, *, timeout: float, patience: float) -> None:
        """Take the address and the key; see :class:`wpbridge.client.Client`.

        Raises:
            InputError: one of them cannot be used. The message does not show the key.
        """
        self.url = _checked(url)
        if not (key and key.isascii() and key.isprintable()):
            raise InputError("key: what `wpbridge keys add` printed, on one line")
        if " " in key:
            raise InputError("key: without spaces, and without the word Bearer")
        if not (timeout > 0 and patience >= 0):
            raise InputError("timeout: more than 0 seconds; patience: 0 seconds or more")
        self.is_token = bool(_TOKEN.fullmatch(key))
        self.timeout = timeout
        self.patience = patience
        self._session = requests.Session()
        self._session.auth = _Bearer(key)
        self._session.headers["User-Agent"] = f"wpbridge-client/{__version__} (Python)"

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        patience: float | None = None,
    ) -> Any:
        """Return the JSON value of the answer.

        The same request is sent again until it is answered, or the patience is over.

        Raises:
            Problem, BadAnswer, Unreachable: it was not answered as it should be.
        """
        until = time.monotonic() + (self.patience if patience is None else patience)
        given = {"data": body, "headers": headers, "params": params}

        def once() -> Any:
            return _value(*self._answer(method, path, timeout or self.timeout, given))

        return self.trying(once, until)

    def trying(self, deed: Callable[[], Any], until: float) -> Any:
        """Do it, and again after a failure that may pass, up to a time of the monotonic clock."""
        tries = 0
        while True:
            tries += 1
            failure: ClientError
            try:
                return deed()
            except Unreachable as error:
                failure, wanted = error, None
            except Problem as error:
                if error.status not in STATUSES:
                    raise
                failure, wanted = error, error.retry_after
            seconds = pause(tries, wanted, random.random())  # noqa: S311 - no secret
            if time.monotonic() + seconds > until:
                raise failure
            time.sleep(seconds)

    def stream(self, path: str, headers: Mapping[str, str], timeout: float) -> requests.Response:
        """Return an answer whose body is still to come; the caller closes it.

        Raises:
            Problem, BadAnswer, Unreachable: it is no such answer.
        """
        given: dict[str, Any] = {"headers": {"Accept-Encoding": "identity", **headers}}
        answer = self._send("GET", path, timeout, given)
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if answer.status_code == requests.codes.ok and kind == "text/event-stream":
            return answer
        _value(answer, _read(answer, time.monotonic() + self.timeout))
        raise BadAnswer("the answer is no stream of events: check the address of the gateway")

    def _answer(
        self, method: str, path: str, timeout: float, given: Mapping[str, Any]
    ) -> tuple[requests.Response, bytes]:
        until = time.monotonic() + timeout
        answer = self._send(method, path, timeout, given)
        return answer, _read(answer, until)

    def _send(
        self, method: str, path: str, timeout: float, given: Mapping[str, Any]
    ) -> requests.Response:
        connect = min(timeout, self.timeout)
        told: ClientError
        try:
            return self._session.request(
                method,
                f"{self.url}{path}",
                timeout=(connect, timeout),
                allow_redirects=False,
                stream=True,
                **given,
            )
        except requests.RequestException as error:
            told = _unanswered(self.url, error)
        # Raised here, so that no error of requests, which holds the request, hangs on it.
        raise told


def _unanswered(url: str, error: Exception) -> ClientError:
    if isinstance(error, requests.exceptions.SSLError) and "CERTIFICATE_VERIFY" in str(error):
        return BadAnswer(f"the certificate of {url} is not valid")
    return Unreachable(f"{url} did not answer: {type(error).__name__}")


def _read(answer: requests.Response, until: float) -> bytes:
    """Return the body. It must be there in time, also where each byte comes in time."""
    found = bytearray()
    told: ClientError | None = None
    try:
        for chunk in answer.iter_content(4096):
            found += chunk
            if len(found) > MOST_BYTES:
                told = BadAnswer("the answer is too large")
            elif time.monotonic() > until:
                told = Unreachable("the answer took too long")
            if told is not None:
                break
    except requests.RequestException:
        told = Unreachable("the answer was cut off")
    finally:
        answer.close()
    if told is not None:
        raise told
    return bytes(found)


def _value(answer: requests.Response, body: bytes) -> Any:
    """Return the JSON value of an answer that is well; raise what it is otherwise."""
    status = answer.status_code
    if 300 <= status < 400:  # noqa: PLR2004
        raise BadAnswer(
            f"the answer is a redirect ({status}), which is not followed with the key:"
            " give the client the address to which it leads"
        )
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    value = _json(body) if kind in ("application/json", _PROBLEM) else None
    if not answer.ok:
        raise _problem(answer, value if kind == _PROBLEM and isinstance(value, dict) else {})
    if kind != "application/json":
        raise BadAnswer("the answer is no JSON: check the address of the gateway")
    return value


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        pass
    raise BadAnswer("the answer is no JSON: check the address of the gateway")


def _problem(answer: requests.Response, told: dict[str, Any]) -> Problem:
    known = {"type", "title", "status", "detail", "field"}
    return Problem(
        answer.status_code,
        str(told.get("type") or NO_TYPE),
        str(told.get("detail") or ""),
        field=str(told.get("field") or ""),
        retry_after=retry_after_of(answer.headers, datetime.now(UTC)),
        more={name: value for name, value in told.items() if name not in known},
    )


def _checked(url: str) -> str:
    """Return the address without the slash at its end."""
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname)
        is_one = is_one and (parts.port is None or parts.port > 0)
    except (AttributeError, TypeError, ValueError):
        is_one = False
    if not is_one or parts.query or parts.fragment or not url.isprintable() or " " in url:
        raise InputError("url: the address of the gateway, such as https://example.com/queue")
    if parts.username is not None or parts.password is not None:
        raise InputError("url: without a name and a password; give a key")
    return url.rstrip("/")
