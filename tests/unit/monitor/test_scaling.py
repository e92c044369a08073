"""How a daemon follows the advised number: up at once, down slowly, and in which shape."""

import pytest

from wpbridge.monitor.scaling import Follower, Shape, shape_of
from wpbridge.site.bounds import Bounds


def followed(
    follower: Follower, *needs: int | None, every: float = 60.0, since: float = 0
) -> list[int]:
    return [follower.follow(since + n * every, need) for n, need in enumerate(needs)]


def test_up_is_at_once_and_never_above_the_most() -> None:
    assert followed(Follower(1, 8), 1, 5, 6, 40) == [1, 5, 6, 8]


def test_down_is_after_ten_minutes_of_less_need_and_one_at_a_time() -> None:
    follower = Follower(2, 8)
    assert followed(follower, 8, *[3] * 10) == [8] * 11
    assert followed(follower, *[3] * 9, since=660) == [7, 6, 5, 4, *[3] * 5]


def test_need_in_between_begins_the_ten_minutes_anew() -> None:
    follower = Follower(1, 8)
    assert followed(follower, 5, *[1] * 9, 5, *[1] * 10) == [5] * 21
    assert follower.follow(1260, 1) == 4


def test_less_need_is_not_followed_below_the_least() -> None:
    follower = Follower(2, 8)
    assert followed(follower, 3, *[0] * 30)[-1] == 2


def test_what_nobody_knows_changes_nothing_and_ten_minutes_begin_anew() -> None:
    follower = Follower(1, 8)
    followed(follower, 5, *[1] * 9)
    assert follower.follow(600, None) == 5
    assert followed(follower, *[1] * 10, since=660) == [5] * 10
    assert follower.follow(1260, 1) == 4


@pytest.mark.parametrize(
    ("places", "processes", "concurrency", "is_cpu_bound", "shape"),
    [
        # As few processes as are needed.
        (1, (1, 8), (2, 32), False, (1, 2)),
        (30, (1, 8), (2, 32), False, (1, 30)),
        (33, (1, 8), (2, 32), False, (2, 17)),
        (256, (1, 8), (2, 32), False, (8, 32)),
        (999, (1, 8), (2, 32), False, (8, 32)),
        # As many as there may be, where the processors are the limit.
        (1, (1, 8), (2, 32), True, (1, 2)),
        (7, (1, 8), (2, 32), True, (4, 2)),
        (30, (1, 8), (2, 32), True, (8, 4)),
        # One of the two is fixed.
        (9, (1, 8), (4, 4), False, (3, 4)),
        (0, (1, 8), (4, 4), False, (1, 4)),
        (9, (2, 2), (2, 32), False, (2, 5)),
        (9, (3, 3), (4, 4), False, (3, 4)),
    ],
)
def test_a_number_of_places_has_a_shape(
    places: int,
    processes: tuple[int, int],
    concurrency: tuple[int, int],
    is_cpu_bound: bool,
    shape: tuple[int, int],
) -> None:
    told = shape_of(places, Bounds(*processes), Bounds(*concurrency), is_cpu_bound=is_cpu_bound)
    assert told == Shape(*shape)
