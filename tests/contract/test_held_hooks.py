"""A hook without a callback in WordPress is noted in the table, also by a daemon that then idles."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from clocks import FakeClock
from factories import insert, make_new
from wpbridge.executors.base import Call, Report
from wpbridge.executors.handlers import describe
from wpbridge.executors.openings import NO_HOOKS, Openings
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.outcome import Unrun
from wpbridge.runner.identity import identity
from wpbridge.runner.loop import Limits, Runner
from wpbridge.store.base import ClaimFilter
from wpbridge.store.running.runner_store import RunnerStore


class WithoutCallback(ThreadExecutor):
    """Finds at once that the hook has no callback, and waits for no time."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__({"h": describe("h", print)}, concurrency=1, clock=clock, site="s")
        self._time = clock
        self._given: list[Call] = []
        self._found: frozenset[str] = frozenset()
        self._is_missing = False

    def submit(self, call: Call) -> None:
        self._given.append(call)

    def openings(self) -> Sequence[Openings]:
        if self._is_missing:
            return [replace(one, hooks=NO_HOOKS) for one in super().openings()]
        return super().openings()

    def missing(self) -> frozenset[str]:
        found, self._found = self._found, frozenset()
        return found

    def reports(self, timeout_seconds: float) -> list[Report]:
        del timeout_seconds
        given, self._given = self._given, []
        if given:
            self._found, self._is_missing = frozenset({"h"}), True
        now = self._time.now()
        outcome = Unrun(reason="there is no callback")
        return [Report(call=call, outcome=outcome, started_at=now, ended_at=now) for call in given]


def test_a_daemon_notes_what_it_holds_before_it_idles(
    store: RunnerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.unregister()
    insert(store, make_new("h"))
    clock = FakeClock()
    executor = WithoutCallback(clock)
    noted: list[frozenset[str]] = []

    runner = Runner(
        store,
        executor,
        clock,
        identity(),
        only=ClaimFilter(hooks=frozenset({"h"})),
        limits=Limits(batch_size=1, concurrency=1, poll=timedelta(hours=1)),
    )
    wait = runner._idling.wait

    def idle() -> None:
        noted.append(store.held_hooks())
        runner.stop()
        wait()

    monkeypatch.setattr(runner._idling, "wait", idle)
    runner.run()
    assert noted[0] == {"h"}
