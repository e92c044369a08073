"""The plugin's cleaner's work, by its rules and nothing beside them, by one runner at a time."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from clocks import FakeClock
from factories import NOW, insert, make_new
from rows import change, column, log_of, query
from stores import again
from wpbridge.action import ActionId, ClaimId
from wpbridge.clock import SystemClock
from wpbridge.errors import Contention
from wpbridge.events import Event, UpkeepDone, UpkeepLeft, UpkeepResumed
from wpbridge.executors.handlers import describe
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.outcome import LogLine
from wpbridge.runner import upkeep_turns
from wpbridge.runner.identity import identity
from wpbridge.runner.loop import Limits, Runner
from wpbridge.runner.upkeep_turns import UpkeepReport
from wpbridge.site.rules import Keep
from wpbridge.store.base import ClaimFilter
from wpbridge.store.queueing.adding import SINCE_4_HOOK
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.store.upkeep.cleaning import AWAY, CLEANERS, Cleaning
from wpbridge.store.upkeep.duties import Duty
from wpbridge.telling.bus import Bus
from wpbridge.upkeep import caretaker, cleanup
from wpbridge.upkeep.caretaker import SiteCaretaker

ACTIONS = "wp_actionscheduler_actions"
CLAIMS = "wp_actionscheduler_claims"
NEVER = "0000-00-00 00:00:00"
BEFORE_4 = (
    "action marked as failed after 300 seconds. Unknown error occurred. Check server, PHP and"
    " database error logs to diagnose cause."
)
SINCE_4 = (
    "action was in-progress for at least 300 seconds without completing and has been marked as"
    " failed. Check server, PHP and database error logs to diagnose cause."
)


@dataclass
class Keeper:
    """A caretaker, and what it told."""

    store: RunnerStore
    name: str = "a"
    more: dict[str, Any] = field(default_factory=dict)
    clock: FakeClock = field(default_factory=FakeClock)
    told: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        bus = Bus("shop")
        bus.subscribe(Event, self.told.append)
        self.it = SiteCaretaker(self.store.parts, self.clock, bus, holder=self.name, **self.more)

    def step(self) -> UpkeepReport:
        return self.it.step()

    def round(self) -> int:
        """Pieces until there is no more; how many there were."""
        pieces = 0
        while self.step().has_more:
            pieces += 1
        return pieces

    def done(self) -> list[tuple[int, int, int]]:
        return [(e.reset, e.failed, e.deleted) for e in self.told if isinstance(e, UpkeepDone)]


@pytest.fixture
def keeper(store: RunnerStore) -> Keeper:
    return Keeper(store)


def row(
    store: RunnerStore,
    status: str = "pending",
    claim: int = 900,
    age: float | str | None = 300.0,
    hook: str = "h",
    **more: Any,
) -> ActionId:
    """A row whose last attempt was so many seconds ago; a text or None is written as it is."""
    [action_id] = insert(store, make_new(hook, **more))
    last = f"{NOW - timedelta(seconds=age):%F %T}" if isinstance(age, int | float) else age
    change(
        store,
        f"UPDATE {ACTIONS} SET status = :s, claim_id = :c, last_attempt_gmt = :l,"
        " last_attempt_local = :l, attempts = 1 WHERE action_id = :i",
        s=status,
        c=claim,
        l=last,
        i=action_id,
    )
    return action_id


def raw(store: RunnerStore, action_id: int) -> list[object]:
    names = "status, claim_id, attempts, last_attempt_gmt, last_attempt_local, scheduled_date_gmt"
    return list(query(store, f"SELECT {names} FROM {ACTIONS} WHERE action_id = :i", i=action_id)[0])


def ids(store: RunnerStore) -> set[int]:
    return {int(str(r[0])) for r in query(store, f"SELECT action_id FROM {ACTIONS}")}


def claim_of(store: RunnerStore, claim: int, age: int | None) -> None:
    """A row of the claims table, so many seconds old by the database's clock; None: no date."""
    made = "NULL" if age is None else store.parts.dialect.db_in(-age)
    change(store, f"INSERT INTO {CLAIMS} (claim_id, date_created_gmt) VALUES ({claim}, {made})")


def claims(store: RunnerStore) -> list[int]:
    return [int(str(r[0])) for r in query(store, f"SELECT claim_id FROM {CLAIMS} ORDER BY 1")]


def have_due(store: RunnerStore, duty: Duty = "claims") -> None:
    """Time has passed by the database's clock."""
    change(
        store,
        "UPDATE wp_wpbridge_duties SET due_gmt = '2000-01-01 00:00:00' WHERE duty = :d",
        d=duty,
    )


def looks_like_4(store: RunnerStore, status: str = "complete", age: float = 60.0) -> ActionId:
    return row(store, status, 0, age, SINCE_4_HOOK)


# What dead runners hold


def test_a_waiting_row_without_a_sign_is_free_again(store: RunnerStore, keeper: Keeper) -> None:
    change(store, f"INSERT INTO {CLAIMS} (claim_id, date_created_gmt) VALUES (900, '2026-01-01')")
    stale = [row(store), row(store, age=301), row(store, age=NEVER), row(store, claim=901)]
    before = {i: raw(store, i) for i in stale}
    keeper.round()
    for action_id in stale:
        expected = before[action_id]
        expected[1] = 0
        assert raw(store, action_id) == expected
        assert log_of(store, action_id) == ["action created", "action reset"]
    # The plugin's cleaner would leave the row of the claim, which is empty now.
    assert claims(store) == []
    assert keeper.done() == [(4, 0, 0)]
    [event] = keeper.told
    assert (event.site, event.at) == ("shop", NOW)


def test_a_running_row_without_a_sign_is_failed(store: RunnerStore, keeper: Keeper) -> None:
    stuck = [row(store, "in-progress"), row(store, "in-progress", age=9e6, interval=60)]
    by_hand = row(store, "in-progress", claim=0)
    count = len(ids(store))
    before = {i: raw(store, i)[2:] for i in (*stuck, by_hand)}
    keeper.round()
    for action_id, claim in ((stuck[0], 900), (stuck[1], 900), (by_hand, 0)):
        assert raw(store, action_id) == ["failed", claim, *before[action_id]]
        assert log_of(store, action_id) == ["action created", BEFORE_4]
    assert len(ids(store)) == count, "a recurring chain ends with it, as in the plugin"
    assert keeper.done() == [(0, 3, 0)]


def test_words_and_dates_are_those_of_the_release_here(store: RunnerStore, keeper: Keeper) -> None:
    looks_like_4(store)
    stuck = row(store, "in-progress")
    keeper.round()
    assert log_of(store, stuck)[1:] == [SINCE_4]
    now = "2026-11-24 12:00:00"
    assert raw(store, stuck)[:5] == ["failed", 900, 1, now, now]


def test_rows_of_claims_that_hold_nothing_and_nobody_holds_are_dropped(
    store: RunnerStore, keeper: Keeper
) -> None:
    for claim, age in ((801, 301), (802, 777_777), (803, 301), (804, 301), (805, 301)):
        claim_of(store, claim, age)
    for status in ("complete", "failed", "canceled"):
        row(store, status, 802, 9e5)
    waits, runs = row(store, "pending", 803, 10), row(store, "in-progress", 804, 10)
    before = {i: raw(store, i) for i in ids(store)}
    keeper.round()
    assert claims(store) == [803, 804]
    assert {i: raw(store, i) for i in ids(store)} == before
    assert [event.claims for event in keeper.told if isinstance(event, UpkeepDone)] == [3]
    have_due(store)
    keeper.round()
    assert claims(store) == [803, 804]
    assert len(keeper.told) == 1
    assert (raw(store, waits)[1], raw(store, runs)[1]) == (803, 804)


@pytest.mark.parametrize("age", [0, 100, 240, -60, -9999])
def test_a_claim_that_a_runner_of_php_has_just_made_is_left(
    store: RunnerStore, keeper: Keeper, age: int
) -> None:
    """Its row comes first, and its actions a moment later. Our own clock does not count."""
    claim_of(store, 801, age)
    keeper.clock.at = NOW + timedelta(days=3650)
    keeper.round()
    assert claims(store) == [801]
    assert keeper.told == []


def test_a_claim_in_a_row_of_a_wpbridge_runner_is_left_dead_or_alive(
    store: RunnerStore, keeper: Keeper
) -> None:
    for claim in (801, 802, 80):
        claim_of(store, claim, 9999)
    store.register(host="gone", boot="b", pid=1, pid_started="1")
    change(
        store,
        "UPDATE wp_wpbridge_runners SET claims = '801,802', beat_gmt = '2020-01-01 00:00:00'",
    )
    keeper.round()
    assert claims(store) == [801, 802]


def test_a_claim_that_is_filled_between_look_and_deed_is_left(
    store: RunnerStore, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    for claim in (801, 802):
        claim_of(store, claim, 301)
    drop = Cleaning.drop_empty

    def filled_before(self: Cleaning, found: Sequence[ClaimId]) -> int:
        row(store, "pending", 801, 0)
        return drop(self, found)

    monkeypatch.setattr(Cleaning, "drop_empty", filled_before)
    keeper.round()
    assert claims(store) == [801]


def test_many_empty_claims_go_in_several_pieces(
    store: RunnerStore, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caretaker, "STALE_BATCH", 2)
    for claim in range(801, 806):
        claim_of(store, claim, 301)
    assert keeper.step() == UpkeepReport(freed=0, has_more=True)
    assert claims(store) == [803, 804, 805]
    keeper.round()
    assert claims(store) == []


def test_empty_claims_go_while_the_plugins_own_cleaner_is_seen_too(
    store: RunnerStore, keeper: Keeper
) -> None:
    """It never looks for them."""
    php_seen(store)
    stuck = row(store)
    claim_of(store, 801, 301)
    keeper.round()
    assert claims(store) == []
    assert column(store, "claim_id", stuck) == 900


def test_what_must_not_be_touched(
    store: RunnerStore, keeper: Keeper, open_queue: Callable[[str], RunnerStore], dsn: str
) -> None:
    other = open_queue(dsn)
    other.register(host="elsewhere", boot="b", pid=2, pid_started="2")
    held = {}
    for number, it in enumerate((store, other)):
        # Mine and another's; that its rows were not kept fresh is the reaper's affair.
        claimed = insert(it, *(make_new(f"mine{number}") for _ in range(2)))
        only = ClaimFilter(hooks=frozenset({f"mine{number}"}))
        claim = it.claim_due(now=NOW, limit=9, only=only)
        assert claim is not None
        assert [a.id for a in claim.actions] == claimed
        it.start([(claim.actions[0], [])], now=NOW, once=False)
        held[number] = claimed
    everyone = [i for claimed in held.values() for i in claimed]
    change(
        store,
        f"UPDATE {ACTIONS} SET last_attempt_gmt = '2026-11-24 01:00:00'"
        f" WHERE action_id IN ({', '.join(map(str, everyone))})",
    )
    left = [
        *everyone,
        row(store, "pending", 900, 299),
        row(store, "in-progress", 900, 299),
        row(store, "in-progress", 900, -30),
        row(store, "pending", 0, 9999),
        row(store, "pending", 900, None),
        row(store, "in-progress", 900, None),
        row(store, "strange", 900, 9999),
        *(row(store, status, 900, 9999) for status in ("complete", "failed", "canceled")),
    ]
    before = [raw(store, i) for i in left]
    touched = [row(store), row(store, "in-progress")]
    keeper.round()
    assert [raw(store, i) for i in left] == before
    assert keeper.done() == [(1, 1, 0)]
    assert [raw(store, i)[:2] for i in touched] == [["pending", 0], ["failed", 900]]


def test_a_class_of_schedules_that_only_php_knows_is_cleaned_as_any(
    store: RunnerStore, keeper: Keeper
) -> None:
    foreign = [row(store), row(store, "in-progress"), row(store, "complete", 0, 9e6)]
    change(store, f"UPDATE {ACTIONS} SET schedule = 'O:10:\"MySchedule\":0:{{}}'")
    keeper.round()
    states = [r[0] for r in query(store, f"SELECT status FROM {ACTIONS} ORDER BY action_id")]
    assert (foreign[2] not in ids(store), states) == (True, ["pending", "failed"])


def test_many_go_in_several_pieces(
    store: RunnerStore, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caretaker, "STALE_BATCH", 2)
    stale = [row(store) for _ in range(5)]
    assert keeper.step() == UpkeepReport(freed=2, has_more=True)
    free = f"SELECT action_id FROM {ACTIONS} WHERE claim_id = 0 ORDER BY 1"
    assert len(query(store, free)) == 2
    keeper.round()
    assert [r[0] for r in query(store, free)] == stale
    assert keeper.done() == [(5, 0, 0)]


def test_rows_that_others_lock_wait_for_the_next_time(
    store: RunnerStore, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = row(store)

    def busy(*_: object, **__: object) -> None:
        raise Contention

    with monkeypatch.context() as patch:
        patch.setattr(type(store.parts.cleaning), "reset", busy)
        assert keeper.step() == UpkeepReport()
    assert column(store, "claim_id", stale) == 900
    have_due(store)
    keeper.round()
    assert column(store, "claim_id", stale) == 0


def test_older_layouts_are_cleaned_all_the_same(store: RunnerStore, dsn: str) -> None:
    names = ("status_claim_id", "status_last_attempt_gmt")
    for name in names:
        change(
            store,
            f"DROP INDEX {name} ON {ACTIONS}"
            if dsn.startswith("mysql")
            else f'DROP INDEX "{ACTIONS}__{name}"',
        )
    store = again(store)
    keeper = Keeper(store)
    assert (store.parts.layout.claimed_index, store.parts.layout.attempt_index) == (None, None)
    row(store), row(store, "in-progress"), row(store, "complete", 0, 99 * DAY)
    keeper.round()
    assert keeper.done() == [(1, 1, 0), (0, 0, 1)]


# What ended long ago

DAY = 86_400.0


@pytest.mark.parametrize("is_4", [False, True])
def test_retention_is_the_plugins(store: RunnerStore, keeper: Keeper, is_4: bool) -> None:
    kept = {looks_like_4(store)} if is_4 else set()
    month = 31 * DAY
    for status, days in (("complete", 31), ("canceled", 31), ("failed", 93)):
        kept |= {row(store, status, 0, days * DAY - 1), row(store, status, 0, None)}
    kept |= {row(store, "pending", 0, 99 * month), row(store, "strange", 0, 99 * month)}
    gone = [row(store, s, 7, 31 * DAY) for s in ("complete", "canceled")]
    gone += [row(store, "canceled", 0, NEVER)]
    failed = [row(store, "failed", 0, 93 * DAY), row(store, "failed", 0, 999 * DAY)]
    kept |= set() if is_4 else set(failed)
    keeper.round()
    assert ids(store) == kept
    logs = query(store, "SELECT DISTINCT action_id FROM wp_actionscheduler_logs")
    assert {r[0] for r in logs} == kept
    assert keeper.done() == [(0, 0, len(gone) + (2 if is_4 else 0))]


def test_our_rules_go_first(store: RunnerStore) -> None:
    rules = (
        Keep(hook="invoice_*", keep=None),
        Keep(hook="wc_sync", status="complete", keep=timedelta(days=2)),
        Keep(status="failed", keep=timedelta(days=60)),
    )
    kept = {
        row(store, "complete", 0, 99 * DAY, "invoice_a"),
        row(store, "failed", 0, 99 * DAY, "invoice_b"),
        row(store, "complete", 0, 1.9 * DAY, "wc_sync"),
        row(store, "canceled", 0, 3 * DAY, "wc_sync"),
        row(store, "complete", 0, 3 * DAY, "other"),
        row(store, "failed", 0, 59 * DAY, "other"),
    }
    row(store, "complete", 0, 2 * DAY, "wc_sync")
    row(store, "canceled", 0, 31 * DAY, "wc_sync")
    row(store, "failed", 0, 60 * DAY, "other")
    Keeper(store, more={"rules": rules}).round()
    assert ids(store) == kept


def test_more_hooks_than_can_be_told_apart_are_all_kept(
    store: RunnerStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    old = row(store, "complete", 0, 99 * DAY, "invoice_a")
    monkeypatch.setattr(type(store.parts.reading), "hook_names", lambda _self: None)
    Keeper(store, more={"rules": (Keep(hook="invoice_*", keep=None),)}).round()
    assert ids(store) == {old}
    assert "upkeep.too_many_hooks" in caplog.text


@pytest.mark.parametrize("status", ["pending", "in-progress", "complete", "failed"])
def test_what_the_plugins_daily_action_deletes_in_php_is_left_to_it(
    store: RunnerStore, status: str
) -> None:
    daily = looks_like_4(store, status)
    by_rule = row(store, "complete", 0, 5 * DAY, "mine")
    old = row(store, "complete", 0, 99 * DAY)
    rules = (Keep(hook="mine", keep=timedelta(days=4)),)
    Keeper(store, more={"rules": rules, "runs_php": True}).round()
    assert by_rule not in ids(store)
    is_alive = status in ("pending", "in-progress")
    assert ids(store) == ({daily, old} if is_alive else {daily})


def test_old_ones_go_in_batches_that_fit_the_server(
    store: RunnerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = Keeper(store)
    for _ in range(30):
        row(store, "complete", 0, 99 * DAY)
    seconds, sizes = iter([0.3] * 4 + [0.01] * 9), []
    real = cleanup.delete_expired

    def slow(*given: Any, **more: Any) -> int:
        sizes.append(more["batch_size"])
        keeper.clock.at += timedelta(seconds=next(seconds))
        return real(*given, **{**more, "batch_size": min(4, more["batch_size"])})

    monkeypatch.setattr(cleanup, "delete_expired", slow)
    keeper.round()
    assert ids(store) == set()
    # The last of each status finds nothing
    assert sizes[:8] == [250, 125, 62, 31, 20, 40, 80, 160]
    assert keeper.done() == [(0, 0, 30)]


def test_years_of_old_ones_do_not_keep_it_from_claims(
    store: RunnerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caretaker, "MOST_DELETED", 2)
    keeper = Keeper(store)
    old = [row(store, "complete", 0, 99 * DAY) for _ in range(8)]
    assert keeper.step() == UpkeepReport(has_more=True)
    stale = row(store)
    have_due(store)
    keeper.clock.at += timedelta(seconds=caretaker.TURN_SECONDS)
    assert keeper.step() == UpkeepReport(has_more=True)
    assert column(store, "claim_id", stale) == 900
    keeper.clock.at += timedelta(seconds=1)
    assert keeper.step() == UpkeepReport(freed=1, has_more=True)
    assert (ids(store), column(store, "claim_id", stale)) == ({*old[4:], stale}, 0)
    php_seen(store)
    keeper.round()
    assert len(ids(store) & set(old)) == 4, "a new turn looks for PHP's runners again"
    assert keeper.done() == [(0, 0, 4), (1, 0, 0)]


# Whose turn it is


@pytest.fixture
def two(
    store: RunnerStore, open_queue: Callable[[str], RunnerStore], dsn: str
) -> tuple[Keeper, Keeper]:
    other = open_queue(dsn)
    other.register(host="there", boot="b", pid=9, pid_started="9")
    return Keeper(store, "a"), Keeper(other, "b")


def holder(store: RunnerStore, duty: Duty = "claims") -> object:
    return query(store, "SELECT holder FROM wp_wpbridge_duties WHERE duty = :d", d=duty)[0][0]


def test_one_runner_does_it_for_all(
    store: RunnerStore, two: tuple[Keeper, Keeper], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caretaker, "STALE_BATCH", 1)
    one, other = two
    for _ in range(3):
        row(store)
    assert one.step() == UpkeepReport(freed=1, has_more=True)
    # The other duty is free, and has nothing to do.
    assert other.step() == UpkeepReport()
    assert (holder(store), holder(store, "retention"), other.done()) == ("a", "b", [])
    one.round()
    assert one.done() == [(3, 0, 0)]
    row(store)
    assert [one.step(), other.step()] == [UpkeepReport(), UpkeepReport()], (
        "not before the next time"
    )
    have_due(store)
    other.round()
    assert (other.done(), holder(store)) == ([(1, 0, 0)], "b")


def test_a_holder_that_dies_is_followed_when_its_time_is_over(
    store: RunnerStore, two: tuple[Keeper, Keeper], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caretaker, "STALE_BATCH", 1)
    one, other = two
    stale = [row(store) for _ in range(3)]
    one.step()
    assert other.step() == UpkeepReport()
    have_due(store)
    assert other.step() == UpkeepReport(freed=1, has_more=True)
    # It was only slow: it sees that another has its duty, and tells what it did.
    assert one.step() == UpkeepReport()
    assert one.done() == [(1, 0, 0)]
    other.round()
    assert [column(store, "claim_id", i) for i in stale] == [0, 0, 0]
    assert other.done() == [(2, 0, 0)]


def test_a_holder_at_work_keeps_it(
    store: RunnerStore, two: tuple[Keeper, Keeper], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caretaker, "STALE_BATCH", 1)
    one, other = two
    for _ in range(3):
        row(store)
    one.step()
    have_due(store)
    one.step()
    other.round()
    assert holder(store) == "a"
    assert other.done() == []


def test_who_ends_lets_others_go_on_at_once(
    store: RunnerStore, two: tuple[Keeper, Keeper], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caretaker, "STALE_BATCH", 1)
    one, other = two
    for _ in range(3):
        row(store)
    one.step()
    one.it.leave()
    assert one.done() == [(1, 0, 0)]
    other.round()
    assert other.done() == [(2, 0, 0)]
    one.it.leave()
    assert holder(store) == "b", "what is not held is not given back"


def test_of_two_that_come_at_once_one_is_quicker(
    store: RunnerStore, two: tuple[Keeper, Keeper]
) -> None:
    start = threading.Barrier(2)

    def take(it: Keeper) -> bool:
        start.wait()
        return it.store.parts.duties.take("claims", it.name)

    with ThreadPoolExecutor(2) as threads:
        for _ in range(30):
            assert sorted(threads.map(take, two)) == [False, True]
            have_due(store)


def test_a_date_from_a_clock_that_was_wrong_stops_nobody(
    store: RunnerStore, keeper: Keeper
) -> None:
    keeper.round()
    stale = row(store)
    change(store, "UPDATE wp_wpbridge_duties SET due_gmt = '2099-01-01 00:00:00'")
    keeper.round()
    assert column(store, "claim_id", stale) == 0


# The plugin's own runners


def php_seen(
    store: RunnerStore, name: str = "WP Cron", age: timedelta = timedelta(minutes=1)
) -> None:
    [ran] = insert(store, make_new("php"))
    line = LogLine(message=f"action started via {name}", at=NOW - age)
    store.log([(ran, line)])


@pytest.mark.parametrize("name", CLEANERS)
def test_while_one_is_seen_nothing_is_done_which_is_told_once(
    store: RunnerStore, two: tuple[Keeper, Keeper], name: str
) -> None:
    stuck, old = row(store), row(store, "complete", 0, 99 * DAY)
    php_seen(store, name)
    for it in (*two, *two):
        have_due(store)
        have_due(store, "retention")
        it.round()
    told = [*two[0].told, *two[1].told]
    assert [type(event) for event in told] == [UpkeepLeft]
    assert [getattr(event, "runner", "") for event in told] == [name]
    assert (column(store, "claim_id", stuck), old in ids(store)) == (900, True)
    change(store, f"DELETE FROM {ACTIONS} WHERE hook = 'php'")
    for it in (two[1], two[0]):
        it.clock.at = NOW + AWAY
        have_due(store)
        have_due(store, "retention")
        it.round()
    assert [len(it.told) for it in two] == [1, 3]
    assert [type(event) for event in two[1].told] == [UpkeepResumed, UpkeepDone, UpkeepDone]
    assert (column(store, "claim_id", stuck), old in ids(store)) == (0, False)


@pytest.mark.parametrize(
    ("name", "age"),
    [
        ("wpbridge", 1),
        ("wpbridge: WP Cron does not answer", 1),
        ("Admin List Table", 1),
        ("Action Scheduler CLI", 1),
        ("WP Cron", 10),
        ("WP CLI", 600),
    ],
)
def test_what_is_no_sign_of_one(store: RunnerStore, keeper: Keeper, name: str, age: int) -> None:
    php_seen(store, name, timedelta(minutes=age))
    stuck = row(store)
    keeper.round()
    assert column(store, "claim_id", stuck) == 0


# Beside the loop


def test_an_idle_runner_takes_what_was_freed_at_once(
    store: RunnerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep_turns, "NEXT_SECONDS", 0.01)
    ran = threading.Event()

    class Stub:
        """Has nothing at first, and frees something when the runner has gone idle."""

        steps = 0

        def step(self) -> UpkeepReport:
            self.steps += 1
            if self.steps == 5:
                insert(store, make_new("h"))
            return UpkeepReport(freed=int(self.steps == 5), has_more=self.steps < 5)

        def leave(self) -> None:
            assert not query(store, f"SELECT 1 FROM {ACTIONS} WHERE status <> 'complete'")

    executor = ThreadExecutor(
        {"h": describe("h", ran.set)}, concurrency=1, clock=SystemClock(), site="s"
    )
    runner = Runner(
        store,
        executor,
        SystemClock(),
        identity(),
        only=ClaimFilter(hooks=frozenset({"h"})),
        limits=Limits(poll=timedelta(hours=1)),
        caretaker=Stub(),
    )
    # It has been idle for long: its next own look is an hour away.
    runner._idling.seconds = 3600.0
    failed: list[bool] = []

    def end() -> None:
        failed.append(not ran.wait(300))
        runner.stop()

    waiter = threading.Thread(target=end)
    waiter.start()
    totals = runner.run()
    waiter.join()
    assert (failed, totals.complete) == ([False], 1)
