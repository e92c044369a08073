"""The dashboard's rows of hooks and groups: what waits, how it goes, and the rules that apply."""

from datetime import timedelta

import pytest

from factories import NOW
from remembered import remember
from rows import change
from wpbridge import Queue
from wpbridge.app import routes_of
from wpbridge.dashboard.hooks import (
    LATELY,
    SAMPLED,
    HooksSeen,
    Rules,
    Seen,
    hook_of,
    hooks_of,
    unseen,
)
from wpbridge.site.config import Settings
from wpbridge.site.rules import Limit, RetryRule, Route, Webhook, rate_of
from wpbridge.store.reading.due import SCANNED
from wpbridge.store.rows import inventory
from wpbridge.store.running.runner_store import RunnerStore

ACTIONS = "wp_actionscheduler_actions"
SETTINGS = Settings(
    routes=(Route(to="leave", hook="pay", group="eu"),),
    webhooks={"pay": Webhook(url="https://receiver.example/x")},
    php=True,
    limits=(Limit(hook="m*", max_concurrency=3), Limit(group="eu", rate=rate_of("30/min"))),
    retry=(
        RetryRule(hook="pay", error="Timeout", max_attempts=9),
        RetryRule(hook="pay", max_attempts=4),
        RetryRule(group="eu", max_attempts=2),
    ),
)
RULES = Rules(routes=routes_of(SETTINGS, {}), limits=SETTINGS.limits, retry=SETTINGS.retry)


def seen(store: RunnerStore, rules: Rules = RULES) -> HooksSeen:
    return hooks_of(store.parts, NOW, rules)


def found(of: HooksSeen, name: str, kind: str = "hook") -> Seen:
    row = of.find("hook" if kind == "hook" else "group", name)
    assert row is not None
    return row


def add(
    queue: Queue, hook: str, group: str = "", *, minutes: float = -5, status: str = "pending"
) -> int:
    action = queue.schedule_single(NOW + timedelta(minutes=minutes), hook, [minutes], group=group)
    if status != "pending":
        statement = (
            f"UPDATE {ACTIONS} SET status = :status, last_attempt_gmt = :at WHERE action_id = :id"
        )
        at = (NOW + timedelta(minutes=minutes)).strftime("%Y-%m-%d %H:%M:%S")
        change(queue.store, statement, status=status, at=at, id=action)
    assert action is not None
    return action


def test_an_empty_queue_has_no_rows(store: RunnerStore) -> None:
    rows = seen(store)
    assert (rows.hooks, rows.groups, rows.pauses, rows.is_sampled) == ((), (), (), False)


def test_hooks_and_groups_are_counted(queue: Queue, store: RunnerStore) -> None:
    for minutes in (-5, -9, 30):
        add(queue, "mail", "eu", minutes=minutes)
    add(queue, "mail", minutes=-1)
    add(queue, "pay", "eu", status="in-progress")
    add(queue, "gone", status="complete")
    found_now = seen(store)
    assert [row.name for row in found_now.hooks] == ["mail", "pay"]
    mail = found(found_now, "mail")
    assert (mail.due, mail.pending, mail.running, mail.cap) == (3, 4, 0, 50_000)
    assert mail.oldest_due == NOW - timedelta(minutes=9)
    eu, none = found(found_now, "eu", "group"), found(found_now, "", "group")
    assert (eu.due, eu.pending, eu.running, eu.cap) == (2, 3, 1, None)
    assert (none.due, none.oldest_due) == (1, NOW - timedelta(minutes=1))


def test_rates_waits_and_failures_come_from_the_statistics(
    queue: Queue, store: RunnerStore
) -> None:
    remember(store, NOW, a_minute=6, seconds=2.0)
    row = found(seen(store), "mail")
    assert row.per_minute == pytest.approx(6 * 6 / (LATELY.total_seconds() / 60))
    assert row.took.duration_p95 == pytest.approx(2.425)
    assert (row.ended_day, row.failed_day, row.failure_share) == (36, 0, 0.0)
    later = found(hooks_of(store.parts, NOW + timedelta(hours=1), RULES), "mail")
    assert (later.per_minute, later.took.wait_p50, later.ended_day) == (0.0, None, 36)
    assert not hooks_of(store.parts, NOW + timedelta(hours=25), RULES).hooks


def test_the_rules_of_the_settings_stand_beside_each(queue: Queue, store: RunnerStore) -> None:
    add(queue, "mail")
    add(queue, "pay")
    add(queue, "pay", "eu")
    rows = seen(store)
    mail, pay, eu = found(rows, "mail"), found(rows, "pay"), found(rows, "eu", "group")
    assert (mail.to, mail.limit, mail.retry) == (("php",), SETTINGS.limits[0], None)
    assert set(pay.to) == {"webhook", "leave"}
    assert pay.why == ("webhook", "route 1")
    assert (pay.limit, pay.retry) == (None, SETTINGS.retry[1])
    assert (eu.to, eu.limit, eu.retry) == ((), SETTINGS.limits[1], SETTINGS.retry[2])


def test_pauses_and_held_hooks_are_shown_without_any_action(
    queue: Queue, store: RunnerStore
) -> None:
    queue.pause(hooks=["mail"], groups=["eu"], reason="moving")
    store.parts.held.tell(["lost"])
    add(queue, "lost")
    rows = seen(store)
    mail, eu = found(rows, "mail"), found(rows, "eu", "group")
    assert mail.pause is not None
    assert mail.pause.reason == "moving"
    assert eu.pause is not None
    lost = found(rows, "lost")
    assert (lost.is_held, lost.held, lost.due, lost.pause) == (True, 1, 0, None)
    queue.pause(everything=True, until=NOW + timedelta(hours=1))
    rows = seen(store)
    of_all, own = found(rows, "lost").pause, found(rows, "mail").pause
    assert of_all is not None
    assert own is not None
    assert (of_all.kind, own.kind) == ("all", "hook")
    assert len(rows.pauses) == 3


def test_with_too_many_hooks_they_are_counted_in_samples(
    queue: Queue, store: RunnerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        add(queue, f"hook {number}", minutes=-number - 1)
    add(queue, "hook 0", minutes=9)
    monkeypatch.setattr(inventory, "MOST_HOOKS", 2)
    rows = seen(store)
    assert rows.is_sampled
    assert [(row.name, row.due, row.pending) for row in rows.hooks] == [
        ("hook 0", 1, 2),
        *((f"hook {number}", 1, 1) for number in (1, 2, 3)),
    ]
    assert rows.hooks[0].cap is None


def test_a_full_sample_says_that_there_may_be_more(
    queue: Queue, store: RunnerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        add(queue, "mail", "eu", minutes=-number - 1)
    assert SAMPLED == SCANNED
    monkeypatch.setattr("wpbridge.dashboard.hooks.SAMPLED", 3)
    row = found(seen(store), "eu", "group")
    assert (row.due, row.cap) == (3, 3)


def test_one_hook_has_its_past_and_its_latest_failures(queue: Queue, store: RunnerStore) -> None:
    remember(store, NOW, a_minute=6, seconds=2.0)
    for minutes in (-30, -10, -20):
        action = add(queue, "mail", "eu", minutes=minutes, status="failed")
        change(
            store,
            "INSERT INTO wp_actionscheduler_logs (action_id, message, log_date_gmt, log_date_local)"
            " VALUES (:id, :message, :at, :at)",
            id=action,
            message=f"action failed via wpbridge: no. {minutes}",
            at="2026-11-24 11:00:00",
        )
    add(queue, "Mail", "us", minutes=-1, status="failed")
    row = found(seen(store), "mail")
    hook = hook_of(store.parts, NOW, row, period="24h", zone=NOW.tzinfo)  # type: ignore[arg-type]
    assert hook.past.endings["complete"] == 36
    assert [run.message.rpartition(" ")[2] for run in hook.failures] == ["-10", "-20", "-30"]
    for slug, names in (("eu", ["mail"] * 3), ("us", ["Mail"]), ("none", [])):
        group = Seen(kind="group", name=slug)
        told = hook_of(store.parts, NOW, group, period="7d", zone=NOW.tzinfo)  # type: ignore[arg-type]
        assert [run.hook for run in told.failures] == names, slug


@pytest.mark.parametrize("name", ["no such hook", "", "x" * 300, "\ud800", "🐘\u202e<b>"])
def test_a_hook_that_is_not_there_has_an_empty_page(store: RunnerStore, name: str) -> None:
    store.parts.own.ensure(store.parts.names.stats)
    rows = seen(store)
    for kind in ("hook", "group"):
        one = unseen("hook" if kind == "hook" else "group", name, rows, RULES)
        told = hook_of(store.parts, NOW, one, period="24h", zone=NOW.tzinfo)  # type: ignore[arg-type]
        assert (told.failures, told.past.endings["complete"]) == ((), 0)
