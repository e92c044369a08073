"""Each change of the table: what it changes, what it leaves to runners, and its audit rows."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from factories import NOW
from rows import change, column, log_of, query, set_status
from stores import again, registered
from wpbridge.action import ActionId
from wpbridge.codec import schedule
from wpbridge.errors import InputError
from wpbridge.queue.commands import COMMANDS, carry_out
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import Queue
from wpbridge.queue.jobs import JobQueue
from wpbridge.store.base import ClaimFilter
from wpbridge.store.records import Change, Query
from wpbridge.store.running.runner_store import RunnerStore

FAR = "2036-01-01T00:00:00Z"
TOLD: dict[str, dict[str, Any]] = {
    "reschedule": {"at": FAR},
    "priority": {"priority": "3"},
    "cancel": {"reason": "why not"},
}
"""What each change of actions is given."""
CHANGES = {
    "run": {"pending"},
    "cancel": {"claimed", "pending"},
    "requeue": {"complete", "failed", "canceled"},
    "reschedule": {"pending"},
    "priority": {"pending"},
    "delete": {"pending", "complete", "failed", "canceled"},
}
"""The states of actions that each change may touch."""


@pytest.fixture
def jobs(queue: Queue) -> JobQueue:
    return JobQueue.beside(queue)


def audited(queue: Queue) -> list[tuple[str, str, str, dict[str, Any]]]:
    """Who, verb, thing and detail of each row of the audit table."""
    rows = query(
        queue.store, "SELECT who, verb, object, detail FROM wp_wpbridge_audit ORDER BY audit_id"
    )
    return [(str(w), str(v), str(o), json.loads(str(d))) for w, v, o, d in rows]


def do(jobs: JobQueue, verb: str, which: Any = (), **told: Any) -> Change:
    return carry_out(jobs, verb, which, told, who="user:anna", address="192.0.2.7")


def state_of(queue: Queue, ids: Sequence[int]) -> list[object]:
    rows = query(queue.store, "SELECT * FROM wp_actionscheduler_actions ORDER BY action_id")
    return [row for row in rows if row[0] in ids]


@pytest.fixture
def one_of_each(queue: Queue) -> dict[str, ActionId]:
    """An action of each state there is."""
    ids = {"claimed": queue.enqueue_async("h") or ActionId(0)}
    taken = registered(queue.store).claim_due(
        now=NOW, limit=9, only=ClaimFilter(hooks=frozenset({"h"}))
    )
    assert taken is not None
    for status in ("pending", "in-progress", "complete", "failed", "canceled"):
        ids[status] = queue.schedule_single(NOW + timedelta(hours=1), "h") or ActionId(0)
        set_status(queue.store, ids[status], status)
    return ids


@pytest.mark.parametrize("verb", [v for v, one in COMMANDS.items() if one.kind == "actions"])
def test_a_change_leaves_to_runners_what_is_theirs(
    queue: Queue, jobs: JobQueue, one_of_each: dict[str, ActionId], verb: str
) -> None:
    changed = {one_of_each[state] for state in CHANGES[verb]}
    others = sorted(set(one_of_each.values()) - changed)
    before = state_of(queue, others)
    done = do(jobs, verb, one_of_each.values(), **TOLD.get(verb, {}))
    assert set(done.ids) == changed
    assert set(done.skipped) == set(others)
    assert state_of(queue, others) == before
    [(who, told, thing, detail)] = audited(queue)
    assert (who, told) == ("user:anna", verb)
    assert thing.startswith("actions 1, 2, 3")
    assert detail["changed"] == len(changed) == done.count
    assert sorted(detail["ids"]) == sorted(changed)
    assert detail["address"] == "192.0.2.7"
    # What was left has no row.
    assert do(jobs, verb, others, **TOLD.get(verb, {})).count == 0
    assert len(audited(queue)) == 1


@pytest.mark.parametrize("verb", [v for v, one in COMMANDS.items() if one.kind == "actions"])
def test_a_row_that_a_runner_claims_in_between_is_left(
    queue: Queue, jobs: JobQueue, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guard is in SQL: what was free when it was read is claimed when it is written."""
    one = queue.enqueue_async("h") or ActionId(0)
    if verb == "requeue":
        set_status(queue.store, one, "failed")
    existing = queue.store.reading.existing

    def claimed_behind(ids: Sequence[int]) -> Any:
        found = existing(ids)
        change(
            queue.store,
            "UPDATE wp_actionscheduler_actions SET status = 'in-progress', claim_id = 9",
        )
        return found

    monkeypatch.setattr(queue.store.reading, "existing", claimed_behind)
    done = do(jobs, verb, [one], **TOLD.get(verb, {}))
    assert done.ids == ()
    assert done.skipped == {one: "it changed meanwhile"}
    assert column(queue.store, "status", one) == "in-progress"
    assert audited(queue) == []


def test_priorities_are_set_with_a_row_in_the_log(queue: Queue, jobs: JobQueue) -> None:
    one = queue.schedule_single("+1h", "h") or ActionId(0)
    assert do(jobs, "priority", [one], priority=0).ids == (one,)
    assert column(queue.store, "priority", one) == 0
    assert log_of(queue.store, one)[-1] == "priority set via wpbridge to 0"
    assert do(jobs, "priority", [one], priority=0).skipped == {one: "it has this priority"}
    for wrong in ("256", -1, True, "high"):
        with pytest.raises(InputError, match=r"^priority: a whole number from 0 to 255"):
            do(jobs, "priority", [one], priority=wrong)


def test_run_makes_due_and_skips_what_waits_for_others(queue: Queue, jobs: JobQueue) -> None:
    first = queue.schedule_recurring("+1h", 3600, "h") or ActionId(0)
    waiting = queue.enqueue(Enqueue(hook="h", after=[first])) or ActionId(0)
    done = do(jobs, "run", [first, waiting])
    assert done.ids == (first,)
    assert done.skipped == {waiting: "it waits for others: explain says for which"}
    assert queue.get(first).scheduled_at == NOW
    # It goes on recurring.
    kept = schedule.recurring(queue.get(first).schedule)
    assert isinstance(kept, schedule.Interval)
    assert not queue.get(waiting).is_dated


def test_a_schedule_is_edited_of_one_recurring_action(queue: Queue, jobs: JobQueue) -> None:
    one = queue.schedule_recurring("+1h", 3600, "h") or ActionId(0)
    single = queue.schedule_single("+1h", "h") or ActionId(0)
    assert do(jobs, "edit-schedule", [one], interval="2h").ids == (one,)
    kept = schedule.recurring(queue.get(one).schedule)
    assert isinstance(kept, schedule.Interval)
    assert kept.seconds == 7200
    assert queue.get(one).scheduled_at == NOW + timedelta(hours=1)
    assert do(jobs, "edit-schedule", [one], cron="0 3 * * *", tz="Europe/Rome").ids == (one,)
    assert queue.zones_of([one]) == {one: "Europe/Rome"}
    for which, told, why in (
        ([single], {"interval": 60}, "does not recur"),
        ([one, single], {"interval": 60}, "for one action"),
        (Query(hooks=("h",)), {"interval": 60}, "for one action"),
        ([one], {}, "cron: give either"),
        ([one], {"interval": 60, "cron": "* * * * *"}, "cron: give either"),
        ([one], {"interval": 0}, "interval: a second at least"),
        ([one], {"cron": "nonsense"}, "cron: "),
    ):
        with pytest.raises(InputError, match=why):
            do(jobs, "edit-schedule", which, **told)
    assert [detail["changed"] for _, _, _, detail in audited(queue)] == [1, 1]


def test_pauses_are_noted_by_what_they_hold(queue: Queue, jobs: JobQueue) -> None:
    assert do(jobs, "pause", hook="mail", **{"for": "2h"}, reason="x").things == ("hook mail",)
    assert do(jobs, "pause", group="").things == ("group ",)
    assert do(jobs, "pause", everything="on").things == ("everything",)
    [one, _, other] = sorted(queue.pauses(), key=lambda pause: pause.name, reverse=True)
    assert (one.until, one.reason, other.until) == (NOW + timedelta(hours=2), "x", None)
    assert do(jobs, "resume", hook="mail").count == 1
    assert do(jobs, "resume", hook="mail").count == 0
    assert do(jobs, "resume", everything=True).count == 2
    for told in ({}, {"hook": "a", "group": "b"}, {"everything": "false"}):
        with pytest.raises(InputError, match="give one of hook, group, and everything"):
            do(jobs, "pause", **told)
    assert [(verb, thing, detail["changed"]) for _, verb, thing, detail in audited(queue)] == [
        ("pause", "hook mail", 1),
        ("pause", "group ", 1),
        ("pause", "everything", 1),
        ("resume", "hook mail", 1),
        ("resume", "everything", 2),
    ]


def test_an_action_is_added_with_one_row_that_has_no_args(queue: Queue, jobs: JobQueue) -> None:
    done = do(jobs, "enqueue", hook="h", args='["secret"]', group="new", unique="on", at="+1h")
    [one] = done.ids
    assert queue.get(one).group == "new"
    assert queue.get(one).args == b'["secret"]'
    with pytest.raises(InputError, match=r"^unique: "):
        do(jobs, "enqueue", hook="h", args='["secret"]', group="new", unique="on")
    with pytest.raises(InputError, match=r"^hook: hooks that begin with wpbridge_"):
        do(jobs, "enqueue", hook="wpbridge_bulk")
    [(_, verb, thing, detail)] = audited(queue)
    assert (verb, thing, detail["changed"]) == ("enqueue", "hook h, group new", 1)
    assert "secret" not in json.dumps(detail)


def test_a_change_by_a_query_notes_each_page(queue: Queue, jobs: JobQueue) -> None:
    queue.enqueue_many([Enqueue(hook="h", at="+1h") for _ in range(1200)])
    assert do(jobs, "cancel", Query(hooks=("h",))).count == 1200
    rows = audited(queue)
    assert [(thing, detail["changed"]) for _, _, thing, detail in rows] == [
        ("actions by a filter", 1000),
        ("actions by a filter", 200),
    ]
    assert len(rows[0][3]["ids"]) == 100


@pytest.mark.parametrize("dsn", ["mariadb"], indirect=True)
def test_tables_without_priorities_say_so(store: RunnerStore, queue: Queue) -> None:
    one = queue.schedule_single("+1h", "h") or ActionId(0)
    change(
        queue.store,
        "ALTER TABLE wp_actionscheduler_actions"
        " DROP INDEX claim_id_status_priority_scheduled_date_gmt",
    )
    change(queue.store, "ALTER TABLE wp_actionscheduler_actions DROP COLUMN priority")
    old = JobQueue(again(store).parts, close_store=False)
    with pytest.raises(InputError, match=r"^priority: the tables of this plugin have no"):
        do(old, "priority", [one], priority=3)
    assert old.get(one).status == "pending"
