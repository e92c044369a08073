"""What a webhook makes of answers that are endless, packed, broken, slow or hostile."""

import gzip
import itertools
import json
import socket
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories import context
from receiver import receiving
from scripted import Scripted, scripted
from wpbridge.errors import ExecutionError
from wpbridge.executors import webhook_call
from wpbridge.executors.threads import outcome_of
from wpbridge.executors.webhook import (
    DEFAULT_WAIT,
    LONGEST_WAIT,
    SHORTEST_WAIT,
    wait_told,
    webhook_handler,
)
from wpbridge.outcome import Completed, Failed, Outcome, Retried
from wpbridge.site.rules import Webhook

SOON = 0.3
LATE = f"no answer within {SOON:g} s"


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as server:
        yield server


def post(server: Scripted, *, scheme: str = "http", value: Any = 42, **settings: Any) -> Outcome:
    webhook = Webhook(url=f"{scheme}://127.0.0.1:{server.port}/x?token=abc", **settings)
    handler = webhook_handler("h", webhook)
    return outcome_of(lambda: handler.call([value], context()))


def reason(outcome: Outcome) -> str:
    assert isinstance(outcome, Failed), outcome
    assert "\n" not in outcome.reason
    assert "token" not in outcome.reason
    return outcome.reason


def answer(status: str, *headers: str, body: bytes = b"") -> bytes:
    return "\r\n".join((f"HTTP/1.1 {status}", *headers, "", "")).encode("latin-1") + body


def drip(start: bytes, part: bytes) -> Callable[[], Iterable[bytes]]:
    """A part again and again, each long before a read would time out."""

    def parts() -> Iterator[bytes]:
        yield start
        while True:
            time.sleep(SOON / 20)
            yield part

    return parts


@pytest.mark.parametrize(("status", "ends"), [("200 OK", Completed), ("500 No", Failed)])
@pytest.mark.parametrize(
    ("headers", "part"),
    [
        (("Content-Length: 99999999999999",), b"x" * 65536),
        (("Transfer-Encoding: chunked",), b"10000\r\n" + b"x" * 65536 + b"\r\n"),
        (("Connection: close",), b"x" * 65536),
    ],
)
def test_a_body_without_end_is_read_up_to_64_kib(
    server: Scripted, status: str, ends: type, headers: tuple[str, ...], part: bytes
) -> None:
    server.answer = lambda: itertools.chain([answer(status, *headers)], itertools.repeat(part))
    outcome = post(server, timeout_seconds=60)
    assert isinstance(outcome, ends)
    assert server.cut.wait(300)
    if isinstance(outcome, Failed):
        assert reason(outcome) == "HTTP 500: " + "x" * 200


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "x"])
def test_a_packed_answer_is_never_unpacked(server: Scripted, encoding: str) -> None:
    packed = gzip.compress(gzip.compress(bytes(20_000_000)))
    body = zlib.compress(bytes(20_000_000)) if encoding == "deflate" else packed
    head = (f"Content-Encoding: {encoding}", f"Content-Length: {len(body)}")
    server.answer = answer("500 No", *head, body=body)
    tracemalloc.start()
    try:
        assert reason(post(server)) == "HTTP 500"
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
    assert b"accept-encoding: identity\r\n" in server.requests[0].lower()
    server.answer = answer("200 OK", head[0], "Content-Length: 9", body=b"not gzip!")
    assert post(server) == Completed()


@pytest.mark.parametrize(
    ("start", "part"),
    [
        (answer("200 OK", "Content-Length: 100000"), b"x"),
        (answer("200 OK", "Transfer-Encoding: chunked"), b"1\r\nx\r\n"),
        (answer("200 OK", "Transfer-Encoding: chunked", body=b"1;"), b"x"),
        (answer("200 OK", "Transfer-Encoding: chunked", body=b"0\r\n"), b"a: b\r\n"),
        (answer("200 OK", "Connection: close"), b"x"),
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\na: ", b"x"),
        (b"HTTP/1.1 10", b"0 Continue\r\n\r\nHTTP/1.1 10"),
        (b"", answer("102 Processing")),
        (b"", answer("103 Early Hints", "Link: </a>")),
    ],
)
def test_the_time_limit_is_of_the_whole_call(server: Scripted, start: bytes, part: bytes) -> None:
    server.answer = drip(start, part)
    assert reason(post(server, timeout_seconds=SOON)) == LATE
    assert server.cut.wait(300)


def test_the_time_limit_holds_for_tls_and_for_a_body_nobody_reads(server: Scripted) -> None:
    server.reads = False
    server.answer = drip(b"\x16\x03\x03\x3f\xff", b"\x02")
    assert reason(post(server, scheme="https", timeout_seconds=SOON)) == LATE
    assert server.cut.wait(300)
    server.cut.clear()
    server.answer = drip(b"", b"H")
    assert reason(post(server, value="x" * 20_000_000, timeout_seconds=SOON)) == LATE


def test_a_slow_look_up_of_the_host_counts_and_nothing_is_sent_after_it(
    server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, look_up = threading.Event(), socket.getaddrinfo

    def slow(*args: Any, **more: Any) -> Any:
        assert found.wait(300)
        return look_up(*args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    assert reason(post(server, timeout_seconds=SOON)) == LATE
    found.set()
    for thread in threading.enumerate():
        if thread.name == "wpbridge-webhook":
            thread.join(300)
    monkeypatch.undo()
    assert post(server) == Completed()
    assert [r for r in server.requests if r] == server.requests[-1:]


def test_early_answers_are_skipped(server: Scripted) -> None:
    early = answer("102 Processing") + answer("103 Early Hints", "Link: </a>")
    for status, ends in (("204 Done", Completed), ("500 No", Failed)):
        server.answer = early + answer("100 Continue") + answer(status, "Content-Length: 0")
        assert isinstance(post(server), ends)
    server.answer = answer("101 Switching Protocols", "Upgrade: x")
    assert reason(post(server)) == "HTTP 101"


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"SSH-2.0-OpenSSH_9\r\n",
        b"HTTP/1.1 99 Low\r\n\r\n",
        b"HTTP/1.1 1000 High\r\n\r\n",
        b"HTTP/1.1 2\xb20 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: " + b"x" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 " + b"2" * 200_000,
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 500 + b"\r\n",
        answer("200 OK", "Content-Length: 5, 6", body=b"hello"),
        answer("200 OK", "Content-Length: 100", body=b"hello"),
        answer("200 OK", "Transfer-Encoding: chunked", body=b"zz\r\nhello"),
        answer("200 OK", "Transfer-Encoding: chunked", body=b"ff\r\nhello"),
        answer("200 OK", "Transfer-Encoding: chunked", body=b"-5\r\nhello"),
    ],
)
def test_what_is_no_whole_answer_fails_the_action_in_one_line(
    server: Scripted, broken: bytes
) -> None:
    server.answer = broken
    assert reason(post(server)).startswith(("did not answer with valid HTTP: ", "could not be"))


@pytest.mark.parametrize("length", ["", "x", "-5", "9" * 5000, "\xb2"])
def test_a_length_that_is_none_leaves_the_status(server: Scripted, length: str) -> None:
    server.answer = answer("500 No", f"Content-Length: {length}", body=b"hello")
    assert reason(post(server)).startswith(("HTTP 500", "could not", "did not answer"))


@pytest.mark.parametrize("body", [b"", b"hello"])
def test_a_failure_whose_body_breaks_off_keeps_its_status(server: Scripted, body: bytes) -> None:
    server.answer = answer("503 No", "Content-Length: 100", "Retry-After: 7", body=body)
    assert post(server) == Retried(after=timedelta(seconds=7), reason="HTTP 503")
    server.answer = answer("500 No", "Content-Length: 100", body=body)
    assert reason(post(server)) == f"HTTP 500: {body.decode()}".removesuffix(": ")


def test_a_busy_receiver_is_asked_again_however_its_body_comes(server: Scripted) -> None:
    server.answer = drip(answer("429 Wait", "Retry-After: 9", "Content-Length: 1000"), b"x")
    assert post(server, timeout_seconds=60) == Retried(
        after=timedelta(seconds=9), reason="HTTP 429"
    )


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("https://example.org:8443/in?token=1#token", "https://example.org:8443"),
        ("https://user:token@example.org/", "https://example.org"),
        ("/other?token=1", "http://127.0.0.1:PORT"),
        ("http://[token", ""),
        ("http://a:99999999/", ""),
    ],
)
def test_a_redirect_is_not_followed_and_names_its_host_alone(
    server: Scripted, location: str, told: str
) -> None:
    server.answer = answer("308 Moved", f"Location: {location}", "Content-Length: 0")
    place = told.replace("PORT", str(server.port))
    expected = f"HTTP 308: redirects to {place} are not followed" if told else "HTTP 308"
    assert reason(post(server)) == expected
    assert len(server.requests) == 1


def test_the_body_of_a_redirect_is_not_unpacked_either(server: Scripted) -> None:
    head = ("Location: /x", "Content-Encoding: gzip", "Content-Length: 99999999999999")
    parts = itertools.repeat(b"x" * 65536)
    server.answer = lambda: itertools.chain([answer("302 Found", *head)], parts)
    assert reason(post(server)).startswith("HTTP 302: redirects to ")
    assert server.cut.wait(300)


@pytest.mark.parametrize("charset", ["latin-1", "zlib_codec", "idna", "nonsense", "\xe9", ""])
def test_texts_are_shown_whatever_their_charset_is_called(server: Scripted, charset: str) -> None:
    told = f"Content-Type: text/plain; charset={charset}"
    server.answer = answer("500 No", told, "Content-Length: 5", body=b"caf\xe9!")
    assert reason(post(server)).startswith("HTTP 500: caf")


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        (["100000000000000"], 86400),
        (["9" * 6000], 86400),
        (["0" * 6000 + "7"], 7),
        (["1.5"], 1.5),
        (["0"], 1),
        (["-5"], 60),
        (["\xb2"], 60),
        (["\u0663"], 60),
        (["1e3"], 60),
        (["inf"], 60),
        ([""], 60),
        (["nonsense", " 7 ", "9"], 7),
        (["Wed, 21 Oct 2015 07:28:00 GMT"], 1),
        (["Thu, 01 Jan 2026 00:00:30 GMT"], 30),
        (["Thursday, 01-Jan-26 00:00:30 GMT"], 30),
        (["Thu Jan  1 00:00:30 2026"], 30),
        (["Thu, 01 Jan 2026 01:00:30 +0100"], 30),
        (["Thu, 01 Jan 2026 00:00:30 -0000"], 30),
        (["Fri, 31 Dec 9999 23:59:59 GMT"], 86400),
        (["Thu, 01 Jan 2026 00:00:30 +99999999"], 60),
        (["Thu, 01 Jan 99999999999999999999 00:00:30 GMT"], 60),
        (["Thu, 99 Jan 2026 00:00:30 GMT"], 60),
    ],
)
def test_retry_after_of_any_kind_is_within_bounds(told: list[str], seconds: float) -> None:
    assert wait_told(told, lambda: datetime(2026, 1, 1, tzinfo=UTC)) == timedelta(seconds=seconds)


PARTS = ("Thu,", "01", "Jan", "2026", "00:00:30", "GMT", "+0100", "-", ".", "9" * 20, "\u0663")


@given(
    st.lists(
        st.text(max_size=20) | st.lists(st.sampled_from(PARTS), max_size=8).map(" ".join),
        max_size=3,
    )
)
def test_no_retry_after_fails_an_action(told: list[str]) -> None:
    assert SHORTEST_WAIT <= wait_told(told) <= LONGEST_WAIT


def test_retry_after_comes_through_as_the_receiver_sent_it(server: Scripted) -> None:
    for told, after in (("\xb2", DEFAULT_WAIT), ("9" * 300, LONGEST_WAIT)):
        server.answer = answer("503 No", f"Retry-After: {told}", "Content-Length: 0")
        assert post(server) == Retried(after=after, reason="HTTP 503")
    twice = ("Retry-After: soon", "Retry-After: 7", "Content-Length: 0")
    server.answer = answer("503 No", *twice)
    assert post(server) == Retried(after=timedelta(seconds=7), reason="HTTP 503")


def test_a_netrc_file_is_not_used_and_proxies_are(
    server: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("default login admin password hunter2\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert post(server) == Completed()
    assert b"authorization" not in server.requests[0].lower()
    with receiving() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.server_port}")
        assert outcome_at("http://receiver.invalid/x") == Completed()
        assert proxy.posts[0][0]["host"] == "receiver.invalid"
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert post(server) == Completed()
        assert len(proxy.posts) == 1


def test_a_login_in_the_url_is_sent(server: Scripted) -> None:
    assert outcome_at(f"http://user:pass@127.0.0.1:{server.port}/") == Completed()
    assert b"authorization: basic dxnlcjpwyxnz" in server.requests[0].lower()


@pytest.mark.parametrize(
    "url",
    [
        "http://" + "token" * 20 + ".example/",
        "http://\u200b\udc80token/",
        "http://token..example/",
        "http://[token/",
        "http://127.0.0.1:99999/token",
        "http://*/token",
        "http://[::1%25token]:1/",
        "http://\x00token/",
    ],
)
def test_addresses_that_are_none_fail_the_action_in_one_line(url: str) -> None:
    assert reason(outcome_at(url)).startswith("could not be reached: ")


def outcome_at(url: str) -> Outcome:
    handler = webhook_handler("h", Webhook(url=url, timeout_seconds=20))
    return outcome_of(lambda: handler.call([1], context()))


def test_a_bundle_of_certificates_is_taken_from_the_environment(
    server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/bundle.pem")
    assert reason(post(server, scheme="https")) == "could not be reached: OSError"
    assert post(server) == Completed()


def test_the_body_is_the_one_that_was_given(server: Scripted) -> None:
    webhook_call.post(f"http://127.0.0.1:{server.port}/", b'{"a": 1}', {"x-a": "b"}, 30)
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert json.loads(body) == {"a": 1}
    assert b"x-a: b" in head
    with pytest.raises(ExecutionError, match="could not be reached"):
        webhook_call.post(f"http://127.0.0.1:{server.port}/", b"", {"a": "\u65e5\n"}, 30)
