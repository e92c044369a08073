"""What the routes hand to Celery is left out of advice: it needs no place here."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from well import HISTORY, READINGS
from wpbridge.action import CALLBACK_HOOK
from wpbridge.monitor.advice import advise
from wpbridge.monitor.due_parts import parts_of
from wpbridge.monitor.handed_hooks import handed_by, history_here
from wpbridge.monitor.history import Ended
from wpbridge.site.config import Settings
from wpbridge.site.rules import Route
from wpbridge.store.reading.due_pairs import Pair

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ROUTES = (
    Route(to="leave", hook="render_never"),
    Route(to="celery", hook="render_*"),
    Route(to="celery", hook="mail", group="bulk"),
)
SETTINGS = Settings(routes=ROUTES, celery_broker="redis://mq")


@pytest.mark.parametrize(
    ("hook", "group", "is_handed"),
    [
        ("render_page", "", True),
        ("render_page", None, True),
        ("render_never", "", False),
        ("mail", "bulk", True),
        ("mail", "", False),
        # Of which group it was, the history does not tell.
        ("mail", None, False),
        (CALLBACK_HOOK, "", False),
    ],
)
def test_the_first_route_decides(hook: str, group: str | None, is_handed: bool) -> None:
    decide = handed_by(SETTINGS)
    assert decide is not None
    assert decide(hook, group) is is_handed


def test_without_a_broker_or_a_route_nothing_is_handed_over() -> None:
    assert handed_by(Settings(routes=ROUTES)) is None
    assert handed_by(Settings(routes=ROUTES[:1], celery_broker="redis://mq")) is None


def test_what_celery_ran_is_no_load_here() -> None:
    decide = handed_by(SETTINGS)
    assert decide is not None
    hooks = {
        "render_page": Ended(complete=75, duration_seconds=750.0),
        "mail": Ended(complete=20, failed=5, duration_seconds=25.0),
    }
    history = replace(HISTORY, hooks=hooks, arrivals_per_second=4.0, service_seconds=7.75)
    here = history_here(history, decide)
    assert (list(here.hooks), here.arrivals_per_second) == (["mail"], 1.0)
    assert here.service_seconds == pytest.approx(1.0)
    alone = replace(history, hooks={"mail": hooks["mail"]})
    assert history_here(alone, decide) is alone


@pytest.mark.parametrize(("local", "obstacle", "advised"), [(0, None, 0), (30, "no runner", 1)])
def test_what_is_due_for_celery_needs_no_place_here(
    local: int, obstacle: str | None, advised: int
) -> None:
    decide = handed_by(SETTINGS)
    due = [Pair(hook="render_page", group="", actions=90, claimed=90, oldest=NOW)]
    due += [Pair(hook="mail", group="", actions=local, claimed=0, oldest=NOW)] if local else []
    parts = parts_of(
        due, (), pauses=(), limits=(), held=(), target_wait_seconds=60, is_handed=decide
    )
    readings = replace(READINGS, due=90 + local)
    history = replace(HISTORY, arrivals_per_second=0.0, service_seconds=1.0)
    advice = advise(readings, history, timedelta(minutes=1).total_seconds(), parts=parts)
    assert (advice.obstacle, advice.workers_advised) == (obstacle, advised)
    share = 100 if not local else 75
    assert f"{share}% of it for workers of Celery" in advice.reason
