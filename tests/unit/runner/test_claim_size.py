"""How much a daemon claims."""

from datetime import timedelta

import pytest

from wpbridge.runner.claim_size import ClaimSize


def test_it_begins_with_what_runs_at_once() -> None:
    assert ClaimSize(4).size(25) == 4
    assert ClaimSize(40).size(25) == 25


@pytest.mark.parametrize(
    ("seconds", "size"), [(0.0, 25), (0.001, 25), (0.1, 25), (0.5, 8), (1.0, 4), (60.0, 4)]
)
def test_slow_handlers_leave_the_rest_to_others(seconds: float, size: int) -> None:
    claim_size = ClaimSize(4)
    claim_size.note(timedelta(seconds=seconds))
    assert claim_size.size(25) == size


def test_it_learns() -> None:
    claim_size = ClaimSize(4)
    claim_size.note(timedelta(seconds=60))
    for _ in range(60):
        claim_size.note(timedelta(milliseconds=1))
    assert claim_size.size(25) == 25
