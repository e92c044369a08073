"""How much a run takes at a time, and what it gives back."""

import threading
from collections.abc import Callable

import pytest

from clocks import FakeClock
from daemons import until
from factories import insert, make_new
from rows import query
from sent import listen
from wpbridge import Context
from wpbridge.clock import Clock, SystemClock
from wpbridge.events import ActionCompleted, ClaimMade
from wpbridge.executors.handlers import describe
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.runner.claim_size import MOST
from wpbridge.runner.identity import identity
from wpbridge.runner.loop import Limits, Runner
from wpbridge.site.rules import FIRST_CLAIM
from wpbridge.store.base import ClaimFilter
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.telling.bus import Bus

FREE = "SELECT COUNT(*) FROM wp_actionscheduler_actions WHERE status = 'pending' AND claim_id = 0"
ACTIONS = "wp_actionscheduler_actions"
FAR_SECONDS = 60


def free_in(store: RunnerStore) -> int:
    return int(str(query(store, FREE)[0][0]))


def make_runner(
    store: RunnerStore,
    handler: Callable[..., None],
    limits: Limits,
    *,
    concurrency: int = 4,
    clock: Clock | None = None,
) -> tuple[Runner, list[int]]:
    sizes: list[int] = []
    bus, clock = Bus(), clock or SystemClock()
    bus.subscribe(ClaimMade, lambda event: sizes.append(getattr(event, "actions", 0)))
    executor = ThreadExecutor(
        {"h": describe("h", handler)}, concurrency=concurrency, clock=clock, site="s"
    )
    only = ClaimFilter(hooks=frozenset({"h"}))
    runner = Runner(store, executor, clock, identity(), only=only, limits=limits, bus=bus)
    return runner, sizes


def test_quick_actions_are_claimed_by_the_hundred(store: RunnerStore) -> None:
    insert(store, *[make_new("h", args=(n,)) for n in range(2_100)])
    runner, sizes = make_runner(store, lambda _number: None, Limits())
    totals = runner.run()
    assert totals.complete == 2_100
    assert sizes[0] == FIRST_CLAIM
    assert max(sizes) > 4 * FIRST_CLAIM
    assert sum(sizes) == 2_100 + totals.released


def test_endings_are_written_in_the_order_in_which_actions_ended(store: RunnerStore) -> None:
    """Those that come while the next claim is made too, whether they failed or not."""
    insert(store, *[make_new("h", args=(n,)) for n in range(3_000)])
    ran: list[str] = []

    def handle(number: int) -> None:
        ran.append(f"[{number}]")
        if number % 3 == 0:
            raise ValueError("no")

    runner, _ = make_runner(store, handle, Limits(), concurrency=1)
    totals = runner.run()
    assert (totals.complete, totals.failed) == (2_000, 1_000)
    written = query(
        store,
        f"SELECT a.args FROM wp_actionscheduler_logs l JOIN {ACTIONS} a USING (action_id)"
        " WHERE l.message LIKE 'action complete via%' OR l.message LIKE 'action failed via%'"
        " ORDER BY l.log_id",
    )
    assert [row[0] for row in written] == ran


def test_a_size_that_was_asked_for_is_kept(store: RunnerStore) -> None:
    insert(store, *[make_new("h", args=(n,)) for n in range(100)])
    runner, sizes = make_runner(store, lambda _number: None, Limits(batch_size=40))
    runner.run()
    assert sizes == [40, 40, 20]


def test_some_batches_are_of_the_plugins_size(store: RunnerStore) -> None:
    insert(store, *[make_new("h", args=(n,)) for n in range(100)])
    runner, sizes = make_runner(store, lambda _number: None, Limits(batches=2))
    assert runner.run().complete == 2 * FIRST_CLAIM
    assert sizes == [FIRST_CLAIM, FIRST_CLAIM]


def test_no_more_is_claimed_than_a_run_may(store: RunnerStore) -> None:
    insert(store, *[make_new("h", args=(n,)) for n in range(1_000)])
    runner, sizes = make_runner(store, lambda _number: None, Limits(max_actions=777))
    totals = runner.run()
    assert totals.complete == 777
    assert sum(sizes) == 777 + totals.released


def test_what_has_become_slow_is_given_back(
    dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    """Others can take it; what was given back is run all the same."""
    store, other = open_queue(dsn), open_queue(dsn)
    insert(store, *[make_new("h", args=(n,)) for n in range(1_000)])
    goes_on = threading.Event()

    def becomes_slow(number: int) -> None:
        if number >= 500:
            goes_on.wait(FAR_SECONDS)

    runner, sizes = make_runner(store, becomes_slow, Limits())
    totals = []
    thread = threading.Thread(target=lambda: totals.append(runner.run()))
    thread.start()
    try:
        until(lambda: any(size > 100 for size in sizes), "a large claim", FAR_SECONDS)
        until(lambda: free_in(other) == 496, "all but what runs given back", FAR_SECONDS)
    finally:
        goes_on.set()
        thread.join(FAR_SECONDS)
    assert totals[0].released > 0
    assert totals[0].complete == 1_000
    assert store.counts() == {"complete": 1_000}


def test_an_ending_that_is_refused_with_a_claim_ends_no_run(store: RunnerStore) -> None:
    """It is written in another form, and what is still due is claimed then."""
    insert(store, *[make_new("h", args=(n,)) for n in range(30)])

    def refuse(_sql: str, values: object) -> None:
        if "refuse me" in str(values):
            raise ValueError("a text that no column holds")

    def say(number: int, context: Context) -> None:
        if number == 3:
            context.log("refuse me")

    stop = listen(store.session, "before", refuse)
    # Time stands still: the line must not be written before its action has ended.
    runner, _ = make_runner(store, say, Limits(batch_size=10), clock=FakeClock())
    totals = runner.run()
    stop()
    assert (totals.complete, totals.failed) == (29, 1)
    assert store.counts() == {"complete": 29, "failed": 1}


def test_what_runs_long_beside_quick_ones_is_marked(
    dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    """However busy the runner is with claims, others see that a slow action has started."""
    store, other, third = (open_queue(dsn) for _ in range(3))
    insert(store, *[make_new("h", args=(n,)) for n in range(20_000)])
    due_then: list[int] = []

    def slow(number: int) -> None:
        if not number:
            started = f"SELECT 1 FROM {ACTIONS} WHERE status = 'in-progress'"
            until(lambda: query(other, started), "the mark of its start", FAR_SECONDS)

    def hear(sql: str, _values: object) -> None:
        # Counted at once: the handler may see the mark only when the others have run.
        if "SET status = 'in-progress'" in sql:
            due_then.append(free_in(third))

    runner, _ = make_runner(store, slow, Limits())
    stop = listen(store.session, "after", hear)
    assert runner.run().complete == 20_000
    stop()
    assert due_then[0] > 0


@pytest.mark.parametrize("who", ["subscriber", "log"])
def test_events_are_told_outside_of_transactions(who: str, store: RunnerStore) -> None:
    """Who hears them may take long, and rows would be locked meanwhile."""
    insert(store, *[make_new("h", args=(n,)) for n in range(2_100)])
    inside: list[bool] = []
    runner, sizes = make_runner(store, lambda _number: None, Limits())

    def hear(_event: object) -> None:
        inside.append(store.session.is_inside)

    if who == "log":
        runner._run.bus.write_to(hear, lambda kind: kind is ActionCompleted)
    else:
        runner._run.bus.subscribe(ActionCompleted, hear)
    assert runner.run().complete == 2_100
    assert max(sizes) == MOST
    assert inside == [False] * 2_100
