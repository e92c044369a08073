"""The watcher tells each change of an alert once, whatever dies, and one watcher does."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta

import pytest

from clocks import FakeClock
from rows import change
from stores import open_store
from well import HISTORY, READINGS
from wpbridge.errors import SchemaError, StoreUnavailable
from wpbridge.monitor.facts import Facts
from wpbridge.monitor.history import Ended
from wpbridge.monitor.readings import Readings
from wpbridge.monitor.watching import STANDBY, Plan, Watcher
from wpbridge.site.alert_kinds import QuietHours
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.opened import OpenStore
from wpbridge.store.rows.alerts import Alert, Alerts
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.store.upkeep.duties import Duties

MINUTE = timedelta(minutes=1)
WELL = READINGS
STOPPED = replace(WELL, recurring_stopped=2)
"""RecurringStopped is above its threshold; it must last five minutes."""


class Killed(BaseException):
    """The process is gone."""


@dataclass
class Sink:
    """A target that notes what it gets."""

    id: str = "one"
    shown: str = "number 1 (Sink)"
    got: list[str] = field(default_factory=list)
    is_away: bool = False
    dies: str = ""
    """When the watcher is killed: ``before`` or ``after`` the message has come."""

    def send(self, title: str, body: str) -> bool:
        assert title.startswith("[wpbridge shop] ")
        if self.dies == "before":
            raise Killed
        if self.is_away:
            return False
        self.got += [line for line in body.splitlines() if line.startswith(("FIRING", "RESOLVED"))]
        if self.dies == "after":
            raise Killed
        return True


@dataclass
class World:
    """A site, what its queue is like, and its watchers."""

    dsn: str
    clock: FakeClock
    sinks: list[Sink]
    readings: Readings | None = WELL
    is_down: bool = False
    opened: list[OpenStore] = field(default_factory=list)

    def open(self) -> OpenStore:
        if self.is_down:
            raise StoreUnavailable
        self.opened.append(open_store(DatabaseAddress.from_dsn(self.dsn), "wp_").parts)
        return self.opened[-1]

    def measure(self, _store: OpenStore, now: datetime) -> Facts:
        if self.is_down:
            raise StoreUnavailable
        return Facts(at=now, readings=self.readings)

    def watcher(self, name: str = "a", **plan: object) -> Watcher:
        told = {"site": "shop", "targets": self.sinks, "thresholds": {}, **plan}
        return Watcher(self.open, self.measure, self.clock, Plan(**told), holder=name)  # type: ignore[arg-type]

    def look(self, watcher: Watcher, *, minutes: int = 1) -> None:
        """So many looks, a minute from each other."""
        for _ in range(minutes):
            self.clock.at += MINUTE
            watcher.look()

    def close(self) -> None:
        while self.opened:
            self.opened.pop().close()

    @property
    def got(self) -> list[str]:
        return self.sinks[0].got

    def rows(self) -> list[Alert]:
        return self.open().alerts.all()

    def lapse(self) -> None:
        """The dead watcher's duty is over, as after a minute."""
        change(self.open(), "UPDATE wp_wpbridge_duties SET due_gmt = '2020-01-01 00:00:00'")


@pytest.fixture
def world(store: RunnerStore, dsn: str, clock: FakeClock) -> Iterator[World]:
    it = World(dsn, clock, [Sink()])
    yield it
    it.close()


FIRING, RESOLVED = "FIRING: RecurringStopped", "RESOLVED: RecurringStopped"


def test_it_is_told_when_it_has_lasted_and_when_it_is_over(world: World) -> None:
    watcher = world.watcher()
    world.look(watcher)
    world.readings = STOPPED
    world.look(watcher, minutes=5)
    assert (world.got, [row.state for row in world.rows()]) == ([], ["pending"])
    world.look(watcher, minutes=10)
    assert world.got == [FIRING]
    world.readings = WELL
    world.look(watcher, minutes=2)
    assert (world.got, world.rows()) == ([FIRING, RESOLVED], [])


def test_what_did_not_last_is_told_to_nobody(world: World) -> None:
    watcher = world.watcher()
    world.readings = STOPPED
    world.look(watcher, minutes=4)
    world.readings = WELL
    world.look(watcher)
    world.readings = STOPPED
    world.look(watcher, minutes=4)
    assert world.got == []


def test_a_restart_does_not_lose_since_when(world: World) -> None:
    world.readings = STOPPED
    for number in range(7):
        watcher = world.watcher(f"w{number}")
        world.look(watcher)
        watcher.close()
    assert world.got == [FIRING]


def test_it_is_repeated_while_it_fires(world: World) -> None:
    watcher = world.watcher(repeat=timedelta(hours=1))
    world.readings = STOPPED
    world.look(watcher, minutes=125)
    assert world.got == [FIRING] * 2
    assert world.watcher(repeat=None).preview().messages == []


def test_hooks_are_told_of_in_one_message(world: World) -> None:
    watcher = world.watcher()
    hooks = {name: Ended(complete=1, failed=9) for name in ("mail", "sync")}
    quarter = replace(HISTORY, hooks=hooks)
    world.measure = lambda _store, now: Facts(at=now, readings=WELL, quarter_hour=quarter)  # type: ignore[method-assign]
    seen: list[tuple[str, str]] = []
    world.sinks[0].send = lambda title, body: not seen.append((title, body))  # type: ignore[method-assign,func-returns-value]
    world.look(world.watcher(), minutes=3)
    [(title, body)] = seen
    assert title == "[wpbridge shop] 2 firing"
    assert "FIRING: FailRatio (mail)\n90 % of the actions of the hook mail" in body
    assert "FIRING: FailRatio (sync)" in body
    assert watcher is not None


@pytest.mark.parametrize("told", [FIRING, RESOLVED])
@pytest.mark.parametrize("dies", ["before", "after"])
def test_a_kill_repeats_one_message_at_most_and_loses_none(
    world: World, dies: str, told: str
) -> None:
    watcher = world.watcher()
    if told == RESOLVED:
        world.readings = STOPPED
        world.look(watcher, minutes=6)
    world.sinks[0].dies = dies
    world.readings = STOPPED if told == FIRING else WELL
    with pytest.raises(Killed):
        world.look(watcher, minutes=10)
    world.sinks[0].dies = ""
    # The change that is owed is told even if it is no longer so.
    world.readings = WELL
    world.lapse()
    world.look(world.watcher("b"), minutes=3)
    wanted = [FIRING, RESOLVED]
    if dies == "after":
        wanted.insert(wanted.index(told), told)
    assert (world.got, world.rows()) == (wanted, [])


def test_a_kill_when_all_is_written_repeats_nothing(world: World) -> None:
    world.readings = STOPPED
    world.look(world.watcher(), minutes=6)
    world.lapse()
    world.look(world.watcher("b"), minutes=10)
    assert world.got == [FIRING]


def test_a_target_that_is_away_gets_everything_later_in_order(world: World) -> None:
    other = Sink(id="two")
    world.sinks.append(other)
    watcher = world.watcher()
    world.sinks[0].is_away = True
    for _ in range(2):
        world.readings = STOPPED
        world.look(watcher, minutes=6)
        world.readings = WELL
        world.look(watcher, minutes=2)
    assert (world.got, other.got) == ([], [FIRING, RESOLVED] * 2)
    watcher.close()
    world.sinks[0].is_away = False
    world.look(world.watcher("b"))
    assert (world.got, other.got) == ([FIRING, RESOLVED] * 2, [FIRING, RESOLVED] * 2)
    assert world.rows() == []


def test_what_is_owed_to_a_target_that_is_no_longer_named_is_dropped(world: World) -> None:
    watcher = world.watcher()
    world.sinks[0].is_away = True
    world.readings = STOPPED
    world.look(watcher, minutes=6)
    watcher.close()
    world.sinks = [Sink(id="two")]
    world.readings = WELL
    world.look(world.watcher("b"), minutes=2)
    assert (world.got, world.rows()) == ([RESOLVED], [])


def test_one_of_many_watchers_sends(world: World) -> None:
    watchers = [world.watcher(name) for name in "abc"]
    world.readings = STOPPED
    for _ in range(8):
        world.clock.at += MINUTE
        for watcher in watchers:
            watcher.look()
    assert world.got == [FIRING]
    # The one that sends ends, and another one goes on.
    watchers[0].close()
    world.readings = WELL
    for watcher in watchers[1:]:
        watcher.look()
    assert world.got == [FIRING, RESOLVED]


NIGHT = QuietHours(begin=time(22), end=time(7))


def test_in_quiet_hours_only_critical_alerts_are_sent(world: World) -> None:
    watcher = world.watcher(quiet_hours=NIGHT)
    world.clock.at = datetime(2026, 3, 1, 23, tzinfo=UTC)
    world.readings = replace(STOPPED, due=1)
    world.look(watcher, minutes=20)
    assert world.got == ["FIRING (critical): NoRunner"]
    world.clock.at = datetime(2026, 3, 2, 7, tzinfo=UTC)
    world.look(watcher)
    assert world.got == ["FIRING (critical): NoRunner", FIRING]


def test_what_is_over_before_the_quiet_hours_end_is_told_to_nobody(world: World) -> None:
    watcher = world.watcher(quiet_hours=NIGHT)
    world.clock.at = datetime(2026, 3, 1, 23, tzinfo=UTC)
    world.readings = STOPPED
    world.look(watcher, minutes=20)
    world.readings = WELL
    world.look(watcher, minutes=2)
    world.clock.at = datetime(2026, 3, 2, 8, tzinfo=UTC)
    world.look(watcher)
    assert (world.got, world.rows()) == ([], [])


def test_that_it_is_over_is_told_after_the_quiet_hours(world: World) -> None:
    watcher = world.watcher(quiet_hours=NIGHT)
    world.clock.at = datetime(2026, 3, 1, 21, tzinfo=UTC)
    world.readings = STOPPED
    world.look(watcher, minutes=20)
    world.clock.at = datetime(2026, 3, 1, 23, tzinfo=UTC)
    world.readings = WELL
    world.look(watcher, minutes=5)
    assert world.got == [FIRING]
    world.clock.at = datetime(2026, 3, 2, 8, tzinfo=UTC)
    world.look(watcher)
    assert (world.got, world.rows()) == ([FIRING, RESOLVED], [])


DOWN, BACK = "FIRING (critical): ExporterDown", "RESOLVED: ExporterDown"


def test_a_database_that_is_away_is_told_once_and_that_it_is_back(world: World) -> None:
    watcher = world.watcher()
    world.look(watcher)
    world.is_down = True
    world.look(watcher, minutes=30)
    assert world.got == [DOWN]
    world.is_down = False
    world.look(watcher, minutes=3)
    assert (world.got, world.rows()) == ([DOWN, BACK], [])


def test_one_that_is_away_for_a_moment_is_no_alert(world: World) -> None:
    watcher = world.watcher()
    world.is_down = True
    world.look(watcher)
    world.is_down = False
    world.look(watcher, minutes=2)
    assert (world.got, world.rows()) == ([], [])


def test_other_alerts_stay_as_they_are_while_it_is_away(world: World) -> None:
    watcher = world.watcher()
    world.readings = STOPPED
    world.look(watcher, minutes=6)
    world.is_down = True
    world.look(watcher, minutes=20)
    world.is_down = False
    world.look(watcher, minutes=2)
    assert world.got == [FIRING, DOWN, BACK]


def test_a_target_that_was_away_too_hears_of_it_later(world: World) -> None:
    watcher = world.watcher()
    world.look(watcher)
    world.is_down = world.sinks[0].is_away = True
    world.look(watcher, minutes=20)
    world.is_down = False
    world.look(watcher, minutes=2)
    world.sinks[0].is_away = False
    world.lapse()
    world.look(world.watcher("b"))
    assert (world.got, world.rows()) == ([DOWN, BACK], [])


def test_the_watcher_that_has_no_duty_waits_before_it_says_so(world: World) -> None:
    first, second = world.watcher("a"), world.watcher("b")
    for watcher in (first, second):
        watcher.look()
    world.is_down = True
    world.look(second, minutes=3)
    assert world.got == []
    # The first one is gone: nobody else says it.
    world.look(second, minutes=int(STANDBY / MINUTE))
    assert world.got == [DOWN]


def test_it_waits_for_a_database_that_is_away_from_the_start_on(world: World) -> None:
    world.is_down = True
    watcher = world.watcher()
    world.look(watcher, minutes=5)
    assert world.got == [DOWN]
    world.is_down = False
    world.look(watcher)
    assert world.got == [DOWN, BACK]


def test_a_rule_that_is_switched_off_is_silent(world: World) -> None:
    world.readings = STOPPED
    world.look(world.watcher(thresholds={"RecurringStopped": None}), minutes=10)
    world.look(world.watcher(thresholds={"RecurringStopped": 2.0}), minutes=10)
    assert world.got == []


def test_a_preview_changes_nothing(world: World) -> None:
    world.look(world.watcher())
    world.readings = replace(STOPPED, due=1)
    seen = world.watcher().preview()
    assert [one.rule.name for one in seen.firing] == ["NoRunner", "RecurringStopped"]
    assert (world.rows(), world.got) == ([], [])


def test_an_account_that_may_not_make_tables_is_told_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> bool:
        raise SchemaError("run `wpbridge init`")

    monkeypatch.setattr(Duties, "take", refuse)
    with pytest.raises(SchemaError):
        world.look(world.watcher())


def test_what_a_damaged_row_owes_counts_as_nothing(world: World) -> None:
    world.readings = STOPPED
    world.look(world.watcher())
    for told in ("", "{", "7", '[{"state": 1}]', "null"):
        change(world.open(), f"UPDATE wp_wpbridge_alerts SET owed = '{told}'")
        assert world.rows()[0].owed == ()


def test_what_was_sent_is_not_written_over_what_another_watcher_has_written(
    world: World,
) -> None:
    first, second = world.watcher("a"), world.watcher("b")
    first.look()
    send = world.sinks[0].send

    def slowly(title: str, body: str) -> bool:
        # It takes so long that another watcher takes over, for whom it is over already.
        world.sinks[0].send = send  # type: ignore[method-assign]
        world.readings = WELL
        world.lapse()
        world.look(second)
        return send(title, body)

    world.readings = STOPPED
    world.look(first, minutes=5)
    world.sinks[0].send = slowly  # type: ignore[method-assign]
    world.look(first, minutes=1)
    world.look(first)
    world.look(second)
    assert (world.got, world.rows()) == ([FIRING, RESOLVED, FIRING], [])


DAY = [WELL, *[STOPPED] * 7, WELL, WELL]
"""What the queue is like, minute by minute."""


def test_a_kill_at_any_step_repeats_one_message_at_most_and_loses_none(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, dies_at = 0, 0

    def step() -> None:
        nonlocal steps
        steps += 1
        if steps == dies_at:
            raise Killed

    def stepping(call: Callable[..., object], *args: object) -> object:
        step()
        found = call(*args)
        step()
        return found

    write, send = Alerts.write, Sink.send

    def writing(it: Alerts, alerts: Iterable[Alert], over: Iterable[tuple[str, str]] = ()) -> None:
        kept, gone = list(alerts), list(over)
        if kept or gone:
            stepping(write, it, kept, gone)

    monkeypatch.setattr(Alerts, "write", writing)
    monkeypatch.setattr(Sink, "send", lambda *given: stepping(send, *given))

    def live() -> list[str]:
        world.got.clear()
        watcher = world.watcher()
        for world.readings in DAY:
            try:
                world.look(watcher)
            except Killed:
                world.lapse()
                watcher = world.watcher("b")
                watcher.look()
        watcher.close()
        assert world.rows() == []
        world.close()
        return list(world.got)

    wanted = [FIRING, RESOLVED]
    assert live() == wanted
    last = steps
    assert last >= 12
    for dies_at in range(1, last + 1):
        steps = 0
        told = live()
        once = [one for at, one in enumerate(told) if not at or one != told[at - 1]]
        assert (once, len(told) <= len(wanted) + 1) == (wanted, True), (dies_at, told)
