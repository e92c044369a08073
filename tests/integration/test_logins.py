"""Logins that the driver cannot do: one line that says what helps, and exit 69."""

import builtins
import contextlib
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from cli_helpers import call, is_one_line
from wpbridge.store.database import client

_FLAGS = 0x000AA20D | 0x00080000 | 0x00008000 | 0x200 | 0x1
KEY = b"\x01-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----\n"
FULL = b"\x01\x04"
SALT = b"abcdefghijklmnopqrst\0"


def switch(plugin: bytes) -> bytes:
    return b"\xfe" + plugin + b"\0" + SALT


def refusal(code: int, words: str) -> bytes:
    return b"\xff" + struct.pack("<H", code) + b"#08004" + words.encode()


@contextlib.contextmanager
def server(answers: Sequence[bytes], plugin: bytes = b"caching_sha2_password") -> Iterator[str]:
    """A server that greets, and gives these answers in their order; its DSN."""
    door = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=_serve, args=(door, answers, plugin), daemon=True)
    thread.start()
    try:
        yield f"mysql://wp:secret@127.0.0.1:{door.getsockname()[1]}/wp"
    finally:
        door.shutdown(socket.SHUT_RDWR)
        door.close()
        thread.join()


def _serve(door: socket.socket, answers: Sequence[bytes], plugin: bytes) -> None:
    greeting = (
        b"\x0a8.0.36\0"
        + struct.pack("<I", 7)
        + b"abcdefgh\0"
        + struct.pack("<HBHH", _FLAGS & 0xFFFF, 255, 2, _FLAGS >> 16)
        + bytes([21])
        + b"\0" * 10
        + b"ijklmnopqrst\0"
        + plugin
        + b"\0"
    )
    with contextlib.suppress(OSError):
        while True:
            client, _ = door.accept()
            with client, contextlib.suppress(OSError):
                number = 0
                for answer in (greeting, *answers):
                    client.sendall(struct.pack("<I", len(answer))[:3] + bytes([number]) + answer)
                    number += 2
                    if not client.recv(4096):
                        break


@pytest.fixture(autouse=True)
def without_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a plain `pip install wpbridge`, whatever is installed here."""
    import pymysql._auth as auth  # noqa: PLC0415 - the driver's own switches

    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.partition(".")[0] == "nacl":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(auth, "_have_cryptography", False)
    monkeypatch.setattr(auth, "_nacl_bindings", False)
    monkeypatch.setattr(builtins, "__import__", without)


SHA2 = "pip install 'wpbridge[sha2]', or connect with TLS"
METHODS = "give the account one of them"
TLS = "connect with TLS: ssl=1"
DENIED = "check the user, password and database of --dsn"


CASES: list[tuple[list[bytes], str]] = [
    ([FULL, KEY], SHA2),
    ([switch(b"caching_sha2_password"), FULL, KEY], SHA2),
    ([switch(b"sha256_password"), KEY], SHA2),
    ([switch(b"client_ed25519")], "pip install 'wpbridge[ed25519]'"),
    ([switch(b"auth_gssapi_client")], METHODS),
    ([switch(b"dialog")], METHODS),
    ([switch(b"authentication_ldap_sasl_client")], METHODS),
    ([switch(b"parsec")], METHODS),
    ([switch(b"\xff\xfe")], METHODS),
    ([b"\xfe"], METHODS),
    ([b"\x01\x09"], METHODS),
    ([b"\x01"], METHODS),
    ([refusal(1251, "Client does not support authentication protocol")], METHODS),
    ([refusal(1275, "Server is running in --secure-auth mode")], METHODS),
    ([refusal(1524, "Plugin 'unix' is not loaded")], METHODS),
    ([refusal(3159, "insecure transport are prohibited")], TLS),
    ([refusal(1698, "Access denied for user 'wp'")], DENIED),
    ([refusal(1130, "Host 'x' is not allowed to connect")], DENIED),
    ([refusal(1820, "You must reset your password")], DENIED),
    ([refusal(1862, "Your password has expired")], DENIED),
    ([refusal(3118, "Access denied. Account is locked")], DENIED),
    ([refusal(4151, "Access denied, this account is locked")], DENIED),
]


@pytest.mark.parametrize(("answers", "advice"), CASES)
def test_a_login_that_cannot_be_done(answers: list[bytes], advice: str, tmp_path: Path) -> None:
    with server(answers) as dsn:
        for command in ("check", "status"):
            done = call(command, "--dsn", dsn, cwd=tmp_path, env={"WPBRIDGE_DRIVER": "pymysql"})
            assert is_one_line(done, 69), done
            assert advice in done.err
            assert "secret" not in done.err


def test_the_same_logins_with_mysqlclient(tmp_path: Path) -> None:
    """It knows more ways to log in, so its reasons are others. It does not ask at the terminal."""
    if client.missing():
        pytest.skip(f"mysqlclient: {client.missing()}")
    for answers, advice in CASES:
        with server(answers) as dsn:
            env = {"WPBRIDGE_DRIVER": "mysqlclient"}
            done = call("check", "--dsn", dsn, cwd=tmp_path, env=env)
            assert is_one_line(done, 69), done
            assert "secret" not in done.err
            if advice in (TLS, DENIED):
                assert advice in done.err
