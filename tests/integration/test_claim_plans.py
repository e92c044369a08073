"""The claim's plans on MariaDB: walks of an index, never a sort or a scan of the backlog."""

from collections.abc import Callable

import pytest
from sqlalchemy import Connection, TextClause, event, text

from factories import NOW
from rows import change, query
from wpbridge.clock import to_text
from wpbridge.store.base import ClaimFilter
from wpbridge.store.sqlstore import SqlStore

ROWS = 20_000


@pytest.fixture
def backlog(mysql_dsn: str, open_queue: Callable[[str], SqlStore]) -> SqlStore:
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


def statements(store: SqlStore) -> dict[str, TextClause]:
    found = {k: v for k, v in vars(store._finder).items() if isinstance(v, TextClause)}
    assert len(found) >= 8
    return {name: value for name, value in found.items() if "old" not in name}


VALUES = {
    "now": to_text(NOW), "size": 100, "key": "ours", "first": 1, "above": -1, "level": 10,
}  # fmt: skip


def test_no_statement_sorts_or_scans(backlog: SqlStore) -> None:
    for name, statement in statements(backlog).items():
        values = {**VALUES, **({"key": 1} if name == "_in_group" else {})}
        used = {k: v for k, v in values.items() if f":{k}" in statement.text}
        for row in query(backlog, f"EXPLAIN {statement.text}", **used):
            assert "filesort" not in str(row[-1]), (name, row)
            assert "temporary" not in str(row[-1]), (name, row)
            assert str(row[3]) != "ALL", (name, row)


@pytest.mark.parametrize(
    ("only", "most"),
    [
        (ClaimFilter(), 400),
        (ClaimFilter(hooks=frozenset({"ours"})), 4_000),
        (ClaimFilter(hooks=frozenset({"absent"})), 1_000),
        (ClaimFilter(hooks=frozenset({"o1"})), 5_000),
    ],
)
def test_a_claim_reads_few_rows(backlog: SqlStore, only: ClaimFilter, most: int) -> None:
    """Counted by the server: rows read by a search, in a backlog of twenty thousand."""
    finder = backlog._finder

    def search() -> int:
        def work(connection: Connection) -> int:
            connection.execute(text("FLUSH STATUS"))
            finder.find(
                connection, now=to_text(NOW), limit=100, only=only, groups=None,
                excluded_groups=frozenset(),
            )  # fmt: skip
            rows = connection.execute(text("SHOW SESSION STATUS LIKE 'Handler_read%'"))
            return sum(int(row[1]) for row in rows)

        return backlog.session.run(work)

    assert search() <= most


def test_an_idle_poll_is_one_probe(backlog: SqlStore) -> None:
    change(backlog, "UPDATE wp_actionscheduler_actions SET scheduled_date_gmt = '2030-01-01'")
    asked: list[str] = []
    engine = backlog.session._engine
    event.listen(engine, "before_cursor_execute", lambda *a: asked.append(str(a[2])))
    assert backlog.claim_due(now=NOW, limit=100, only=ClaimFilter()) is None
    assert len(asked) == 1
    assert "LIMIT 1" in asked[0]
