"""Failures that run again: the same row, later, with its whole history."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from factories import NOW, insert, make_new
from receiver import receiving
from rows import change, column, log_of, query
from wpbridge import Cancel, Retry, Snooze
from wpbridge.action import ActionId
from wpbridge.clock import SystemClock
from wpbridge.executors.handlers import describe
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.executors.webhook import webhook_handler
from wpbridge.runner.identity import identity
from wpbridge.runner.in_hand import Totals
from wpbridge.runner.loop import Limits, Runner
from wpbridge.site.rules import RetryRule, Webhook
from wpbridge.store.base import ClaimFilter
from wpbridge.store.running.runner_store import RunnerStore

RULE = RetryRule(max_attempts=3, base=timedelta(seconds=100))


class At(SystemClock):
    """A clock that stands still where it is put."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment


def run(
    store: RunnerStore,
    handler: Callable[..., Any],
    at: datetime,
    *rules: RetryRule,
    once: bool = False,
) -> Totals:
    clock = At(at)
    handlers = {"h": describe("h", handler, at_most_once=once)}
    executor = ThreadExecutor(handlers, concurrency=1, clock=clock, site="s")
    only = ClaimFilter(hooks=frozenset(handlers))
    runner = Runner(store, executor, clock, identity(), only=only, limits=Limits(), retry=rules)
    return runner.run()


def state(store: RunnerStore, action_id: ActionId) -> tuple[object, int]:
    return column(store, "status", action_id), int(str(column(store, "attempts", action_id)))


def due(store: RunnerStore, action_id: ActionId) -> str:
    return str(column(store, "scheduled_date_gmt", action_id))


def fail(*_values: object) -> None:
    raise ValueError("no good")


def make_due(store: RunnerStore, action_id: ActionId) -> None:
    change(
        store,
        "UPDATE wp_actionscheduler_actions SET scheduled_date_gmt = '2026-11-24 11:00:00'"
        " WHERE action_id = :i",
        i=action_id,
    )


def test_a_failure_is_tried_again_until_the_attempts_are_used_up(store: RunnerStore) -> None:
    (action_id,) = insert(store, make_new())
    for attempt in (1, 2):
        assert run(store, fail, NOW, RULE).retried == 1
        assert state(store, action_id) == ("pending", attempt)
        assert due(store, action_id) > "2026-11-24 12:00:00"
        make_due(store, action_id)
    totals = run(store, fail, NOW, RULE)
    assert (totals.retried, totals.failed) == (0, 1)
    assert state(store, action_id) == ("failed", 3)
    log = log_of(store, action_id)
    started = "action started via wpbridge"
    assert log[0] == "action created"
    assert [line.split(" in ")[0] for line in log[1:]] == [
        started,
        "action retry via wpbridge: retry 2 of 3",
        started,
        "action retry via wpbridge: retry 3 of 3",
        started,
        "action failed via wpbridge: no good",
    ]
    assert log[2].endswith(" s: no good")


def test_without_a_rule_a_failure_is_an_ending(store: RunnerStore) -> None:
    (action_id,) = insert(store, make_new())
    assert run(store, fail, NOW).failed == 1
    assert state(store, action_id) == ("failed", 1)
    (other,) = insert(store, make_new())
    assert run(store, fail, NOW, RetryRule(hook="another")).failed == 1
    assert state(store, other) == ("failed", 1)


def test_a_recurring_action_has_its_successor_only_when_the_attempts_are_used_up(
    store: RunnerStore,
) -> None:
    (action_id,) = insert(store, make_new(interval=3600))
    rule = RetryRule(max_attempts=2, base=timedelta(seconds=100))
    run(store, fail, NOW, rule)
    assert query(store, "SELECT COUNT(*) FROM wp_actionscheduler_actions")[0][0] == 1
    make_due(store, action_id)
    run(store, fail, NOW, rule)
    rows = query(store, "SELECT status FROM wp_actionscheduler_actions ORDER BY action_id")
    assert [row[0] for row in rows] == ["failed", "pending"]


def test_what_a_handler_asks_for_does_not_count_as_failed(store: RunnerStore) -> None:
    (action_id,) = insert(store, make_new())
    asked: list[Exception] = [
        Retry(after=5),
        Snooze(timedelta(seconds=5)),
        Retry(after=5),
        ValueError("now"),
    ]

    def handler() -> None:
        raise asked.pop(0)

    for _ in range(4):
        run(store, handler, NOW, RULE)
        assert state(store, action_id)[0] == "pending"
        make_due(store, action_id)
    assert log_of(store, action_id)[-1].startswith("action retry via wpbridge: retry 2 of 3")


def test_snooze_names_the_date(store: RunnerStore) -> None:
    (action_id,) = insert(store, make_new())
    until = NOW + timedelta(hours=2)

    def handler() -> None:
        raise Snooze(until, "night")

    run(store, handler, NOW, RULE)
    assert due(store, action_id) == "2026-11-24 14:00:00"
    last = log_of(store, action_id)[-1]
    assert last == "action snoozed via wpbridge until 2026-11-24T14:00:00Z: night"


def test_cancel_and_at_most_once_are_endings(store: RunnerStore) -> None:
    def cancel() -> None:
        raise Cancel("no")

    (action_id,) = insert(store, make_new())
    run(store, cancel, NOW, RULE)
    assert state(store, action_id) == ("canceled", 1)
    (once,) = insert(store, make_new())
    run(store, fail, NOW, RULE, once=True)
    assert state(store, once) == ("failed", 1)


def test_resets_and_runs_by_php_do_not_use_up_attempts(store: RunnerStore) -> None:
    (action_id,) = insert(store, make_new())
    change(store, "UPDATE wp_actionscheduler_actions SET attempts = 7")
    run(store, fail, NOW, RULE)
    assert state(store, action_id) == ("pending", 8)
    assert "retry 2 of 3" in log_of(store, action_id)[-1]


def test_a_webhook_that_fails_is_tried_again_by_a_rule(store: RunnerStore) -> None:
    (action_id,) = insert(store, make_new())
    with receiving() as receiver:
        webhook = Webhook(url=f"http://127.0.0.1:{receiver.server_port}/x")
        handlers = {"h": webhook_handler("h", webhook)}
        for status, found in ((500, ("pending", 1)), (200, ("complete", 2))):
            receiver.status = status
            executor = ThreadExecutor(handlers, concurrency=1, clock=At(NOW), site="s")
            only = ClaimFilter(hooks=frozenset(handlers))
            Runner(
                store, executor, At(NOW), identity(), only=only, limits=Limits(), retry=[RULE]
            ).run()
            assert state(store, action_id) == found
            make_due(store, action_id)
        assert len(receiver.posts) == 2
    assert any(line.startswith("action retry via wpbridge: ") for line in log_of(store, action_id))
