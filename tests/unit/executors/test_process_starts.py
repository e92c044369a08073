"""When another child may be started."""

from wpbridge.executors.process_starts import AGAIN_SECONDS, BOOT_TRIES, Starts


class Moment:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_as_many_as_wait_and_have_room() -> None:
    starts = Starts(Moment())
    assert starts.wanted(room=4, waiting=2, booting=0) == 2
    assert starts.wanted(room=1, waiting=9, booting=0) == 1
    assert starts.wanted(room=4, waiting=2, booting=2) == 0
    assert starts.wanted(room=4, waiting=1, booting=3) == 0


def test_after_a_failed_start_one_at_a_time_and_later() -> None:
    moment = Moment()
    starts = Starts(moment)
    starts.boot_failed("no")
    assert starts.wanted(room=4, waiting=4, booting=0) == 0
    assert not starts.is_down()
    moment.seconds = starts.not_before
    assert starts.wanted(room=4, waiting=4, booting=0) == 1
    assert starts.wanted(room=4, waiting=4, booting=1) == 0


def test_after_some_failed_starts_it_is_down_for_a_while() -> None:
    moment = Moment()
    starts = Starts(moment)
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
    starts = Starts(moment)
    starts.died_idle()
    assert starts.wanted(room=1, waiting=1, booting=0) == 1
    starts.died_idle()
    first = starts.not_before
    assert first > moment.seconds
    starts.died_idle()
    assert starts.not_before > first
    moment.seconds = starts.not_before
    starts.worked()
    starts.died_idle()
    assert starts.wanted(room=1, waiting=1, booting=0) == 1


def test_a_broken_pool_stays_down() -> None:
    moment = Moment()
    starts = Starts(moment)
    starts.broke("see the log")
    moment.seconds += 10 * AGAIN_SECONDS
    assert starts.is_down()
