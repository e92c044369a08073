"""What comes over the line: requests that two programs may read in two ways, and slow ones."""

import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway import Gateway, serving
from rows import query
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.web import app, protocol

AUTH = b"Authorization: Bearer shop\r\nContent-Type: application/json\r\n"
BODY = b'{"hook":"h"}'
LENGTH = b"Content-Length: 12\r\n"


@pytest.fixture
def dsn(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'queue.db'}"


@pytest.fixture
def gateway(dsn: str, store: RunnerStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    """A machine that is busy makes clients slow, and only one test means them."""
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 600.0)
    monkeypatch.setattr(app, "BODY_SECONDS", 600.0)
    with serving(dsn, base_path="/queue") as found:
        yield found


@contextlib.contextmanager
def line(gateway: Gateway) -> Iterator[socket.socket]:
    port = urlsplit(gateway.url).port
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        yield sock


def rest(sock: socket.socket) -> bytes:
    """Everything until the gateway closes."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while part := sock.recv(65536):
            found += part
    return found


def asked(gateway: Gateway, *parts: bytes, half_close: bool = False) -> list[tuple[int, bytes]]:
    """Send bytes; the status and body of each answer that comes until the gateway closes."""
    with line(gateway) as sock:
        for part in parts:
            sock.sendall(part.replace(b"Bearer shop", f"Bearer {gateway.key}".encode()))
        if half_close:
            sock.shutdown(socket.SHUT_WR)
        text = rest(sock)
    found = []
    while text:
        head, _, text = text.partition(b"\r\n\r\n")
        size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        found.append((int(head.split()[1]), text[:size]))
        text = text[size:]
    return found


def actions(store: RunnerStore) -> int:
    return len(query(store, "SELECT 1 FROM wp_actionscheduler_actions"))


def post(target: bytes, *headers: bytes, body: bytes = BODY) -> bytes:
    told = b"".join(headers) or LENGTH
    head = b"POST " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + AUTH + told
    return head + b"\r\n" + body


JOBS = b"/queue/v1/jobs"
CHUNKED = b"c\r\n" + BODY + b"\r\n0\r\n\r\n"
TE = b"Transfer-Encoding: chunked\r\n"
AMBIGUOUS = {
    "two lengths": post(JOBS, LENGTH, LENGTH),
    "two different lengths": post(JOBS, LENGTH, b"Content-Length: 3\r\n"),
    "a list of lengths": post(JOBS, b"Content-Length: 12, 12\r\n"),
    "a signed length": post(JOBS, b"Content-Length: +12\r\n"),
    "a length and chunks": post(JOBS, LENGTH, TE, body=CHUNKED),
    "chunks and a length": post(JOBS, TE, LENGTH, body=CHUNKED),
    "chunks that are not the last coding": post(
        JOBS, b"Transfer-Encoding: chunked, x\r\n", body=CHUNKED
    ),
    "an unknown coding": post(JOBS, b"Transfer-Encoding: xchunked\r\n", LENGTH),
    "a folded header": post(JOBS, b"X-A: b\r\n c: d\r\n", LENGTH),
    "a folded length": post(JOBS, b"Content-Length:\r\n 12\r\n"),
    "a blank before the colon": post(JOBS, b"Content-Length : 12\r\n"),
    "a header without a name": post(JOBS, b": x\r\n", LENGTH),
    "a bare line feed in a header": post(JOBS, b"X-A: b\nX-B: c\r\n", LENGTH),
    "a zero byte in a header": post(JOBS, b"X-A: \0\r\n", LENGTH),
    "two hosts": post(JOBS, b"Host: y\r\n", LENGTH),
    "another scheme's target": post(b"http://x/queue/v1/jobs"),
    "a target that begins with no slash": post(b"queue/v1/jobs"),
    "only an asterisk": post(b"*"),
    "dots": post(b"/queue/../queue/v1/jobs"),
    "one dot": post(b"/queue/./v1/jobs"),
    "dots at the end": post(b"/queue/v1/jobs/.."),
    "escaped dots": post(b"/queue/%2e%2e/queue/v1/jobs"),
    "half escaped dots": post(b"/queue/.%2E/queue/v1/jobs"),
    "twice escaped dots": post(b"/queue/%252e%252e/queue/v1/jobs"),
    "an escaped slash": post(b"/queue%2fv1/jobs"),
    "an escaped slash inside": post(b"/queue/v1%2Fjobs"),
    "a backslash": post(b"/queue\\v1/jobs"),
    "an escaped backslash": post(b"/queue/v1%5cjobs"),
    "an escaped letter": post(b"/queue/v1/%6aobs"),
    "two slashes before": post(b"//queue/v1/jobs"),
    "two slashes inside": post(b"/queue//v1/jobs"),
    "a zero byte": post(b"/queue/v1/jobs%00"),
    "a fragment": post(b"/queue/v1/jobs#x"),
    "a semicolon": post(b"/queue/v1/jobs;x"),
    "half an escape": post(b"/queue/v1/jobs%"),
    "no HTTP": b"hello\r\n\r\n",
    "HTTP of another century": b"GET /queue/v1/jobs\r\n\r\n",
    "another version": post(JOBS).replace(b"HTTP/1.1", b"HTTP/3.1"),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64,
    "a tunnel": b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a long target": post(b"/queue/v1/jobs?x=" + b"x" * 70_000),
    "many headers": post(JOBS, *[b"X-%d: x\r\n" % n for n in range(9000)], LENGTH),
    "a bad chunk": post(JOBS, TE, body=b"zz\r\n" + BODY),
}
NOWHERE = {
    "no base path": post(b"/v1/jobs"),
    "half a base path": post(b"/que/v1/jobs"),
    "more than a base path": post(b"/queuev1/jobs"),
    "the base path twice": post(b"/queue/queue/v1/jobs"),
    "capitals": post(b"/QUEUE/v1/jobs"),
    # It means the same to everybody: another path, which only the dashboard has.
    "a slash at the end": post(b"/queue/v1/jobs/"),
}


def test_a_request_that_can_be_read_in_two_ways_is_refused(
    gateway: Gateway, store: RunnerStore
) -> None:
    found = {name: asked(gateway, text) for name, text in AMBIGUOUS.items()}
    # A body that breaks off in the middle has no answer: the line is cut.
    assert found.pop("a bad chunk") in ([], [(400, b"")])
    odd = {
        name: answers
        for name, answers in found.items()
        if len(answers) != 1
        or answers[0][0] != 400
        or json.loads(answers[0][1])["type"] != "urn:wpbridge:problem:bad-request"
    }
    assert odd == {}
    assert actions(store) == 0


def test_another_path_leads_nowhere(gateway: Gateway, store: RunnerStore) -> None:
    found = {name: [status for status, _ in asked(gateway, text)] for name, text in NOWHERE.items()}
    assert found == {name: [404] for name in NOWHERE}
    assert actions(store) == 0


def test_nothing_hides_behind_a_request(gateway: Gateway, store: RunnerStore) -> None:
    """A body that is longer than it says is another request, and none that does anything."""
    hidden = post(JOBS)
    told = asked(gateway, post(JOBS, b"Content-Length: 2\r\n", body=b"{}" + hidden))
    assert [status for status, _ in told] == [422]
    # The same on a line that stays open: each is judged by itself.
    open_line = post(JOBS, b"Content-Length: 2\r\n", body=b"{}").replace(
        b"Connection: close\r\n", b""
    )
    told = asked(gateway, open_line + post(JOBS))
    assert [status for status, _ in told] == [422, 202]
    assert actions(store) == 1


def test_a_client_that_has_just_come_is_answered_at_the_end(
    gateway: Gateway, store: RunnerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection was taken, so nobody else will answer it."""
    monkeypatch.setattr(protocol, "LAST_SECONDS", 5.0)
    with line(gateway) as sock, line(gateway) as idle:
        # Both are taken when a later connection has been answered.
        assert gateway.ask("GET", "/livez").status_code == 200
        gateway.stop()
        while takes_connections(gateway):
            pass
        told = post(JOBS).replace(b"Connection: close\r\n", b"")
        sock.sendall(told.replace(b"Bearer shop", f"Bearer {gateway.key}".encode()))
        answer = rest(sock)
        assert answer.startswith(b"HTTP/1.1 202")
        assert b"connection: close" in answer.lower()
        assert rest(idle) == b""
    assert actions(store) == 1


def takes_connections(gateway: Gateway) -> bool:
    try:
        with line(gateway):
            return True
    except ConnectionRefusedError:
        return False
    except ConnectionResetError:
        return True


def test_a_header_without_an_end_is_not_kept(gateway: Gateway) -> None:
    head = b"GET /queue/v1/jobs HTTP/1.1\r\nHost: x\r\nX-A: "
    with line(gateway) as sock, contextlib.suppress(ConnectionError):
        sock.sendall(head)
        # Far more than the sockets hold: it goes out only while somebody reads.
        for _ in range(1_000):
            sock.sendall(b"x" * 65_536)
        pytest.fail("it is read for ever")


def test_an_escaped_colon_is_a_colon(gateway: Gateway) -> None:
    batch = post(b"/queue/v1/jobs%3Abatch").replace(b"application/json", b"application/x-ndjson")
    assert [status for status, _ in asked(gateway, batch)] == [202]


SLOW = {
    "no byte": b"",
    "half a line": b"POST /queue/v1/jo",
    "half a head": b"POST /queue/v1/jobs HTTP/1.1\r\nHost: x\r\n",
    "half a body": post(JOBS)[:-1],
    "half a chunk": post(JOBS, TE, body=b"c\r\n{"),
}


def test_a_slow_client_is_cut(
    gateway: Gateway, store: RunnerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(app, "BODY_SECONDS", 0.3)
    for name, text in SLOW.items():
        [(status, body)] = asked(gateway, text)
        assert (name, status, json.loads(body)["type"]) == (
            name,
            408,
            "urn:wpbridge:problem:too-slow",
        )
    assert actions(store) == 0


def test_half_a_request_of_a_client_that_is_gone_writes_nothing(
    gateway: Gateway, store: RunnerStore
) -> None:
    for text in SLOW.values():
        assert asked(gateway, text, half_close=True) == []
    assert actions(store) == 0


def test_a_client_that_sends_no_more_gets_its_answer(gateway: Gateway, store: RunnerStore) -> None:
    [(status, _)] = asked(gateway, post(JOBS), half_close=True)
    assert (status, actions(store)) == (202, 1)


def test_what_follows_a_request_does_not_take_its_answer(
    gateway: Gateway, store: RunnerStore
) -> None:
    whole = post(JOBS).replace(b"Connection: close\r\n", b"")
    assert [status for status, _ in asked(gateway, whole + b"\0\0\0")][:1] == [202]
    assert actions(store) == 1
