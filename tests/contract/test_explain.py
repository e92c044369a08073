"""Why an action does not run: every reason, on both databases, and in which order they come."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from factories import NOW, insert, make_new
from rows import change, query
from stores import again
from wpbridge import app
from wpbridge.action import ActionId, Status
from wpbridge.clock import to_text
from wpbridge.doctor.explain import CODES, Explanation, explain, gather
from wpbridge.errors import ActionNotFound
from wpbridge.executors.handlers import Handler, describe
from wpbridge.outcome import LogLine
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import Queue
from wpbridge.runner.identity import identity
from wpbridge.site.config import Settings
from wpbridge.site.rules import Limit, Rate, Route
from wpbridge.store.base import ClaimFilter
from wpbridge.store.running.runner_store import RunnerStore

ACTIONS = "wp_actionscheduler_actions"
UPKEEP = "action_scheduler_run_actions_cleanup_hook"
ANY = ClaimFilter()


class At:
    """A clock that stands still."""

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0


@pytest.fixture
def queue(dsn: str, store: RunnerStore, open_queue: Callable[[str], RunnerStore]) -> Queue:
    """Somebody else's look at the queue of ``store``, which is a live runner."""
    return Queue(open_queue(dsn).parts, clock=At(), close_store=False)


def handler(hook: str = "h") -> dict[str, Handler]:
    return {hook: describe(hook, lambda *_: None)}


def why(queue: Queue, action_id: int, **more: Any) -> Explanation:
    settings = Settings(**more.pop("settings", {}))
    handlers, left_out = more.pop("handlers", handler()), more.pop("left_out", ())
    routes = app.routes_of(settings, handlers, left_out=left_out)
    return explain(gather(queue, action_id, settings, routes, now=NOW, **more))


def codes(found: Explanation) -> list[str]:
    assert all(reason.code in CODES and reason.text for reason in found.reasons)
    return [reason.code for reason in found.reasons]


def text_of(found: Explanation, code: str) -> str:
    return next(reason.text for reason in found.reasons if reason.code == code)


def fix_of(found: Explanation, code: str) -> str:
    return next(reason.fix for reason in found.reasons if reason.code == code)


def claim(store: RunnerStore, *ids: ActionId) -> None:
    assert store.claim_due(now=NOW, limit=len(ids), only=ClaimFilter(ids=frozenset(ids)))


def as_php(store: RunnerStore, action_id: int, *, age: int, status: str = "pending") -> None:
    """Held by a runner of PHP's."""
    change(
        store,
        f"UPDATE {ACTIONS} SET claim_id = 999, status = :status, last_attempt_gmt = :at"
        " WHERE action_id = :i",
        status=status,
        at=to_text(NOW - timedelta(seconds=age)),
        i=action_id,
    )


def test_what_is_due_and_free_is_taken_next(store: RunnerStore, queue: Queue) -> None:
    [one] = insert(store, make_new())
    found = why(queue, one)
    assert (codes(found), found.verdict) == (["due"], f"action {one} (h): nothing is in its way")
    assert (found.hook, found.status, found.id) == ("h", "pending", one)


def test_an_unknown_id_is_an_error(queue: Queue) -> None:
    with pytest.raises(ActionNotFound):
        why(queue, 4711)


@pytest.mark.parametrize("status", ["complete", "failed", "canceled"])
def test_what_has_ended_says_when_and_how(store: RunnerStore, queue: Queue, status: str) -> None:
    [one] = insert(store, make_new())
    change(store, f"UPDATE {ACTIONS} SET status = '{status}'")
    store.log([(one, LogLine(message="the last word", at=NOW))])
    found = why(queue, one)
    assert codes(found) == ["ended"]
    assert text_of(found, "ended") == (
        f"it is {status} at 2026-11-24T12:00:00Z; its log ends with: the last word"
    )
    assert fix_of(found, "ended") == (f"wpbridge requeue {one}" if status == "failed" else "")


def test_what_php_failed_for_want_of_a_callback_needs_the_companion_first(
    store: RunnerStore, queue: Queue
) -> None:
    [one] = insert(store, make_new())
    change(store, f"UPDATE {ACTIONS} SET status = 'failed'")
    message = (
        "action failed via WP Cron: Scheduled action for h will not be executed as no callbacks"
        " are registered."
    )
    store.log([(one, LogLine(message=message, at=NOW))])
    command = "wpbridge wp install-plugin --path=/w"
    found = why(queue, one, companion=command)
    assert fix_of(found, "ended") == command
    assert f"the companion plugin first, then `wpbridge requeue {one}`" in text_of(found, "ended")
    there = why(queue, one)
    assert fix_of(there, "ended") == f"wpbridge requeue {one}"
    assert "PHP's runner took it" in text_of(there, "ended")
    unknown = why(queue, one, companion=command, handlers={}, left_out=("shop_hooks",))
    assert fix_of(unknown, "ended") == command
    assert "if wpbridge runs it (the handlers of shop_hooks are not loaded here)" in text_of(
        unknown, "ended"
    )
    foreign = why(queue, one, companion=command, handlers={})
    assert "PHP's runner took it" not in text_of(foreign, "ended")


def test_what_was_requeued_need_not_be_requeued(store: RunnerStore, queue: Queue) -> None:
    [one] = insert(store, make_new())
    change(store, f"UPDATE {ACTIONS} SET status = 'failed'")
    queue.requeue([one])
    assert fix_of(why(queue, one), "ended") == ""


def test_a_limit_without_room_is_named(store: RunnerStore, queue: Queue) -> None:
    [one, two, other] = insert(store, make_new("mail"), make_new("mail"), make_new())
    claim(store, one)
    limit = Limit(hook="mail", max_concurrency=1, rate=Rate(count=30, per=timedelta(minutes=1)))
    settings = {"limits": (limit,)}
    found = why(queue, two, settings=settings)
    assert codes(found)[0] == "limited"
    assert text_of(found, "limited") == (
        "there is no room just now: hook 'mail' has 1 at once and starts 30 in 60 s; it starts"
        " when there is"
    )
    assert "limited" not in codes(why(queue, other, settings=settings))
    assert "limited" not in codes(why(queue, one, settings=settings))
    assert not query(store, "SELECT name FROM wp_wpbridge_limits")


def test_a_status_that_nobody_knows(store: RunnerStore, queue: Queue) -> None:
    [one] = insert(store, make_new())
    change(store, f"UPDATE {ACTIONS} SET status = 'odd'")
    assert codes(why(queue, one)) == ["unknown-status"]


# Running


def test_running_here_names_the_runner(store: RunnerStore, queue: Queue) -> None:
    [one] = insert(store, make_new())
    held = store.claim_due(now=NOW, limit=1, only=ANY)
    assert held is not None
    line = LogLine(message="action started via wpbridge", at=NOW)
    store.start([(held.actions[0], [line])], now=NOW, once=False)
    found = why(queue, one)
    assert codes(found) == ["running"]
    told = text_of(found, "running")
    assert told.startswith("it runs since 2026-11-24T12:00:00Z, by wpbridge on here, pid 1 (last")
    # Given that this very process were the runner's host, and it is gone
    change(
        store,
        "UPDATE wp_wpbridge_runners SET host = :h, boot = :b, pid_started = '0'",
        h=identity().host,
        b=identity().boot,
    )
    found = why(queue, one)
    assert codes(found) == ["running-dead"]
    assert fix_of(found, "running-dead") == "wpbridge claim-and-run"


@pytest.mark.parametrize(("age", "code"), [(10, "running"), (301, "running-stale")])
def test_running_in_php(store: RunnerStore, queue: Queue, age: int, code: str) -> None:
    [one] = insert(store, make_new())
    as_php(store, one, age=age, status=Status.IN_PROGRESS)
    found = why(queue, one)
    assert codes(found) == [code]
    assert "PHP" in text_of(found, code)


# Handed to Celery

TO_CELERY = {"routes": (Route(to="celery", hook="h", queue="slow"),)}
HANDED = {**TO_CELERY, "celery_broker": "amqp://shop:s3cret@mq"}


def become(store: RunnerStore, kind: str) -> None:
    """Say of a runner that it is of this kind."""
    store.tell_about(json.dumps({"kind": kind}))


def another(dsn: str, open_queue: Callable[[str], RunnerStore], kind: str) -> RunnerStore:
    """A second runner, which is alive."""
    one = open_queue(dsn)
    one.register(host="elsewhere", boot="b", pid=2, pid_started="1")
    become(one, kind)
    return one


def test_what_was_handed_to_celery_waits_for_a_worker(
    dsn: str, store: RunnerStore, queue: Queue, open_queue: Callable[[str], RunnerStore]
) -> None:
    [one] = insert(store, make_new())
    become(store, "relay")
    claim(store, one)
    found = why(queue, one, settings=HANDED)
    assert codes(found) == ["no-celery-worker"]
    assert "to Celery's queue slow by the relay on here, pid 1 (last" in found.reasons[0].text
    assert fix_of(found, "no-celery-worker") == "celery -A wpbridge.celery_app worker"
    another(dsn, open_queue, "celery")
    found = why(queue, one, settings=HANDED)
    assert (codes(found), fix_of(found, "handed")) == (["handed"], "")
    assert found.verdict.endswith("it was handed to Celery, and a worker will start it")
    # The route may be another one by now: whose claim it is counts.
    assert "was handed to Celery by the relay" in why(queue, one).reasons[0].text


def test_what_goes_to_celery_needs_a_relay(
    dsn: str, store: RunnerStore, queue: Queue, open_queue: Callable[[str], RunnerStore]
) -> None:
    [one] = insert(store, make_new())
    another(dsn, open_queue, "celery")
    found = why(queue, one, settings=HANDED)
    assert codes(found) == ["no-relay"]
    assert text_of(found, "no-relay") == (
        "route 1 hands it to Celery's queue slow, and no relay lives: start one"
    )
    assert fix_of(found, "no-relay") == "wpbridge relay"
    become(store, "relay")
    found = why(queue, one, settings=HANDED)
    assert codes(found) == ["due"]
    assert "the relay on here, pid 1" in text_of(found, "due")


def test_a_route_to_celery_that_lacks_something_says_what(store: RunnerStore, queue: Queue) -> None:
    [one] = insert(store, make_new())
    found = why(queue, one, settings=TO_CELERY)
    assert codes(found)[0] == "no-handler"
    assert "(route 1 says celery, but [celery] broker is not set)" in found.reasons[0].text
    found = why(queue, one, settings=HANDED, handlers={})
    assert "(route 1 says celery, but there is no handler)" in found.reasons[0].text


def test_a_worker_of_celery_is_named_as_one(store: RunnerStore, queue: Queue) -> None:
    [one] = insert(store, make_new())
    become(store, "celery")
    claim(store, one)
    change(store, f"UPDATE {ACTIONS} SET status = 'in-progress'")
    assert "by a worker of Celery on here, pid 1" in text_of(why(queue, one), "running")


@pytest.mark.parametrize("kind", ["relay", "celery"])
def test_who_only_hands_over_runs_nothing_that_stays(
    store: RunnerStore, queue: Queue, kind: str
) -> None:
    [one] = insert(store, make_new())
    become(store, kind)
    assert codes(why(queue, one)) == ["no-runner"]
    become(store, "work")
    assert codes(why(queue, one)) == ["due"]


# Claimed


def test_claimed_by_a_live_runner(store: RunnerStore, queue: Queue) -> None:
    [one] = insert(store, make_new())
    claim(store, one)
    found = why(queue, one)
    assert codes(found) == ["claimed"]
    assert "wpbridge on here, pid 1" in text_of(found, "claimed")


def test_claimed_by_a_dead_one(store: RunnerStore, queue: Queue) -> None:
    [one] = insert(store, make_new())
    claim(store, one)
    change(
        store,
        "UPDATE wp_wpbridge_runners SET host = :h, boot = :b, pid_started = '0'",
        h=identity().host,
        b=identity().boot,
    )
    found = why(queue, one)
    assert codes(found) == ["claimed-by-dead"]
    assert fix_of(found, "claimed-by-dead") == "wpbridge claim-and-run"


@pytest.mark.parametrize(
    ("age", "code", "fix"),
    [(20, "claimed", ""), (400, "claim-stale", "wpbridge release-claims --stale")],
)
def test_claimed_by_php(store: RunnerStore, queue: Queue, age: int, code: str, fix: str) -> None:
    [one] = insert(store, make_new())
    as_php(store, one, age=age)
    found = why(queue, one)
    assert (codes(found), fix_of(found, code)) == ([code], fix)


# Not yet


def test_not_due_yet(store: RunnerStore, queue: Queue) -> None:
    [one] = insert(store, make_new(due_in=7200))
    found = why(queue, one)
    assert codes(found) == ["future"]
    assert "due in 2 h, at 2026-11-24T14:00:00Z" in text_of(found, "future")


def test_put_off_by_its_handler(store: RunnerStore, queue: Queue) -> None:
    [one] = insert(store, make_new(due_in=600))
    store.log([(one, LogLine(message="action retry via wpbridge in 600 s: busy", at=NOW))])
    found = why(queue, one)
    assert codes(found) == ["retry-later"]
    assert "busy" in text_of(found, "retry-later")


def test_waiting_for_others(queue: Queue) -> None:
    first = queue.enqueue(Enqueue(hook="h", at="+1h"))
    assert first is not None
    one = queue.enqueue(Enqueue(hook="h", after=[first]))
    assert one is not None
    found = why(queue, one)
    assert codes(found) == ["waits-for"]
    assert f"action {first} (pending)" in text_of(found, "waits-for")


def test_held_since_another_failed(store: RunnerStore, queue: Queue) -> None:
    first = queue.enqueue(Enqueue(hook="h"))
    second = queue.enqueue(Enqueue(hook="h", at="+1h"))
    assert first is not None
    assert second is not None
    one = queue.enqueue(Enqueue(hook="h", after=[first, second]))
    assert one is not None
    change(store, f"UPDATE {ACTIONS} SET status = 'failed' WHERE action_id = :i", i=first)
    found = why(queue, one)
    assert codes(found) == ["held", "waits-for"]
    assert fix_of(found, "held") == f"wpbridge requeue {first}"
    assert str(second) not in text_of(found, "held")


def test_no_date_and_no_wait(store: RunnerStore, queue: Queue) -> None:
    [one] = insert(store, make_new())
    change(store, f"UPDATE {ACTIONS} SET scheduled_date_gmt = NULL")
    found = why(queue, one)
    assert codes(found) == ["no-date"]
    assert fix_of(found, "no-date") == f"wpbridge reschedule {one} --at now"


def test_a_zero_date_is_due(store: RunnerStore, queue: Queue) -> None:
    [one] = insert(store, make_new())
    change(store, f"UPDATE {ACTIONS} SET scheduled_date_gmt = '0000-00-00 00:00:00'")
    assert codes(why(queue, one)) == ["due"]


# Paused


def test_paused_by_hook_group_and_all(store: RunnerStore, queue: Queue) -> None:
    [one] = insert(store, make_new(group="a b"))
    queue.pause(hooks=["h"], until="+1h", reason="mail is down")
    queue.pause(groups=["a b"])
    queue.pause(everything=True)
    queue.pause(hooks=["H"], groups=["other"])
    found = why(queue, one)
    assert codes(found) == ["paused"] * 3
    assert {reason.fix for reason in found.reasons} == {
        "wpbridge resume --all",
        "wpbridge resume --hook h",
        "wpbridge resume --group 'a b'",
    }
    told = " ".join(reason.text for reason in found.reasons)
    assert "hook 'h' is paused until 2026-11-24T13:00:00Z: mail is down" in told


def test_a_pause_that_is_over_is_none(store: RunnerStore, queue: Queue) -> None:
    [one] = insert(store, make_new())
    queue.pause(hooks=["h"], until="+1h")
    change(store, "UPDATE wp_wpbridge_pauses SET until_gmt = :at", at=to_text(NOW))
    assert codes(why(queue, one)) == ["due"]


# Where it goes


def test_no_handler_here(store: RunnerStore, queue: Queue) -> None:
    [one] = insert(store, make_new())
    found = why(queue, one, handlers={})
    assert codes(found) == ["no-handler"]
    told = text_of(found, "no-handler")
    assert "no handler is here, and php is off" in told
    assert told.endswith("nobody else runs it: there is no WordPress around this queue")
    change(store, "CREATE TABLE wp_options (option_name varchar(191), option_value text)")
    told = text_of(why(queue, one, handlers={}), "no-handler")
    assert told.endswith("the plugin's own runner takes it, which has not been seen for an hour")
    store.log([(one, LogLine(message="action started via WP Cron", at=NOW))])
    told = text_of(why(queue, one, handlers={}), "no-handler")
    assert told.endswith("the plugin's own runner takes it")
    owned = why(queue, one, handlers={}, settings={"owns_site": True})
    assert "nobody else runs it" in text_of(owned, "no-handler")


def test_a_route_that_leaves_it_says_so(store: RunnerStore, queue: Queue) -> None:
    [one] = insert(store, make_new())
    found = why(queue, one, settings={"routes": (Route(hook="h*", to="leave"),)})
    assert codes(found) == ["no-handler"]
    assert "route 1" in text_of(found, "no-handler")


def test_the_plugins_upkeep_is_left_to_it(store: RunnerStore, queue: Queue) -> None:
    [one] = insert(store, make_new(UPKEEP))
    assert codes(why(queue, one)) == ["upkeep"]
    assert codes(why(queue, one, settings={"owns_site": True, "php": True})) == ["not-asked"]


@pytest.mark.parametrize(
    ("php", "callback", "expected"),
    [
        (True, None, ["not-asked"]),
        (True, True, ["due"]),
        (True, False, ["no-callback"]),
        (False, False, ["no-handler", "no-callback"]),
    ],
)
def test_php_without_a_callback(
    store: RunnerStore, queue: Queue, *, php: bool, callback: bool | None, expected: list[str]
) -> None:
    [one] = insert(store, make_new())
    found = why(queue, one, handlers={}, settings={"php": php}, callback=callback)
    assert codes(found) == expected


def test_nothing_is_said_of_a_callback_that_nobody_asked_for(
    store: RunnerStore, queue: Queue
) -> None:
    [one] = insert(store, make_new())
    php = {"php": True}
    found = why(queue, one, handlers={}, settings=php)
    assert found.verdict.endswith("but PHP was not asked for a callback")
    assert fix_of(found, "not-asked") == f"wpbridge explain {one} --php --ask-wordpress"
    assert "without one wpbridge holds it back" in text_of(found, "not-asked")
    with_handlers = why(queue, one, handlers={}, settings=php | {"handlers": ("shop_hooks",)})
    fix = f"wpbridge explain {one} --handlers shop_hooks --php --ask-wordpress"
    assert fix_of(with_handlers, "not-asked") == fix
    fails = why(queue, one, handlers={}, settings=php | {"missing_callback": "fail"})
    assert "without one wpbridge fails it" in text_of(fails, "not-asked")
    asked = why(
        queue, one, handlers={}, settings=php | {"missing_callback": "fail"}, callback=False
    )
    assert "wpbridge fails it" in text_of(asked, "no-callback")
    # A run has met it: that is known, and how old the knowledge is.
    queue.store.held.tell(["h"])
    found = why(queue, one, handlers={}, settings=php)
    assert codes(found) == ["no-callback"]
    assert "not asked just now" in text_of(found, "no-callback")
    assert codes(why(queue, one, handlers={}, settings=php, callback=True)) == ["due"]
    # That is in its way for longer than others who come first.
    insert(store, make_new(due_in=-900))
    assert codes(why(queue, one, handlers={}, settings=php)) == ["no-callback", "behind"]
    change(store, f"DELETE FROM {ACTIONS} WHERE action_id <> :i", i=one)
    assert codes(why(queue, one)) == ["due"], "Python runs it"
    # What is left to the plugin is run in PHP as well.
    left = why(queue, one, handlers={}, may_ask=True)
    assert codes(left) == ["no-handler", "not-asked"]
    assert "without one the plugin's runner fails it" in text_of(left, "not-asked")
    assert fix_of(left, "not-asked") == f"wpbridge explain {one} --ask-wordpress"
    ours = why(queue, one, handlers={}, may_ask=True, settings={"owns_site": True})
    assert codes(ours) == ["no-handler"]
    # A date that has not come does not hide it.
    [later] = insert(store, make_new(due_in=3600))
    assert codes(why(queue, later, handlers={}, settings=php)) == ["future", "no-callback"]


# What it holds


def test_a_schedule_of_another_plugin(store: RunnerStore, queue: Queue) -> None:
    [one] = insert(store, make_new())
    change(store, f"UPDATE {ACTIONS} SET schedule = :s", s='O:8:"Odd_Kind":0:{}')
    found = why(queue, one)
    assert codes(found) == ["foreign-schedule"]
    assert "Odd_Kind" in text_of(found, "foreign-schedule")


@pytest.mark.parametrize(
    ("column", "value"), [("args", "{"), ("args", "5"), ("schedule", "O:1"), ("schedule", "")]
)
def test_what_cannot_be_read(store: RunnerStore, queue: Queue, column: str, value: str) -> None:
    [one] = insert(store, make_new())
    change(store, f"UPDATE {ACTIONS} SET {column} = :v", v=value)
    found = why(queue, one)
    assert codes(found) == ["corrupt"]
    assert fix_of(found, "corrupt") == f"wpbridge cancel {one}"


# Others


def test_behind_others_in_the_order_of_a_claim(store: RunnerStore, queue: Queue) -> None:
    insert(store, *[make_new(due_in=-100 - n) for n in range(4)])
    insert(store, make_new(due_in=-10), make_new(due_in=-500, priority=20))
    insert(store, make_new(priority=5, due_in=-1), make_new(due_in=500, priority=1))
    [one] = insert(store, make_new(due_in=-50))
    found = why(queue, one)
    assert codes(found) == ["behind"]
    assert text_of(found, "behind").startswith("5 due action(s) come first")
    # The claim agrees
    claimed = store.claim_due(now=NOW, limit=6, only=ANY)
    assert claimed is not None
    assert claimed.actions[-1].id == one


@pytest.mark.parametrize("dsn", ["mariadb"], indirect=True)
@pytest.mark.parametrize("has_column", [True, False])
def test_behind_others_in_old_tables(store: RunnerStore, queue: Queue, *, has_column: bool) -> None:
    """Of schema 7, without the index, and of schema 6, without the priority."""
    change(store, f"ALTER TABLE {ACTIONS} DROP INDEX claim_id_status_priority_scheduled_date_gmt")
    [_, _, one] = insert(
        store, make_new(due_in=-10, priority=5), make_new(due_in=-100), make_new(due_in=-50)
    )
    if not has_column:
        change(store, f"ALTER TABLE {ACTIONS} DROP COLUMN priority")
    found = why(Queue(again(store).parts, close_store=False), one)
    assert text_of(found, "behind").startswith("2 due" if has_column else "1 due")


def test_attempts_go_before_dates(store: RunnerStore, queue: Queue) -> None:
    [other, one] = insert(store, make_new(due_in=-10), make_new(due_in=-500))
    change(store, f"UPDATE {ACTIONS} SET attempts = 2 WHERE action_id = :i", i=one)
    change(store, f"UPDATE {ACTIONS} SET attempts = 1 WHERE action_id = :i", i=other)
    assert codes(why(queue, one)) == ["behind"]
    assert codes(why(queue, other)) == ["due"]


def test_nobody_is_running(store: RunnerStore, queue: Queue) -> None:
    [one] = insert(store, make_new())
    change(store, "UPDATE wp_wpbridge_runners SET beat_gmt = '2026-01-01 00:00:00'")
    found = why(queue, one)
    assert codes(found) == ["no-runner"]
    assert "wpbridge on here, pid 1" in text_of(found, "no-runner")
    # A run that held all that it took has written nothing but the date of its claim.
    change(
        store,
        f"UPDATE {ACTIONS} SET last_attempt_gmt = :at",
        at=to_text(NOW - timedelta(minutes=59)),
    )
    assert codes(why(queue, one)) == ["due"]
    change(
        store,
        f"UPDATE {ACTIONS} SET last_attempt_gmt = :at",
        at=to_text(NOW - timedelta(minutes=61)),
    )
    assert codes(why(queue, one)) == ["no-runner"]
    # Given a sign of PHP's, or an action that is not due, nobody is missed
    store.log([(one, LogLine(message="action complete via Async Request", at=NOW))])
    assert codes(why(queue, one)) == ["due"]
    [later] = insert(store, make_new(due_in=60))
    assert codes(why(queue, later)) == ["future"]


def test_all_that_applies_is_told_the_most_decisive_first(store: RunnerStore, queue: Queue) -> None:
    [one] = insert(store, make_new(due_in=100))
    queue.pause(everything=True)
    change(store, f"UPDATE {ACTIONS} SET args = '{{'")
    found = why(queue, one, handlers={})
    assert codes(found) == ["future", "paused", "no-handler", "corrupt"]
    assert found.verdict == f"action {one} (h): it is not due yet (and 3 more reasons)"
