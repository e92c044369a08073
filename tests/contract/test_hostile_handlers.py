"""Whatever a handler raises, returns or says ends its own action, and nothing else."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import invariants
from executor_runs import make_call, one_report
from factories import insert, make_new
from hostile import RAISED, RETURNED, Nameless, Returned, Unprintable, recurse
from rows import change, column, log_of, query
from stores import again
from wpbridge import Context, Queue
from wpbridge.clock import SystemClock
from wpbridge.errors import InputError, StoreError
from wpbridge.events import ActionEvent, ActionFailed, Event
from wpbridge.executors.handlers import Handler, describe
from wpbridge.executors.loading import load
from wpbridge.executors.process.executor import PoolLimits, ProcessExecutor, Setup
from wpbridge.executors.threads import ThreadExecutor, outcome_of
from wpbridge.outcome import MOST_CHARACTERS, Completed, Failed, Outcome, plain
from wpbridge.runner import log_texts
from wpbridge.runner.identity import identity
from wpbridge.runner.in_hand import Totals
from wpbridge.runner.loop import Limits, Runner
from wpbridge.runner.reaper import reap
from wpbridge.site.rules import Limit, RetryRule
from wpbridge.store.base import ClaimFilter
from wpbridge.store.database.connection import Connection
from wpbridge.store.database.texts import as_bytes
from wpbridge.store.rows.inserts import Inserts
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.telling.bus import Bus

ACTIONS = "wp_actionscheduler_actions"


def raiser(name: str) -> Handler:
    def raises() -> None:
        made = RAISED[name][0]
        raise made()

    return describe(name, raises)


def async_raiser(name: str) -> Handler:
    async def raises() -> None:
        made = RAISED[name][0]
        raise made()

    return describe(f"async {name}", raises)


def returner(name: str) -> Handler:
    def returns(*, context: Context) -> object:
        return RETURNED[name](context)

    return describe(name, returns)


def everything() -> dict[str, Handler]:
    found = [raiser(name) for name in RAISED] + [async_raiser(name) for name in RAISED]
    found += [returner(name) for name in RETURNED]
    found += [describe("recursion", recurse), describe("good", lambda: None)]
    return {handler.hook: handler for handler in found}


def run(
    store: RunnerStore,
    handlers: dict[str, Handler],
    *,
    bus: Bus | None = None,
    retry: Sequence[RetryRule] = (),
    limits: tuple[Limit, ...] = (),
) -> Totals:
    clock = SystemClock()
    executor = ThreadExecutor(handlers, concurrency=2, clock=clock, site="s")
    runner = Runner(
        store,
        executor,
        clock,
        identity(),
        only=ClaimFilter(hooks=frozenset(handlers), limits=limits),
        limits=Limits(batch_size=40, concurrency=2),
        bus=bus,
        retry=retry,
    )
    return runner.run()


def add(store: RunnerStore, handlers: dict[str, Handler]) -> dict[str, int]:
    """One action of each hook, a good one beside each."""
    store.unregister()
    now = SystemClock().now()
    found: dict[str, int] = {}
    for hook in handlers:
        found[hook], found[f"beside {hook}"] = insert(
            store, make_new(hook, now=now), make_new("good", now=now), now=now
        )
    return found


def wanted_of(hook: str) -> tuple[str, ...]:
    if hook == "recursion":
        return ("failed",)
    status = RAISED.get(hook.removeprefix("async "), (None, "complete"))[1]
    return ("failed", "pending") if status == "either" else (status,)


def test_each_hostile_handler_ends_its_own_action_alone(store: RunnerStore) -> None:
    handlers = everything()
    ids = add(store, handlers)
    told: list[ActionEvent] = []
    bus = Bus()
    bus.subscribe(ActionEvent, told.append)
    run(store, handlers, bus=bus)
    for hook, action_id in ids.items():
        status = column(store, "status", action_id)
        assert status in wanted_of(hook), f"{hook}: {status}, {log_of(store, action_id)}"
        # What is put off to the past comes again after a second.
        assert column(store, "attempts", action_id) == 1 or status == "pending"
    invariants.check(store)
    for event in told:
        if isinstance(event, ActionFailed):
            assert type(event.reason) is type(event.error_type) is str
            event.reason.encode()


def test_hostile_failures_are_retried_and_pause_their_hook_as_all_others(
    store: RunnerStore,
) -> None:
    """A reason that no text column takes becomes the reason of a retry, and of a pause."""
    handlers = everything()
    ids = add(store, handlers)
    rule = RetryRule(error="*", max_attempts=2, base=timedelta(hours=1))
    pause = Limit(hook="*", pause_after=1)
    run(store, handlers, retry=[rule], limits=(pause,))
    for hook, action_id in ids.items():
        wanted = {"failed": "pending"}.get(wanted_of(hook)[0], wanted_of(hook)[0])
        assert column(store, "status", action_id) == wanted, (hook, log_of(store, action_id))
    paused = {one.name for one in store.parts.pauses.stored()}
    assert {"half a pair", "unprintable", "endless text", "async own text"} <= paused
    invariants.check(store)


@pytest.mark.parametrize(
    "name",
    ["harm", "unprintable", "untouchable", "interrupt", "generator exit", "nameless", "deep"],
)
def test_subscribers_and_middleware_hurt_nobody(store: RunnerStore, name: str) -> None:
    made = RAISED[name][0]

    def harms(*_: object) -> None:
        raise made()

    def around(_: Context) -> Iterator[None]:
        yield
        raise made()

    handlers = {
        "good": describe("good", lambda: None),
        "around": replace(describe("around", lambda: None), around=(around,)),
    }
    ids = add(store, handlers)
    bus = Bus()
    bus.subscribe(Event, harms)
    totals = run(store, handlers, bus=bus)
    assert (totals.complete, totals.failed) == (3, 1)
    assert column(store, "status", ids["around"]) == "failed"
    invariants.check(store)


def test_reasons_are_told_as_well_as_they_can_be(store: RunnerStore) -> None:
    handlers = everything()
    ids = add(store, handlers)
    run(store, handlers)

    def last(hook: str) -> str:
        return log_of(store, ids[hook])[-1]

    failed = "action failed via wpbridge: "
    assert last("half a pair") == f"{failed}file \\ud800 not found"
    assert last("own text") == f"{failed}a text \\ud800 of its own class"
    assert last("unprintable") == f"{failed}Unprintable, whose message raises Harm"
    assert "Nameless" in last("nameless")
    assert last("exit") == f"{failed}the handler exited with something unprintable (Harm)"
    # An error that counts as false is none the less an error.
    assert log_of(store, ids["async false"])[-1] == last("false") == f"{failed}hostile.Empty"
    retry = "action retry via wpbridge in 60 s: "
    assert last("retry, unprintable") == f"{retry}(unprintable: Unprintable raises Harm)"
    assert last("cancel for nothing") == "action canceled"
    assert "Retry(after=…) cannot lie in the past" in last("retry before")
    spoken = log_of(store, ids["speaks"])
    assert "half a \\ud800 pair" in spoken
    assert "(unprintable: Unprintable raises Harm)" in spoken
    assert "no line at all" in spoken


def test_isolated_handlers_are_as_harmless(tmp_path: Path) -> None:
    """Their outcomes travel as JSON."""
    module = """
from hostile import RAISED, RETURNED, recurse
from wpbridge import Context, hook

def sync(name, raised):
    def raises():
        raise raised()
    return hook(name, isolate=True)(raises)

for n, (name, (raised, _)) in enumerate(RAISED.items()):
    globals()[f"h{n}"] = sync(name, raised)

def late(name, returned):
    def returns(*, context: Context):
        return returned(context)
    return hook(name, isolate=True)(returns)

for n, (name, returned) in enumerate(RETURNED.items()):
    globals()[f"r{n}"] = late(name, returned)
"""
    (tmp_path / "hostile_acts.py").write_text(module)
    handlers = load(["hostile_acts"], folder=str(tmp_path))
    setup = Setup(modules=("hostile_acts",), folder=str(tmp_path), site="s")
    executor = ProcessExecutor(handlers, setup, limits=PoolLimits(children=1), clock=SystemClock())
    try:
        for number, hook in enumerate(handlers, 1):
            executor.submit(make_call(hook, action_id=number))
            outcome = until_reported(executor)
            kinds = {"Failed": "failed", "Completed": "complete", "Canceled": "canceled"}
            status = kinds.get(type(outcome).__name__, "pending")
            # The pipe of a process is as strict as Python makes it.
            is_strict = hook == "prints half a pair" and status == "failed"
            assert is_strict or status in wanted_of(hook), (hook, outcome)
    finally:
        executor.close()


def until_reported(executor: ProcessExecutor) -> Outcome:
    while not (reports := executor.reports(60)):
        pass
    (report,) = reports
    return report.outcome


def test_any_value_has_a_plain_text() -> None:
    for value in (Unprintable(), Returned(), Nameless, Nameless(), 5, None, "x" * 70_000, "\ud800"):
        text = plain(value)
        assert type(text) is str
        assert len(text.encode("ascii")) <= MOST_CHARACTERS


def test_a_generator_is_no_handler_that_has_done_its_work() -> None:
    """It was only made: nothing in it has run."""

    def generates() -> Iterator[None]:
        yield

    handler = describe("h", generates)
    clock = SystemClock()
    executor = ThreadExecutor({"h": handler}, concurrency=1, clock=clock, site="s")
    executor.submit(make_call("h"))
    report = one_report(executor)
    executor.close()
    assert isinstance(report.outcome, Failed)


def test_a_run_that_returns_what_harms_has_completed() -> None:
    outcome = outcome_of(Returned)
    assert isinstance(outcome, Completed)
    assert "is not kept, for it is no JSON" in outcome.left_out


def test_a_person_is_told_that_the_reason_of_a_pause_is_no_text(store: RunnerStore) -> None:
    """Words of a command line that are no UTF-8 arrive as half pairs."""
    with pytest.raises(InputError, match="reason: it holds half a surrogate pair"):
        Queue(store.parts).pause(hooks=["h"], reason="la \udce9poque")
    assert store.parts.pauses.stored() == []


# What a row holds


FAR_BACK = b"i:-99999999999;"


def add_far_back(store: RunnerStore) -> tuple[int, int]:
    """A recurring action whose next date lies before the year 1, and a good one."""
    now = SystemClock().now()
    (far,) = insert(store, make_new("far", interval=3600, now=now), now=now)
    blob = as_bytes(column(store, "schedule", far)).replace(b"i:3600;", FAR_BACK)
    assert FAR_BACK in blob
    change(
        store, f"UPDATE {ACTIONS} SET schedule = :s WHERE action_id = :i", s=blob.decode(), i=far
    )
    (good,) = insert(store, make_new("good", now=now), now=now)
    return far, good


NEXT = "There was a failure scheduling the next instance of this action"


def test_a_next_date_before_the_year_1_ends_its_chain_alone(store: RunnerStore) -> None:
    store.unregister()
    far, good = add_far_back(store)
    run(store, {hook: describe(hook, lambda: None) for hook in ("far", "good")})
    assert store.counts() == {"complete": 2}
    assert log_of(store, far)[-1] == f"{NEXT}: the next date lies before the year 1"
    assert log_of(store, good)[-1] == "action complete via wpbridge"
    invariants.check(store)


def test_the_reaper_outlives_it_too(store: RunnerStore) -> None:
    """It ends what a dead runner had started, and puts the rest back."""
    far, good = add_far_back(store)
    now = SystemClock().now()
    claim = store.claim_due(now=now, limit=10, only=ClaimFilter())
    assert claim is not None
    started = [(action, [log_texts.started(now)]) for action in claim.actions]
    store.start(started, now=now, once=False)
    store = again(store)
    change(store, "UPDATE wp_wpbridge_runners SET beat_gmt = '2020-01-01 00:00:00'")
    store.register(host="h", boot="", pid=2, pid_started="")
    reap(store, identity(), SystemClock(), policy="fail")
    assert store.counts() == {"failed": 2}
    assert log_of(store, far)[-1] == f"{NEXT}: the next date lies before the year 1"
    assert "its runner (here, pid 1) died while it ran" in log_of(store, good)[-1]
    invariants.check(store)


@pytest.mark.parametrize("status", ["Pending", "PENDING", "pénding"])
def test_a_status_that_only_the_collation_takes_for_pending_is_run(
    store: RunnerStore, status: str
) -> None:
    """The plugin's statements find it, and so do ours; it had ended every run."""
    store.unregister()
    odd, good = insert(store, make_new("h"), make_new("h"))
    change(store, f"UPDATE {ACTIONS} SET status = :s WHERE action_id = :i", s=status, i=odd)
    is_found = [odd] == [
        row[0] for row in query(store, f"SELECT action_id FROM {ACTIONS} WHERE status = 'pending'")
    ][:1]
    run(store, {"h": describe("h", lambda: None)})
    assert column(store, "status", good) == "complete"
    assert column(store, "status", odd) == ("complete" if is_found else status)
    invariants.check(store)


# What the database refuses


class Refusing:
    """Has the database refuse rows for what they hold."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.words: tuple[str, ...] = ()
        self.hooks: tuple[str, ...] = ()
        self.error: Exception = StoreError("no")
        logs, actions = Inserts.logs, Inserts.actions

        def refuse_logs(it: Inserts, connection: Connection, lines: Any) -> None:
            told = list(lines)
            if any(word in line.message for _, line in told for word in self.words):
                raise self.error
            logs(it, connection, told)

        def refuse_actions(it: Inserts, connection: Connection, new: Any, *more: Any) -> Any:
            if any(action.hook in self.hooks for action in new):
                raise self.error
            return actions(it, connection, new, *more)

        monkeypatch.setattr(Inserts, "logs", refuse_logs)
        monkeypatch.setattr(Inserts, "actions", refuse_actions)


ERRORS = [
    StoreError("a value does not fit"),
    UnicodeEncodeError("latin-1", "é", 0, 1, "no"),
    OverflowError("date value out of range"),
    MemoryError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_text_that_the_database_refuses_is_written_in_ascii(
    store: RunnerStore, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails() -> None:
        raise ValueError("détail")

    handlers = {"fails": describe("fails", fails), "good": describe("good", lambda: None)}
    ids = add(store, handlers)
    refusing = Refusing(monkeypatch)
    refusing.words, refusing.error = ("é",), error
    totals = run(store, handlers)
    assert (totals.complete, totals.failed) == (3, 1)
    assert log_of(store, ids["fails"])[-1] == "action failed via wpbridge: d\\xe9tail"
    invariants.check(store)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_successor_that_the_database_refuses_ends_its_chain_alone(
    store: RunnerStore, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    handlers = {hook: describe(hook, lambda: None) for hook in ("chain", "other", "good")}
    ids = add(store, handlers)
    (chain,) = insert(store, make_new("chain", interval=3600), now=SystemClock().now())
    (other,) = insert(store, make_new("other", interval=3600), now=SystemClock().now())
    refusing = Refusing(monkeypatch)
    refusing.hooks, refusing.error = ("chain",), error
    totals = run(store, handlers)
    assert totals.complete == len(ids) + 2
    said = log_of(store, chain)
    assert "action complete via wpbridge" in said
    assert "failure scheduling the next instance" in said[-1]
    assert "failure scheduling" not in log_of(store, other)[-1]
    left = query(store, f"SELECT hook FROM {ACTIONS} WHERE status = 'pending'")
    assert [row[0] for row in left] == ["other"]
    invariants.check(store)


def test_what_is_refused_altogether_fails_with_the_reason(
    store: RunnerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[ActionEvent] = []
    bus = Bus()
    bus.subscribe(ActionEvent, told.append)
    handlers = {"h": describe("h", lambda: None), "good": describe("good", lambda: None)}
    ids = add(store, handlers)
    change(store, f"DELETE FROM {ACTIONS} WHERE hook = 'good'")
    Refusing(monkeypatch).words = ("complete",)
    totals = run(store, handlers, bus=bus)
    assert (totals.complete, totals.failed) == (0, 1)
    reason = "its ending could not be written: StoreError: no"
    assert log_of(store, ids["h"])[-1] == f"action failed via wpbridge: {reason}"
    (failed,) = [event for event in told if isinstance(event, ActionFailed)]
    assert (failed.reason, failed.error_type) == (reason, "Unwritten")


def test_a_store_that_is_broken_for_good_ends_the_run(
    store: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    """Its tables are gone: nothing can be written any more, which somebody has to know."""
    others = [open_queue(dsn)]

    def drops() -> None:
        # By a connection of its own: the runner's belongs to its loop.
        change(others.pop(), "DROP TABLE wp_actionscheduler_logs")

    handlers = {"h": describe("h", drops)}
    store.unregister()
    insert(store, make_new("h"), make_new("h"))
    with pytest.raises(StoreError, match="actionscheduler_logs"):
        run(store, handlers)
