"""When another worker process may be started."""

from wpbridge.executors.pools.back_off import AGAIN_SECONDS, BOOT_TRIES, BackOff


class Moment:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_as_many_as_wait_and_have_room() -> None:
    starts = BackOff("it", Moment())
    assert starts.wanted(room=4, waiting=2, booting=0) == 2
    assert starts.wanted(room=1, waiting=9, booting=0) == 1
    assert starts.wanted(room=4, waiting=2, booting=2) == 0
    assert starts.wanted(room=4, waiting=1, booting=3) == 0


def test_after_a_failed_start_one_at_a_time_and_later() -> None:
    moment = Moment()
    starts = BackOff("it", moment)
    starts.boot_failed("no")
    assert starts.wanted(room=4, waiting=4, booting=0) == 0
    assert not starts.is_down()
    moment.seconds = starts.not_before
    assert starts.wanted(room=4, waiting=4, booting=0) == 1
    assert starts.wanted(room=4, waiting=4, booting=1) == 0


def test_after_some_failed_starts_it_is_down_for_a_while() -> None:
    moment = Moment()
    starts = BackOff("it", moment)
    for _ in range(BOOT_TRIES):
        starts.boot_failed("no licence")
    assert starts.is_down()
    assert (starts.trouble or "").endswith("no licence")
    moment.seconds += AGAIN_SECONDS
    assert not starts.is_down()
    assert starts.wanted(room=4, waiting=4, booting=0) == 1
    starts.came_up()
    assert starts.trouble is None
    assert starts.wanted(room=4, waiting=4, booting=0) == 4


def test_a_child_that_dies_idle_is_replaced_at_once_and_later_when_that_goes_on() -> None:
    moment = Moment()
    starts = BackOff("it", moment)
    starts.died()
    assert starts.wanted(room=1, waiting=1, booting=0) == 1
    starts.died()
    first = starts.not_before
    assert first > moment.seconds
    starts.died()
    assert starts.not_before > first
    moment.seconds = starts.not_before
    starts.worked()
    starts.died()
    assert starts.wanted(room=1, waiting=1, booting=0) == 1


def test_a_start_that_fails_beside_workers_that_are_up_only_waits() -> None:
    moment = Moment()
    starts = BackOff("it", moment)
    for _ in range(2 * BOOT_TRIES):
        moment.seconds = starts.not_before
        starts.boot_failed("no more descriptors", are_others_up=True)
        assert starts.wanted(room=4, waiting=4, booting=0) == 0
        assert not starts.is_down()
        assert starts.trouble is None
    starts.boot_failed("no more descriptors")
    assert starts.trouble == "it does not start: no more descriptors"
    assert starts.is_down()


def test_a_worker_that_is_refused_is_tried_again_after_a_while() -> None:
    moment = Moment()
    starts = BackOff("it", moment)
    starts.refused("another site")
    assert starts.is_down()
    assert starts.trouble == "another site"
    moment.seconds += AGAIN_SECONDS
    assert not starts.is_down()
    assert starts.wanted(room=4, waiting=4, booting=0) == 4
