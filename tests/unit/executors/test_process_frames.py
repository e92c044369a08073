"""What travels between pool and child arrives as it was sent."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from factories import stored
from wpbridge.action import ActionId, ClaimId
from wpbridge.executors.base import Call
from wpbridge.executors.pools.answers import line
from wpbridge.executors.process.frames import (
    log_frame,
    log_line,
    order_of,
    outcome_frame,
    outcome_of_frame,
    run_frame,
)
from wpbridge.outcome import Booked, Canceled, Completed, Failed, LogLine, Outcome, Retried, Snoozed

LATER = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=timezone(timedelta(hours=5, minutes=45)))


def through(frame: dict[str, Any]) -> dict[str, Any]:
    data = line(frame)
    assert data.count(b"\n") == 1
    read: dict[str, Any] = json.loads(data)
    return read


@pytest.mark.parametrize(
    "outcome",
    [
        Completed(),
        Failed(reason="a\nb\x00 é \ud800", error_type="E", detail="d"),
        Retried(after=timedelta(microseconds=1), reason="r"),
        Retried(after=timedelta(days=999, microseconds=7)),
        Snoozed(until=LATER, reason="s"),
        Canceled(reason="c"),
    ],
    ids=repr,
)
def test_an_outcome(outcome: Outcome) -> None:
    assert outcome_of_frame(through(outcome_frame(outcome))) == outcome


def test_no_handler_says_that_the_plugin_booked() -> None:
    with pytest.raises(AssertionError):
        outcome_frame(Booked())


@pytest.mark.parametrize(
    "frame", [{}, {"as": "?"}, {"as": "retry", "after": "1", "reason": ""}, {"as": "snooze"}]
)
def test_what_is_no_outcome_is_an_error(frame: dict[str, Any]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        outcome_of_frame(frame)


@pytest.mark.parametrize("limit", [None, timedelta(microseconds=1), timedelta(minutes=5)])
@pytest.mark.parametrize("scheduled_at", [None, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)])
def test_a_call(limit: timedelta | None, scheduled_at: datetime | None) -> None:
    action = stored(
        id=ActionId(2**62),
        hook="h/é",
        scheduled_at=scheduled_at,
        priority=0,
        args=b"",
        group="g",
        attempts=3,
        claim_id=ClaimId(0),
        make_key=lambda: "k",
    )
    call = Call(action=action, values=(1, 1.0, None), mapping={"b": 1, "a": [1.0, None]})
    order = order_of(through(run_frame(call, limit, is_stopping=True)))
    assert order.action == action
    assert order.action.idempotency_key == "k"
    assert repr(order.values) == "[1, 1.0, None]"
    assert repr(order.mapping) == repr(call.mapping)
    assert order.limit == limit
    assert order.is_stopping


def test_a_log_line() -> None:
    said = LogLine(message="two\nlines \ud800", at=LATER)
    assert log_line(through(log_frame(said))) == said
