"""A claim is given its plan as data: no executor is asked anything while it is made."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from clocks import FakeClock
from factories import NOW, insert, make_new
from rows import log_of
from wpbridge.executors.base import StartMark
from wpbridge.executors.handlers import describe
from wpbridge.executors.openings import ANY_HOOK, Openings
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.runner.identity import identity
from wpbridge.runner.loop import Limits, Runner
from wpbridge.store.base import ClaimAndSettled, Claimed, ClaimFilter
from wpbridge.store.running.runner_store import RunnerStore


class Watched(ThreadExecutor):
    """Marks what it runs as started with its claim, as the PHP pool does, and notes each use."""

    is_claiming = False
    used: tuple[str, ...] = ()

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_") and name not in ("is_claiming", "used") and self.is_claiming:
            self.used = (*self.used, name)
        return super().__getattribute__(name)

    def start_mark(self, hook: str, group: str) -> StartMark:
        del hook, group
        return "before_call"

    def openings(self) -> Sequence[Openings]:
        return [replace(one, at_once=ANY_HOOK, room=2, ahead=2) for one in super().openings()]


def test_the_store_calls_no_executor(store: RunnerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = insert(store, *(make_new("h") for _ in range(3)))
    clock, handlers = FakeClock(NOW), {"h": describe("h", lambda: None)}
    executor = Watched(handlers, concurrency=3, clock=clock, site="s")
    claims: list[Claimed] = []
    real = store.claim_and_settle

    def watched(*given: Any, **named: Any) -> ClaimAndSettled:
        executor.is_claiming = True
        made = real(*given, **named)
        executor.is_claiming = False
        claims.extend([made.claim] if made.claim else [])
        return made

    monkeypatch.setattr(store, "claim_and_settle", watched)
    totals = Runner(store, executor, clock, identity(), only=ClaimFilter(), limits=Limits()).run()
    assert [len(made.started) for made in claims] == [2]
    assert totals.complete == 3
    assert executor.used == ()
    lines = ["action created", "action started via wpbridge", "action complete via wpbridge"]
    assert [log_of(store, i) for i in ids] == [lines] * 3
