"""A runner that was stopped for longer than others trust it, and what it does when it goes on."""

import itertools
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

import invariants
from clocks import FakeClock
from factories import NOW, insert, make_new
from rows import change, log_of, query
from ticking import TickingExecutor
from wpbridge import Context
from wpbridge.events import RunnerPresumedDead
from wpbridge.executors.base import Call, Report
from wpbridge.executors.handlers import describe
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.runner.identity import identity
from wpbridge.runner.loop import Limits, Runner
from wpbridge.runner.reaper import reap
from wpbridge.store.base import ClaimFilter
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.telling.bus import Bus

ACTIONS = "wp_actionscheduler_actions"


class Looking(ThreadExecutor):
    """Its one thread has the second action wait for the first, and can wait for the runner."""

    def __init__(self, handler: Callable[[int], None], clock: FakeClock) -> None:
        super().__init__({"h": describe("h", handler)}, concurrency=1, clock=clock, site="s")
        self._steps = threading.Semaphore(0)
        self._time = clock
        self._waits_between = False
        """Whether the thread, when it has taken a call, lets the runner make a step first."""

    def _start(self, call: Call) -> None:
        if self._waits_between:
            self._wait_for_a_step()
        super()._start(call)

    def reports(self, timeout_seconds: float) -> list[Report]:
        self._steps.release()
        return super().reports(timeout_seconds)

    def pause(self, first: str) -> None:
        """Let a pause be over, and say who goes on first: the runner, or whoever comes first.

        ``between``: the runner goes on when the thread has taken the next call and not begun it.
        """
        self._time.at += timedelta(seconds=50)
        self._waits_between = first == "between"
        if first == "runner":
            self._wait_for_a_step()

    def _wait_for_a_step(self) -> None:
        """Return when the runner has made a whole step since this was called."""
        while self._steps.acquire(blocking=False):
            pass
        for _ in range(2):
            assert self._steps.acquire(timeout=60)


def run(store: RunnerStore, clock: FakeClock, executor: ThreadExecutor) -> None:
    only = ClaimFilter(hooks=frozenset({"h"}))
    Runner(store, executor, clock, identity(), only=only, limits=Limits()).run()


class WallClock(FakeClock):
    """Its counter stands still, as CLOCK_MONOTONIC does while the host is suspended."""

    def monotonic(self) -> float:
        return 0.0


class CountingClock(FakeClock):
    """Its wall clock stands still, as after a pause that nobody has told it of yet."""

    def now(self) -> datetime:
        return NOW


@pytest.mark.parametrize("first", ["runner", "between", "whoever"])
@pytest.mark.parametrize("kind", [FakeClock, WallClock, CountingClock])
def test_what_others_have_ended_meanwhile_is_not_started(
    store: RunnerStore,
    dsn: str,
    open_queue: Callable[[str], RunnerStore],
    kind: type[FakeClock],
    first: str,
) -> None:
    """After a pause the thread may go on before the runner has looked, after it, or meanwhile."""
    store.unregister()
    others, clock, seen = open_queue(dsn), kind(), list[int]()
    _, second = insert(store, make_new(args=(1,)), make_new(args=(2,)))

    def handler(number: int) -> None:
        seen.append(number)
        if number == 1:
            change(others, f"UPDATE {ACTIONS} SET status = 'canceled' WHERE action_id = {second}")
            executor.pause(first)

    executor = Looking(handler, clock)
    run(store, clock, executor)
    assert seen == [1]
    assert store.counts() == {"complete": 1, "canceled": 1}
    assert "action started via wpbridge" not in log_of(store, second)
    invariants.check(store)


@pytest.mark.parametrize("first", ["runner", "between", "whoever"])
def test_what_nobody_took_is_run_after_all(store: RunnerStore, first: str) -> None:
    store.unregister()
    clock, seen = FakeClock(), list[int]()
    insert(store, make_new(args=(1,)), make_new(args=(2,)))

    def handler(number: int) -> None:
        seen.append(number)
        if number == 1:
            executor.pause(first)

    executor = Looking(handler, clock)
    run(store, clock, executor)
    assert seen == [1, 2]
    assert store.counts() == {"complete": 2}
    invariants.check(store)


def take_over_and_die(others: RunnerStore, clock: FakeClock) -> None:
    """Another process of this host takes everybody's actions over, claims them, and is killed."""
    me = identity()
    ended = subprocess.Popen(["true"])
    ended.wait()
    others.register(host=me.host, boot=me.boot, pid=ended.pid, pid_started="1")
    assert reap(others, me, clock, judge=lambda _runner, _me: True)
    assert others.claim_due(now=clock.now(), limit=25, only=ClaimFilter())


def test_an_action_that_comes_back_while_its_old_call_runs_on_is_run_anew(
    store: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    """A runner stood still, was taken over, the other was killed, and the first goes on."""
    store.unregister()
    ids = insert(store, *[make_new(args=(n,)) for n in range(3)])
    clock, starts = FakeClock(), Counter[int]()
    begun, go = threading.Barrier(4), threading.Event()

    def handler(_number: int, *, context: Context) -> None:
        starts[context.id] += 1
        if starts[context.id] == 1:
            begun.wait(60)
            go.wait(60)
        elif all(starts[one] == 2 for one in ids):
            # The old calls run until all of the new ones have begun.
            go.set()

    def meddle() -> None:
        begun.wait(60)
        with executor.standing_still:
            assert executor.stands.wait(60)
            take_over_and_die(open_queue(dsn), clock)

    executor = TickingExecutor(handler, clock, concurrency=4)
    meddler = threading.Thread(target=meddle)
    meddler.start()
    runner = Runner(
        store, executor, clock, identity(), only=ClaimFilter(), limits=Limits(concurrency=4)
    )
    totals = runner.run()
    meddler.join()
    assert store.counts() == {"complete": 3}
    assert starts == dict.fromkeys(ids, 2)
    assert (totals.complete, totals.lost) == (3, 3)
    invariants.check(store)


@pytest.mark.parametrize("stops", [False, True])
def test_a_run_does_not_end_before_what_it_has_started(
    store: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore], *, stops: bool
) -> None:
    """Its only thread is busy with what others have taken over: it waits, and then goes on."""
    store.unregister()
    insert(store, make_new(args=(1,)), make_new(args=(2,)))
    clock, ended, bus = FakeClock(), list[int](), Bus()
    looks = itertools.count()
    begun, noticed, go = threading.Event(), threading.Event(), threading.Event()

    def handler(number: int) -> None:
        if not begun.is_set():
            begun.set()
            go.wait(60)
        ended.append(number)

    class Watched(TickingExecutor):
        def reports(self, timeout_seconds: float) -> list[Report]:
            if begun.is_set() and not next(looks):
                others = open_queue(dsn)
                others.register(host="there", boot="", pid=1, pid_started="1")
                assert reap(others, identity(), clock, judge=lambda _runner, _me: True)
                others.unregister()
            if noticed.is_set() and next(looks) > 5:
                go.set()
            return super().reports(timeout_seconds)

    def notice(_event: RunnerPresumedDead) -> None:
        noticed.set()
        if stops:
            runner.stop()

    bus.subscribe(RunnerPresumedDead, notice)
    executor = Watched(handler, clock, concurrency=1)
    runner = Runner(
        store,
        executor,
        clock,
        identity(),
        only=ClaimFilter(),
        limits=Limits(concurrency=1),
        bus=bus,
    )
    runner.run()
    try:
        # Which comes first in the second claim depends on whether the first start was marked.
        assert ended[0] == 1
        assert sorted(ended) == ([1] if stops else [1, 1, 2])
    finally:
        go.set()
    assert store.counts() == ({"pending": 2} if stops else {"complete": 2})
    invariants.check(store)


def test_an_action_that_was_freed_while_it_runs_is_in_hand_once(
    store: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    """Somebody put its row back, and the same runner claims it anew: the newer call counts."""
    store.unregister()
    (action,) = insert(store, make_new())
    clock, starts, again = FakeClock(), list[int](), threading.Event()

    def handler(*, context: Context) -> None:
        starts.append(context.attempt)
        if len(starts) == 1:
            others = open_queue(dsn)
            row = f"claim_id = 0, status = 'pending' WHERE action_id = {action}"
            change(others, f"UPDATE {ACTIONS} SET {row}")
            again.wait(60)
        else:
            again.set()

    executor = TickingExecutor(handler, clock, concurrency=2)
    runner = Runner(
        store, executor, clock, identity(), only=ClaimFilter(), limits=Limits(concurrency=2)
    )
    totals = runner.run()
    assert len(starts) == 2
    assert store.counts() == {"complete": 1}
    assert (totals.complete, totals.lost) == (1, 1)
    assert not query(store, "SELECT claim_id FROM wp_actionscheduler_claims")
