"""The endpoint of metrics: what it answers, to whom, and how it bears clients that mean ill."""

import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from wpbridge.errors import ConfigError
from wpbridge.monitor import endpoint
from wpbridge.telling.numbers import Numbers

TOKEN = "a-token-of-the-test"


def numbers() -> Numbers:
    found = Numbers()
    found.set("wpbridge_scrape_success", value=1)
    return found


@contextmanager
def serving(
    token: str | None = None, *, told: Callable[[], Numbers] = numbers
) -> Iterator[endpoint.Server]:
    with closing(endpoint.serve("127.0.0.1:0", told, site="shop", token=token)) as server:
        yield server


def connected(server: endpoint.Server) -> socket.socket:
    host, _, port = server.address.removeprefix("http://").removesuffix("/metrics").partition(":")
    return socket.create_connection((host, int(port)), timeout=60)


def said(sock: socket.socket) -> bytes:
    """All that comes until the server closes, which may be at once."""
    found = b""
    try:
        while part := sock.recv(1 << 16):
            found += part
    except ConnectionResetError:
        pass
    return found


def asked(server: endpoint.Server, request: bytes) -> bytes:
    with connected(server) as sock:
        sock.sendall(request)
        return said(sock)


def test_the_metrics_are_told_in_the_text_format_with_the_name_of_the_site() -> None:
    with serving() as server:
        head, _, body = asked(server, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").partition(
            b"\r\n\r\n"
        )
    assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain;")
    assert f"Content-Length: {len(body)}".encode() in head
    assert b'wpbridge_scrape_success{site="shop"} 1.0\n' in body


def test_head_has_the_length_of_the_body_and_no_body() -> None:
    with serving() as server:
        full = asked(server, b"GET /metrics HTTP/1.0\r\n\r\n").partition(b"\r\n\r\n")
        head = asked(server, b"HEAD /metrics HTTP/1.0\r\n\r\n").partition(b"\r\n\r\n")
    assert (head[0], head[2]) == (full[0], b"")


def test_a_flood_of_scrapes_is_told_one_text(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def counted() -> Numbers:
        calls.append(1)
        return numbers()

    request = b"GET /metrics HTTP/1.1\r\n\r\n"
    for seconds, wanted in ((float("inf"), 1), (0.0, 5)):
        monkeypatch.setattr(endpoint, "FRESH_SECONDS", seconds)
        calls.clear()
        with serving(told=counted) as server:
            answers = {asked(server, request) for _ in range(5)}
        assert (len(calls), len(answers)) == (wanted, 1)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET /metrics?x=1 HTTP/1.1", 200),
        (b"GET / HTTP/1.1", 404),
        (b"GET /metrics/ HTTP/1.1", 404),
        (b"GET /../metrics HTTP/1.1", 404),
        (b"POST /metrics HTTP/1.1", 405),
        (b"get /metrics HTTP/1.1", 405),
        (b"GET /metrics", 400),
        (b"GET /metrics HTTP/2.0", 400),
        (b"\x16\x03\x01\x02\x00\x01", 400),
        (b"", 400),
    ],
)
def test_only_get_and_head_of_one_path_are_answered(line: bytes, status: int) -> None:
    with serving() as server:
        assert asked(server, line + b"\r\n\r\n").startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"Authorization: Bearer {TOKEN}", 200),
        (f"authorization:Bearer {TOKEN}  ", 200),
        (f"Authorization: Bearer {TOKEN}x", 401),
        (f"Authorization: Basic {TOKEN}", 401),
        ("Authorization: Bearer ", 401),
        ("Authorization: Bearer \xff", 401),
        (f"Authorization: Bearer {TOKEN}\r\nAuthorization: Bearer {TOKEN}", 401),
        ("X: y", 401),
    ],
)
def test_with_a_token_only_who_sends_it_is_answered(header: str, status: int) -> None:
    with serving(TOKEN) as server:
        answer = asked(server, f"GET /metrics HTTP/1.1\r\n{header}\r\n\r\n".encode("latin-1"))
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert (b"wpbridge_scrape_success" in answer) == (status == 200)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:9464", 200),
        ("[::1]:9464", 200),
        ("localhost", 200),
        ("shop.localhost:9464", 200),
        ("wpbridge:9464", 200),
        ("rebound.example:9464", 421),
        ("127.0.0.1.example", 421),
        ("localhost, rebound.example", 421),
    ],
)
def test_a_page_that_leads_its_own_name_here_is_not_answered(host: str, status: int) -> None:
    request = f"GET /metrics HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    with serving() as server:
        assert asked(server, request).startswith(f"HTTP/1.1 {status} ".encode())
    with serving("a-token-of-the-test") as server:
        assert asked(server, request).startswith(b"HTTP/1.1 401 ")


def test_a_head_that_is_too_long_is_not_read_to_its_end() -> None:
    with serving() as server:
        long = b"GET /metrics HTTP/1.1\r\nX: " + b"x" * (4 * endpoint.HEAD_BYTES)
        with connected(server) as sock:
            sock.sendall(long)
            assert said(sock) == b""
        assert asked(server, b"GET /metrics HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 200 ")


def test_slow_clients_lose_their_places_to_others_and_their_time_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving() as server:
        slow = [connected(server) for _ in range(endpoint.MOST_CONNECTIONS + 5)]
        for sock in slow:
            sock.sendall(b"GET /met")
        assert asked(server, b"GET /metrics HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 200 ")
        assert said(slow[0]) == b""
        monkeypatch.setattr(endpoint, "SECONDS", 0.01)
        with connected(server) as late:
            assert said(late) == b""
        for sock in slow:
            sock.close()


def test_who_does_not_take_the_answer_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "SECONDS", 0.5)
    sock, peer = socket.create_server(("127.0.0.1", 0)), socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    text = b"x" * (64 << 20)
    with closing(endpoint.Server(sock, lambda: text, "text/plain", None)), peer:
        peer.connect(sock.getsockname())
        peer.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        # It begins to read only when the server has given up: then the rest never comes.
        with closing(connected_to(sock)) as other:
            assert said(other) == b""
        assert len(said(peer)) < len(text)


def connected_to(sock: socket.socket) -> socket.socket:
    return socket.create_connection(sock.getsockname(), timeout=60)


def test_numbers_that_cannot_be_told_are_one_bad_answer_and_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    faults = [RuntimeError("a secret")]

    def told() -> Numbers:
        if faults:
            raise faults.pop()
        return numbers()

    with serving(told=told) as server:
        bad = asked(server, b"GET /metrics HTTP/1.1\r\n\r\n")
        good = asked(server, b"GET /metrics HTTP/1.1\r\n\r\n")
    assert bad.startswith(b"HTTP/1.1 500 ")
    assert b"secret" not in bad
    assert good.startswith(b"HTTP/1.1 200 ")
    assert [record.message for record in caplog.records] == ["metrics.broken"]


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "192.0.2.1:9464"])
def test_other_hosts_are_answered_with_a_token_only(listen: str) -> None:
    with pytest.raises(ConfigError, match="WPBRIDGE_METRICS_TOKEN"):
        endpoint.check(listen, None)
    with pytest.raises(ConfigError, match="WPBRIDGE_METRICS_TOKEN"):
        endpoint.serve(listen, numbers, site="shop", token=None)
    endpoint.check(listen, TOKEN)


def test_an_address_that_is_taken_is_refused() -> None:
    with serving() as server:
        listen = server.address.removeprefix("http://").removesuffix("/metrics")
        with pytest.raises(ConfigError, match="another process listens there"):
            endpoint.serve(listen, numbers, site="shop", token=None)


def test_without_the_extra_the_error_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.delitem(sys.modules, "wpbridge.telling.exposition", raising=False)
    with pytest.raises(
        ConfigError, match=r"prometheus_client: .*pip install 'wpbridge\[metrics\]'"
    ):
        endpoint.check("127.0.0.1:0", None)


def test_it_closes_with_connections_open_and_twice() -> None:
    server = endpoint.serve("127.0.0.1:0", numbers, site="shop", token=None)
    with connected(server) as sock:
        sock.sendall(b"GET /metrics HTTP/1.1\r\n")
        server.close()
        server.close()
        assert said(sock) == b""
