"""What our own tables are looked up by is indexed, in queue files of earlier versions as well."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from factories import NOW, insert, make_new
from rows import change, query
from stores import open_store, way_of
from wpbridge.action import ActionId, Status
from wpbridge.clock import to_text
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import Queue
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.store.structure.creation import create_tables
from wpbridge.store.upkeep.retention import Expiry

KEYS = "wp_wpbridge_keys"
OLD = to_text(NOW - timedelta(days=90))
EXPIRY = Expiry(status=Status.COMPLETE, before=NOW - timedelta(days=31))


def reads_all(store: RunnerStore) -> bool:
    """Whether a delete by action's id reads every key."""
    statement = f"DELETE FROM {KEYS} WHERE action_id IN (7, 8)"
    if store.session.address.driver == "sqlite":
        return "SCAN" in str(query(store, f"EXPLAIN QUERY PLAN {statement}"))
    [row] = store.session.run(lambda c: c.exec_driver_sql(f"EXPLAIN {statement}").mappings())
    return row["possible_keys"] is None


def clean(store: RunnerStore, ids: list[ActionId]) -> None:
    assert store.parts.retention.delete(ids, EXPIRY) == 1


def archive(store: RunnerStore, ids: list[ActionId]) -> None:
    store.session.transact(lambda c: store.parts.retention.remove(c, ids))


def delete(store: RunnerStore, ids: list[ActionId]) -> None:
    assert store.parts.edits.delete(ids) == ids


def enqueue(store: RunnerStore, _ids: list[ActionId]) -> None:
    Queue(store.parts, close_store=False).enqueue(Enqueue(hook="h", key="another"))


def init(store: RunnerStore, _ids: list[ActionId]) -> None:
    create_tables(way_of(store), everything=True)


def test_a_new_queue_finds_keys_by_their_actions(
    dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    assert not reads_all(open_queue(dsn))


@pytest.mark.parametrize("deed", [clean, archive, delete, enqueue, init])
def test_an_earlier_file_gets_its_index_when_it_is_written_to(
    tmp_path: Path,
    open_queue: Callable[[str], RunnerStore],
    deed: Callable[[RunnerStore, list[ActionId]], None],
) -> None:
    dsn = f"sqlite:///{tmp_path / 'queue.db'}"
    made = open_queue(dsn)
    ids = insert(made, make_new("h"))
    change(
        made,
        "UPDATE wp_actionscheduler_actions SET status = 'complete', last_attempt_gmt = :d",
        d=OLD,
    )
    change(made, f"INSERT INTO {KEYS} VALUES ('k', {ids[0]}, '{OLD}')")
    for [name] in query(
        made,
        f"SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = '{KEYS}'"
        " AND sql IS NOT NULL",
    ):
        change(made, f'DROP INDEX "{name}"')
    assert reads_all(made)
    store = open_store(DatabaseAddress.from_dsn(dsn), "wp_")
    try:
        deed(store, ids)
        assert not reads_all(store)
    finally:
        store.close()
