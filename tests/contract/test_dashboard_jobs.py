"""The dashboard's jobs of all keys, the deliveries of callbacks, and keys without their secrets."""

from datetime import timedelta
from typing import Any

import pytest

from clocks import FakeClock
from factories import NOW
from rows import change
from wpbridge.access.keys import Allowed, new_key
from wpbridge.action import CALLBACK_HOOK, ActionId
from wpbridge.dashboard import jobs as jobs_module
from wpbridge.dashboard.jobs import Delivery, jobs_of
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.jobs import JobQueue, JobRequest
from wpbridge.store.running.runner_store import RunnerStore

URL = "https://user:pw@receiver.example:8443/hooks/T0K3N?secret=x"
ACTIONS = "wp_actionscheduler_actions"


@pytest.fixture
def jobs(store: RunnerStore) -> JobQueue:
    return JobQueue(store.parts, clock=FakeClock(), close_store=False)


def add(jobs: JobQueue, key: str = "shop", *, callback: Any = None, hook: str = "h") -> str:
    asked = JobRequest(new=Enqueue(hook=hook), key_name=key)
    told = None
    if callback is not None:
        args = {"job": asked.uuid, "url": URL} if callback is True else callback
        told = Enqueue(hook=CALLBACK_HOOK, args=args, group="wpbridge")
    asked = JobRequest(new=Enqueue(hook=hook), key_name=key, uuid=asked.uuid, callback=told)
    [done] = jobs.submit([jobs.prepared(asked)])
    assert done.job is not None
    return done.job.uuid


def callback_id(store: RunnerStore) -> ActionId:
    [found] = store.parts.newest.of_hook(CALLBACK_HOOK, "pending", most=1) or [
        ActionId(int(str(row[0])))
        for row in store.session.run(
            lambda c: c.exec_driver_sql(f"SELECT MAX(action_id) FROM {ACTIONS}").fetchall()
        )
    ]
    return found


def log(store: RunnerStore, action: ActionId, *messages: str) -> None:
    for message in messages:
        change(
            store,
            "INSERT INTO wp_actionscheduler_logs (action_id, message, log_date_gmt, log_date_local)"
            " VALUES (:id, :message, :at, :at)",
            id=action,
            message=message,
            at="2026-11-24 11:00:00",
        )


def put(
    store: RunnerStore, action: ActionId, status: str, at: str | None = "2026-11-24 10:00:00"
) -> None:
    change(
        store,
        f"UPDATE {ACTIONS} SET status = :status, scheduled_date_gmt = :at WHERE action_id = :id",
        status=status,
        at=at,
        id=action,
    )


def test_jobs_of_all_keys_come_page_by_page(
    jobs: JobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "PAGE", 2)
    # Ids of one millisecond are in no order of their own.
    ids = sorted(add(jobs, key) for key in ("shop", "crm", "shop"))
    first = jobs_of(jobs)
    assert [job.record.uuid for job in first.jobs] == [ids[2], ids[1]]
    assert first.following == ids[1]
    last = jobs_of(jobs, before=ids[1])
    assert [job.record.uuid for job in last.jobs] == [ids[0]]
    assert last.following is None
    only = jobs_of(jobs, key_name="crm")
    assert [job.record.key_name for job in only.jobs] == ["crm"]
    assert not jobs_of(jobs, key_name="none").jobs


def test_without_any_job_there_is_nothing(jobs: JobQueue) -> None:
    seen = jobs_of(jobs)
    assert (seen.jobs, seen.following, seen.deliveries, seen.keys) == ((), None, (), ())


def delivery(jobs: JobQueue, shown: jobs_module.Shown) -> Delivery:
    [found] = jobs_of(jobs, shown=shown).deliveries
    return found


def test_a_delivery_waits_for_its_job_and_shows_no_secret(jobs: JobQueue) -> None:
    uuid = add(jobs, callback=True)
    found = delivery(jobs, "waiting")
    assert (found.job, found.target) == (uuid, "https://receiver.example:8443")
    assert (found.tries, found.answer, found.is_waiting, found.next_at) == (0, "", True, None)
    assert not jobs_of(jobs, shown="failed").deliveries


def test_tries_and_the_last_answer_come_from_the_log(store: RunnerStore, jobs: JobQueue) -> None:
    add(jobs, callback=True)
    action = callback_id(store)
    put(store, action, "pending")
    log(
        store,
        action,
        "action started via wpbridge",
        "action retry via wpbridge in 5 s: try 1 of 10: HTTP 500",
        "action started via wpbridge",
        "action retry via wpbridge in 300 s: try 2 of 10: no answer within 20 s",
    )
    found = delivery(jobs, "waiting")
    assert (found.tries, found.answer) == (2, "no answer within 20 s")
    assert found.next_at == NOW - timedelta(hours=2)
    assert found.answered_at == NOW - timedelta(hours=1)
    log(store, action, "action failed via wpbridge: HTTP 500; given up after 10 tries")
    put(store, action, "failed")
    found = delivery(jobs, "failed")
    assert (found.tries, found.answer) == (3, "HTTP 500; given up after 10 tries")
    assert (found.next_at, found.is_waiting) == (None, False)
    put(store, action, "complete")
    found = delivery(jobs, "complete")
    assert (found.tries, found.answer) == (3, "no answer within 20 s")


def test_what_was_refused_was_not_tried(store: RunnerStore, jobs: JobQueue) -> None:
    add(jobs, callback=True)
    action = callback_id(store)
    put(store, action, "failed")
    log(store, action, "action failed via wpbridge: refused: the key does not name the host")
    found = delivery(jobs, "failed")
    assert (found.tries, found.answer) == (0, "refused: the key does not name the host")


@pytest.mark.parametrize(
    ("args", "target"),
    [
        ({"job": "j", "hook": "shop_told", "group": ""}, "shop_told"),
        ({"job": "j", "url": "https://[half"}, ""),
        ({"job": "j", "url": "javascript:alert(1)"}, ""),
        ({"job": 7, "url": ["x"]}, ""),
        (["x"], ""),
        ([], ""),
    ],
)
def test_args_of_others_are_shown_as_far_as_they_go(
    jobs: JobQueue, args: object, target: str
) -> None:
    add(jobs, callback=args)
    assert delivery(jobs, "waiting").target == target


def test_many_deliveries_are_cut(
    store: RunnerStore, jobs: JobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "DELIVERIES", 2)
    for _ in range(3):
        add(jobs, callback=True)
    seen = jobs_of(jobs, shown="waiting")
    assert (len(seen.deliveries), seen.has_more) == (2, True)


def test_keys_are_shown_without_secrets_those_that_count_first(
    store: RunnerStore, jobs: JobQueue
) -> None:
    rights = Allowed(rights=("enqueue",), hooks=("mail*",), callback_hosts=("h.example",)).as_json()
    keys = store.parts.api_keys
    made = {name: new_key(name) for name in ("a-old", "shop", "soon")}
    for name, key in made.items():
        keys.add(name, key.hash, rights=rights, expires_seconds=None, who="a test")
    keys.revoke("a-old", who="a test")
    keys.note_use("shop")
    change(
        store,
        "UPDATE wp_wpbridge_api_keys SET expires_gmt = '2020-01-01 00:00:00' WHERE name = 'soon'",
    )
    keys.rotate(
        "shop",
        "1" * 64,
        expected=made["shop"].hash,
        keep_seconds=900,
        expires_seconds=None,
        who="t",
    )
    found = jobs_of(jobs).keys
    assert [(key.name, key.state, key.has_two) for key in found] == [
        ("shop", "valid", True),
        ("a-old", "revoked", False),
        ("soon", "expired", False),
    ]
    assert found[0].used_at is not None
    assert (found[0].rights, found[0].hooks) == (("enqueue",), ("mail*",))
    assert found[0].callback_hosts == ("h.example",)
    told = repr(found)
    assert not any(key.hash in told or key.secret in told for key in made.values())
