"""mysqlclient is chosen where it can do what PyMySQL does, and the choice is told with its reason."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cli_helpers import call, is_one_line
from wpbridge.errors import ConfigError
from wpbridge.site.database import DatabaseAddress
from wpbridge.site.tls import Tls
from wpbridge.store.database import client

PLAIN = DatabaseAddress(driver="mysql", host="db", port=3306, user="wp", password="x", name="wp")

CHOICES: list[tuple[dict[str, Any], str]] = [
    ({}, ""),
    ({"host": None, "socket": "/run/s"}, ""),
    ({"charset": "latin1"}, "speaks latin1"),
    ({"charset": None}, "speaks the character set of the server"),
    ({"password": "a\udce9"}, "not UTF-8"),
    ({"password": "a\0"}, "not UTF-8"),
    ({"user": "a\udce9"}, "not UTF-8"),
    ({"host": "localhost"}, "write 127.0.0.1"),
    ({"tls": Tls()}, "TLS"),
    ({"tls": Tls(ca="/ca", verify_cert=True)}, "TLS"),
    ({"tls": Tls(verify_cert=True, verify_identity=True)}, "TLS"),
    ({"tls": Tls(ca="/ca", verify_cert=True, verify_identity=True)}, ""),
    ({"tls": Tls(ca="/ca", verify_identity=True), "host": None, "socket": "/run/s"}, "TLS"),
]


@pytest.mark.parametrize(("differs", "reason"), CHOICES)
def test_what_mysqlclient_would_do_otherwise_is_left_to_pymysql(
    differs: dict[str, Any], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if client.missing():
        pytest.skip(f"mysqlclient: {client.missing()}")
    monkeypatch.setattr(client, "PREFERRED", "mysqlclient")
    address = replace(PLAIN, **differs)
    chosen = client.choose(address).label
    demanded = replace(address, client="mysqlclient")
    if reason:
        assert chosen.startswith("PyMySQL ")
        assert reason in chosen
        with pytest.raises(ConfigError, match=reason):
            client.choose(demanded)
    else:
        assert chosen.startswith("mysqlclient ")
        assert client.choose(demanded).label == chosen
    assert client.choose(replace(address, client="pymysql")).label == f"PyMySQL {version()}"


def version() -> str:
    import pymysql  # noqa: PLC0415 - only its version

    return pymysql.VERSION_STRING


def old() -> ModuleType:
    module = ModuleType("MySQLdb")
    module.version_info = (1, 4, 6, "final", 0)  # type: ignore[attr-defined]
    return module


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (lambda: None, "not installed (pip install 'wpbridge[fast]')"),
        (lambda: sys.modules["pymysql"], "the module MySQLdb is pymysql here"),
        (old, "older than 2.2"),
    ],
)
def test_without_mysqlclient_it_is_pymysql(
    module: Callable[[], Any],
    reason: str,
    mysql_dsn: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As after a plain `pip install wpbridge`, whatever is installed here."""
    version()
    monkeypatch.setattr(client, "PREFERRED", "mysqlclient")
    monkeypatch.setitem(sys.modules, "MySQLdb", module())
    client.missing.cache_clear()
    try:
        done = call(
            "init",
            "--with-tables",
            "--dsn",
            mysql_dsn,
            cwd=tmp_path,
            env={"WPBRIDGE_DRIVER": "auto"},
        )
        assert done.code == 0, done
        done = call("check", "--dsn", mysql_dsn, cwd=tmp_path, env={"WPBRIDGE_DRIVER": "auto"})
        assert f"driver        PyMySQL {version()}\n" in done.out
        forced = {"WPBRIDGE_DRIVER": "mysqlclient"}
        done = call("check", "--dsn", mysql_dsn, cwd=tmp_path, env=forced)
        assert is_one_line(done, 78), done
        assert reason in done.err
    finally:
        monkeypatch.undo()
        client.missing.cache_clear()
