"""What every way to run Python handlers does alike: threads, and isolated in child processes."""

import os
import textwrap
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from executor_runs import KINDS, Runs, make_call, one_report
from tables_of_0_1 import key_of_0_1
from wpbridge.action import ActionId
from wpbridge.clock import SystemClock
from wpbridge.executors.handlers import Handler
from wpbridge.executors.loading import load
from wpbridge.executors.openings import HookSet
from wpbridge.executors.process import executor as process
from wpbridge.executors.process.executor import PoolLimits, ProcessExecutor, Setup
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.outcome import Canceled, Completed, Failed, Outcome, Retried, Snoozed, Unrun

HANDLERS = textwrap.dedent('''
    import asyncio, logging, os
    from datetime import UTC, datetime, timedelta
    from wpbridge import Cancel, Context, Retry, Snooze, hook

    class Odd(BaseException):
        """None that `except Exception` catches."""

    class Mute(Exception):
        def __str__(self):
            raise RuntimeError("no words")

    RAISED = {
        "error": ValueError("boom"), "key": KeyError("k"), "exit": SystemExit(3), "odd": Odd("odd"),
        "interrupt": KeyboardInterrupt(), "generator": GeneratorExit("over"), "mute": Mute(),
        "time": TimeoutError("the other side"),
        "retry": Retry(after=90.5, reason="später"), "cancel": Cancel("not needed"),
        "snooze": Snooze(until=datetime(2030, 1, 2, 3, 4, 5, 6, tzinfo=UTC), reason="closed"),
        "far": Snooze(until=timedelta.max), "never": Retry(after=timedelta.max),
    }

    @hook("nothing")
    def nothing():
        pass

    @hook("raise")
    def raise_it(name):
        raise RAISED[name]

    @hook("raise_async")
    async def raise_it_later(name):
        await asyncio.sleep(0)
        raise RAISED[name]

    @hook("echo")
    def echo(*values, context: Context):
        context.log(repr(values))
        context.log(repr(context.args))

    @hook("fields", timeout=3600)
    def fields(*, context: Context):
        left = context.deadline - datetime.now(UTC)
        told = (context.id, context.hook, context.group, context.attempt, context.site,
                context.scheduled_at, context.idempotency_key)
        context.log(repr(told))
        context.log(repr([timedelta(minutes=59) < left <= timedelta(hours=1),
                          3500 < context.seconds_left() <= 3600, context.is_over(),
                          context.is_stopping()]))

    @hook("unlimited", timeout=0)
    def unlimited(*, context: Context):
        context.log(repr((context.deadline, context.seconds_left(), context.is_over())))

    @hook("waits")
    def waits(ready, go, *, context: Context):
        context.log("before")
        with open(ready, "w"):
            pass
        with open(go):
            context.log("after")

    @hook("polite")
    def polite(ready, *, context: Context):
        with open(ready, "w"):
            pass
        while not context.is_stopping():
            pass
        context.log("stopped")

    @hook("sleeps_async", timeout=0.05)
    async def sleeps(*, context: Context):
        try:
            await asyncio.Event().wait()
        finally:
            context.log("cleaned up")

    @hook("logs")
    def logs(*, context: Context):
        context.logger.warning("careful: %s", "ä")
''')


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("handlers")
    (place / "contract_handlers.py").write_text(HANDLERS, "utf-8")
    return place


@pytest.fixture(scope="module")
def handlers(folder: Path) -> dict[str, Handler]:
    return load(["contract_handlers"], folder=str(folder))


@pytest.fixture(scope="module", params=KINDS)
def make(
    request: pytest.FixtureRequest, folder: Path, handlers: dict[str, Handler]
) -> Iterator[Callable[..., Runs]]:
    made: list[ThreadExecutor | ProcessExecutor] = []

    def make_it(size: int = 1) -> Runs:
        executor: ThreadExecutor | ProcessExecutor
        if request.param == "threads":
            executor = ThreadExecutor(handlers, concurrency=size, clock=SystemClock(), site="s")
        else:
            setup = Setup(modules=("contract_handlers",), folder=str(folder), site="s")
            limits = PoolLimits(children=size)
            executor = ProcessExecutor(handlers, setup, limits=limits, clock=SystemClock())
        made.append(executor)
        return Runs(executor)

    yield make_it
    for executor in made:
        executor.close()
        executor.close()


@pytest.fixture(scope="module")
def runs(make: Callable[..., Runs]) -> Runs:
    return make()


@pytest.fixture
def pipes(tmp_path: Path) -> tuple[str, str]:
    """Two named pipes: what is opened on one side waits for the other."""
    names = (str(tmp_path / "ready"), str(tmp_path / "go"))
    for name in names:
        os.mkfifo(name)
    return names


def wait_for(pipe: str) -> None:
    with Path(pipe).open(encoding="ascii"):
        pass


def let_go(pipe: str) -> None:
    with Path(pipe).open("w", encoding="ascii"):
        pass


def test_returning_completes(runs: Runs) -> None:
    assert runs.outcome("nothing") == Completed()


@pytest.mark.parametrize("hook", ["raise", "raise_async"])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("error", Failed(reason="boom", error_type="ValueError")),
        ("key", Failed(reason="KeyError: 'k'", error_type="KeyError")),
        ("exit", Failed(reason="the handler exited with 3", error_type="SystemExit")),
        ("odd", Failed(reason="odd", error_type="Odd")),
        ("interrupt", Failed(reason="KeyboardInterrupt", error_type="KeyboardInterrupt")),
        ("generator", Failed(reason="over", error_type="GeneratorExit")),
        ("time", Failed(reason="the other side", error_type="TimeoutError")),
        ("mute", Failed(reason="Mute, whose message raises RuntimeError", error_type="Mute")),
        ("retry", Retried(after=timedelta(seconds=90.5), reason="später")),
        ("cancel", Canceled(reason="not needed")),
        ("snooze", Snoozed(until=datetime(2030, 1, 2, 3, 4, 5, 6, tzinfo=UTC), reason="closed")),
        ("far", Failed(reason="date value out of range", error_type="OverflowError")),
        ("never", Failed(reason="date value out of range", error_type="OverflowError")),
    ],
)
def test_whatever_is_raised_is_the_outcome_of_one_action(
    runs: Runs, hook: str, name: str, expected: Outcome
) -> None:
    assert runs.outcome(hook, name) == expected
    assert runs.outcome("nothing") == Completed()


VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    1.0,
    -0.0,
    0.1,
    1e300,
    5e-324,
    2**53 + 1,
    -(2**63),
    2**200,
    "",
    "é漢😀\x00\x1e\n",
    "\ud800",
    [],
    {},
    [[1, [2.0, {"a": [None]}]]],
    {"0": "a", "k": {"z": 1, "a": 2}},
]


def test_values_and_args_arrive_as_they_are(runs: Runs) -> None:
    mapping = {"b": 1, "a": [1.0, 1], "0": "x"}
    said = runs.said("echo", *VALUES, mapping=mapping)
    assert said == [repr(tuple(VALUES)), repr(mapping)]


def test_deep_values_arrive(runs: Runs) -> None:
    deep: Any = []
    for _ in range(500):
        deep = [deep]
    assert runs.said("echo", deep, mapping=[deep]) == [repr((deep,)), repr([deep])]


def test_the_context_says_what_is_known(runs: Runs, handlers: dict[str, Handler]) -> None:
    report = runs.run("fields", group="g", attempts=2)
    action = report.call.action
    # Its row told no key: it was queued when 0.1 ran, whose key it keeps.
    key = key_of_0_1("s", action.id)
    assert [line.message for line in report.call.lines] == [
        repr((int(action.id), "fields", "g", 3, "s", None, key)),
        "[True, True, False, False]",
    ]


def test_the_key_that_the_queue_tells_is_the_handlers(runs: Runs) -> None:
    report = runs.run("fields", idempotency_key="of the site")
    assert report.call.lines[0].message.endswith("'of the site')")


def test_without_a_limit_there_is_no_deadline(runs: Runs) -> None:
    assert runs.said("unlimited") == ["(None, None, False)"]


def test_log_lines_appear_while_the_handler_runs(runs: Runs, pipes: tuple[str, str]) -> None:
    call = make_call("waits", *pipes, action_id=next(runs.ids))
    runs.executor.submit(call)
    wait_for(pipes[0])
    while not call.lines:
        assert not runs.executor.reports(0.01)
    assert [line.message for line in call.lines] == ["before"]
    assert call.lines[0].at.tzinfo is not None
    assert list(runs.executor.running()) == [call]
    assert not runs.executor.has_room()
    # Quick calls went before it, so it is taken for one of them at first.
    while runs.executor.has_room(ahead=True):
        assert not runs.executor.reports(0.01)
    let_go(pipes[1])
    report = one_report(runs.executor)
    assert [line.message for line in report.call.lines] == ["before", "after"]
    assert runs.executor.running() == {}
    assert runs.executor.has_room()


def test_log_records_reach_the_log(runs: Runs, caplog: pytest.LogCaptureFixture) -> None:
    report = runs.run("logs")
    (record,) = [record for record in caplog.records if record.name == "wpbridge.handler"]
    assert record.getMessage() == "careful: ä"
    assert vars(record)["action_id"] == report.call.action.id


def test_an_async_handler_is_cancelled_at_its_limit(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A child that gets no turn for a while would be killed before its last words.
    monkeypatch.setattr(process, "_ASYNC_GRACE_SECONDS", 60.0)
    report = runs.run("sleeps_async")
    assert isinstance(report.outcome, Failed)
    assert report.outcome.reason == "timed out after 0.05 s"
    assert report.outcome.error_type == "TimedOut"
    assert [line.message for line in report.call.lines] == ["cleaned up"]
    assert runs.outcome("nothing") == Completed()


def test_what_waits_can_be_recalled(make: Callable[..., Runs], pipes: tuple[str, str]) -> None:
    executor = make().executor
    first = make_call("waits", *pipes, action_id=1)
    others = [make_call("nothing", action_id=n) for n in (2, 3, 4)]
    assert executor.admit([first, *others]) == [first]
    executor.submit(first)
    wait_for(pipes[0])
    assert executor.admit(others) == []
    for call in others:
        executor.submit(call)
    assert executor.recall({first, others[1]}) == [others[1]]
    assert executor.recall() == [others[0], others[2]]
    assert executor.recall() == []
    let_go(pipes[1])
    report = one_report(executor)
    assert report.call is first
    assert executor.reports(0) == []


def test_an_action_that_others_took_over_may_come_again_while_it_runs_on(
    make: Callable[..., Runs], pipes: tuple[str, str]
) -> None:
    executor = make(2).executor
    first, again = make_call("waits", *pipes), make_call("nothing")
    executor.submit(first)
    wait_for(pipes[0])
    executor.submit(again)
    report = one_report(executor)
    assert report.call is again
    assert list(executor.running()) == [first]
    let_go(pipes[1])
    report = one_report(executor)
    assert report.call is first
    assert executor.running() == {}
    assert executor.admit([make_call("nothing", action_id=n) for n in (2, 3, 4)])[1:]


def test_what_may_no_longer_start_is_handed_back(make: Callable[..., Runs]) -> None:
    executor = make().executor
    executor.submit(make_call("echo", action_id=1, may_start=lambda: False))
    executor.submit(make_call("echo", action_id=2))
    found = executor.reports(60)
    while len(found) < 2:
        found += executor.reports(60)
    assert [report.call.action.id for report in found] == [1, 2]
    assert isinstance(found[0].outcome, Unrun)
    assert found[0].call.lines == []
    assert found[1].outcome == Completed()
    assert executor.running() == {}


def test_only_known_hooks_are_run(runs: Runs, handlers: dict[str, Handler]) -> None:
    executor = runs.executor
    (openings,) = executor.openings()
    assert openings.takes("nothing", "")
    assert not openings.takes("Nothing", "")
    assert openings.hooks == HookSet(frozenset(handlers))
    assert executor.refuses("nothing", "") is None
    assert executor.trouble() is None
    assert executor.start_mark("nothing", "") == "with_ending"


def test_a_handler_hears_that_the_runner_stops(
    make: Callable[..., Runs], pipes: tuple[str, str]
) -> None:
    runs = make()
    runs.executor.submit(make_call("polite", pipes[0], action_id=next(runs.ids)))
    wait_for(pipes[0])
    runs.executor.announce_stop()
    report = one_report(runs.executor)
    assert [line.message for line in report.call.lines] == ["stopped"]
    let = runs.run("fields")
    assert let.call.lines[1].message == "[True, True, False, True]"


def test_closing_drops_what_waits(make: Callable[..., Runs], pipes: tuple[str, str]) -> None:
    executor = make().executor
    executor.submit(make_call("waits", *pipes, action_id=1))
    wait_for(pipes[0])
    executor.submit(make_call("nothing", action_id=2))
    executor.close()
    # Nobody may be there to be let go any more.
    os.close(os.open(pipes[1], os.O_RDWR))
    assert ActionId(2) not in {report.call.action.id for report in executor.reports(0)}


def test_many_actions_on_many_at_once_are_each_reported_once(make: Callable[..., Runs]) -> None:
    executor = make(3).executor
    for n in range(200):
        executor.submit(make_call("echo", n, action_id=n + 1))
    found: dict[int, str] = {}
    while len(found) < 200:
        for report in executor.reports(60):
            assert report.outcome == Completed()
            assert report.call.action.id not in found
            found[report.call.action.id] = report.call.lines[0].message
    assert found == {n + 1: repr((n,)) for n in range(200)}
