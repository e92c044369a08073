"""Threads: what closing them means, and what becomes of a call beyond its time limit."""

import asyncio
import threading
from datetime import timedelta

import pytest

from daemons import until
from factories import stored
from heard import heard
from wpbridge.clock import SystemClock
from wpbridge.errors import ConfigError
from wpbridge.executors.base import Call
from wpbridge.executors.handlers import Context, Handler, describe, hook
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.outcome import Completed, Failed

ACTION = stored()


class Hand(SystemClock):
    """A monotonic clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


def make(handler: Handler, default_timeout: timedelta | None = None) -> tuple[ThreadExecutor, Hand]:
    clock = Hand()
    threads = ThreadExecutor(
        {"h": handler}, concurrency=1, clock=clock, site="s", default_timeout=default_timeout
    )
    return threads, clock


def call() -> Call:
    return Call(action=ACTION, values=(), mapping=[])


def test_it_may_be_closed_twice_after_async_handlers() -> None:
    async def handler() -> None:
        pass

    threads, _ = make(describe("h", handler))
    threads.submit(call())
    (report,) = threads.reports(30)
    assert report.outcome == Completed()
    loops = [one for one in threading.enumerate() if one.name == "wpbridge-async"]
    threads.close()
    loops[-1].join(60)
    assert not loops[-1].is_alive()
    threads.close()


def test_a_thread_beyond_its_limit_is_told_of_once_and_its_ending_stands(
    caplog: pytest.LogCaptureFixture,
) -> None:
    begun, go = threading.Event(), threading.Event()

    def handler() -> None:
        begun.set()
        go.wait(60)

    threads, clock = make(describe("h", handler, timeout=5))
    called = call()
    threads.submit(called)
    begun.wait(60)
    clock.seconds = 4.9
    assert list(threads.running()) == [called]
    assert caplog.messages == []
    clock.seconds = 5.0
    for _ in range(3):
        threads.running()
    assert heard(caplog) == ["handler.late action_id=1 hook=h limit_seconds=5.0"]
    assert not threads.has_room()
    assert not threads.has_room(ahead=True), "a stuck thread keeps what waits"
    clock.seconds = 12.04
    go.set()
    (report,) = threads.reports(60)
    assert report.outcome == Completed()
    assert [line.message for line in report.call.lines] == [
        "runs on beyond its limit of 5 s: only an isolated handler can be ended",
        "ran 12.0 s, beyond its limit of 5 s",
    ]
    threads.close()


def test_a_failure_after_the_limit_keeps_its_own_reason() -> None:
    clocks: list[Hand] = []

    def handler() -> None:
        clocks[0].seconds = 60.0
        raise ValueError("boom")

    threads, clock = make(describe("h", handler), default_timeout=timedelta(seconds=1))
    clocks.append(clock)
    threads.submit(call())
    (report,) = threads.reports(60)
    assert report.outcome == Failed(reason="boom", error_type="ValueError")
    assert [line.message for line in report.call.lines] == ["ran 60.0 s, beyond its limit of 1 s"]
    threads.close()


def test_a_handler_can_ask_for_the_time() -> None:
    def handler(context: Context) -> None:
        while not context.is_over():
            assert context.seconds_left() is not None
        context.log(f"{context.seconds_left()}")

    threads, _ = make(describe("h", handler, timeout=0.01))
    threads.submit(call())
    (report,) = threads.reports(60)
    assert report.outcome == Completed()
    assert [line.message for line in report.call.lines] == ["0.0"]
    threads.close()


def test_a_cancelled_handler_has_the_last_word() -> None:
    async def handler() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise LookupError("where I was") from None

    threads, _ = make(describe("h", handler, timeout=0.01))
    threads.submit(call())
    (report,) = threads.reports(60)
    assert report.outcome == Failed(reason="where I was", error_type="LookupError")
    threads.close()


def test_a_task_that_exits_does_not_stop_the_loop_for_others() -> None:
    async def leave() -> None:
        raise SystemExit(1)

    async def handler() -> None:
        task = asyncio.ensure_future(leave())
        await asyncio.wait([task])
        assert isinstance(task.exception(), SystemExit)

    threads, _ = make(describe("h", handler))
    for _ in range(2):
        threads.submit(call())
        (report,) = threads.reports(60)
        assert report.outcome == Completed()
    threads.close()


@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf"), 1e12, timedelta(seconds=-1)])
def test_what_is_no_limit_is_refused(timeout: float | timedelta) -> None:
    with pytest.raises(ConfigError, match="limit"):
        hook("h", timeout=timeout)


@pytest.mark.parametrize(
    ("timeout", "default", "expected"),
    [
        (None, None, None),
        (None, timedelta(seconds=9), timedelta(seconds=9)),
        (0, timedelta(seconds=9), None),
        (2.5, timedelta(seconds=9), timedelta(seconds=2.5)),
        (timedelta(minutes=1), None, timedelta(minutes=1)),
    ],
)
def test_a_handlers_own_limit_goes_before_the_settings(
    timeout: float | timedelta | None, default: timedelta | None, expected: timedelta | None
) -> None:
    assert describe("h", print, timeout=timeout).limit(default) == expected


def test_more_and_fewer_threads_lose_no_call_and_interrupt_none() -> None:
    """Of 40 calls, all end, whatever the number of threads is meanwhile; and never more run."""
    lock, running, most = threading.Lock(), set[int](), list[int]()
    gate = threading.Semaphore(0)

    def handler(number: int) -> None:
        with lock:
            running.add(number)
            most.append(len(running))
        gate.acquire()
        with lock:
            running.discard(number)

    threads, _ = make(describe("h", handler))
    calls = [Call(action=ACTION, values=(number,), mapping=[]) for number in range(40)]
    for one in calls:
        threads.submit(one)
    seen: list[Call] = []

    def ended(count: int) -> None:
        for _ in range(count):
            gate.release()
        while len(seen) < total[0] + count:
            seen.extend(report.call for report in threads.reports(30))
        total[0] += count

    total = [0]
    ended(3)
    threads.resize(8)
    # A thread that has not begun would find nothing left of the next twenty.
    until(lambda: max(most) == 8, "eight that run")
    ended(20)
    assert max(most) == 8
    until(lambda: len(threads.running()) == 8, "eight that run")
    threads.resize(2)
    # Those that run are not cut off. Nothing more is taken before they have ended.
    assert len(threads.running()) == 8
    assert not threads.has_room()
    ended(6)
    until(lambda: threads._count == 2, "two threads that are left")
    most.clear()
    ended(11)
    assert max(most) <= 2
    assert set(map(id, seen)) == set(map(id, calls))
    until(lambda: sum(t.is_alive() for t in threads._threads) == 2, "two threads")
    assert threads.has_room()
    threads.close()


def test_a_recalled_queue_still_lets_threads_end() -> None:
    """The loop takes calls back at the end of a run, or when a hook is paused."""
    begun, go = threading.Event(), threading.Event()

    def handler() -> None:
        begun.set()
        go.wait(60)

    threads, _ = make(describe("h", handler))
    threads.resize(3)
    called = call()
    threads.submit(called)
    assert begun.wait(60)
    threads.resize(1)
    assert threads.recall() == []
    go.set()
    (report,) = threads.reports(30)
    assert report.call is called
    until(lambda: sum(t.is_alive() for t in threads._threads) == 1, "one thread")
    threads.close()
