"""What surrounds a handler's call, on threads and isolated alike: middleware, and its output."""

import sys
import textwrap
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

import pytest

from executor_runs import KINDS, Runs
from wpbridge.clock import SystemClock
from wpbridge.executors.loading import load
from wpbridge.executors.process import executor as process
from wpbridge.executors.process.executor import PoolLimits, ProcessExecutor, Setup
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.outcome import Canceled, Completed, Failed, Retried

MIDDLEWARE = textwrap.dedent("""
    from contextvars import ContextVar
    from wpbridge import Cancel, Context, middleware

    SEEN = ContextVar("seen", default="nothing")

    @middleware
    def outer(context: Context):
        context.log("outer in")
        try:
            yield
        except LookupError as error:
            context.log(f"outer caught {error!r}")
        except BaseException as error:
            context.log(f"outer saw {type(error).__name__}")
            raise
        context.log("outer out")

    @middleware
    def inner(context: Context):
        if context.args == ["refused"]:
            raise Cancel("not today")
        if context.args == ["missing"]:
            raise LookupError("nothing to do")
        token = SEEN.set("inner's")
        context.log("inner in")
        yield
        SEEN.reset(token)
        context.log("inner out")
        if context.args == ["spoiled"]:
            raise ValueError("spoiled")
        if context.args == ["twice"]:
            yield
""")
HANDLERS = textwrap.dedent("""
    import asyncio, sys
    from around_first import SEEN
    from wpbridge import Context, Retry, hook

    RAISED = {"retry": Retry(after=9), "error": OSError("gone"), "lookup": KeyError("k"),
              "exit": SystemExit(2)}

    @hook("plain")
    def plain(word, *, context: Context):
        context.log(f"{word} with {SEEN.get()}")
        if word in RAISED:
            raise RAISED[word]

    @hook("later")
    async def later(word, *, context: Context):
        await asyncio.sleep(0)
        plain(word, context=context)

    @hook("hangs", timeout=0.05)
    async def hangs():
        await asyncio.Event().wait()
""")
PRINTING = textwrap.dedent("""
    import asyncio, os, sys
    from wpbridge import hook

    @hook("nothing")
    def nothing():
        pass

    @hook("print")
    def prints(*words):
        for word in words:
            print(word)

    @hook("write")
    def writes():
        sys.stdout.write("with")
        sys.stdout.writelines(["out ", "an end"])
        sys.stdout.flush()

    @hook("print_async")
    async def prints_later(word):
        print("before")
        await asyncio.sleep(0)
        print(word)
        await asyncio.to_thread(print, "aside")
        await asyncio.create_task(in_a_task())

    async def in_a_task():
        print("in a task")

    @hook("fails")
    def fails():
        print("so far so good")
        raise OSError("gone")

    @hook("bytes")
    def bytes_():
        sys.stdout.buffer.write(b"\\x00\\xff\\x1b[1mok\\x80\\n")
        sys.stdout.buffer.flush()

    @hook("floods")
    def floods():
        for number in range(100_000):
            print(f"line {number} of far too many")

    @hook("accents")
    def accents():
        print("x" + "é" * 9000)

    @hook("surrogate")
    def surrogate():
        print("a\\udcffb".encode("utf-8", "replace").decode())

    @hook("is_terminal")
    def is_terminal():
        print(sys.stdout.isatty(), sys.stdout.writable(), sys.stdout.encoding.lower())
""")


Make: TypeAlias = Callable[..., Runs]
"""With modules' texts by their names."""


@pytest.fixture
def make(tmp_path: Path, kind: str) -> Iterator[Make]:
    made: list[ThreadExecutor | ProcessExecutor] = []

    def make_it(**modules: str) -> Runs:
        for name, code in modules.items():
            (tmp_path / f"{name}.py").write_text(code, "utf-8")
        handlers = load(list(modules), folder=str(tmp_path))
        executor: ThreadExecutor | ProcessExecutor
        if kind == "threads":
            executor = ThreadExecutor(handlers, concurrency=1, clock=SystemClock(), site="s")
        else:
            setup = Setup(modules=tuple(modules), folder=str(tmp_path), site="s")
            limits = PoolLimits(children=1)
            executor = ProcessExecutor(handlers, setup, limits=limits, clock=SystemClock())
        made.append(executor)
        return Runs(executor)

    yield make_it
    for executor in made:
        executor.close()
    sys.path.remove(str(tmp_path))
    for name in ("around_first", "around_second", "printing"):
        sys.modules.pop(name, None)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# Middleware


@pytest.fixture
def around(make: Make) -> Runs:
    return make(around_first=MIDDLEWARE, around_second=HANDLERS)


def lines(runs: Runs, hook: str, word: str) -> tuple[object, list[str]]:
    report = runs.run(hook, word)
    outcome = report.outcome
    if isinstance(outcome, Failed):
        outcome = Failed(reason=outcome.reason, error_type=outcome.error_type)
    return outcome, [line.message for line in report.call.lines]


@pytest.mark.parametrize("hook", ["plain", "later"])
def test_middleware_is_nested_in_the_order_of_its_definition(around: Runs, hook: str) -> None:
    ran = ["outer in", "inner in", "ok with inner's", "inner out", "outer out"]
    for _ in range(2):
        assert lines(around, hook, "ok") == (Completed(), ran)


@pytest.mark.parametrize("hook", ["plain", "later"])
def test_middleware_sees_what_a_handler_raises(around: Runs, hook: str) -> None:
    def told(word: str, last: str) -> list[str]:
        return ["outer in", "inner in", f"{word} with inner's", last]

    assert lines(around, hook, "retry") == (
        Retried(after=timedelta(seconds=9)),
        told("retry", "outer saw Retry"),
    )
    assert lines(around, hook, "error") == (
        Failed(reason="gone", error_type="OSError"),
        told("error", "outer saw OSError"),
    )
    assert lines(around, hook, "exit") == (
        Failed(reason="the handler exited with 2", error_type="SystemExit"),
        told("exit", "outer saw SystemExit"),
    )
    # What is not raised again is gone.
    outcome, said = lines(around, hook, "lookup")
    assert (outcome, said[-2:]) == (Completed(), ["outer caught KeyError('k')", "outer out"])


@pytest.mark.parametrize("hook", ["plain", "later"])
def test_what_middleware_raises_is_the_outcome(around: Runs, hook: str) -> None:
    assert lines(around, hook, "refused") == (
        Canceled(reason="not today"),
        ["outer in", "outer saw Cancel"],
    )
    outcome, said = lines(around, hook, "spoiled")
    assert outcome == Failed(reason="spoiled", error_type="ValueError")
    assert said[-2:] == ["inner out", "outer saw ValueError"]
    outcome, said = lines(around, hook, "twice")
    assert outcome == Failed(reason="generator didn't stop", error_type="RuntimeError")
    # One that the outer one swallows: there was no call.
    assert lines(around, hook, "missing") == (
        Completed(),
        ["outer in", "outer caught LookupError('nothing to do')", "outer out"],
    )


def test_middleware_sees_the_end_of_the_time(around: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    # A child that gets no turn for a while would be killed before its last words.
    monkeypatch.setattr(process, "_ASYNC_GRACE_SECONDS", 60.0)
    report = around.run("hangs")
    assert isinstance(report.outcome, Failed)
    assert report.outcome.error_type == "TimedOut"
    assert [line.message for line in report.call.lines][-1] == "outer saw CancelledError"


# Output


# Executors are made in the test: pytest gives each of its phases another sys.stdout.


def test_what_is_printed_is_reported(make: Make) -> None:
    printing = make(printing=PRINTING)
    assert printing.run("print", "one", "two").output == "one\ntwo"
    assert printing.run("nothing").output == ""
    assert printing.run("write").output == "without an end"
    assert printing.run("print_async", "after").output == "before\nafter\naside\nin a task"
    report = printing.run("fails")
    assert report.output == "so far so good"
    assert isinstance(report.outcome, Failed)
    assert report.outcome.detail.count("so far") == 0
    assert printing.run("print", " \n ").output == ""


def test_bytes_are_made_text(make: Make) -> None:
    printing = make(printing=PRINTING)
    assert printing.run("bytes").output == "\ufffd\ufffd\ufffd[1mok\ufffd"
    assert printing.run("surrogate").output == "a?b"


def test_the_end_is_kept_and_cut_between_two_letters(make: Make) -> None:
    printing = make(printing=PRINTING)
    output = printing.run("floods").output
    assert output.endswith("\nline 99999 of far too many")
    assert output.startswith("…")
    assert 8100 < len(output.encode()) <= 8192
    accents = printing.run("accents").output
    assert set(accents) == {"…", "é"}
    assert 8180 < len(accents.encode()) <= 8192
    assert printing.run("print", "x" * 8191).output == "x" * 8191


def test_output_is_no_terminal(make: Make) -> None:
    printing = make(printing=PRINTING)
    assert printing.run("is_terminal").output == "False True utf-8"
