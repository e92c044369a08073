"""Recurring chains: what runs next, how it went, and what is wrong with it."""

from datetime import UTC, datetime, timedelta

import pytest

from clocks import FakeClock
from factories import NOW
from rows import change, query
from wpbridge.action import ActionId
from wpbridge.clock import to_text
from wpbridge.dashboard import recurring
from wpbridge.dashboard.recurring import Chain, recurring_of
from wpbridge.outcome import LogLine
from wpbridge.queue.facade import Queue
from wpbridge.store.reading import chain_rows
from wpbridge.store.running.runner_store import RunnerStore

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


def run(
    queue: Queue,
    due: datetime,
    *,
    hook: str = "sync",
    status: str = "complete",
    late: int = 0,
    took: int = 0,
    interval: int = 3600,
    **more: object,
) -> ActionId:
    """One run of a chain that has ended."""
    made = queue.schedule_recurring(due, interval, hook, [1], **more)
    assert made is not None
    began = due + late * SECOND
    change(
        queue.store,
        "UPDATE wp_actionscheduler_actions SET status = :status, last_attempt_gmt = :at"
        " WHERE action_id = :i",
        status=status,
        at=to_text(began),
        i=made,
    )
    lines = [(made, LogLine(message="action started via wpbridge", at=began))]
    lines += [(made, LogLine(message=f"action {status}", at=began + took * SECOND))]
    RunnerStore(queue.store).log(lines)
    return made


def only(queue: Queue, **wish: str) -> Chain:
    [chain] = recurring_of(queue.store, NOW, **wish).chains
    return chain


def test_a_chain_with_its_words_dates_and_runs(queue: Queue) -> None:
    for hours, status in ((4, "complete"), (3, "failed"), (2, "complete")):
        run(queue, NOW - hours * HOUR, status=status, late=30, took=10)
    following = queue.schedule_recurring(NOW + HOUR, 3600, "sync", [1])

    chain = only(queue)

    assert chain.record.id == following
    assert (chain.state, chain.words, chain.interval) == ("waiting", "every hour", 3600)
    assert list(chain.dates) == [NOW + hours * HOUR for hours in range(1, 6)]
    assert [end.status for end in chain.endings] == ["complete", "failed", "complete"]
    assert chain.last is not None
    assert chain.last.due == NOW - 2 * HOUR
    assert (chain.late_seconds, chain.took_seconds, chain.slips_seconds) == (30, 10, 0)
    assert (list(chain.twins), chain.pause) == ([], None)


def test_a_cron_in_a_zone(queue: Queue) -> None:
    queue.schedule_cron(NOW, "0 9 * * 1", "report", tz="Europe/Rome")

    chain = only(queue)

    assert chain.words == "at 09:00, only on Monday, in Europe/Rome"
    assert (chain.zone, chain.interval, chain.expression) == ("Europe/Rome", None, "0 9 * * 1")
    assert chain.dates[0] == datetime(2026, 11, 30, 8, tzinfo=UTC)
    assert (chain.late_seconds, chain.took_seconds, chain.slips_seconds) == (None, None, None)


def test_an_interval_that_slips(queue: Queue) -> None:
    """Each next date counts from the end of the run before it."""
    due = NOW - 9 * HOUR
    for _ in range(5):
        run(queue, due, late=40, took=20)
        due += HOUR + 60 * SECOND
    assert only(queue).slips_seconds == 60


def test_several_pending_actions_of_one_chain_are_told(queue: Queue) -> None:
    ids = [queue.schedule_recurring(NOW + n * HOUR, 3600, "sync", [1]) for n in (2, 1)]
    queue.schedule_recurring(NOW, 3600, "sync", [2])
    queue.schedule_recurring(NOW, 3600, "sync", [1], group="shop")

    twins = [chain for chain in recurring_of(queue.store, NOW).chains if chain.twins]

    assert [list(chain.twins) for chain in twins] == [ids[::-1]]
    assert len(recurring_of(queue.store, NOW).chains) == 3


def test_what_stopped_and_what_ended_is_shown_for_a_month(queue: Queue) -> None:
    stopped = run(queue, NOW - HOUR, hook="stopped", status="failed")
    ended = run(queue, NOW - HOUR, hook="ended", status="canceled")
    run(queue, NOW - timedelta(days=40), hook="old", status="canceled")
    made = queue.enqueue_async("single")
    change(
        queue.store,
        "UPDATE wp_actionscheduler_actions SET status = 'complete' WHERE action_id = :i",
        i=made,
    )

    seen = recurring_of(queue.store, NOW)

    assert {chain.record.id: chain.state for chain in seen.chains} == {
        stopped: "stopped",
        ended: "ended",
    }
    assert all(not chain.dates for chain in seen.chains)
    assert seen.stopped == 1
    assert only(queue, state="stopped").record.id == stopped
    assert only(queue, state="ended").record.id == ended
    assert recurring_of(queue.store, NOW, state="waiting").chains == []


def test_a_stopped_chain_is_found_behind_endings_of_another_kind(queue: Queue) -> None:
    stopped = run(queue, NOW - 2 * HOUR, status="failed")
    for _ in range(9):
        made = queue.schedule_single(NOW - HOUR, "sync", [2])
        change(
            queue.store,
            "UPDATE wp_actionscheduler_actions SET status = 'failed' WHERE action_id = :i",
            i=made,
        )
    assert only(queue, state="stopped").record.id == stopped
    assert only(queue).record.id == stopped


def test_what_runs_now(queue: Queue) -> None:
    running = queue.schedule_recurring(NOW, 3600, "sync")
    change(
        queue.store,
        "UPDATE wp_actionscheduler_actions SET status = 'in-progress' WHERE action_id = :i",
        i=running,
    )
    chain = only(queue)
    assert (chain.record.id, chain.state) == (running, "running")
    assert chain.dates[0] == NOW + HOUR


def test_the_pause_that_holds_a_chain(queue: Queue, clock: FakeClock) -> None:
    queue.schedule_recurring(NOW + HOUR, 3600, "sync", group="shop")
    queue.pause(everything=True)
    assert only(queue).pause is not None
    queue.pause(groups=["shop"])
    queue.pause(hooks=["sync"], until="+2h", reason="moving")
    pause = only(queue).pause
    assert pause is not None
    assert (pause.kind, pause.reason) == ("hook", "moving")
    queue.resume(hooks=["sync"], groups=["shop"], everything=False)
    queue.resume(everything=True)
    assert only(queue).pause is None
    queue.pause(hooks=["Sync"])
    assert only(queue).pause is None, "names of pauses are exact"


def test_pages_go_on_from_hook_to_hook(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recurring, "CHAINS", 3)
    monkeypatch.setattr(recurring, "HOOKS", 4)
    hooks = [f"hook_{n}" for n in range(10)]
    for n, hook in enumerate(hooks):
        if n % 3:
            queue.schedule_recurring(NOW + HOUR, 3600, hook)
        else:
            queue.enqueue_async(hook)
    found, after, pages = list[str](), "", 0
    while True:
        seen = recurring_of(queue.store, NOW, after=after)
        found += [chain.record.hook for chain in seen.chains]
        pages += 1
        if not seen.following:
            break
        after = seen.following
    assert found == [hook for n, hook in enumerate(hooks) if n % 3]
    assert pages == 3
    assert only(queue, hook="hook_4").record.hook == "hook_4"
    assert recurring_of(queue.store, NOW, hook="hook_0").chains == []
    assert recurring_of(queue.store, NOW, hook="no_such_hook").chains == []


def test_more_than_is_looked_at_is_told(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain_rows, "LIVE", 3)
    monkeypatch.setattr(recurring, "OF_HOOK", 1)
    queue.schedule_recurring(NOW + HOUR, 3600, "busy")
    for _ in range(2):
        queue.schedule_single(NOW - HOUR, "busy")
    seen = recurring_of(queue.store, NOW)
    assert (len(seen.chains), list(seen.crowded), list(seen.more)) == (1, [], [])
    queue.schedule_recurring(NOW - HOUR, 3600, "busy", [2])
    seen = recurring_of(queue.store, NOW)
    assert (len(seen.chains), list(seen.crowded)) == (1, ["busy"])
    for number in (2, 3):
        queue.schedule_recurring(NOW - number * HOUR, 3600, "busy", [number + 1])
    seen = recurring_of(queue.store, NOW)
    assert (len(seen.chains), list(seen.crowded), list(seen.more)) == (1, ["busy"], ["busy"])


HOSTILE = "<script>\u202e\x1b[2J" + "x" * 150


def test_any_text_is_a_chain(queue: Queue) -> None:
    queue.schedule_recurring(NOW, 60, HOSTILE, ["\u202e" * 1000], group="<b>\u202e")
    broken = queue.schedule_recurring(NOW, 60, "broken")
    change(
        queue.store,
        "UPDATE wp_actionscheduler_actions SET schedule = :s WHERE action_id = :i",
        s='O:32:"ActionScheduler_IntervalSchedule":9:{broken',
        i=broken,
    )
    chains = {chain.record.hook: chain for chain in recurring_of(queue.store, NOW).chains}
    assert chains["broken"].words == "cannot be read"
    assert chains[HOSTILE].words == "every minute"
    assert only(queue, hook=HOSTILE).record.group == "<b>\u202e"


def test_statements_walk_the_index_by_hook(queue: Queue) -> None:
    for statement in (queue.store.chain_rows._live, queue.store.chain_rows._ended):
        explain = "EXPLAIN QUERY PLAN " if queue.store.dialect.name == "sqlite" else "EXPLAIN "
        plan = str(query(queue.store, explain + statement.text.replace(":most", "9"), hook="sync"))
        assert "hook_status_scheduled_date_gmt" in plan
