"""Jobs: added with their keys and callbacks in one transaction, and followed by their own id."""

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from clocks import FakeClock
from factories import NOW
from rows import change, query, set_status
from wpbridge import Queue
from wpbridge.codec.keys import new_uuid
from wpbridge.errors import ActionNotFound, InputError, StoreError
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.jobs import (
    JobGone,
    JobQueue,
    JobRequest,
    Submitted,
    fingerprint_of,
    scoped_key,
)
from wpbridge.store.running.runner_store import RunnerStore

CALLBACK = Enqueue(hook="wpbridge_callback", args=["later"], group="wpbridge")


@pytest.fixture
def jobs(store: RunnerStore) -> JobQueue:
    return JobQueue(store.parts, clock=FakeClock(), close_store=False)


def asked(
    hook: str = "h", *, key: str = "", body: object = None, callback: bool = False, **more: Any
) -> JobRequest:
    scoped = scoped_key("shop", "POST", "/v1/jobs", key) if key else ""
    return JobRequest(
        new=Enqueue(hook=hook, key=scoped, **more),
        key_name="shop",
        fingerprint=fingerprint_of(body if body is not None else {"hook": hook}),
        callback=CALLBACK if callback else None,
    )


def submit(jobs: JobQueue, asked: Sequence[JobRequest]) -> list[Submitted]:
    return jobs.submit([jobs.prepared(one) for one in asked])


def count(store: RunnerStore, table: str) -> int:
    return len(query(store, f"SELECT 1 FROM wp_{table}"))


def test_ids_are_of_version_7_and_rise() -> None:
    ids = [new_uuid() for _ in range(200)]
    assert {UUID(one).version for one in ids} == {7}
    assert {UUID(one).variant for one in ids} == {UUID(new_uuid()).variant}
    assert len(set(ids)) == 200
    assert [one[:13] for one in ids] == sorted(one[:13] for one in ids)


def test_a_job_is_found_under_its_id(store: RunnerStore, jobs: JobQueue) -> None:
    [done] = submit(jobs, [asked(args=[1], group="g")])
    assert done.is_new
    assert done.job is not None
    job = jobs.job(done.job.uuid)
    assert job is not None
    assert (job.action.hook, job.action.args, job.action.group) == ("h", b"[1]", "g")
    assert (job.status, job.record.key_name, job.ended_at) == ("pending", "shop", None)
    assert jobs.job(new_uuid()) is None


def test_the_status_follows_the_action(store: RunnerStore, jobs: JobQueue) -> None:
    found = submit(
        jobs,
        [
            asked("now"),
            asked("later", at=NOW + timedelta(hours=1)),
            asked("again"),
            asked("behind"),
        ],
    )
    ids = [one.job.uuid for one in found if one.job]
    actions = [one.job.action_id for one in found if one.job]
    table = "wp_actionscheduler_actions"
    change(store, f"UPDATE {table} SET attempts = 1 WHERE hook = 'again'")
    change(store, f"UPDATE {table} SET scheduled_date_gmt = NULL WHERE hook = 'behind'")
    seen = [jobs.job(one) for one in ids]
    assert [one.status for one in seen if one] == ["pending", "scheduled", "retrying", "waiting"]
    for status, shown in (
        ("in-progress", "running"),
        ("complete", "complete"),
        ("failed", "failed"),
        ("canceled", "canceled"),
    ):
        set_status(store, actions[0], status)
        job = jobs.job(ids[0])
        assert job is not None
        assert job.status == shown


def test_the_id_survives_a_requeue(store: RunnerStore, jobs: JobQueue) -> None:
    [done] = submit(jobs, [asked(key="k")])
    assert done.job is not None
    set_status(store, done.job.action_id, "failed")
    queue = Queue(store.parts, clock=FakeClock(), close_store=False)
    made = queue.requeue([done.job.action_id]).made
    job = jobs.job(done.job.uuid)
    assert job is not None
    assert job.action.id == made[done.job.action_id]
    assert job.status == "pending"
    [again] = submit(jobs, [asked(key="k")])
    assert again.job is not None
    assert (again.job.uuid, again.is_new) == (done.job.uuid, False)


def test_a_job_whose_action_is_deleted_is_gone(store: RunnerStore, jobs: JobQueue) -> None:
    [done] = submit(jobs, [asked()])
    assert done.job is not None
    Queue(store.parts, close_store=False).delete([done.job.action_id])
    with pytest.raises(JobGone):
        jobs.job(done.job.uuid)
    assert jobs.jobs_of("shop") == ([], None)
    assert store.parts.jobs.expire(NOW - timedelta(seconds=1), 10) == 0
    assert store.parts.jobs.expire(NOW, 10) == 1
    assert jobs.job(done.job.uuid) is None


def test_one_key_makes_one_job(store: RunnerStore, jobs: JobQueue) -> None:
    first = submit(jobs, [asked(key="k"), asked(key="l"), asked(key="k"), asked()])
    again = submit(jobs, [asked(key="l"), asked(key="k", body="another"), asked(key="m")])
    assert [one.is_new for one in first] == [True, True, False, True]
    assert first[2].job == first[0].job
    assert again[0].job == first[1].job
    assert (again[1].job, again[1].refusal) == (None, "key-reused")
    assert again[2].is_new
    assert count(store, "actionscheduler_actions") == 4
    assert count(store, "wpbridge_jobs") == 4


def test_a_unique_job_is_refused_while_its_like_is_pending(
    store: RunnerStore, jobs: JobQueue
) -> None:
    found = submit(jobs, [asked(unique=True), asked(unique=True), asked("other")])
    assert [one.refusal for one in found] == ["", "not-unique", ""]
    assert count(store, "wpbridge_jobs") == 2


def test_a_callback_waits_for_its_job(store: RunnerStore, jobs: JobQueue) -> None:
    found = submit(jobs, [asked(key="k", callback=True), asked(), asked(key="k", callback=True)])
    assert count(store, "actionscheduler_actions") == 3
    [(callback, due)] = query(
        store,
        "SELECT action_id, scheduled_date_gmt FROM wp_actionscheduler_actions"
        " WHERE hook = 'wpbridge_callback'",
    )
    assert due is None
    assert found[0].job is not None
    assert query(store, "SELECT action_id, after_id, on_failed FROM wp_wpbridge_waits") == [
        (callback, found[0].job.action_id, "run")
    ]


@pytest.mark.parametrize("recurring", [{"cron": "* * * * *"}, {"interval": 60}])
def test_a_recurring_job_has_no_callback(jobs: JobQueue, recurring: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="no end"):
        jobs.prepared(asked(callback=True, **recurring))


def test_a_job_behind_an_action_that_is_not_there_is_refused(jobs: JobQueue) -> None:
    with pytest.raises(ActionNotFound):
        jobs.prepared(asked(after=[4711]))


def test_jobs_of_a_key_come_page_by_page(jobs: JobQueue) -> None:
    made = [one.job.uuid for one in submit(jobs, [asked() for _ in range(5)]) if one.job]
    newest = sorted(made, reverse=True)
    first, following = jobs.jobs_of("shop", limit=2)
    assert [job.record.uuid for job in first] == newest[:2]
    assert following == newest[1]
    page, over = jobs.jobs_of("shop", before=newest[1], limit=9)
    assert over is None
    assert [job.record.uuid for job in page] == newest[2:]
    assert jobs.jobs_of("another") == ([], None)


def test_many_at_once_with_one_key_make_one_job(
    dsn: str, open_queue: Callable[[str], RunnerStore], store: RunnerStore
) -> None:
    queues = [JobQueue(open_queue(dsn).parts, clock=FakeClock()) for _ in range(8)]
    found: list[list[Submitted]] = []
    start = threading.Barrier(8)

    def race(queue: JobQueue) -> None:
        start.wait()
        found.append(submit(queue, [asked(key=name) for name in ("k", "l", "m")]))

    threads = [threading.Thread(target=race, args=[queue]) for queue in queues]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    for place in range(3):
        assert len({getattr(done[place].job, "uuid", None) for done in found}) == 1
        assert sum(done[place].is_new for done in found) == 1
    assert count(store, "actionscheduler_actions") == 3
    assert count(store, "wpbridge_jobs") == 3


def test_nothing_is_left_of_a_batch_that_the_database_refuses(
    store: RunnerStore, jobs: JobQueue
) -> None:
    submit(jobs, [asked()])
    change(store, "DROP TABLE wp_wpbridge_jobs")
    change(store, "CREATE TABLE wp_wpbridge_jobs (uuid CHAR(36) PRIMARY KEY)")
    with pytest.raises(StoreError):
        submit(jobs, [asked(key="k", callback=True), asked("other")])
    assert count(store, "actionscheduler_actions") == 1
    assert count(store, "wpbridge_keys") == 0
