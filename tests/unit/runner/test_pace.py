"""How much a daemon claims."""

from datetime import timedelta

import pytest

from wpbridge.runner.pace import Pace


def test_it_begins_with_what_runs_at_once() -> None:
    assert Pace(4).size(25) == 4
    assert Pace(40).size(25) == 25


@pytest.mark.parametrize(
    ("seconds", "size"), [(0.0, 25), (0.001, 25), (0.1, 25), (0.5, 8), (1.0, 4), (60.0, 4)]
)
def test_slow_handlers_leave_the_rest_to_others(seconds: float, size: int) -> None:
    pace = Pace(4)
    pace.note(timedelta(seconds=seconds))
    assert pace.size(25) == size


def test_it_learns() -> None:
    pace = Pace(4)
    pace.note(timedelta(seconds=60))
    for _ in range(60):
        pace.note(timedelta(milliseconds=1))
    assert pace.size(25) == 25
