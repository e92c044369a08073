"""One try of a callback: where it connects to, by which name, and how long it is to the next."""

import ipaddress
import shutil
import ssl
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from receiver import Receiver
from wpbridge.codec.addresses import Address
from wpbridge.codec.callback_urls import callback_url
from wpbridge.errors import ExecutionError
from wpbridge.executors.callback import TRIES, WAITS, Post, deliver, wait
from wpbridge.executors.dialing import AddressRefused
from wpbridge.outcome import Retry

LOOPBACK = ipaddress.ip_address("127.0.0.1")


def post(
    url: str, *, attempt: int = 1, may_be_private: bool = True, to: Address = LOOPBACK
) -> None:
    asked = Post(
        target=callback_url(url),
        id="cb_1",
        body=b"{}",
        secrets=["whsec_AAAA"],
        attempt=attempt,
        may_be_private=may_be_private,
    )
    deliver(asked, resolve=lambda _host, _port: [to], chance=lambda: 0.5)


@pytest.fixture
def secure(receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Has the receiver speak TLS as receiver.test; the names that clients ask for."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=receiver.test"
    more = ["-addext", "subjectAltName=DNS:receiver.test", "-keyout", str(key), "-out"]
    subprocess.run([*command.split(), *more, str(certificate)], check=True, capture_output=True)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    names: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    receiver.socket = context.wrap_socket(
        receiver.socket, server_side=True, do_handshake_on_connect=False
    )
    return names


def test_tls_is_spoken_with_the_name_and_not_with_the_address(
    receiver: Receiver, secure: list[str | None]
) -> None:
    post(f"https://receiver.test:{receiver.server_port}/x")
    [(headers, _)] = receiver.posts
    assert headers["host"] == f"receiver.test:{receiver.server_port}"
    assert secure == ["receiver.test"]


def test_a_certificate_of_another_name_is_refused(
    receiver: Receiver, secure: list[str | None]
) -> None:
    with pytest.raises(Retry, match="SSLError"):
        post(f"https://other.test:{receiver.server_port}/x")
    assert receiver.posts == []


def test_an_address_that_is_refused_ends_it_at_once(receiver: Receiver) -> None:
    url = f"https://receiver.test:{receiver.server_port}/x"
    with pytest.raises(AddressRefused):
        post(url, may_be_private=False)
    with pytest.raises(AddressRefused):
        post(url, to=ipaddress.ip_address("169.254.169.254"))


def test_a_host_that_nobody_knows_is_another_try() -> None:
    def unknown(host: str, port: int) -> list[Address]:
        raise OSError("Name or service not known")

    asked = Post(
        target=callback_url("https://receiver.test/"),
        id="cb_1",
        body=b"{}",
        secrets=["whsec_AAAA"],
        attempt=TRIES - 1,
        may_be_private=False,
    )
    with pytest.raises(Retry, match="try 9 of 10: could not be reached") as caught:
        deliver(asked, resolve=unknown, chance=lambda: 0.5)
    assert caught.value.after == timedelta(hours=24)


def test_after_the_last_try_it_has_failed(receiver: Receiver) -> None:
    receiver.status = 500
    with pytest.raises(ExecutionError, match="HTTP 500; given up after 10 tries"):
        post(f"http://127.0.0.1:{receiver.server_port}/", attempt=TRIES)


@pytest.mark.parametrize(
    ("attempt", "told", "seconds"),
    [
        (1, [], 5),
        (1, ["1"], 5),
        (1, ["90"], 90),
        (1, ["nonsense"], 60),
        (1, ["999999999"], 86_400),
        (2, ["120"], 300),
        (2, ["Fri, 31 Dec 9999 23:59:59 GMT"], 86_400),
        (9, [], 86_400),
        (40, [], 86_400),
    ],
)
def test_a_receiver_may_ask_for_a_longer_wait(attempt: int, told: list[str], seconds: int) -> None:
    assert wait(attempt, told, 0.5) == timedelta(seconds=seconds)


def test_waits_are_spread_by_a_tenth() -> None:
    for number, own in enumerate(WAITS, 1):
        assert wait(number, [], 0.0) == own * 0.9
        assert own < wait(number, [], 0.999) < own * 1.1


def test_a_runner_loads_requests_with_the_first_callback_and_not_before() -> None:
    code = (
        "import sys; from wpbridge.app import own_handlers; from wpbridge.site.config import"
        " Settings; own_handlers(Settings());"
        " print([m for m in ('requests', 'wpbridge.queue.jobs', 'jwt') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
