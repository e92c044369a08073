"""What runners and PHP have ended stands in the statistics, once, whoever dies."""

from collections import Counter as Multiset
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import pytest

from clocks import FakeClock
from factories import NOW, insert, make_new
from heard import heard
from rows import change, query
from wpbridge import Cancel, Retry
from wpbridge.errors import Contention, StoreError
from wpbridge.executors.handlers import describe
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.runner.identity import identity
from wpbridge.runner.loop import Limits, Runner
from wpbridge.store.base import ClaimFilter
from wpbridge.store.database.connection import Connection
from wpbridge.store.rows.stats import Count
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.telling.counting import Counter, What, minute_of, numbers_of
from wpbridge.telling.metrics import MOST_PAIRS
from wpbridge.telling.numbers import Numbers
from wpbridge.upkeep.history import DUE, EVERY_SECONDS, History

LOGS = "wp_actionscheduler_logs"


def kept(store: RunnerStore) -> list[Count]:
    return store.parts.stats.of("minute", NOW - timedelta(days=30), NOW + timedelta(days=30))


def endings(store: RunnerStore) -> Multiset[tuple[str, str]]:
    found = Multiset[tuple[str, str]]()
    for one in kept(store):
        if one.outcome not in (DUE, "claim"):
            found[one.hook, one.outcome] += one.actions
    return found


@pytest.fixture(autouse=True)
def _with_table(store: RunnerStore) -> None:
    store.parts.own.ensure(store.parts.names.stats)


def handle(what: str) -> None:
    match what:
        case "retried":
            raise Retry(after=timedelta(hours=1))
        case "canceled":
            raise Cancel("no")
        case "failed":
            raise ValueError(what)
        case _:
            pass


def run(store: RunnerStore, clock: FakeClock) -> Counter:
    counter = Counter()
    history = History(store.parts, clock, counter, holder="a", has_duty=True)
    numbers = counter.reader("metrics")
    executor = ThreadExecutor({"h": describe("h", handle)}, concurrency=2, clock=clock, site="s")
    only = ClaimFilter(hooks=frozenset({"h"}))
    Runner(
        store,
        executor,
        clock,
        identity(),
        only=only,
        limits=Limits(),
        caretaker=history,
        counter=counter,
    ).run()
    told = numbers_of(numbers())
    assert total(told, "wpbridge_actions_started_total") == sum(endings(store).values())
    return counter


def total(numbers: Numbers, name: str) -> float:
    return sum(value for (one, _), value in numbers.values.items() if one == name)


def test_each_attempt_of_a_run_is_counted_with_its_outcome(store: RunnerStore) -> None:
    outcomes = ["complete", "complete", "failed", "retried", "canceled"]
    insert(store, *[make_new(args=(one,), group="mail") for one in outcomes])
    run(store, FakeClock())
    assert endings(store) == Multiset(("h", one) for one in outcomes)
    [done] = [one for one in kept(store) if one.outcome == "complete"]
    group = query(store, "SELECT group_id FROM wp_actionscheduler_groups WHERE slug = 'mail'")
    assert done.group_id == group[0][0]
    # They were due for a minute.
    assert (sum(done.waits), sum(done.durations)) == (2, 2)
    assert done.wait_seconds >= 120
    [claims] = [one for one in kept(store) if one.outcome == "claim"]
    assert claims.actions == sum(claims.durations) == 1


def test_counts_that_cannot_be_written_just_now_are_written_later(
    store: RunnerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter, clock = Counter(), FakeClock()
    history = History(store.parts, clock, counter, holder="a", has_duty=False)
    counter.add(What(minute_of(NOW), "h", "", "complete"), 1, 1)
    with monkeypatch.context() as patch:
        patch.setattr(store.parts.stats, "add", refuse)
        clock.at += timedelta(seconds=EVERY_SECONDS)
        history.step()
        assert not endings(store)
    counter.add(What(minute_of(NOW), "h", "", "complete"), 1, 1)
    history.leave()
    assert endings(store) == {("h", "complete"): 2}


def refuse(_counts: object) -> None:
    raise Contention("others hold the rows")


PHP: Final = (
    ("complete", "action started via WP Cron", "action complete via WP Cron"),
    ("failed", "action started via Async Request", "action failed via Async Request: no"),
    (
        "failed",
        "action started via WP CLI",
        "unexpected shutdown: PHP Fatal error x in y on line 3",
    ),
    ("failed", "action started via WP Cron", "action timed out after 300 seconds"),
    ("", "action started via wpbridge", "action complete via wpbridge"),
    ("", "action started via wpbridge", "unexpected shutdown: PHP Fatal error x in y on line 3"),
    ("", "action created", "action canceled"),
)
"""What an ending counts as, and the log rows around it."""


def log(store: RunnerStore, action_id: int, message: str, at: datetime) -> None:
    values = f"({action_id}, '{message}', '{at:%F %T}', '{at:%F %T}')"
    columns = "action_id, message, log_date_gmt, log_date_local"
    change(store, f"INSERT INTO {LOGS} ({columns}) VALUES {values}")


def php_runs(store: RunnerStore) -> None:
    """The log rows of each kind of ending, which took two seconds; the action was due for one."""
    for number, (_, start, end) in enumerate(PHP):
        [one] = insert(store, make_new(f"p{number}", due_in=-1, group="shop"))
        log(store, one, start, NOW)
        log(store, one, end, NOW + timedelta(seconds=2))


def look(store: RunnerStore, holder: str = "a") -> Counter:
    """One turn of the duty, which is due."""
    change(store, "UPDATE wp_wpbridge_duties SET due_gmt = '2020-01-01' WHERE duty = 'history'")
    counter = Counter()
    counter.reader("metrics")
    History(store.parts, FakeClock(), counter, holder=holder, has_duty=True).step()
    return counter


def test_what_php_has_ended_is_counted_once_whoever_looks(store: RunnerStore) -> None:
    [old] = insert(store, make_new("old"))
    log(store, old, "action complete via WP Cron", NOW)
    look(store)
    php_runs(store)
    look(store, "b")
    assert not endings(store), "a row is counted when it was there at the look before"
    for holder in "cab":
        look(store, holder)
    wanted = {(f"p{n}", what): 1 for n, (what, _, _) in enumerate(PHP) if what}
    assert endings(store) == wanted
    for one in kept(store):
        if one.outcome != DUE:
            assert (one.duration_seconds, one.wait_seconds) == (2, 1)


def test_a_look_at_the_log_goes_on_where_the_last_one_was_cut(
    store: RunnerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wpbridge.store.upkeep.php_endings.MOST_ROWS", 5)
    look(store)
    php_runs(store)
    look(store)
    for _ in range(10):
        look(store)
    assert sum(endings(store).values()) == 4


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_around_the_commit_counts_php_endings_once(
    store: RunnerStore, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    look(store)
    php_runs(store)
    look(store)
    commit = store.session._commit

    def dies(connection: Connection) -> None:
        if "left_to" in changed:
            if after:
                commit(connection)
            raise KeyboardInterrupt
        commit(connection)

    changed: set[str] = set()
    count = store.parts.php_endings.count

    def counting(work: Callable[[object], object]) -> object:
        changed.add("left_to")
        return count(work)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(store.parts.php_endings, "count", counting)
        patch.setattr(store.session, "_commit", dies)
        with pytest.raises(KeyboardInterrupt):
            look(store)
    for _ in range(3):
        look(store)
    assert sum(endings(store).values()) == 4


def test_php_endings_are_counted_for_the_metrics_too(store: RunnerStore) -> None:
    look(store)
    php_runs(store)
    look(store)
    change(store, "UPDATE wp_wpbridge_duties SET due_gmt = '2020-01-01' WHERE duty = 'history'")
    counter = Counter()
    take = counter.reader("metrics")
    History(store.parts, FakeClock(), counter, holder="a", has_duty=True).step()
    told = numbers_of(take()).values
    assert told["wpbridge_actions_completed_total", ("shop", "p0", "php")] == 1
    assert told["wpbridge_actions_failed_total", ("shop", "p2", "php", "crash")] == 1
    assert told["wpbridge_actions_failed_total", ("shop", "p3", "php", "timeout")] == 1


def test_how_much_is_due_is_noted_at_each_turn(store: RunnerStore) -> None:
    insert(store, make_new(due_in=-90), make_new(due_in=-30), make_new(due_in=60))
    look(store)
    look(store)
    [sample] = [one for one in kept(store) if one.outcome == DUE]
    assert (sample.hook, sample.actions) == ("", 4)
    assert (sample.duration_seconds, sample.wait_seconds) == (2, 180)


def test_a_history_that_cannot_be_kept_stops_no_run_and_is_told_of_once(
    store: RunnerStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_counts: object) -> None:
        raise StoreError("no right")

    clock, counter = FakeClock(), Counter()
    history = History(store.parts, clock, counter, holder="a", has_duty=True)
    monkeypatch.setattr(store.parts.stats, "add", fail)
    for _ in range(3):
        counter.add(What(minute_of(NOW), "h", "", "complete"))
        clock.at += timedelta(seconds=EVERY_SECONDS)
        history.step()
    history.leave()
    assert [line for line in heard(caplog) if "history" in line] == [
        'history.not_kept reason="no right"'
    ]


def test_ten_thousand_hooks_make_two_hundred_rows_and_lose_no_ending(store: RunnerStore) -> None:
    counter = Counter()
    history = History(store.parts, FakeClock(), counter, holder="a", has_duty=False)
    for number in range(10_000):
        for _ in range(1 + (number < 10)):
            counter.add(What(minute_of(NOW), f"hook{number}", "g", "complete"), 1, 1)
    history.leave()
    told = kept(store)
    assert len(told) == MOST_PAIRS + 1
    assert sum(one.actions for one in told) == 10_010
    assert {f"hook{number}" for number in range(10)} < {one.hook for one in told}
