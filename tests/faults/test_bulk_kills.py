"""kill -9 before each statement of a bulk: it goes on, changes nothing twice and leaves nothing out.

The bulk requeues what was requeued before, too, so that no guard but its own keeps it from doing a
page twice.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import warm
from rows import die_before, query, set_status
from stores import open_store
from wpbridge.action import ActionId
from wpbridge.queue import bulk_pages
from wpbridge.queue.bulk import Bulk, preview, start
from wpbridge.queue.bulk_filters import Filter
from wpbridge.queue.bulk_pages import BulkPages
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.jobs import JobQueue
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.queueing.edits import REQUEUED
from wpbridge.store.records import Query
from wpbridge.store.running.runner_store import RunnerStore

ROWS, PAGE = 7, 3


def go_on(store: RunnerStore, one: int) -> None:
    bulk_pages.PAGE = PAGE  # type: ignore[misc]  # small pages
    jobs = JobQueue(store.parts, close_store=False)
    bulk = Bulk.of(json.loads(jobs.get(one).args))
    pages = BulkPages(jobs, ActionId(one), bulk)
    while pages.step():
        pass
    done = pages.progress
    assert (done.changed, dict(done.skipped)) == (ROWS, {}), done


def started(jobs: JobQueue, hook: str) -> ActionId:
    new = [Enqueue(hook=hook, args=[n]) for n in range(ROWS)]
    for one in jobs.enqueue_many(new):
        assert one is not None
        set_status(jobs.store, one, "failed")
    seen = preview(jobs, "requeue", Filter(query=Query(hooks=(hook,))), {"again": True})
    return start(jobs, seen.bulk, ROWS, who="user:anna")


def killed(dsn: str, one: int, statement: int) -> bool:
    command = [sys.executable, __file__, dsn, str(one), str(statement)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = warm.run(command, check=False, timeout=300, capture_output=True, text=True, env=env)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


def test_nothing_is_changed_twice_and_nothing_is_left_out(
    dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    store = open_queue(dsn)
    jobs = JobQueue(store.parts, close_store=False)
    # SQLite takes longer for each commit, and has the same statements.
    statement, kills, stride = 5, 0, 3 if dsn.startswith("sqlite") else 1
    while True:
        hook = f"mail_{statement}"
        one = started(jobs, hook)
        was_killed = killed(dsn, one, statement)
        check_rows(store, one, is_over=not was_killed)
        go_on(store, one)
        check_rows(store, one, is_over=True)
        kills += was_killed
        if not was_killed:
            break
        statement += stride
    assert kills * stride > 30


def check_rows(store: RunnerStore, one: int, *, is_over: bool) -> None:
    """As many were changed as the rows of the audit table say, each once."""
    told = query(
        store,
        "SELECT detail FROM wp_wpbridge_audit WHERE object = :o AND verb = 'requeue'"
        " ORDER BY audit_id",
        o=f"bulk {one}",
    )
    details: list[dict[str, Any]] = [json.loads(str(detail)) for (detail,) in told]
    ids = [i for detail in details for i in detail["ids"]]
    hook = json.loads(JobQueue(store.parts, close_store=False).get(one).args)["filter"]["hooks"][0]
    made = query(
        store,
        "SELECT l.action_id FROM wp_actionscheduler_logs l JOIN wp_actionscheduler_actions a"
        " ON a.action_id = l.action_id WHERE a.hook = :h AND l.message LIKE :m",
        h=hook,
        m=f"{REQUEUED}%",
    )
    assert sorted(int(str(i)) for (i,) in made) == sorted(ids) == sorted(set(ids))
    assert sum(detail["changed"] for detail in details) == len(ids)
    assert len(ids) == ROWS or not is_over


if __name__ == "__main__":
    store_of_child = open_store(DatabaseAddress.from_dsn(sys.argv[1]), "wp_")
    die_before(store_of_child, int(sys.argv[3]))
    go_on(store_of_child, int(sys.argv[2]))
