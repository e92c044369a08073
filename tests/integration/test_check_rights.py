"""``check`` finds nothing wrong exactly where the next run can start: rights, own tables, writes."""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli_helpers import Done, Site
from conftest import execute
from factories import insert, make_new
from rows import change, query
from servers import MariaDB
from stores import AnyStore, open_store, way_of
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.connect import connect
from wpbridge.store.database.mysql import MySQL
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.store.structure.creation import create_tables

HANDLERS = """
from wpbridge import hook
@hook("h")
def h(): pass
"""
ROWS = "SELECT, INSERT, UPDATE, DELETE"
RUN = ("claim-and-run", "--handlers", "hooks", "--quiet")
PLUGIN = ("actions", "claims", "groups", "logs")


@pytest.fixture
def account(mariadb: MariaDB, mysql_dsn: str, tmp_path: Path) -> Iterator["Account"]:
    (tmp_path / "hooks.py").write_text(HANDLERS)
    it = Account(mariadb, mysql_dsn, tmp_path)
    yield it
    it.store.close()
    execute(mariadb, f"DROP USER {it.name}@localhost")
    execute(mariadb, f"DROP ROLE IF EXISTS {it.name}_role")


class Account:
    """An account without any right, and a queue with the plugin's tables alone."""

    def __init__(self, server: MariaDB, dsn: str, folder: Path) -> None:
        self.server = server
        self.database = dsn.partition("?")[0].rpartition("/")[2]
        self.name = f"u{self.database[1:]}"
        way = connect(DatabaseAddress.from_dsn(dsn), "wp_")
        for statement in way.dialect.ddl.plugin(way.names):
            change(way, statement)
        way.close()
        self.store = open_store(DatabaseAddress.from_dsn(dsn), "wp_")
        self.do(f"CREATE USER {self.name}@localhost")
        self.site = Site(dsn.replace("root@", f"{self.name}@"), folder, self.store)

    def do(self, statement: str) -> None:
        execute(self.server, statement)

    def grant(self, rights: str, on: str = "*") -> None:
        self.do(f"GRANT {rights} ON `{self.database}`.{on} TO {self.name}@localhost")

    def make_own(self) -> None:
        create_tables(way_of(self.store), everything=False)

    def check(self) -> Done:
        """Its answer is true: a run starts exactly where it finds nothing wrong."""
        insert(self.store, make_new("h"))
        before = contents(self.store)
        found = self.site("check")
        assert contents(self.store) == before
        run = self.site(*RUN)
        has_run = run.code == 0 and self.store.counts().get("pending", 0) == 0
        assert (found.code == 0) == has_run, (found, run)
        assert found.code in (0, 78), found
        return found


def contents(store: AnyStore) -> list[object]:
    tables = sorted(str(row[0]) for row in query(store, "SHOW TABLES"))
    return [
        (t, query(store, f"SHOW CREATE TABLE {t}"), query(store, f"SELECT * FROM {t}"))
        for t in tables
    ]


def test_rows_alone_are_too_little_while_own_tables_are_missing(account: Account) -> None:
    account.grant(ROWS)
    found = account.check()
    assert "may not create wp_wpbridge_runners, wp_wpbridge_pauses" in found.err
    account.make_own()
    assert account.check().code == 0


def test_who_may_create_gets_the_tables_named(account: Account) -> None:
    account.grant(f"{ROWS}, CREATE")
    found = account.site("check", "--format", "json")
    assert found.code == 0
    assert json.loads(found.out)["tables_to_make"] == list(account.store.names.of_runs)
    assert 'own_tables.making tables="wp_wpbridge_runners' in account.site(*RUN).err
    assert account.check().code == 0
    assert json.loads(account.site("check", "--format", "json").out)["tables_to_make"] == []


@pytest.mark.parametrize("rights", ["SELECT", "SELECT, INSERT", "SELECT, INSERT, UPDATE"])
def test_reading_is_too_little(account: Account, rights: str) -> None:
    account.make_own()
    account.grant(rights)
    assert "right is missing" in account.check().err


def test_a_table_that_was_left_out(account: Account) -> None:
    account.make_own()
    account.grant("SELECT")
    for table in (*(f"wp_actionscheduler_{name}" for name in PLUGIN), *account.store.names.own):
        if table != "wp_wpbridge_runners":
            account.grant("INSERT, UPDATE, DELETE", table)
    assert "'wp_wpbridge_runners'" in account.check().err.replace("`", "'").replace(
        f"{account.database}'.'", ""
    )


def test_columns_that_were_left_out(account: Account) -> None:
    account.make_own()
    account.grant("SELECT, INSERT, DELETE")
    account.grant("UPDATE", "wp_wpbridge_runners")
    account.grant("UPDATE (status, claim_id)", "wp_actionscheduler_actions")
    assert "UPDATE command denied" in account.check().err


def test_rights_by_a_role(account: Account) -> None:
    role = f"{account.name}_role"
    account.do(f"CREATE ROLE {role}")
    account.do(f"GRANT {ROWS}, CREATE ON `{account.database}`.* TO {role}")
    account.do(f"GRANT {role} TO {account.name}@localhost")
    account.do(f"SET DEFAULT ROLE {role} FOR {account.name}@localhost")
    assert account.check().code == 0


def test_rights_by_a_pattern(account: Account) -> None:
    pattern = f"{account.database[:-2]}%"
    account.do(f"GRANT {ROWS}, CREATE ON `{pattern}`.* TO {account.name}@localhost")
    assert account.check().code == 0


@pytest.mark.parametrize("as_mariadb", [True, False])
def test_whether_a_table_may_be_made(account: Account, *, as_mariadb: bool) -> None:
    account.grant(ROWS)
    account.grant("CREATE", "wp_wpbridge_keys")
    store = open_store(DatabaseAddress.from_dsn(account.site.dsn), "wp_")
    try:
        dialect = store.parts.dialect
        assert isinstance(dialect, MySQL)
        dialect._is_mariadb = as_mariadb
        for name, may in (("keys", True), ("zones", False)):
            table = f"wp_wpbridge_{name}"
            found = store.session.run(lambda c, t=table: dialect.may_create(c, t))  # type: ignore[misc]
            assert found is may
    finally:
        store.close()
    assert query(account.store, "SHOW TABLES LIKE 'wp_wpbridge%'") == []


def test_what_only_deletes_is_a_note(account: Account) -> None:
    account.make_own()
    account.grant("SELECT, INSERT, UPDATE")
    for table in ("wp_actionscheduler_claims", *account.store.names.own):
        account.grant("DELETE", table)
    found = account.check()
    assert found.code == 0
    assert "DELETE command denied" in found.out


def test_signing_secrets_that_may_not_be_read_are_a_note(account: Account) -> None:
    account.make_own()
    for table in (*(f"wp_actionscheduler_{name}" for name in PLUGIN), *account.store.names.own):
        account.grant("INSERT" if table.endswith("secrets") else ROWS, table)
    found = account.check()
    assert found.code == 0
    assert "SELECT command denied" in found.out
    assert "wp_wpbridge_secrets" in found.out
    account.grant("SELECT", "wp_wpbridge_secrets")
    assert "denied" not in account.check().out, "a run writes no secret"


def test_tables_without_auto_increment(account: Account) -> None:
    account.grant(f"{ROWS}, CREATE")
    insert(account.store, make_new("h"))
    change(account.store, "ALTER TABLE wp_actionscheduler_claims MODIFY claim_id bigint NOT NULL")
    found, run = account.site("check"), account.site(*RUN)
    assert (found.code, run.code) == (78, 78)
    assert "gives new rows no ids" in found.err


# What takes no writes


@pytest.mark.parametrize(
    ("on", "off"),
    [
        ("SET GLOBAL read_only = 1", "SET GLOBAL read_only = 0"),
        ("SET GLOBAL tx_read_only = 1", "SET GLOBAL tx_read_only = 0"),
        (
            "SET GLOBAL init_connect = 'SET SESSION tx_read_only = 1'",
            "SET GLOBAL init_connect = ''",
        ),
    ],
)
def test_a_read_only_server(account: Account, on: str, off: str) -> None:
    (account.site.folder / "wpbridge.toml").write_text("")
    account.make_own()
    account.grant(f"{ROWS}, CREATE")
    account.do(on)
    try:
        found = account.site("check")
        run = account.site(*RUN)
        one = account.site("enqueue", "h")
    finally:
        account.do(off)
    assert (found.code, run.code, one.code) == (78, 69, 69), (found, run, one)
    for done in (found, run, one):
        assert "the database is read-only" in done.err
        assert "Traceback" not in done.err


def test_a_daemon_does_not_start_on_a_read_only_server(account: Account) -> None:
    account.make_own()
    account.grant(ROWS)
    account.do("SET GLOBAL read_only = 1")
    try:
        done = account.site.process("work", "--handlers", "hooks")
    finally:
        account.do("SET GLOBAL read_only = 0")
    assert done.code == 69, done
    assert "the database is read-only" in done.err


NOBODY = 65534


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_file_is_left_as_it_is(
    open_queue: Callable[[str], RunnerStore], tmp_path: Path, mode: str
) -> None:
    store = open_queue(f"sqlite:///{tmp_path}/queue.db")
    query(store, f"PRAGMA journal_mode={mode}")
    store.close()
    before = (tmp_path / "queue.db").read_bytes()
    assert Site(f"sqlite:///{tmp_path}/queue.db", tmp_path, store)("check").code == 0
    assert (tmp_path / "queue.db").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["queue.db"]


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("kept", ["file", "folder", "both"])
def test_a_read_only_file(open_queue: Callable[[str], RunnerStore], mode: str, kept: str) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        dsn = f"sqlite:///{folder}/queue.db"
        store = open_queue(dsn)
        (folder / "hooks.py").write_text(HANDLERS)
        query(store, f"PRAGMA journal_mode={mode}")
        store.close()
        assert Site(dsn, folder, store)("check").code == 0
        (folder / "queue.db").chmod(0o444 if kept in {"file", "both"} else 0o666)
        if kept in {"folder", "both"}:
            folder.chmod(0o555)
        elif not os.geteuid():
            # Handlers are not obeyed in a folder that everybody may write.
            os.chown(folder, NOBODY, -1)
        with nobody():
            site = Site(dsn, folder, store)
            found, run = site("check"), site(*RUN)
        assert (found.code, run.code) == (78, 69), (found, run)
        assert "the database is read-only" in found.err
        assert "the database is read-only" in run.err
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


@contextlib.contextmanager
def nobody() -> Iterator[None]:
    """Root may write everywhere."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
