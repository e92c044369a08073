"""How much a run or a daemon claims."""

from datetime import timedelta

import pytest

from wpbridge.runner.claim_size import MOST, ClaimSize, claim_size
from wpbridge.runner.limits import Limits
from wpbridge.site.rules import FIRST_CLAIM

RUN = Limits()
DAEMON = Limits(poll=timedelta(seconds=1))


def noted(limits: Limits, seconds: float, *, is_held: bool = False) -> ClaimSize:
    size = claim_size(limits, is_held=is_held)
    size.note("a", timedelta(seconds=seconds))
    return size


@pytest.mark.parametrize(
    ("limits", "most"),
    [
        (RUN, FIRST_CLAIM),
        (DAEMON, 4),
        (Limits(poll=timedelta(seconds=1), concurrency=40), 40),
        (Limits(poll=timedelta(seconds=1), concurrency=40, batch_size=25), 25),
        (Limits(batch_size=7), 7),
        (Limits(batch_size=700), 700),
        (Limits(batches=3), FIRST_CLAIM),
        (Limits(batches=3, batch_size=40), 40),
    ],
)
def test_the_first_claim_knows_nothing_of_the_handlers(limits: Limits, most: int) -> None:
    assert claim_size(limits, is_held=False).most() == most


@pytest.mark.parametrize(
    ("seconds", "most"), [(0.0, MOST), (0.001, MOST), (0.02, 200), (0.5, 8), (1.0, 4), (60.0, 4)]
)
@pytest.mark.parametrize("limits", [RUN, DAEMON])
def test_quick_handlers_get_many_and_slow_ones_leave_the_rest(
    limits: Limits, seconds: float, most: int
) -> None:
    assert noted(limits, seconds).most() == most


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_a_size_that_was_asked_for_is_kept_by_a_run(seconds: float) -> None:
    size = noted(Limits(batch_size=300), seconds)
    assert (size.most(), size.portion(["a"] * 300)) == (300, 300)
    assert noted(Limits(batches=2), seconds).most() == FIRST_CLAIM


def test_a_daemon_never_claims_more_than_it_was_told() -> None:
    told = Limits(poll=timedelta(seconds=1), batch_size=30)
    assert noted(told, 0.0).most() == 30
    assert noted(told, 60.0).most() == 4


def test_claims_stay_small_where_groups_share_or_hooks_have_limits() -> None:
    assert noted(RUN, 0.0, is_held=True).most() == FIRST_CLAIM
    assert noted(DAEMON, 0.0, is_held=True).most() == FIRST_CLAIM


def test_it_learns() -> None:
    size = noted(DAEMON, 60)
    for _ in range(60):
        size.note("a", timedelta(milliseconds=1))
    assert size.most() == MOST


def test_each_hook_counts_by_its_own_time() -> None:
    size = noted(RUN, 0.0)
    size.note("slow", timedelta(seconds=10))
    assert size.portion(["a"] * 500) == 500
    assert size.portion(["slow"] * 500) == 4
    assert size.portion(["a"] * 100 + ["slow"] * 400) == 101


def test_unknown_hooks_are_tried_in_the_size_of_a_first_claim() -> None:
    size = noted(RUN, 0.0)
    assert size.portion(["new"] * 500) == FIRST_CLAIM
    assert size.portion(["a"] * 400 + ["new"] * 100) == 400 + FIRST_CLAIM


def test_what_runs_and_has_not_ended_counts_as_well() -> None:
    size = noted(RUN, 0.0)
    size.note_running("a", timedelta(seconds=5))
    assert size.portion(["a"] * 500) == 4
    size.note_running("a", timedelta(seconds=1))
    assert size.portion(["a"] * 500) == 4


def test_little_time_is_little_work() -> None:
    size = noted(RUN, 0.0625)
    assert size.portion(["a"] * 500) == 64
    assert size.portion(["a"] * 500, timedelta(seconds=0.5)) == 32
    assert size.portion(["a"] * 500, timedelta(0)) == 4
    assert size.portion(["a"] * 2) == 2


def test_only_what_is_known_to_be_quick_is_short() -> None:
    assert not claim_size(RUN, is_held=False).is_short(1)
    size = noted(RUN, 0.001)
    assert size.is_short(1_000)
    assert not size.is_short(1_001)
    size.note_running("a", timedelta(seconds=5))
    assert not size.is_short(1)


def test_an_action_that_has_not_ended_does_not_make_its_hook_known_as_quick() -> None:
    size = claim_size(RUN, is_held=False)
    size.note_running("a", timedelta(seconds=1))
    assert not size.is_short(1)
    assert size.most() == FIRST_CLAIM


def test_an_action_that_runs_for_a_moment_does_not_make_its_hook_known_as_slow() -> None:
    size = noted(RUN, 0.0)
    size.note_running("a", timedelta(milliseconds=900))
    assert size.is_short(1_000)
    assert size.portion(["a"] * 500) == 500


def test_places_that_are_taken_for_long_start_nothing() -> None:
    size = noted(RUN, 2.0)
    assert size.portion(["a"] * 500, timedelta(seconds=5)) == 10
    assert size.portion(["a"] * 500, timedelta(seconds=5), busy=3) == 3
    assert size.portion(["a"] * 500, timedelta(seconds=5), busy=4) == 0
