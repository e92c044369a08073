"""What handlers return is kept with the ending of their action, and what they say of progress."""

import json
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

import invariants
from clocks import FakeClock
from factories import NOW, context, insert, make_new
from rows import change, column, log_of, query
from wpbridge import Context, Queue, Retry
from wpbridge.action import ActionId
from wpbridge.clock import SystemClock
from wpbridge.executors.handlers import describe
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.runner.identity import identity
from wpbridge.runner.loop import Limits, Runner
from wpbridge.store.base import ClaimFilter
from wpbridge.store.records import StoredResult
from wpbridge.store.rows.stats import HOURS_KEPT, Count
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.upkeep.old_rows import EVERY_SECONDS, OldRows

RESULTS = "wp_wpbridge_results"
ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)
HANDLERS: Mapping[str, Callable[..., object]] = {
    "number": lambda: 17,
    "text": lambda: "ä\ud800 \x00 '\"",
    "nested": lambda: {"a": [1, None, 2.5], "ü": True},
    "false": lambda: False,
    "none": lambda: None,
    "set": lambda: {1, 2},
    "nan": lambda: [float("nan")],
    "endless": lambda: ENDLESS,
    "large": lambda: "x" * 65_535,
    "largest": lambda: "x" * 65_534,
}


async def later() -> list[int]:
    return [1, 2]


def run(store: RunnerStore, handlers: Mapping[str, Callable[..., object]] = HANDLERS) -> None:
    clock = SystemClock()
    found = {name: describe(name, function) for name, function in handlers.items()}
    runner = Runner(
        store,
        ThreadExecutor(found, concurrency=2, clock=clock, site="s"),
        clock,
        identity(),
        only=ClaimFilter(hooks=frozenset(handlers)),
        limits=Limits(batch_size=40, concurrency=2),
    )
    runner.run()


def add(store: RunnerStore, *hooks: str) -> dict[str, ActionId]:
    now = SystemClock().now()
    ids = insert(store, *[make_new(hook, now=now) for hook in hooks], now=now)
    return dict(zip(hooks, ids, strict=True))


def kept(store: RunnerStore, action_id: ActionId) -> StoredResult | None:
    return Queue(store.parts, close_store=False).result(action_id)


def test_what_a_handler_returns_is_kept_as_json(store: RunnerStore) -> None:
    ids = add(store, *HANDLERS, "later")
    run(store, {**HANDLERS, "later": later})
    for hook in ("number", "text", "nested", "false", "largest"):
        result = kept(store, ids[hook])
        assert result is not None
        assert json.loads(result.result or "") == HANDLERS[hook]()
    result = kept(store, ids["later"])
    assert result is not None
    assert result.result == "[1, 2]"
    assert kept(store, ids["none"]) is None
    invariants.check(store)


@pytest.mark.parametrize(
    ("hook", "why"),
    [
        ("set", "it is no JSON: TypeError"),
        ("nan", "it is no JSON: ValueError"),
        ("endless", "it is no JSON: ValueError"),
        ("large", "it has 65,537 bytes, and 65,536 are kept"),
    ],
)
def test_a_value_that_cannot_be_kept_is_left_out_and_fails_nothing(
    store: RunnerStore, hook: str, why: str
) -> None:
    ids = add(store, hook)
    run(store)
    assert column(store, "status", ids[hook]) == "complete"
    assert kept(store, ids[hook]) is None
    assert any("what the handler returned is not kept" in line for line in log_of(store, ids[hook]))
    assert any(why in line for line in log_of(store, ids[hook])), log_of(store, ids[hook])


def test_a_run_that_is_tried_again_leaves_no_result(store: RunnerStore) -> None:
    def again(*, context: Context) -> str:
        if context.attempt == 1:
            raise Retry(60)
        return "second"

    ids = add(store, "again")
    run(store, {"again": again})
    assert kept(store, ids["again"]) is None
    change(
        store,
        "UPDATE wp_actionscheduler_actions SET scheduled_date_gmt = '2026-01-01 00:00:00'",
    )
    run(store, {"again": again})
    result = kept(store, ids["again"])
    assert result is not None
    assert result.result == '"second"'


def test_without_the_table_an_action_ends_all_the_same(
    store: RunnerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with an account that may not make new tables."""
    change(store, f"DROP TABLE {RESULTS}")
    monkeypatch.setattr(type(store.parts.own), "prepare", lambda own: own.look())
    ids = add(store, "number")
    run(store)
    assert column(store, "status", ids["number"]) == "complete"
    assert kept(store, ids["number"]) is None


def test_a_result_that_the_table_refuses_is_left_out(store: RunnerStore) -> None:
    change(store, f"DROP TABLE {RESULTS}")
    change(store, f"CREATE TABLE {RESULTS} (action_id INTEGER PRIMARY KEY)")
    ids = add(store, "number", "none")
    run(store)
    assert [column(store, "status", ids[hook]) for hook in ("number", "none")] == ["complete"] * 2
    assert any("what the handler returned is not kept" in m for m in log_of(store, ids["number"]))


def test_progress_is_seen_while_the_handler_runs(store: RunnerStore) -> None:
    seen = threading.Event()
    found: list[StoredResult | None] = []

    def slow(*, context: Context) -> str:
        context.progress(0.25, "page 1 of 4")
        context.progress(0.5, "page 2 of 4")
        assert seen.wait(60)
        return "done"

    ids = add(store, "slow")
    advance = type(store).advance

    def advanced(self: RunnerStore, steps: Any) -> None:
        advance(self, steps)
        if steps:
            found.append(kept(store, ids["slow"]))
            # The runner may look between the two.
            if steps[ids["slow"]].fraction == 0.5:
                seen.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(store), "advance", advanced)
        run(store, {"slow": slow})
    during = found[-1]
    assert during is not None
    assert (during.progress, during.progress_text, during.result) == (0.5, "page 2 of 4", None)
    after = kept(store, ids["slow"])
    assert after is not None
    assert (after.result, after.progress_text) == ('"done"', "page 2 of 4")


@pytest.mark.parametrize(("said", "kept_as"), [(-1, 0.0), (7, 1.0), (float("inf"), 1.0), (1, 1.0)])
def test_progress_lies_between_0_and_1(said: float, kept_as: float) -> None:
    one = context()
    one.progress(said, "x" * 300)
    assert (one.steps[-1].fraction, one.steps[-1].text) == (kept_as, "x" * 255)
    with pytest.raises(ValueError, match="NaN"):
        one.progress(float("nan"))


def test_results_go_with_their_action(store: RunnerStore) -> None:
    ids = add(store, "number")
    run(store)
    Queue(store.parts, close_store=False).delete([ids["number"]])
    assert query(store, f"SELECT * FROM {RESULTS}") == []


def test_old_results_are_deleted_once_an_hour_by_one_runner(store: RunnerStore) -> None:
    clock = FakeClock(NOW)
    ids = insert(store, *[make_new(f"h{n}") for n in range(3)])
    with_result = [(ids[0], "1"), (ids[1], "2")]
    store.session.transact(lambda c: store.parts.results.write(c, with_result, NOW))
    later = NOW + timedelta(days=2)
    store.session.transact(lambda c: store.parts.results.write(c, [(ids[2], "3")], later))
    clock.at = NOW + timedelta(days=7)
    one, other = (
        OldRows(store.parts, clock, holder=name, keep_results=timedelta(days=7)) for name in "ab"
    )
    assert not one.step().has_more
    assert query(store, f"SELECT action_id FROM {RESULTS}") == [(ids[2],)]
    clock.at = later + timedelta(days=7)
    other.step()
    # By the database's clock an hour has not gone by.
    assert query(store, f"SELECT action_id FROM {RESULTS}") == [(ids[2],)]
    assert EVERY_SECONDS == 3600


def test_results_that_are_kept_as_long_as_their_action_go_when_php_deleted_it(
    store: RunnerStore,
) -> None:
    ids = insert(store, make_new("h"), make_new("i"))
    results = [(one, "1") for one in ids]
    store.session.transact(lambda c: store.parts.results.write(c, results, NOW))
    change(store, f"DELETE FROM wp_actionscheduler_actions WHERE action_id = {ids[0]}")
    clock = FakeClock(NOW + timedelta(days=400))
    OldRows(store.parts, clock, holder="a", keep_results=None).step()
    assert query(store, f"SELECT action_id FROM {RESULTS}") == [(ids[1],)]


def test_the_sizes_of_the_tables_are_noted_once_an_hour(store: RunnerStore) -> None:
    """The dashboard says how fast they grow. Of two runners, the one that has the duty notes."""
    for name in "ab":
        OldRows(store.parts, FakeClock(NOW), holder=name, keep_results=None).step()
    noted = store.parts.sizes.since(NOW - timedelta(hours=1))
    sizes = store.parts.gauges.sizes()
    assert {size.table for size in noted} == set(sizes)
    assert len(noted) == len(sizes)
    assert {size.at for size in noted} == {NOW.replace(minute=0)}


def test_other_old_rows_go_where_no_results_are_kept(store: RunnerStore) -> None:
    change(store, f"DROP TABLE {RESULTS}")
    parts = store.parts
    parts.own.look()
    parts.own.ensure(parts.names.stats)
    parts.stats.add([Count(begin=NOW, hook="h", group_id=0, outcome="complete")])
    caretaker = OldRows(parts, FakeClock(NOW + HOURS_KEPT * 2), holder="a", keep_results=None)
    while caretaker.step().has_more:
        pass
    assert query(store, "SELECT * FROM wp_wpbridge_stats WHERE span <> 'size'") == []
