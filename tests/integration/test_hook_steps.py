"""Stepping over the hooks on MariaDB: one read for each, however long the backlog is."""

from collections.abc import Callable

import pytest

from rows import change, query
from stores import again
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.running.runner_store import RunnerStore

COLLATIONS = (
    "utf8mb4_unicode_520_ci",
    "utf8mb4_unicode_ci",
    "utf8mb4_general_ci",
    "utf8mb4_bin",
    "latin1_swedish_ci",
    "utf8mb3_general_ci",
)


@pytest.mark.parametrize("collation", COLLATIONS)
def test_each_hook_is_one_read(
    mysql_dsn: str, open_queue: Callable[[str], RunnerStore], collation: str
) -> None:
    store = open_queue(mysql_dsn)
    charset = collation.partition("_")[0]
    change(
        store,
        "ALTER TABLE wp_actionscheduler_actions"
        f" CONVERT TO CHARACTER SET {charset} COLLATE {collation}",
    )
    change(
        store,
        "INSERT INTO wp_actionscheduler_actions (hook, status, scheduled_date_gmt) SELECT"
        " CONCAT('o', seq % 9, IF(seq % 2, '_x', ' y')), 'pending', '2026-11-01'"
        " FROM seq_1_to_9000",
    )
    store = again(store)
    inventory = store._claiming._finder._inventory

    def step(connection: Connection) -> tuple[list[str] | None, int]:
        connection.execute(text("FLUSH STATUS"))
        names = inventory.names(connection)
        rows = connection.execute(text("SHOW SESSION STATUS LIKE 'Handler_read%'"))
        return names, sum(int(row[1]) for row in rows)

    names, reads = store.session.run(step)
    assert names is not None
    assert set(names) == {f"o{n}{end}" for n in range(9) for end in ("_x", " y")}
    assert reads == 19
    (plan,) = query(store, f"EXPLAIN {inventory._next.text}", last="o4_x")  # type: ignore[union-attr]
    assert plan[3] == "range"
    assert "filesort" not in str(plan[-1])
