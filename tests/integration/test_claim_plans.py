"""The claim's plans: walks of an index, never a sort or a scan of the backlog."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from factories import NOW
from rows import change, query
from sent import listen
from wpbridge import app
from wpbridge.clock import to_text
from wpbridge.executors.handlers import describe
from wpbridge.site.config import Settings
from wpbridge.site.rules import Route
from wpbridge.store.base import ClaimFilter
from wpbridge.store.database.connection import Connection, Statement, text
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.store.running.walks import Walk

ROWS = 20_000


@pytest.fixture
def backlog(mysql_dsn: str, open_queue: Callable[[str], RunnerStore]) -> RunnerStore:
    store = open_queue(mysql_dsn)
    change(
        store,
        "INSERT INTO wp_actionscheduler_actions (hook, status, scheduled_date_gmt, priority, args,"
        " schedule, group_id) SELECT IF(seq % 1000 = 0, 'ours', CONCAT('o', seq % 9)), 'pending',"
        " TIMESTAMP('2026-11-01') + INTERVAL (seq * 7919) % 90000 SECOND, 10 + seq % 3, '[]',"
        f" 'O:28:\"ActionScheduler_NullSchedule\":0:{{}}', 1 + (seq % 1000 = 1) FROM seq_1_to_{ROWS}",
    )
    change(store, "ANALYZE TABLE wp_actionscheduler_actions")
    return store


def statements(store: RunnerStore) -> dict[str, Statement]:
    walks = store._claiming._finder._walks
    found = {k: v for k, v in vars(walks).items() if isinstance(v, Statement)}
    for name, walk in vars(walks).items():
        if isinstance(walk, Walk) and walk.index:
            found |= {name: text(walk.rows), f"{name}_seen": text(walk.seen)}
    assert len(found) >= 10
    return found


VALUES = {
    "now": to_text(NOW),
    "size": 100,
    "key": "ours",
    "first": 1,
    "above": 0,
    "level": 10,
}


def test_no_statement_sorts_or_scans(backlog: RunnerStore) -> None:
    for name, statement in statements(backlog).items():
        values = {**VALUES, **({"key": 1} if "in_group" in name else {})}
        used = {k: v for k, v in values.items() if f":{k}" in statement.text}
        for row in query(backlog, f"EXPLAIN {statement.text}", **used):
            assert "filesort" not in str(row[-1]), (name, row)
            assert "temporary" not in str(row[-1]), (name, row)
            # A window that is read already is read whole.
            assert str(row[3]) != "ALL" or "derived" in str(row[2]), (name, row)


def test_a_claim_reads_few_rows(
    backlog: RunnerStore, mysql_dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    """In a backlog of twenty thousand, by runners that have not looked at it before."""
    for only, most in (
        (ClaimFilter(), 400),
        (ClaimFilter(hooks=frozenset({"ours"})), 4_000),
        (ClaimFilter(hooks=frozenset({"absent"})), 1_000),
        (ClaimFilter(hooks=frozenset({"o1"})), 5_000),
    ):
        _, read = search(open_queue(mysql_dsn), only)
        assert read <= most, only


def search(store: RunnerStore, only: ClaimFilter) -> tuple[int, int]:
    """How many candidates a search finds, and how many rows the server says it read.

    Rows of a window are read once more when their best are sent; those reads do not count.
    """

    def work(connection: Connection) -> tuple[int, int]:
        connection.execute(text("FLUSH STATUS"))
        found = store._claiming._finder.find(
            connection,
            now=to_text(NOW),
            limit=100,
            only=only,
            groups=None,
            excluded_groups=frozenset(),
        )
        rows = connection.execute(text("SHOW SESSION STATUS LIKE 'Handler_read%'"))
        return len(found), sum(int(row[1]) for row in rows if "_rnd" not in row[0])

    return store.session.run(work)


OTHERS = tuple(f"o{n}" for n in range(9))


def routed(
    *routes: Route, php: bool = True, hooks: tuple[str, ...] = (), exclude: tuple[str, ...] = ()
) -> ClaimFilter:
    """As a run with these settings and a handler for every hook there is asks for."""
    settings = Settings(php=php, routes=routes, hooks=hooks, exclude_hooks=exclude)
    handlers = {hook: describe(hook, lambda: None) for hook in ("ours", *OTHERS)}
    return app.claim_filter(settings, app.routes_of(settings, handlers))


BEHIND_OTHERS = [
    (routed(Route(hook="o?", to="leave")), 20),
    (routed(Route(hook="o?", group="*", to="leave")), 20),
    (routed(Route(hook="o?", to="webhook")), 20),
    (routed(Route(hook="o*", to="leave")), 0),
    (routed(exclude=OTHERS), 20),
    (routed(Route(hook="o?", to="leave"), hooks=("ours", *OTHERS)), 20),
    (routed(Route(hook="o?", to="leave"), php=False), 20),
    (routed(exclude=OTHERS, php=False), 20),
]
"""What a run asks for, and how many of ours it finds behind others that it leaves alone."""


def test_a_backlog_that_the_routes_leave_alone_is_not_read(
    backlog: RunnerStore, mysql_dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    """Ours come last; the names of the hooks are known by a runner's second look."""
    change(
        backlog,
        "UPDATE wp_actionscheduler_actions SET priority = 20, scheduled_date_gmt = '2026-11-20'"
        " WHERE hook = 'ours'",
    )
    for only, count in BEHIND_OTHERS:
        store = open_queue(mysql_dsn)
        assert search(store, only)[0] == count, only
        found, read = search(store, only)
        assert found == count, only
        assert read <= 1_700, only


@pytest.mark.parametrize(
    "only", [ClaimFilter(hooks=frozenset({"ours"})), *(only for only, _ in BEHIND_OTHERS)]
)
def test_on_sqlite_ten_times_the_backlog_costs_a_claim_no_more(
    open_queue: Callable[[str], RunnerStore], tmp_path: Path, only: ClaimFilter
) -> None:
    """Counted by SQLite: steps of its machine, over the whole claim."""
    small, large = (
        claim_steps(open_queue(f"sqlite:///{tmp_path / str(rows)}"), rows, only)
        for rows in (ROWS // 10, ROWS)
    )
    assert large <= small * 1.2


def claim_steps(store: RunnerStore, others: int, only: ClaimFilter) -> int:
    """Hundreds of steps that a second claim takes; ours are last in the queue."""
    store.register(host="here", boot="boot", pid=1, pid_started="1")
    fill = (
        "INSERT INTO wp_actionscheduler_actions (hook, status, scheduled_date_gmt, args, schedule)"
        " WITH RECURSIVE seq (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < :rows)"
        " SELECT {hook}, 'pending', '{date}', '[]', 'O:28:\"ActionScheduler_NullSchedule\":0:{{}}'"
        " FROM seq"
    )
    change(store, fill.format(hook="'o' || n % 9", date="2026-11-01 00:00:00"), rows=others)
    change(store, fill.format(hook="'ours'", date="2026-11-20 00:00:00"), rows=300)
    store.claim_due(now=NOW, limit=25, only=only)
    hundreds: list[None] = []
    driver = store.session.run(lambda c: c.raw)
    assert isinstance(driver, sqlite3.Connection)
    driver.set_progress_handler(lambda: hundreds.append(None), 100)
    store.claim_due(now=NOW, limit=25, only=only)
    driver.set_progress_handler(None, 0)
    return len(hundreds)


def test_an_idle_poll_is_one_probe(backlog: RunnerStore) -> None:
    change(backlog, "UPDATE wp_actionscheduler_actions SET scheduled_date_gmt = '2030-01-01'")
    asked: list[str] = []
    listen(backlog.session, "before", lambda *a: asked.append(str(a[0])))
    assert backlog.claim_due(now=NOW, limit=100, only=ClaimFilter()) is None
    assert len(asked) == 1
    assert "LIMIT 1" in asked[0]
