"""What is due by hook and group, and which part of it could start."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from factories import NOW
from queue_simulation import history, readings
from rows import change
from wpbridge.action import Status
from wpbridge.monitor.advising import advice_of
from wpbridge.monitor.due_parts import parts_of
from wpbridge.queue.facade import Queue
from wpbridge.site.rules import Limit, rate_of
from wpbridge.store.reading.due_pairs import Pair
from wpbridge.store.records import Pause
from wpbridge.store.running.runner_store import RunnerStore

ACTIONS = "wp_actionscheduler_actions"


def add(queue: Queue, hook: str, group: str = "", *, count: int = 1, **columns: object) -> None:
    for number in range(count):
        action = queue.schedule_single(NOW - timedelta(minutes=5), hook, [number], group=group)
        for name, value in columns.items():
            statement = f"UPDATE {ACTIONS} SET {name} = :value WHERE action_id = :id"
            change(queue.store, statement, value=value, id=action)


def shown(pairs: Sequence[Pair]) -> list[tuple[str, str, int, int]]:
    return sorted((p.hook, p.group, p.actions, p.claimed) for p in pairs)


def test_pairs_are_counted_exactly_with_what_is_claimed(queue: Queue, store: RunnerStore) -> None:
    add(queue, "mail", count=3)
    add(queue, "mail", "eu", claim_id=7)
    add(queue, "Mail", "eu")
    add(queue, "später\u00a0🐘", "eu")
    add(queue, "later", scheduled_date_gmt="2099-01-01 00:00:00")
    add(queue, "done", status=Status.COMPLETE)
    add(queue, "mail", "eu", count=2, status=Status.IN_PROGRESS, claim_id=7)
    pairs = store.parts.due_pairs
    assert shown(pairs.due(NOW)) == [
        ("Mail", "eu", 1, 0),
        ("mail", "", 3, 0),
        ("mail", "eu", 1, 1),
        ("später\u00a0🐘", "eu", 1, 0),
    ]
    assert shown(pairs.running()) == [("mail", "eu", 2, 2)]


def test_of_many_the_oldest_and_the_newest_are_counted_once(
    queue: Queue, store: RunnerStore
) -> None:
    """What is paused becomes old. What is new must be seen behind it."""
    add(queue, "paused", count=6, scheduled_date_gmt="2026-01-01 00:00:00")
    add(queue, "undated", scheduled_date_gmt="0000-00-00 00:00:00")
    for minute in range(5):
        add(queue, "mail", scheduled_date_gmt=f"2026-02-01 00:0{minute}:00")
    pairs = store.parts.due_pairs
    assert shown(pairs.due(NOW, most=3)) == [("paused", "", 2, 0), ("undated", "", 1, 0)]
    assert shown(pairs.newest(NOW, most=3)) == [("mail", "", 3, 0)]
    # Those of the last second that was seen are not counted twice.
    assert shown(pairs.newest(NOW, most=9)) == [("mail", "", 3, 0)]
    assert pairs.newest(NOW, most=100) == []


def test_what_is_new_behind_much_that_is_paused_still_needs_places(
    queue: Queue, store: RunnerStore
) -> None:
    add(queue, "paused", count=6, scheduled_date_gmt="2026-01-01 00:00:00")
    add(queue, "mail", count=6, scheduled_date_gmt="2026-02-01 00:00:00")
    queue.pause(hooks=["paused"])
    seen = replace(readings(due=12, places=1), at=NOW, pauses=queue.pauses())
    lately = history(arrivals=0.0, service=10.0, ended=300)
    told = advice_of(store.parts, seen, target_wait=timedelta(minutes=1), history=lately, most=6)
    # Six of them take a minute of one place.
    assert (told.workers_advised, told.obstacle) == (2, None)


DUE = [
    Pair(hook="mail", group="eu", actions=10, claimed=0),
    Pair(hook="mail", group="", actions=5, claimed=0),
    Pair(hook="sync", group="eu", actions=60, claimed=1),
]
RUNNING = [Pair(hook="sync", group="us", actions=1, claimed=1)]


def parts(
    pauses: Sequence[Pause] = (), limits: Sequence[Limit] = (), held: Sequence[str] = ()
) -> tuple[dict[str, int], int, int, tuple[str, ...]]:
    told = parts_of(DUE, RUNNING, pauses=pauses, limits=limits, held=held, target_wait_seconds=60.0)
    return dict(told.free), told.paused, told.limited, told.limited_by


def test_what_a_pause_or_a_held_hook_keeps_is_not_free() -> None:
    everything = {"mail": 15, "sync": 60}
    assert parts() == (everything, 0, 0, ())
    assert parts([Pause(kind="all", name="")]) == ({}, 75, 0, ())
    assert parts([Pause(kind="hook", name="mail")]) == ({"sync": 60}, 15, 0, ())
    assert parts([Pause(kind="hook", name="Mail")]) == (everything, 0, 0, ())
    assert parts([Pause(kind="group", name="")]) == ({"mail": 10, "sync": 60}, 5, 0, ())
    assert parts(held=["sync"]) == ({"mail": 15}, 0, 0, ())


def test_a_full_limit_keeps_what_is_claimed_or_running_up_to_it() -> None:
    full = ({"mail": 15}, 0, 60, ("hook sync",))
    assert parts(limits=[Limit(hook="sync", max_concurrency=2)]) == full
    assert parts(limits=[Limit(hook="s*", max_concurrency=2)]) == full
    assert parts(limits=[Limit(hook="sync", max_concurrency=3)])[2] == 0
    assert parts(limits=[Limit(group="eu", max_concurrency=1)])[1:] == (0, 70, ("group eu",))
    # The first rule that fits is the one that counts.
    first = Limit(hook="sync", max_concurrency=9)
    assert parts(limits=[first, Limit(hook="*", max_concurrency=1)])[2] == 0


def test_a_rate_that_takes_longer_than_the_wait_for_what_is_due_is_full() -> None:
    assert parts(limits=[Limit(hook="sync", rate=rate_of("30/min"))])[2:] == (60, ("hook sync",))
    assert parts(limits=[Limit(hook="sync", rate=rate_of("90/min"))])[2] == 0
