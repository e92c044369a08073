"""An index, or a fix, that is stopped while the server is at it: the server takes it back."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

import warm
from cli_helpers import COMMAND, Site, clean_env
from daemons import until
from factories import insert, make_new
from rows import change, query
from wpbridge.store.database.connection import Connection
from wpbridge.store.running.runner_store import RunnerStore

ACTIONS = "wp_actionscheduler_actions"
READ = f"SELECT action_id FROM {ACTIONS} LIMIT 1"
WAITS = "Waiting for table metadata lock"


@pytest.fixture
def site(mysql_dsn: str, open_queue: Callable[[str], RunnerStore], tmp_path: Path) -> Site:
    it = Site(mysql_dsn, tmp_path, open_queue(mysql_dsn))
    insert(it.store, *[make_new("h", args=(n,)) for n in range(50)])
    return it


def alters(site: Site, state: str = "%") -> list[int]:
    """Connections that change a definition just now."""
    rows = query(
        site.store,
        "SELECT ID FROM information_schema.PROCESSLIST WHERE DB = DATABASE()"
        " AND INFO LIKE 'ALTER TABLE%' AND STATE LIKE :s",
        s=state,
    )
    return [int(str(row[0])) for row in rows]


def stopped(site: Site) -> None:
    """Wait until the server lists no change any more: it says first that the statement has ended.

    A change that nobody has stopped would stay as long as the reader does.
    """
    until(lambda: not alters(site), "the end of the change")


def definition(site: Site) -> str:
    return str(query(site.store, f"SHOW CREATE TABLE {ACTIONS}")[0][1])


@contextmanager
def reading(store: RunnerStore) -> Iterator[Callable[[], None]]:
    """A transaction that has read the table, and keeps its definition as it is until it ends."""
    connection: list[Connection] = []

    def begin(it: Connection) -> None:
        it.exec_driver_sql("START TRANSACTION")
        it.exec_driver_sql(READ).fetchall()
        connection.append(it)

    def end() -> None:
        if connection:
            connection.pop().exec_driver_sql("COMMIT")

    store.session.run(begin)
    try:
        yield end
    finally:
        end()


@contextmanager
def started(site: Site, *words: str) -> Iterator[subprocess.Popen[str]]:
    with warm.Popen(
        [*COMMAND, "migrate", *words],
        cwd=site.folder,
        env=clean_env(site.folder, site.env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def held_at_its_end(
    site: Site, one: RunnerStore, other: RunnerStore, *words: str
) -> Iterator[subprocess.Popen[str]]:
    """The command at the moment when its index is made, and only a reader keeps it from its end.

    The second reader comes while the first one keeps the change from its beginning: it is let in
    when that has begun, and then the change waits for it.
    """
    with reading(one) as let_it_begin, started(site, *words) as process:
        try:
            until(lambda: alters(site, WAITS), "the change waits for the first reader")
            behind = Thread(target=other.session.run, args=(_begin_reading,))
            behind.start()
            until(
                lambda: query(
                    site.store,
                    "SELECT ID FROM information_schema.PROCESSLIST WHERE DB = DATABASE()"
                    f" AND INFO = '{READ}' AND STATE = '{WAITS}'",
                ),
                "the second reader waits behind the change",
            )
            let_it_begin()
            behind.join()
            until(lambda: alters(site, WAITS), "the change waits for the second reader")
            yield process
        finally:
            other.session.run(lambda c: c.exec_driver_sql("COMMIT"))


def _begin_reading(connection: Connection) -> None:
    connection.exec_driver_sql("START TRANSACTION")
    connection.exec_driver_sql(READ).fetchall()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("is_made", [False, True], ids=["before-it-begins", "before-it-ends"])
def test_a_stopped_index_is_taken_back_and_added_by_the_next_call(
    site: Site, open_queue: Callable[[str], RunnerStore], number: int, code: int, *, is_made: bool
) -> None:
    before = definition(site)
    words = ("index", "--lock-wait", "1h")
    one, other = open_queue(site.dsn), open_queue(site.dsn)
    if is_made:
        with held_at_its_end(site, one, other, *words) as process:
            process.send_signal(number)
            out, err = process.communicate(timeout=300)
            stopped(site)
    else:
        with reading(one), started(site, *words) as process:
            until(lambda: alters(site, WAITS), "the change waits for the reader")
            process.send_signal(number)
            out, err = process.communicate(timeout=300)
            stopped(site)
    assert (process.returncode, out) == (code, "")
    assert err == (
        "wpbridge: stopped: the database has taken back what was not done; the same command does"
        " the rest\n"
    )
    assert definition(site) == before
    insert(site.store, make_new("after"))
    assert site.ok("migrate", "index").startswith("added the claim index")
    assert "wpbridge_claim" in definition(site)


def test_a_statement_that_an_administrator_stops_is_not_begun_again(
    site: Site, open_queue: Callable[[str], RunnerStore]
) -> None:
    before = definition(site)
    with reading(open_queue(site.dsn)), started(site, "index", "--lock-wait", "1h") as process:
        [at_work] = until(lambda: alters(site, WAITS), "the change waits for the reader")
        change(site.store, f"KILL QUERY {at_work}")
        out, err = process.communicate(timeout=300)
    assert (process.returncode, out, err.count("\n")) == (1, "", 1)
    assert "stopped" in err
    assert definition(site) == before


def test_a_connection_that_is_cut_is_told_and_nothing_begun_again(
    site: Site, open_queue: Callable[[str], RunnerStore]
) -> None:
    before = definition(site)
    with reading(open_queue(site.dsn)), started(site, "index", "--lock-wait", "1h") as process:
        [at_work] = until(lambda: alters(site, WAITS), "the change waits for the reader")
        change(site.store, f"KILL {at_work}")
        out, err = process.communicate(timeout=300)
    assert (process.returncode, out, err.count("\n")) == (69, "", 1)
    assert "SHOW PROCESSLIST" in err
    assert definition(site) == before


def test_a_fix_that_is_stopped_does_the_rest_when_it_is_called_again(
    site: Site, open_queue: Callable[[str], RunnerStore]
) -> None:
    change(site.store, "ALTER TABLE wp_actionscheduler_groups DROP INDEX slug")
    change(site.store, f"ALTER TABLE {ACTIONS} DROP INDEX group_id")
    before = definition(site)
    words = ("schema", "fix", "--lock-wait", "1h")
    other = query(site.store, "SHOW CREATE TABLE wp_actionscheduler_groups")
    with reading(open_queue(site.dsn)), started(site, *words) as process:
        until(lambda: alters(site, WAITS), "the change waits for the reader")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=300)
    assert (process.returncode, out, err.count("\n")) == (143, "", 1)
    assert definition(site) == before
    assert query(site.store, "SHOW CREATE TABLE wp_actionscheduler_groups") == other
    assert "ran 2 statements" in site("migrate", "schema", "fix").out
    assert query(site.store, f"SHOW INDEX FROM {ACTIONS} WHERE Key_name = 'group_id'")
