"""Read server-sent events, as the standard has them, and come back where a stream was cut."""

import codecs
import json
import random
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import requests

from wpbridge.client.errors import PREFIX, BadAnswer, Problem
from wpbridge.client.jobs import Job
from wpbridge.client.retrying import pause
from wpbridge.client.wire import Wire
from wpbridge.dataclass import dataclass

SILENCE_SECONDS: Final = 45.0
"""A stream that tells nothing for so long is dead: the gateway says every 15 s that it lives."""
MOST_BYTES: Final = 4 << 20
"""No event is longer."""
_GONE: Final = "gone"


@dataclass(frozen=True, slots=True)
class Event:
    """A change of a job."""

    id: str
    kind: str
    """The status that the job has got."""
    job: Job
    result: Any
    """What the handler returned, where the job is complete; None for nothing."""


class Told(NamedTuple):
    """One event as it stands in the stream."""

    id: str
    kind: str
    data: str


class Parser:
    """Makes events of the bytes of a stream."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._rest = ""
        self._id = ""
        self._kind = ""
        self._data: list[str] = []
        self._size = 0

    def feed(self, chunk: bytes) -> Iterator[Told]:
        """Take bytes, and yield the events that they complete."""
        self._rest += self._decoder.decode(chunk)
        self._size += len(chunk)
        if self._size > MOST_BYTES:
            raise BadAnswer("the stream of events has one that is too long")
        # A CR at the end may be the first half of a CR LF.
        held = "\r" if self._rest.endswith("\r") else ""
        whole = self._rest.removesuffix(held)
        lines = whole.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._rest = lines.pop() + held
        for line in lines:
            if (told := self._line(line)) is not None:
                yield told

    def _line(self, line: str) -> Told | None:
        if not line:
            told = Told(self._id, self._kind, "\n".join(self._data)) if self._data else None
            self._kind, self._data, self._size = "", [], 0
            return told
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._kind = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif not name:
            self._size = 0
        return None


def events(wire: Wire, path: str) -> Iterator[Event]:
    """Yield the changes of a job until it has ended."""
    last, failures = "", 0
    while True:
        if failures:
            time.sleep(pause(failures, None, random.random()))  # noqa: S311 - no secret
        failures += 1
        answer = _opened(wire, path, last)
        try:
            for told in _stream(answer):
                event = _event(told)
                last, failures = told.id or last, 1
                yield event
                if event.job.has_ended:
                    return
        finally:
            answer.close()


def _opened(wire: Wire, path: str, last: str) -> requests.Response:
    headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})}
    timeout = max(wire.timeout, SILENCE_SECONDS)

    def once() -> requests.Response:
        return wire.stream(path, headers, timeout)

    found: requests.Response = wire.trying(once, time.monotonic() + wire.patience)
    return found


def _stream(answer: requests.Response) -> Iterator[Told]:
    parser = Parser()
    for chunk in _chunks(answer):
        yield from parser.feed(chunk)


def _chunks(answer: requests.Response) -> Iterator[bytes]:
    """Yield what comes as soon as it comes; a stream that is cut ends."""
    is_chunked = "chunked" in answer.headers.get("Transfer-Encoding", "").lower()
    pieces: Iterable[bytes] = answer.iter_content(None if is_chunked else 1)
    try:
        yield from pieces
    except requests.RequestException:
        return


def _event(told: Told) -> Event:
    if told.kind == _GONE:
        raise Problem(410, f"{PREFIX}gone", "the action of the job has been deleted")
    try:
        document = json.loads(told.data)
    except (ValueError, RecursionError):
        document = None
    job = Job.of(document)
    return Event(told.id, told.kind or job.status, job, job.document.get("result"))
