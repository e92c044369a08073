"""A runner's row says how many actions of the queue it can run at once."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from clocks import FakeClock
from wpbridge.action import CALLBACK_HOOK, ActionId
from wpbridge.app.runners import _limits
from wpbridge.runner.identity import identity
from wpbridge.runner.limits import Limits
from wpbridge.runner.presence import Presence
from wpbridge.runner.shared import Run
from wpbridge.site.bounds import Bounds
from wpbridge.site.config import Settings
from wpbridge.store.base import ClaimFilter
from wpbridge.telling.bus import Bus


class Row:
    """A store that keeps what it is told of places."""

    def __init__(self) -> None:
        self.told: list[int] = []

    def register(self, *, places: int, **_: object) -> int:
        self.told.append(places)
        return 1

    def heartbeat(self, *_: object, **__: object) -> bool:
        return True

    def wish(self) -> str:
        return ""

    def tell_about(self, about: str) -> None:
        self.about = about

    def tell_places(self, places: int) -> None:
        self.told.append(places)


def test_the_row_is_written_anew_when_the_places_have_changed(clock: FakeClock) -> None:
    row: Any = Row()
    run = Run(
        store=row,
        executor=None,  # type: ignore[arg-type]
        clock=clock,
        bus=Bus("s"),
        me=identity(),
        limits=Limits(concurrency=3),
        started=0.0,
    )
    presence = Presence(run)
    presence.enter()
    for concurrency in (3, 5, 5):
        run.limits = replace(run.limits, concurrency=concurrency)
        clock.at += timedelta(minutes=1)
        presence.beat_when_due()
    assert row.told == [3, 5]


@pytest.mark.parametrize(
    ("settings", "only", "places"),
    [
        (Settings(concurrency=Bounds(6, 6)), ClaimFilter(), 6),
        (Settings(concurrency=Bounds(6, 6), hooks=("h", CALLBACK_HOOK)), ClaimFilter(), 6),
        (Settings(concurrency=Bounds(6, 6), php=True, php_workers=2), ClaimFilter(), 8),
        (Settings(concurrency=Bounds(6, 6), hooks=(CALLBACK_HOOK,)), ClaimFilter(), 0),
        (Settings(concurrency=Bounds(6, 6)), ClaimFilter(ids=frozenset({ActionId(7)})), 0),
    ],
)
def test_who_runs_a_few_named_actions_or_callbacks_alone_has_no_place_of_the_queue(
    settings: Settings, only: ClaimFilter, places: int
) -> None:
    assert _limits(settings, only, daemon=True).places == places
