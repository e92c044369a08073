"""Which site is looked at, which gets a process, and which makes room, on a clock that is moved."""

import contextlib
import os
import socket
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from wpbridge.daemon.sites.running import IDLE_SECONDS, LONGEST_RUN_SECONDS, NextProcess, Running
from wpbridge.daemon.sites.running import outcome_of as outcome
from wpbridge.daemon.sites.schedule import (
    LONGEST_LOOK_SECONDS,
    Schedule,
    ScheduledSite,
    SchedulingTerms,
)
from wpbridge.daemon.sites.site_process import OUTPUT_BYTES, SiteProcess
from wpbridge.daemon.sites.states import condition_of, state_of
from wpbridge.daemon.sites.users import SystemUser
from wpbridge.daemon.worker_process import Child
from wpbridge.errors import ConfigError
from wpbridge.site.site_list import SiteEntry

ME = SystemUser(uid=1000, gid=1000, groups=(1000,), name="me", home="/home/me")
TODAY = datetime(2026, 11, 30, tzinfo=UTC)
TERMS = SchedulingTerms(
    interval=10.0,
    most_running=2,
    most_php=2,
    php_each=1,
    linger=30.0,
    turn=60.0,
    kill_after=900.0,
)


def entry(name: str, **more: Any) -> SiteEntry:
    return SiteEntry(name=name, place="", folder=Path("/"), path=Path("/srv", name), **more)


class Sites:
    """A schedule with sites, whose processes are told and never started."""

    def __init__(self, *names: str, terms: SchedulingTerms = TERMS, **more: Any) -> None:
        self.now = 0.0
        self.schedule = Schedule(
            terms,
            chance=lambda least, most: (least + most) / 2,
            users=more.pop("users", lambda _entry: ME),
            today=lambda: TODAY,
        )
        self.running = Running(self.schedule)
        self.schedule.take([entry(name, **more) for name in names], self.now)
        self.words: dict[str, list[str]] = {}

    def __getitem__(self, name: str) -> ScheduledSite:
        return self.schedule.sites[name]

    def due(self, *names: str) -> None:
        """Look at sites, and find something due."""
        for name in names:
            self.schedule.looked(self[name], self.now, due=True, left=False)

    def start(self) -> list[str]:
        """Start what is next; returns the names."""
        starts = self.running.starts(self.now)
        for start in starts:
            self.running.started(start, self._process(start))
        return [start.site.name for start in starts]

    def _process(self, start: NextProcess) -> SiteProcess:
        words = self.words.setdefault(start.site.name, [])
        child = SimpleNamespace(pid=7, signed=self.now, tell=words.append)
        return SiteProcess(
            site=start.site.name,
            child=cast("Any", child),
            output=-1,
            php_granted=start.php,
            php_workers=start.php,
            started=self.now,
        )

    def says(self, name: str, **message: Any) -> None:
        process = self[name].process
        assert process is not None
        process.take(message, self.now)

    def ready(self, name: str) -> None:
        self.says(name, event="ready")

    def beat(self, name: str, *, claimed: int, in_hand: int = 0, database: bool = True) -> None:
        totals = {"claimed": claimed, "in_hand": in_hand}
        self.says(name, event="beat", silent=0, database=database, totals=totals)

    def end(self, name: str, reason: str = "") -> float | None:
        return self.running.ended(self[name], reason, self.now)


def test_looks_are_spread_over_the_interval_and_asked_for_once() -> None:
    sites = Sites("a", "b", "c", "d")
    asked = []
    for second in range(10):
        sites.now = float(second)
        asked.append(sites.schedule.looks(sites.now, {ME}).get(ME, []))
    assert asked == [["a"], [], [], ["b"], [], ["c"], [], [], ["d"], []]
    sites.now = 100.0
    assert sites.schedule.looks(sites.now, {ME}) == {}
    sites.schedule.looked(sites["a"], sites.now, due=False, left=False)
    assert sites["a"].next_look == pytest.approx(110.0)


def test_who_cannot_be_looked_at_is_looked_at_less_often() -> None:
    sites = Sites("a")
    waits = [sites.schedule.look_failed(sites["a"], "away", sites.now) for _ in range(6)]
    assert waits == [20.0, 40.0, *[LONGEST_LOOK_SECONDS] * 4]
    assert (condition_of(sites["a"]), sites["a"].failures) == ("bad", 6)
    sites.schedule.looked(sites["a"], sites.now, due=False, left=False)
    assert (condition_of(sites["a"]), sites["a"].reason) == ("idle", "")


def test_who_waits_longest_comes_next_and_no_more_run_than_may() -> None:
    sites = Sites("a", "b", "c", php=False)
    for name in ("c", "a", "b"):
        sites.due(name)
        sites.now += 1
    assert sites.start() == ["c", "a"]
    assert [site.name for site in sites.running.waiting(sites.now)] == ["b"]
    sites.end("a")
    assert sites.start() == ["b"]


def test_a_process_with_nothing_to_do_makes_room_and_one_that_has_work_keeps_it() -> None:
    sites = Sites("a", "b", "c", php=False)
    sites.due("a", "b")
    sites.start()
    for name in ("a", "b"):
        sites.ready(name)
    sites.due("c")
    # Both have only begun, so nobody is told to end.
    sites.running.make_room(sites.now)
    assert sites.words == {"a": [], "b": []}
    sites.now += IDLE_SECONDS
    sites.beat("a", claimed=5, in_hand=2)
    sites.running.make_room(sites.now)
    assert sites.words == {"a": [], "b": ["stop"]}
    # One place was asked for, and no more are.
    sites.now += IDLE_SECONDS
    sites.running.make_room(sites.now)
    assert sites.words == {"a": [], "b": ["stop"]}


def test_a_busy_one_drains_after_its_turn_if_others_wait_and_is_killed_if_it_does_not() -> None:
    sites = Sites("a", "b", "c", php=False)
    sites.due("a", "b")
    sites.start()
    for name in ("a", "b"):
        sites.ready(name)
        sites.beat(name, claimed=1, in_hand=1)
    sites.now = TERMS.turn + 1
    sites.running.make_room(sites.now)
    assert sites.words == {"a": [], "b": []}
    sites.due("c")
    sites.running.make_room(sites.now)
    assert sites.words == {"a": ["stop"], "b": []}
    assert condition_of(sites["a"]) == "ending"
    for site in (sites["a"], sites["b"]):
        assert site.process is not None
        site.process.child.signed = sites.now + 901
    sites.now += 901
    [(site, why)] = sites.running.overdue(sites.now)
    assert (site.name, "others wait" in why) == ("a", True)


def test_php_workers_are_bounded_and_given_back_where_a_site_runs_no_php() -> None:
    sites = Sites("a", "b", "c", "d", terms=TERMS_OF_MANY)
    sites.due("a", "b", "c", "d")
    assert sites.start() == ["a", "b"]
    assert sites.running.php_in_use() == 2
    # A site whose list says that it has no PHP goes past those that wait.
    sites.schedule.take([*map(entry, "abcd"), entry("e", php=False)], sites.now)
    sites.due("e")
    assert sites.start() == ["e"]
    sites.says("a", event="php", workers=0)
    assert sites.start() == ["c"]
    # A process may not take more than it was given.
    sites.says("b", event="php", workers=50)
    assert sites.running.php_in_use() == 2


TERMS_OF_MANY = replace(TERMS, most_running=10, kill_after=None)


def test_who_fails_is_tried_again_later_and_later_and_then_is_well() -> None:
    sites = Sites("a", php=False)
    waits = []
    for _ in range(12):
        sites.due("a")
        assert sites.start() == ["a"]
        wait = sites.end("a", "it broke")
        assert wait is not None
        waits.append(wait)
        assert sites.start() == []
        sites.now += wait
    assert waits[:4] == [2.0, 4.0, 8.0, 16.0]
    assert waits[-1] == LONGEST_RUN_SECONDS
    assert state_of(sites["a"], sites.now, TODAY).reason == "it broke"
    sites.start()
    sites.ready("a")
    sites.beat("a", claimed=1)
    assert sites.end("a") is None
    assert not sites["a"].is_bad


def test_what_a_dead_process_had_in_hand_is_fetched_even_if_nothing_else_is_due() -> None:
    sites = Sites("a", php=False)
    sites.due("a")
    sites.start()
    sites.ready("a")
    wait = sites.end("a", "it was killed")
    assert wait is not None
    sites.now += wait
    sites.schedule.looked(sites["a"], sites.now, due=False, left=False)
    assert sites.start() == ["a"]


def test_a_process_that_could_claim_nothing_is_not_started_again_at_once() -> None:
    sites = Sites("a", php=False)
    sites.due("a")
    sites.start()
    sites.ready("a")
    sites.now += TERMS.linger
    sites.running.make_room(sites.now)
    assert sites.words["a"] == ["stop"]
    sites.end("a")
    sites.due("a")
    assert sites.start() == []
    assert "could claim nothing" in sites["a"].reason
    # What is enqueued now may be for it.
    sites.schedule.woken(sites["a"], sites.now)
    assert sites.start() == ["a"]


def test_what_is_enqueued_while_a_site_is_looked_at_is_looked_for_at_once() -> None:
    sites = Sites("a")
    assert sites.schedule.looks(sites.now, [ME]) == {ME: ["a"]}
    # The look has read its answer, which is on the way.
    sites.schedule.woken(sites["a"], sites.now)
    assert sites.schedule.looks(sites.now, [ME]) == {}
    sites.schedule.looked(sites["a"], sites.now, due=False, left=False)
    assert sites.schedule.looks(sites.now, [ME]) == {ME: ["a"]}
    # Nothing came during the second look: the next one has its time.
    sites.schedule.looked(sites["a"], sites.now, due=False, left=False)
    assert sites.schedule.looks(sites.now + 9.9, [ME]) == {}
    assert sites.schedule.looks(sites.now + 10.1, [ME]) == {ME: ["a"]}


def test_a_process_whose_database_is_away_ends_unless_it_has_something_in_hand() -> None:
    sites = Sites("a", "b", php=False)
    sites.due("a", "b")
    sites.start()
    for name, in_hand in (("a", 0), ("b", 1)):
        sites.ready(name)
        sites.beat(name, claimed=1, in_hand=in_hand, database=False)
    sites.now += 61
    sites.running.make_room(sites.now)
    assert sites.words == {"a": ["stop"], "b": []}


def test_a_process_that_hangs_is_killed_with_the_reason() -> None:
    sites = Sites("a", "b", php=False)
    sites.due("a", "b")
    sites.start()
    sites.ready("b")
    sites.now += 121
    assert [site.name for site, _ in sites.running.overdue(sites.now)] == ["a"]
    sites.now += 200
    assert {why for _, why in sites.running.overdue(sites.now)} == {
        "it was not ready after 120 s",
        "its loop gave no sign for 300 s",
    }


def test_who_has_left_the_list_drains_and_is_then_forgotten() -> None:
    sites = Sites("a", "b", php=False)
    sites.due("a")
    sites.start()
    [gone] = sites.schedule.take([entry("b")], sites.now)
    assert gone.name == "a"
    assert set(sites.schedule.sites) == {"a", "b"}
    sites.end("a")
    assert set(sites.schedule.sites) == {"b"}


def test_blogs_of_a_network_come_and_go() -> None:
    sites = Sites("net", network=True)
    assert sites.schedule.blogs_found(sites["net"], [1, 2], sites.now)
    sites.schedule.take([entry("net", network=True)], sites.now)
    assert set(sites.schedule.sites) == {"net", "net.1", "net.2"}
    assert not sites.schedule.blogs_found(sites["net"], [1, 2], sites.now)
    assert sites.schedule.blogs_found(sites["net"], [2], sites.now)
    sites.schedule.take([entry("net", network=True)], sites.now)
    assert set(sites.schedule.sites) == {"net", "net.2"}


def test_who_may_not_run_is_bad_and_never_looked_at() -> None:
    def refuse(_entry: SiteEntry) -> SystemUser:
        raise ConfigError("it belongs to root")

    sites = Sites("a", users=refuse)
    assert sites.schedule.looks(1000.0, {ME}) == {}
    state = state_of(sites["a"], 0.0, TODAY)
    assert (state.condition, state.reason) == ("bad", "it belongs to root")


def test_once_a_day_a_site_gets_a_process_for_its_upkeep() -> None:
    sites = Sites("a", php=False)
    sites.now = sites["a"].upkeep_at
    sites.schedule.looked(sites["a"], sites.now, due=False, left=False)
    assert sites.start() == ["a"]
    assert sites["a"].upkeep_at == pytest.approx(sites.now + 86_400)


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"event": "beat"},
        {"event": "beat", "silent": "x", "database": 1, "totals": {}},
        {"event": "beat", "silent": 0, "database": 1, "totals": {"claimed": "many"}},
        {"event": "php", "workers": None},
    ],
)
def test_nonsense_of_a_process_is_no_more_than_an_error_of_a_known_kind(
    message: dict[str, Any],
) -> None:
    sites = Sites("a", php=False)
    sites.due("a")
    sites.start()
    process = sites["a"].process
    assert process is not None
    with contextlib.suppress(ValueError, TypeError, KeyError, OverflowError):
        process.take(message, sites.now)
    assert process.in_hand == 0


def test_the_end_of_a_process_is_explained() -> None:
    sites = Sites("a", php=False)
    sites.due("a")
    sites.start()
    process = sites["a"].process
    assert process is not None

    def explained(code: int) -> str:
        return outcome(process, code, (0, 88))

    process.last_line = "Segmentation fault"
    assert (
        explained(139) == "its process ended with code 139 before it was ready: Segmentation fault"
    )
    assert explained(0) == "its process ended with code 0 before it was ready: Segmentation fault"
    process.is_ready = True
    assert explained(88) == ""
    process.refusal = "no handlers"
    assert explained(78) == "no handlers"


def test_what_a_process_prints_is_passed_on_in_lines_bounded_and_made_visible() -> None:
    sites = Sites("a", php=False)
    sites.due("a")
    sites.start()
    process = sites["a"].process
    assert process is not None
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    process.output = reader
    os.write(writer, b"one\nt\x1b[31mwo\nhal")
    assert process.read_output(10.0) == (["one", "t\\x1b[31mwo"], True)
    assert process.read_output(10.0) == ([], True)
    os.write(writer, b"f\n" + b"x" * (OUTPUT_BYTES - 2000))
    told, goes_on = [], True
    while goes_on and process.passed_on < OUTPUT_BYTES - 2000:
        lines, goes_on = process.read_output(10.5)
        told += lines
    assert told[0] == "half"
    # The share of this second is used up, and the rest waits for the next one.
    os.write(writer, b"y" * 4000)
    while goes_on:
        _, goes_on = process.read_output(10.9)
    assert process.passed_on == OUTPUT_BYTES
    assert process.output == reader
    assert process.read_output(11.5)[1]
    os.close(writer)
    while process.output >= 0:
        process.read_output(12.6)


def test_a_message_of_brackets_alone_ends_nobody() -> None:
    ours, theirs = socket.socketpair()
    ours.settimeout(0)
    child = Child(number=1, process=cast("Any", None), link=ours, started=0.0)
    theirs.sendall(b"[" * 50_000 + b'\n{"event": "ready"}\n')
    assert child.hear() == ([{"event": "ready"}], True)
    theirs.close()
    ours.close()
