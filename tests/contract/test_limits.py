"""Limits and the circuit breaker, on the tables: what a claim takes, and what it leaves."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

import invariants
from clocks import FakeClock
from daemons import until
from factories import NOW, insert, make_new
from rows import change, column, query
from stores import open_store
from wpbridge import Context, Retry
from wpbridge.action import Action, ActionId, Claim, Status
from wpbridge.events import HookPaused
from wpbridge.executors.handlers import describe
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.outcome import LogLine
from wpbridge.queue.facade import Queue
from wpbridge.runner.identity import identity
from wpbridge.runner.in_hand import Totals
from wpbridge.runner.loop import Limits, Runner
from wpbridge.site.database import DatabaseAddress
from wpbridge.site.rules import Limit, Rate, RetryRule
from wpbridge.store.base import ClaimFilter, Ending
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.telling.bus import Bus

DAY = timedelta(days=1)
SLOW = Rate(count=1, per=DAY)


def enter(store: RunnerStore) -> RunnerStore:
    store.register(host="h", boot="b", pid=1, pid_started="1")
    return store


@pytest.fixture
def other(store: RunnerStore, dsn: str) -> RunnerStore:
    """A second runner on the same queue."""
    del store
    return enter(open_store(DatabaseAddress.from_dsn(dsn), "wp_"))


def claim(
    store: RunnerStore, *limits: Limit, size: int = 25, now: datetime = NOW, dry_run: bool = False
) -> Claim | None:
    return store.claim_due(now=now, limit=size, only=ClaimFilter(limits=limits), dry_run=dry_run)


def ids(found: Claim | None) -> list[ActionId]:
    return [action.id for action in found.actions] if found else []


def end(store: RunnerStore, found: Claim, actions: Sequence[Action]) -> None:
    logs = (LogLine(message="action complete via wpbridge", at=NOW),)
    rest = set(found.actions) - set(actions)
    store.settle(
        [
            Ending(action=a, status=Status.COMPLETE, at=NOW, marked=False, logs=logs)
            for a in actions
        ],
        now=NOW,
        finished=[] if rest else [found.id],
    )


# Concurrency


def test_no_more_of_a_hook_are_held_than_its_limit(store: RunnerStore, other: RunnerStore) -> None:
    enter(store)
    limit = Limit(hook="mail", max_concurrency=3)
    mails = insert(store, *[make_new("mail", due_in=-100) for _ in range(10)])
    rest = insert(store, *[make_new("other") for _ in range(4)])
    first = claim(store, limit, size=5)
    assert ids(first) == mails[:3]
    assert ids(claim(other, limit, size=5)) == rest
    assert claim(other, limit) is None
    assert first is not None
    end(store, first, first.actions[:2])
    assert ids(claim(store, limit)) == mails[3:5]


@pytest.mark.parametrize("limit", [Limit(hook="h", rate=SLOW), Limit(hook="h", max_concurrency=1)])
def test_a_limit_whose_row_is_gone_is_counted_anew(store: RunnerStore, limit: Limit) -> None:
    """Somebody deletes it, or the server forgets it, while a runner goes on."""
    enter(store)
    insert(store, *[make_new() for _ in range(5)])
    assert len(ids(claim(store, limit, size=1))) == 1
    change(store, "DELETE FROM wp_wpbridge_limits")
    assert ids(claim(store, limit, size=1)) == []
    until(
        lambda: claim(store, limit, size=1) or query(store, "SELECT * FROM wp_wpbridge_limits"),
        "its row",
    )
    claim(store, limit)
    most = 2 if limit.rate else 1
    held = query(store, "SELECT action_id FROM wp_actionscheduler_actions WHERE claim_id <> 0")
    assert len(held) <= most


def test_a_group_is_limited_by_its_slug(store: RunnerStore, other: RunnerStore) -> None:
    enter(store)
    limit = Limit(group="im*", max_concurrency=2)
    imports = insert(store, *[make_new(f"h{n}", due_in=-100, group="imports") for n in range(5)])
    images = insert(store, *[make_new(f"h{n}", due_in=-90, group="images") for n in range(5)])
    free = insert(store, make_new("h1"), make_new("h2", group="else"))
    assert ids(claim(store, limit)) == [*imports[:2], *images[:2], *free]
    assert claim(other, limit) is None


def test_no_group_can_be_limited_too(store: RunnerStore) -> None:
    enter(store)
    none = insert(store, *[make_new() for _ in range(3)])
    named = insert(store, make_new(group="g"))
    assert ids(claim(store, Limit(group="", max_concurrency=1))) == [none[0], *named]


def test_a_full_hook_does_not_keep_others_from_being_claimed(store: RunnerStore) -> None:
    """A thousand rows of it stand in front."""
    enter(store)
    limit = Limit(hook="mail", max_concurrency=1)
    insert(store, *[make_new("mail", due_in=-100, priority=1) for _ in range(1000)])
    rest = insert(store, *[make_new("other") for _ in range(3)])
    assert len(ids(claim(store, limit, size=1))) == 1
    assert ids(claim(store, limit)) == rest


def test_what_php_runs_counts_until_the_cleaner_would_take_it_for_dead(store: RunnerStore) -> None:
    enter(store)
    limit = Limit(hook="mail", max_concurrency=2)
    mails = insert(store, *[make_new("mail") for _ in range(4)])
    change(
        store,
        "UPDATE wp_actionscheduler_actions SET status = 'in-progress', claim_id = 77,"
        " last_attempt_gmt = :at WHERE action_id = :i",
        i=mails[0],
        at="2026-11-24 11:55:01",
    )
    assert ids(claim(store, limit, dry_run=True)) == [mails[1]]
    change(
        store,
        "UPDATE wp_actionscheduler_actions SET last_attempt_gmt = '2026-11-24 11:55:00'"
        " WHERE action_id = :i",
        i=mails[0],
    )
    assert ids(claim(store, limit)) == mails[1:3]


def test_started_rows_of_ours_count_however_long_they_run(
    store: RunnerStore, other: RunnerStore
) -> None:
    enter(store)
    limit = Limit(hook="mail", max_concurrency=1)
    insert(store, make_new("mail"), make_new("mail"))
    first = claim(store, limit)
    assert first is not None
    store.start([(first.actions[0], [])], now=NOW, once=False)
    change(store, "UPDATE wp_actionscheduler_actions SET last_attempt_gmt = '2026-11-24 01:00:00'")
    assert claim(other, limit) is None


def test_released_places_are_free_at_once(store: RunnerStore) -> None:
    enter(store)
    limit = Limit(hook="mail", max_concurrency=1)
    mails = insert(store, make_new("mail"), make_new("mail"))
    first = claim(store, limit)
    assert first is not None
    assert claim(store, limit) is None
    store.release(first.actions, finished=[first.id])
    assert ids(claim(store, limit)) == mails[:1]


def test_names_are_exact(store: RunnerStore) -> None:
    """The collation takes them for one."""
    enter(store)
    both = insert(store, make_new("Mail"), make_new("mail"))
    assert ids(claim(store, Limit(hook="*", max_concurrency=1))) == both


# Rate


def test_a_rate_gives_so_many_and_fills_with_time(store: RunnerStore, other: RunnerStore) -> None:
    enter(store)
    limit = Limit(hook="call", rate=Rate(count=10, per=DAY))
    calls = insert(store, *[make_new("call", due_in=-100) for _ in range(5)])
    free = insert(store, make_new("other"))
    first = claim(store, limit, size=1)
    assert ids(first) == calls[:1]
    assert ids(claim(other, limit)) == free
    change(store, "UPDATE wp_wpbridge_limits SET refilled = refilled - 8640")
    assert ids(claim(store, limit)) == calls[1:2]


def test_a_dry_run_spends_and_writes_nothing(store: RunnerStore) -> None:
    enter(store)
    limit = Limit(hook="call", rate=SLOW)
    calls = insert(store, make_new("call"), make_new("call"))
    assert ids(claim(store, limit, dry_run=True)) == calls[:1]
    assert not query(store, "SELECT name FROM wp_wpbridge_limits")
    assert ids(claim(store, limit, dry_run=True)) == calls[:1]
    assert ids(claim(store, limit)) == calls[:1]
    assert ids(claim(store, limit, dry_run=True)) == []


def test_both_limits_of_an_action_must_have_room(store: RunnerStore) -> None:
    enter(store)
    limits = (Limit(hook="call", rate=SLOW), Limit(group="api", max_concurrency=1))
    calls = insert(store, make_new("call", group="api"), make_new("call"))
    others = insert(store, make_new("more", group="api"))
    assert ids(claim(store, *limits)) == calls[:1]
    assert claim(store, *limits) is None
    assert column(store, "claim_id", others[0]) == 0


def test_actions_that_somebody_names_take_no_notice(store: RunnerStore) -> None:
    enter(store)
    limit = Limit(hook="call", rate=SLOW)
    calls = insert(store, *[make_new("call") for _ in range(3)])
    only = ClaimFilter(limits=(limit,), ids=frozenset(calls))
    found = store.claim_due(now=NOW, limit=25, only=only)
    assert ids(found) == calls


# Races


def test_claims_that_race_never_hold_more_than_the_limit(store: RunnerStore, dsn: str) -> None:
    """Four runners claim and end; whoever looks counts at most three."""
    limit = Limit(hook="mail", max_concurrency=3)
    insert(store, *[make_new("mail") for _ in range(300)])
    most: list[int] = []

    def work(_number: int) -> int:
        own, done = enter(open_store(DatabaseAddress.from_dsn(dsn), "wp_")), 0
        misses = 0
        while misses < 200:
            found = claim(own, limit, size=2)
            if found is None:
                misses = 0 if query(own, PENDING) else 200
                own._limits._full.clear()  # not to wait a second
                continue
            most.append(int(str(query(own, HELD)[0][0])))
            end(own, found, found.actions)
            done += len(found.actions)
        own.unregister()
        own.close()
        return done

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(work, range(4))) == 300
    assert max(most) <= 3
    assert store.counts() == {"complete": 300}


PENDING = "SELECT 1 FROM wp_actionscheduler_actions WHERE status = 'pending' LIMIT 1"
HELD = "SELECT COUNT(*) FROM wp_actionscheduler_actions WHERE status = 'pending' AND claim_id <> 0"


def test_claims_that_race_spend_no_token_twice(store: RunnerStore, dsn: str) -> None:
    """Each of the four claims a hook of its own, so that only the group's limit is between them."""
    limit = Limit(group="api", rate=Rate(count=1, per=DAY))
    insert(store, *[make_new(f"h{n}", group="api") for n in range(4) for _ in range(40)])
    stores = [enter(open_store(DatabaseAddress.from_dsn(dsn), "wp_")) for _ in range(4)]
    barrier = threading.Barrier(4)
    taken: list[int] = []

    def work(number: int) -> None:
        own = stores[number]
        only = ClaimFilter(hooks=frozenset({f"h{number}"}), limits=(limit,))
        for _ in range(30):
            barrier.wait()
            taken.append(len(ids(own.claim_due(now=NOW, limit=3, only=only))))
            own._limits._full.clear()  # ask the table each time
            barrier.wait()
            if number == 0:
                change(own, "UPDATE wp_wpbridge_limits SET tokens = 1")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert sum(taken) == 30
    for own in stores:
        own.close()


# Runs


def run(
    store: RunnerStore,
    handler: Callable[..., Any],
    *limits: Limit,
    clock: FakeClock | None = None,
    retry: Sequence[RetryRule] = (),
    bus: Bus | None = None,
    concurrency: int = 4,
) -> Totals:
    clock = clock or FakeClock()
    executor = ThreadExecutor(
        {"h": describe("h", handler)}, concurrency=concurrency, clock=clock, site="s"
    )
    only = ClaimFilter(hooks=frozenset({"h"}), limits=limits)
    runner = Runner(
        store, executor, clock, identity(), only=only, limits=Limits(), retry=retry, bus=bus
    )
    return runner.run()


class Meeting:
    """A handler that tells whether two of its calls ever run at once."""

    def __init__(self, patience_seconds: float = 0.2) -> None:
        self.most = 0
        self._patience = patience_seconds
        self._running = 0
        self._lock = threading.Lock()
        self._met = threading.Event()

    def __call__(self) -> None:
        with self._lock:
            self._running += 1
            self.most = max(self.most, self._running)
            if self._running > 1:
                self._met.set()
        # Long enough for a second one to come, if it may.
        self._met.wait(self._patience)
        with self._lock:
            self._running -= 1


def test_without_a_limit_they_do_run_at_once(store: RunnerStore) -> None:
    insert(store, *[make_new() for _ in range(6)])
    meeting = Meeting(patience_seconds=300.0)
    assert run(store, meeting).complete == 6
    assert meeting.most > 1


def test_a_run_goes_through_a_limited_backlog_one_by_one(store: RunnerStore) -> None:
    insert(store, *[make_new() for _ in range(6)])
    meeting = Meeting()
    assert run(store, meeting, Limit(hook="h", max_concurrency=1)).complete == 6
    assert meeting.most == 1
    invariants.check(store)


def test_a_run_ends_when_only_what_is_limited_is_left(store: RunnerStore) -> None:
    insert(store, *[make_new() for _ in range(5)])
    assert run(store, lambda: None, Limit(hook="h", rate=SLOW)).complete == 1
    assert store.counts() == {"complete": 1, "pending": 4}
    invariants.check(store)


def test_two_chains_of_one_recurring_hook_do_not_overlap(store: RunnerStore) -> None:
    insert(store, make_new(interval=60), make_new(interval=60))
    meeting = Meeting()
    assert run(store, meeting, Limit(hook="*", max_concurrency=1)).complete == 2
    assert meeting.most == 1
    assert store.counts() == {"complete": 2, "pending": 2}


# The circuit breaker


def fail() -> None:
    raise ValueError("no server")


def heard(bus: Bus) -> list[HookPaused]:
    told: list[HookPaused] = []
    bus.subscribe(HookPaused, told.append)
    return told


def fails_until_paused(looking: RunnerStore, last: int, most: int) -> Callable[[], None]:
    """A handler that fails; after so many calls it waits until the last action is put back."""
    calls: list[int] = []

    def handler() -> None:
        calls.append(1)
        if len(calls) > most:
            until(lambda: column(looking, "claim_id", last) == 0, "the end of its claim")
        raise ValueError("no server")

    return handler


def test_a_hook_that_fails_in_a_row_is_paused_and_told(
    store: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    ids, looking = insert(store, *[make_new() for _ in range(20)]), open_queue(dsn)
    bus = Bus("s")
    told = heard(bus)
    handler = fails_until_paused(looking, ids[-1], 10)
    totals = run(store, handler, Limit(hook="h", pause_after=10), bus=bus, concurrency=1)
    # The eleventh had begun, as far as the thread was quick enough.
    assert totals.failed in (10, 11)
    (event,) = told
    assert (event.hook, event.failures, event.until) == ("h", 10, None)
    assert event.reason == "no server"
    (pause,) = Queue(store.parts, close_store=False, clock=FakeClock()).pauses()
    assert (pause.kind, pause.name) == ("hook", "h")
    assert pause.reason == "10 failures in a row, the last: no server"


def test_what_is_claimed_of_a_paused_hook_is_put_back(
    store: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    """All of it was in one claim."""
    ids, looking = insert(store, *[make_new() for _ in range(20)]), open_queue(dsn)
    handler = fails_until_paused(looking, ids[-1], 3)
    totals = run(store, handler, Limit(hook="h", pause_after=3), concurrency=1)
    # The fourth had begun, as far as the thread was quick enough.
    assert totals.failed in (3, 4)
    assert (totals.claimed, totals.released) == (20, 20 - totals.failed)
    assert store.counts() == {"failed": totals.failed, "pending": totals.released}
    invariants.check(store)


def test_the_count_goes_on_from_run_to_run(store: RunnerStore) -> None:
    limit = Limit(hook="h", pause_after=3)
    for number in range(3):
        insert(store, make_new())
        bus = Bus("s")
        told = heard(bus)
        run(store, fail, limit, bus=bus)
        assert len(told) == (number == 2)


def test_a_success_starts_it_anew(store: RunnerStore) -> None:
    limit = Limit(hook="h", pause_after=3)
    for handler in (fail, fail, lambda: None, fail, fail, lambda: None, fail):
        insert(store, make_new())
        run(store, handler, limit)
    assert Queue(store.parts, close_store=False).pauses() == []
    assert query(store, "SELECT failures FROM wp_wpbridge_limits")[0][0] == 1


def test_attempts_that_are_tried_again_count(store: RunnerStore) -> None:
    insert(store, *[make_new() for _ in range(3)])
    rule = RetryRule(max_attempts=5, base=timedelta(hours=1))
    totals = run(store, fail, Limit(hook="h", pause_after=3), retry=[rule])
    assert totals.retried == 3
    assert [p.name for p in Queue(store.parts, close_store=False, clock=FakeClock()).pauses()] == [
        "h"
    ]


def test_what_a_handler_asks_for_is_no_failure(store: RunnerStore) -> None:
    insert(store, *[make_new() for _ in range(5)])

    def later() -> None:
        raise Retry(after=timedelta(hours=1))

    run(store, later, Limit(hook="h", pause_after=3))
    assert Queue(store.parts, close_store=False).pauses() == []


def test_a_pause_with_an_end_lets_the_hook_try_again(store: RunnerStore) -> None:
    clock = FakeClock()
    limit = Limit(hook="h", pause_after=2, pause_for=timedelta(minutes=10))
    insert(store, *[make_new() for _ in range(2)])
    run(store, fail, limit, clock=clock)
    insert(store, make_new())
    assert run(store, lambda: None, limit, clock=clock).complete == 0
    clock.at += timedelta(minutes=10)
    assert run(store, lambda: None, limit, clock=clock).complete == 1


def test_another_hook_of_the_same_rule_goes_on(store: RunnerStore) -> None:
    store.parts.own.ensure()
    limits = (Limit(hook="*", pause_after=1),)
    clock = FakeClock()
    handlers = {"bad": describe("bad", fail), "good": describe("good", lambda: None)}
    executor = ThreadExecutor(handlers, concurrency=1, clock=clock, site="s")
    insert(store, make_new("bad"))
    insert(store, *[make_new("good") for _ in range(3)])
    only = ClaimFilter(hooks=frozenset(handlers), limits=limits)
    totals = Runner(store, executor, clock, identity(), only=only, limits=Limits()).run()
    assert (totals.failed, totals.complete) == (1, 3)


# Fair shares


def test_a_flood_in_one_group_does_not_starve_the_others(store: RunnerStore) -> None:
    """2,000 older actions of one group, and a few of two others with the same hook."""
    clock, order = FakeClock(), list[str]()
    insert(store, *[make_new(due_in=-1000, group="flood", priority=1) for _ in range(2000)])
    insert(store, *[make_new(group="small") for _ in range(60)], make_new())

    def handler(*, context: Context) -> None:
        order.append(context.group)

    executor = ThreadExecutor({"h": describe("h", handler)}, concurrency=1, clock=clock, site="s")
    Runner(
        store,
        executor,
        clock,
        identity(),
        only=ClaimFilter(hooks=frozenset({"h"})),
        limits=Limits(),
        shares={"*": 1},
    ).run()
    assert Counter(order) == {"flood": 2000, "small": 60, "": 1}
    last = max(place for place, group in enumerate(order) if group != "flood")
    assert last < 250
    invariants.check(store)
