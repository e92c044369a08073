"""Whose text it is that is printed while several actions run at once, and where it goes."""
# ruff: noqa: T201 - prints are what is tested

import asyncio
import io
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from executor_runs import Runs, make_call
from wpbridge.clock import SystemClock
from wpbridge.executors.base import Report
from wpbridge.executors.handlers import describe
from wpbridge.executors.printed_output import Lines, Output, Printed, Stdout, tail
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.outcome import Completed

ACTION = make_call("h").action


@pytest.fixture
def real() -> io.TextIOWrapper:
    """The stdout that is there before."""
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)


def text_of(stream: io.TextIOWrapper) -> str:
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode()


Make = Callable[..., ThreadExecutor]


@pytest.fixture
def make(real: io.TextIOWrapper, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Executors of functions by hook."""
    made: list[ThreadExecutor] = []

    def make_it(concurrency: int = 1, **functions: Any) -> ThreadExecutor:
        # Here and not before: pytest gives each of its phases another one.
        if not made:
            monkeypatch.setattr(sys, "stdout", real)
        handlers = {name: describe(name, function) for name, function in functions.items()}
        made.append(
            ThreadExecutor(handlers, concurrency=concurrency, clock=SystemClock(), site="s")
        )
        return made[-1]

    yield make_it
    for executor in made:
        executor.close()


def run_all(executor: ThreadExecutor, hook: str, count: int) -> list[Report]:
    """One with each number at once, in the order of the numbers."""
    for number in range(count):
        executor.submit(make_call(hook, number, action_id=number + 1))
    reports: list[Report] = []
    while len(reports) < count:
        reports += executor.reports(60)
    return sorted(reports, key=lambda report: report.call.action.id)


# Whose


def test_threads_that_print_at_once_are_not_mixed_up(make: Make, real: io.TextIOWrapper) -> None:
    together = threading.Barrier(4)

    def handler(number: int) -> None:
        for line in range(50):
            together.wait(60)
            print(f"{number}:{line}", end="")
            together.wait(60)
            print()

    for number, report in enumerate(run_all(make(4, h=handler), "h", 4)):
        assert report.outcome == Completed()
        assert report.output.splitlines() == [f"{number}:{line}" for line in range(50)]
    assert text_of(real) == ""


def test_tasks_that_print_at_once_are_not_mixed_up(make: Make, real: io.TextIOWrapper) -> None:
    arrived: list[int] = []
    everybody = asyncio.Event()

    async def handler(number: int) -> None:
        print(f"{number}: before")
        arrived.append(number)
        if len(arrived) == 4:
            everybody.set()
        await everybody.wait()
        await asyncio.gather(within(number), asyncio.to_thread(print, f"{number}: aside"))

    async def within(number: int) -> None:
        print(f"{number}: within")

    for number, report in enumerate(run_all(make(4, h=handler), "h", 4)):
        words = {f"{number}: {word}" for word in ("before", "within", "aside")}
        assert set(report.output.splitlines()) == words
    assert text_of(real) == ""


def test_a_thread_of_the_handlers_own_is_nobodys(make: Make, real: io.TextIOWrapper) -> None:
    def handler() -> None:
        thread = threading.Thread(target=print, args=("aside",))
        thread.start()
        thread.join()
        print("mine")

    assert Runs(make(h=handler)).run("h").output == "mine"
    assert text_of(real) == "aside\n"


def test_a_task_that_is_left_behind_is_nobodys(make: Make, real: io.TextIOWrapper) -> None:
    ended, printed = threading.Event(), threading.Event()
    tasks: list[asyncio.Task[None]] = []

    async def lasting() -> None:
        await asyncio.to_thread(ended.wait)
        print("late")
        printed.set()

    async def handler() -> None:
        print("mine")
        tasks.append(asyncio.create_task(lasting()))

    runs = Runs(make(h=handler))
    assert runs.run("h").output == "mine"
    ended.set()
    assert printed.wait(60)
    assert text_of(real) == "late\n"


def test_what_no_action_prints_goes_where_it_went(make: Make, real: io.TextIOWrapper) -> None:
    make(h=print)
    print("hello")
    sys.stdout.buffer.write(b"bytes\n")
    sys.stdout.flush()
    assert (sys.stdout.encoding, sys.stdout.errors) == (real.encoding, real.errors)
    assert sys.stdout.line_buffering == real.line_buffering
    assert text_of(real) == "hello\nbytes\n"
    with pytest.raises(TypeError, match="must be str, not bytes"):
        sys.stdout.write(b"x")  # type: ignore[arg-type]


def test_a_handler_that_closes_it_hurts_nobody(make: Make, real: io.TextIOWrapper) -> None:
    runs = Runs(make(closes=lambda: [sys.stdout.close()], prints=lambda: print("well")))
    assert runs.run("closes").outcome == Completed(result="[null]")
    assert runs.run("prints").output == "well"
    print("well too")
    assert text_of(real) == "well too\n"


# While an executor is open


@pytest.mark.parametrize("first", [0, 1])
def test_executors_share_it_and_the_last_one_puts_back(
    make: Make, real: io.TextIOWrapper, first: int
) -> None:
    both = [make(h=print), make(h=lambda number: print("second", number))]
    both[first].close()
    both[first].close()
    assert sys.stdout is not real
    assert Runs(both[1 - first]).run("h", 5).output == ("second 5" if first == 0 else "5")
    both[1 - first].close()
    assert sys.stdout is real


def test_what_somebody_put_there_meanwhile_is_left(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor, others = make(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", others)
    executor.close()
    assert sys.stdout is others


def test_a_process_without_stdout_gets_none_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    it = Stdout.install()
    try:
        print("into the void")
        with Printed(ACTION) as printed:
            print("kept")
        assert printed.end() == "kept"
    finally:
        it.uninstall()
        sys.stdout.close()


# The log


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Callable[[], list[tuple[int, str]]]:
    caplog.set_level(logging.INFO, "wpbridge.handler")
    return lambda: [
        (record.__dict__["action_id"], record.__dict__["line"])
        for record in caplog.records
        if record.getMessage() == "action.printed"
    ]


def test_all_of_it_is_told_line_by_line(
    make: Make, told: Callable[[], list[tuple[int, str]]]
) -> None:
    def handler() -> None:
        print("first\r\n\nsec", end="")
        print("ond")
        print("x" * 30_000)
        print("no end", end="")

    Runs(make(h=handler)).run("h")
    assert told() == [(1, "first"), (1, "second"), (1, "x" * 30_000), (1, "no end")]


def test_a_log_on_stdout_is_not_told_again(make: Make, real: io.TextIOWrapper) -> None:
    log = logging.getLogger("wpbridge.handler")
    added: list[logging.Handler] = []

    def handler() -> None:
        added.append(logging.StreamHandler(sys.stdout))
        log.addHandler(added[0])
        log.setLevel(logging.INFO)
        print("mine")

    try:
        assert Runs(make(h=handler)).run("h").output == "mine"
    finally:
        log.removeHandler(added[0])
        log.setLevel(logging.NOTSET)
    assert text_of(real) == "action.printed\n"


class Broken(logging.Handler):
    """Whose author did not call handleError."""

    def emit(self, record: logging.LogRecord) -> None:
        raise OSError(f"the log's disk is full: {record.getMessage()}")


def test_a_log_that_fails_costs_no_action(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "wpbridge.handler")
    log, broken = logging.getLogger("wpbridge.handler"), Broken()
    log.addHandler(broken)
    try:
        runs = Runs(make(h=lambda: print("one\ntwo", end="")))
        for _ in range(2):
            report = runs.run("h")
            assert (report.outcome, report.output) == (Completed(), "one\ntwo")
    finally:
        log.removeHandler(broken)


def test_a_destructor_that_prints_does_not_block() -> None:
    """One may come at any moment, also while its own thread is printing."""
    printed = Printed(ACTION)
    with printed._lock:
        assert printed.take(b"last words\n")
    assert printed.end() == "last words"


# Pieces


def test_a_tail_ends_on_whole_letters() -> None:
    assert tail(b"") == ""
    assert tail(b" \n two\nlines \n") == "two\nlines"
    assert tail(b"x" * 8192) == "x" * 8192
    assert tail(b"x" * 8193) == "…" + "x" * 8189
    for size in range(8193, 8200):
        text = ("x" * (size % 4) + "😀" * 4000).encode()
        assert set(tail(text[:-4])) == {"…", "😀"}
    assert tail(b"a\x00\x07\x1b\x7f\tb") == "a\ufffd\ufffd\ufffd\ufffd\tb"
    assert tail(b"\xff") == "\ufffd"


def test_lines_that_never_end_are_told_in_pieces() -> None:
    lines = Lines()
    assert lines.feed(b"x" * 65_535) == []
    assert lines.feed(b"xx") == ["x" * 65_537]
    assert lines.feed(b"y") == []
    assert lines.end() == ["y"]
    assert lines.end() == []


def test_marks_are_in_no_line() -> None:
    output = Output("\x1emark:")
    data = b"one\nunfinished\x1emark:7\ntwo\n\x1emark:8\n"
    told = [line for place in range(len(data)) for line in output.lines(data[place : place + 1])]
    assert told == ["one", "unfinished", "two"]
