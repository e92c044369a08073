"""The date of an action that runs again: the tables hold whole seconds."""

from datetime import UTC, datetime, timedelta

import pytest

from factories import NOW, stored
from wpbridge.codec.schedule import Async, encode
from wpbridge.outcome import Outcome, Retried, Snoozed
from wpbridge.runner.concluding import ending_of

FRACTION = timedelta(microseconds=995_000)
SECOND = timedelta(seconds=1)
END = datetime.max.replace(tzinfo=UTC)
ONCE = stored(schedule=encode(Async()))


@pytest.mark.parametrize(
    ("outcome", "due"),
    [
        (Retried(after=SECOND), NOW + 2 * SECOND),
        (Retried(after=timedelta(0)), NOW + 2 * SECOND),
        (Snoozed(until=NOW + 60 * SECOND), NOW + 60 * SECOND),
        (Snoozed(until=NOW + 60 * SECOND + FRACTION), NOW + 61 * SECOND),
        (Snoozed(until=NOW), NOW + 2 * SECOND),
        (Snoozed(until=END), END.replace(microsecond=0)),
    ],
)
def test_nothing_runs_again_before_its_wait_is_over(outcome: Outcome, due: object) -> None:
    ended = NOW + FRACTION
    ending = ending_of(ONCE, outcome, started_at=NOW, ended_at=ended, marked=False)
    assert ending.retry_at == due


def test_a_wait_that_ends_with_a_second_is_not_longer() -> None:
    retried = Retried(after=90 * SECOND)
    ending = ending_of(ONCE, retried, started_at=NOW, ended_at=NOW, marked=False)
    assert ending.retry_at == NOW + 90 * SECOND
