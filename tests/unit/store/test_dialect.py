"""Server versions and the sorting of database errors."""

from typing import Any

import pytest

from wpbridge.errors import Contention, StoreError, StoreUnavailable
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.database.dialect import knows_skip_locked, parse_version
from wpbridge.store.database.trouble import sort_trouble


@pytest.mark.parametrize(
    ("told", "kind", "numbers", "skips"),
    [
        ("5.5.5-10.11.4-MariaDB-1", "MariaDB", (10, 11, 4), True),
        ("10.6.0-MariaDB", "MariaDB", (10, 6, 0), True),
        ("10.5.29-MariaDB-log", "MariaDB", (10, 5, 29), False),
        ("8.0.1", "MySQL", (8, 0, 1), True),
        ("8.0.0-dmr", "MySQL", (8, 0, 0), False),
        ("5.7.44-log", "MySQL", (5, 7, 44), False),
        ("9.1.0", "MySQL", (9, 1, 0), True),
    ],
)
def test_who_knows_skip_locked(told: str, kind: str, numbers: tuple[int, ...], skips: bool) -> None:
    assert parse_version(told) == (kind, numbers)
    assert knows_skip_locked(kind, numbers) is skips


@pytest.mark.parametrize("code", [1213, 1205, 1020])
def test_deadlocks_and_lock_waits_are_tried_again(code: int) -> None:
    assert sort_trouble(Exception(code, "x")).busy


@pytest.mark.parametrize("code", [2006, 2013, 2002, 2003, 1040, 1053, 1290])
def test_lost_and_read_only_servers_are_waited_for(code: int) -> None:
    trouble = sort_trouble(Exception(code, "x"))
    assert trouble.gone
    assert isinstance(trouble.error, StoreUnavailable)


def test_a_refused_login_is_not_waited_for() -> None:
    trouble = sort_trouble(Exception(1045, "Access denied"))
    assert not trouble.gone
    assert not trouble.busy
    assert trouble.denied
    assert "DB_PASSWORD" in str(trouble.error)


def address(**more: Any) -> DatabaseAddress:
    return DatabaseAddress(driver="mysql", name="q", **more)


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ({"host": "db", "port": 3307}, "(looked for at db:3307)"),
        (
            {"host": "db", "port": 3306, "source": "--dsn"},
            "(looked for at db:3306, named by --dsn)",
        ),
        ({"socket": "/s"}, "(looked for at socket /s)"),
        ({"host": "localhost", "port": 3306}, "?unix_socket=/run/mysqld/mysqld.sock in the DSN)"),
    ],
)
def test_a_server_that_is_not_there_is_named(where: dict[str, Any], told: str) -> None:
    error = sort_trouble(Exception(2003, "Connection refused"), address(**where)).error
    assert str(error).endswith(told)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("", "check DB_USER, DB_PASSWORD and DB_NAME, or --dsn"),
        ("/w/wp-config.php", "check DB_USER, DB_PASSWORD and DB_NAME in /w/wp-config.php"),
        ("WPBRIDGE_DSN", "check the user, password and database of WPBRIDGE_DSN"),
    ],
)
def test_a_refused_login_names_where_the_account_stands(source: str, told: str) -> None:
    where = address(host="h", source=source)
    refused = str(sort_trouble(Exception(1045, "Access denied"), where).error)
    assert refused.endswith(f"({told})")
    rightless = str(sort_trouble(Exception(1044, "Access denied to database"), where).error)
    assert told in rightless
    assert "`wpbridge grants`" in rightless


def test_a_certificate_that_is_not_trusted_is_not_waited_for() -> None:
    """The driver tells it as a host that cannot be reached."""
    words = "Can't connect to MySQL server on 'db' ([SSL: CERTIFICATE_VERIFY_FAILED] self-signed)"
    assert sort_trouble(Exception(2003, words)).denied


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("database or disk is full", "no room left"),
        ("disk I/O error", "does not answer"),
        ("attempt to write a readonly database", "read-only"),
    ],
)
def test_sqlite_without_room_or_rights_is_waited_for(words: str, told: str) -> None:
    trouble = sort_trouble(Exception(words))
    assert trouble.gone
    assert told in str(trouble.error)


def test_anything_else_is_a_plain_error() -> None:
    error = sort_trouble(Exception(1064, "syntax\nerror")).error
    assert type(error) is StoreError
    assert not isinstance(error, Contention)
    assert "\n" not in str(error)


def test_a_right_that_is_missing_is_told_with_what_to_do() -> None:
    error = sort_trouble(Exception(1142, "ALTER command denied to user 'u'@'h'")).error
    assert type(error) is StoreError
    assert str(error).endswith(": the account needs that right, or name another with --dsn")


def test_a_server_without_tls_is_no_refused_statement() -> None:
    told = "SSL is required but the server doesn't support it"
    trouble = sort_trouble(Exception(2026, told))
    assert isinstance(trouble.error, StoreUnavailable)
    assert trouble.denied
    assert str(trouble.error) == (
        f"the database refuses us: {told} (check the settings of TLS, or --dsn)"
    )
