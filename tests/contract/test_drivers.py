"""Both packages that speak with MariaDB do the same; where mysqlclient cannot, it is left out."""

import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from cli_helpers import call
from conftest import needs
from daemons import until
from proxy import Proxy
from servers import MariaDB, private_mariadb
from wpbridge.errors import StoreError, StoreUnavailable
from wpbridge.site.database import Client, DatabaseAddress
from wpbridge.store.connect import connect
from wpbridge.store.database import client, mysql_engine
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.session import Session

Open: TypeAlias = Callable[..., Session]


@pytest.fixture(params=["pymysql", "mysqlclient"])
def package(request: pytest.FixtureRequest) -> Client:
    """Each of the packages; the second one is left out where it is not installed."""
    if request.param == "mysqlclient" and client.missing():
        pytest.skip(f"mysqlclient: {client.missing()}")
    name: Client = request.param
    return name


@pytest.fixture
def opened(mysql_dsn: str, package: Client) -> Iterator[Open]:
    """Open sessions with one of the packages."""
    ways = []

    def open_it(dsn: str = mysql_dsn, *, is_runner: bool = False, **more: Any) -> Session:
        address = replace(DatabaseAddress.from_dsn(dsn), client=package, **more)
        ways.append(connect(address, "wp_", is_runner=is_runner))
        return ways[-1].session

    yield open_it
    for way in ways:
        way.close()


def rows(session: Session, statement: str, values: Any = None) -> list[tuple[Any, ...]]:
    def read(connection: Connection) -> list[tuple[Any, ...]]:
        if values is None:
            return [tuple(row) for row in connection.exec_driver_sql(statement)]
        if isinstance(values, tuple):
            return [tuple(row) for row in connection.exec_driver_sql(statement, values)]
        return [tuple(row) for row in connection.execute(text(statement), values)]

    return session.run(read)


def run(session: Session, statement: str) -> int:
    """Run a statement without rows of its own; return how many it has met."""

    return session.run(lambda c: int(c.exec_driver_sql(statement).rowcount))


# What is read and written


READ: list[tuple[str, object]] = [
    ("CAST('2026-01-02 03:04:05' AS DATETIME)", "2026-01-02 03:04:05"),
    ("CAST('0000-00-00' AS DATETIME)", "0000-00-00 00:00:00"),
    ("CAST('2026-01-02' AS DATE)", "2026-01-02"),
    ("FROM_UNIXTIME(0) + INTERVAL 0 SECOND", "1970-01-01 00:00:00"),
    ("18446744073709551615", 18446744073709551615),
    ("-9223372036854775808", -9223372036854775808),
    ("1e0 / 3", 1 / 3),
    ("NULL", None),
    ("_binary x'ff00e9'", b"\xff\x00\xe9"),
    ("CAST('é' AS BINARY)", "é".encode()),
    ("'é😀'", "é😀"),
    ("_latin1 x'e9'", "é"),
    ("'50%% %%s'", "50% %s"),
    ("'a\\\\b'", "a\\b"),
    ("@@autocommit", 1),
    ("@@character_set_client", "utf8mb4"),
    ("@@character_set_results", "utf8mb4"),
    ("@@collation_connection", "utf8mb4_unicode_520_ci"),
    ("@@sql_safe_updates", 0),
]


def test_values_are_read_as_themselves(opened: Open) -> None:
    session = opened(collate="utf8mb4_unicode_520_ci")
    run(session, "SET time_zone = '+00:00'")
    for asked, answer in READ:
        [(read,)] = rows(session, f"SELECT {asked}")
        assert (read, type(read)) == (answer, type(answer)), asked


VALUES = [
    "",
    "é😀",
    "50% %s %(a)s :b",
    'it\'s \\ "x"\n\0',
    b"\xff'\\\0%s",
    5,
    -(1 << 63),
    None,
    0.1,
]


def test_a_value_is_written_as_itself(opened: Open) -> None:
    session = opened()
    marks = ", ".join(["%s"] * len(VALUES))
    assert rows(session, f"SELECT {marks}", tuple(VALUES)) == [tuple(VALUES)]
    names = {f"v{place}": value for place, value in enumerate(VALUES)}
    named = ", ".join(f":{name}" for name in names)
    assert rows(session, f"SELECT {named}", names) == [tuple(VALUES)]


def test_rows_count_that_match_though_nothing_changes(opened: Open) -> None:
    session = opened()
    run(session, "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, a INT, d DATETIME)")
    assert run(session, "INSERT INTO t (a, d) VALUES (1, '0000-00-00'), (1, NULL)") == 2
    assert run(session, "UPDATE t SET a = 1") == 2
    assert run(session, "DELETE FROM t WHERE a = 2") == 0
    first = session.run(lambda c: c.exec_driver_sql("INSERT INTO t (a) VALUES (3)").lastrowid)
    assert (first, rows(session, "SELECT d FROM t WHERE id = 1")) == (3, [("0000-00-00 00:00:00",)])


def test_a_runner_waits_no_longer_than_its_answers(opened: Open) -> None:
    asked = "SELECT @@innodb_lock_wait_timeout, @@wait_timeout"
    assert rows(opened(is_runner=True), asked) == [(15, 90)]


def test_what_is_never_sent(opened: Open) -> None:
    session = opened()
    run(session, "CREATE TABLE t (a TEXT)")
    for statement in ("SELECT 1; SELECT 2", "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE t"):
        with pytest.raises(StoreError):
            run(session, statement)
    assert rows(session, "SELECT a FROM t") == []


# Errors


def test_a_server_that_is_not_there(opened: Open) -> None:
    for place in ("127.0.0.1:1/x", "no-such-host.invalid/x"):
        with pytest.raises(StoreUnavailable, match="does not answer"):
            rows(opened(f"mysql://a@{place}"), "SELECT 1")


def test_a_login_that_is_refused(opened: Open) -> None:
    with pytest.raises(StoreUnavailable, match="refuses us"):
        rows(opened(user="nobody", password="secret"), "SELECT 1")


@pytest.mark.parametrize("package", ["mysqlclient"])
def test_mysqlclient_needs_no_package_for_ed25519(
    package: Client, opened: Open, mysql_dsn: str
) -> None:
    if client.missing():
        pytest.skip(f"mysqlclient: {client.missing()}")
    root, name = opened(), DatabaseAddress.from_dsn(mysql_dsn).name
    try:
        run(root, "INSTALL SONAME 'auth_ed25519'")
    except StoreError as error:
        if "exist" not in str(error):
            pytest.skip(str(error))
    run(root, f"CREATE USER {name}@localhost IDENTIFIED VIA ed25519 USING PASSWORD('p\u00e9 w')")
    told = {"user": name, "name": "information_schema"}
    try:
        session = opened(**told, password="p\u00e9 w")
        assert rows(session, "SELECT CURRENT_USER()") == [(f"{name}@localhost",)]
        with pytest.raises(StoreUnavailable, match="refuses us"):
            rows(opened(**told, password="pe w"), "SELECT 1")
    finally:
        run(root, f"DROP USER {name}@localhost")


def test_a_connection_that_is_killed_is_replaced(opened: Open) -> None:
    session, other = opened(), opened()
    [(number,)] = rows(session, "SELECT CONNECTION_ID()")
    rows(other, "SELECT 1")
    run(other, f"KILL {number}")
    [(later,)] = rows(session, "SELECT CONNECTION_ID()")
    assert later != number


def test_an_answer_that_does_not_come(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mysql_engine, "ANSWER_SECONDS", 1.0)
    session = opened()
    session.run(lambda c: c)
    with pytest.raises(StoreUnavailable, match="timed out"):
        run(session, "DO SLEEP(60)")
    assert rows(session, "SELECT 1") == [(1,)]


# What is waited for


class Stopped(SystemExit):
    """What a signal's handler raises."""


@pytest.fixture
def stopping() -> Iterator[Callable[[], None]]:
    """Send this process a signal whose handler raises Stopped."""

    def stop(*_: object) -> None:
        raise Stopped

    before = signal.signal(signal.SIGUSR2, stop)
    yield lambda: os.kill(os.getpid(), signal.SIGUSR2)
    signal.signal(signal.SIGUSR2, before)


def is_asleep(session: Session) -> bool:
    told = "SELECT 1 FROM information_schema.PROCESSLIST WHERE INFO LIKE 'DO SLEEP%%' AND DB = "
    return bool(rows(session, f"{told} DATABASE()"))


def assert_a_signal_ends(wait: Callable[[], object], signal_then: Callable[[], None]) -> None:
    """Check that a signal, which another thread sends in time, ends what this one waits for."""
    thread = threading.Thread(target=signal_then)
    thread.start()
    with pytest.raises(Stopped):
        wait()
    thread.join()


def test_a_signal_ends_the_wait_for_an_answer(opened: Open, stopping: Callable[[], None]) -> None:
    session, other = opened(), opened()

    def send() -> None:
        until(lambda: is_asleep(other), "a statement that runs")
        stopping()

    assert_a_signal_ends(lambda: run(session, "DO SLEEP(60)"), send)
    assert rows(session, "SELECT 1") == [(1,)], "it has another connection now"


@pytest.mark.parametrize("package", ["mysqlclient"])
def test_a_signal_ends_the_wait_for_a_login(
    package: Client, opened: Open, stopping: Callable[[], None]
) -> None:
    """PyMySQL's waits in Python."""
    if client.missing():
        pytest.skip(f"mysqlclient: {client.missing()}")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        session = opened(f"mysql://a@127.0.0.1:{silent.getsockname()[1]}/x")
        taken: list[socket.socket] = []

        def send() -> None:
            taken.append(silent.accept()[0])
            stopping()

        assert_a_signal_ends(lambda: rows(session, "SELECT 1"), send)
        taken[0].close()


def test_another_thread_cuts_the_wait_for_an_answer(opened: Open) -> None:
    session, other = opened(), opened()
    raised: list[BaseException] = []

    def wait() -> None:
        try:
            run(session, "DO SLEEP(60)")
        except StoreUnavailable as error:
            raised.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    until(lambda: is_asleep(other), "a statement that runs")
    session.cut()
    thread.join()
    assert len(raised) == 1


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of two certificates that sign themselves: for 127.0.0.1, and for another host."""
    folder = tmp_path_factory.mktemp("tls")
    needs(None if shutil.which("openssl") else "openssl is not installed (scripts/setup servers)")
    for name, host in (("right", "IP:127.0.0.1"), ("wrong", "DNS:elsewhere")):
        command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name}"
        more = f"-addext subjectAltName={host} -keyout {name}.key -out {name}.pem"
        subprocess.run(f"{command} {more}".split(), check=True, capture_output=True, cwd=folder)
    return folder


@pytest.fixture(scope="module", params=["right", "wrong"])
def encrypting(request: pytest.FixtureRequest, certificate: Path) -> Iterator[tuple[str, str]]:
    """A server with TLS, behind a port: which certificate it has, and its DSN."""
    name = str(request.param)
    files = [f"--ssl-cert={certificate}/{name}.pem", f"--ssl-key={certificate}/{name}.key"]
    with private_mariadb(files) as server, Proxy(server.socket) as proxy:
        yield name, proxy.url("mysql")


def cipher(session: Session) -> str:
    [(_, told)] = rows(session, "SHOW STATUS LIKE 'Ssl_cipher'")
    return str(told)


def by_auto(dsn: str, options: str, package: Client) -> Session:
    """As by itself, where the package is the preferred one."""
    address = DatabaseAddress.from_dsn(f"{dsn}?{options}")
    wanted: Client = "auto" if package == "mysqlclient" else package
    return connect(replace(address, client=wanted), "wp_").session


@pytest.fixture
def preferred(package: Client, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(client, "PREFERRED", package)
    return package


def test_a_server_that_has_tls(
    encrypting: tuple[str, str], certificate: Path, preferred: Client
) -> None:
    name, dsn = encrypting
    for options in ("", "ssl=1", f"ssl_ca={certificate}/{name}.pem"):
        session = by_auto(dsn, options, preferred)
        assert cipher(session), options
        session.close()
    other = "wrong" if name == "right" else "right"
    trusted = f"ssl_ca={certificate}/{name}.pem&ssl_verify_identity=1"
    for options, is_right in (
        (trusted, name == "right"),
        (trusted.replace(f"/{name}.", f"/{other}."), False),
        (f"ssl_ca={certificate}/{other}.pem", False),
    ):
        session = by_auto(dsn, options, preferred)
        if is_right:
            assert cipher(session)
        else:
            with pytest.raises(StoreUnavailable, match="check the settings of TLS"):
                cipher(session)
        session.close()


def test_a_server_that_has_no_tls(mariadb: MariaDB, certificate: Path, preferred: Client) -> None:
    with Proxy(mariadb.socket) as proxy:
        session = by_auto(proxy.url("mysql"), "", preferred)
        assert cipher(session) == ""
        session.close()
        for options in ("ssl=1", f"ssl_ca={certificate}/right.pem&ssl_verify_identity=1"):
            session = by_auto(proxy.url("mysql"), options, preferred)
            with pytest.raises(StoreUnavailable, match="TLS"):
                cipher(session)


# What is told


def test_check_tells_the_driver(package: Client, mysql_dsn: str, tmp_path: Path) -> None:
    assert call("init", "--with-tables", "--dsn", mysql_dsn, cwd=tmp_path).code == 0
    told = call("check", "--dsn", mysql_dsn, cwd=tmp_path, env={"WPBRIDGE_DRIVER": package})
    assert f"\ndriver        {'PyMySQL' if package == 'pymysql' else package} " in told.out
    dsn = mysql_dsn.replace("mysql:", f"mysql+{package}:")
    told = call("check", "--dsn", dsn, cwd=tmp_path, env={"WPBRIDGE_DRIVER": "auto"})
    assert f"\ndriver        {'PyMySQL' if package == 'pymysql' else package} " in told.out
