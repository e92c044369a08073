"""When a caretaker gets a moment of the loop's."""

from datetime import timedelta

from clocks import FakeClock
from wpbridge.runner.care import ASK_SECONDS, NEXT_SECONDS, Care, Tended


class Caretaker:
    """Has so many pieces to do, each of which frees an action."""

    def __init__(self, pieces: int) -> None:
        self.pieces = pieces
        self.steps = 0
        self.has_left = False

    def step(self) -> Tended:
        self.steps += 1
        self.pieces -= 1
        return Tended(freed=int(self.pieces >= 0), has_more=self.pieces > 0)

    def leave(self) -> None:
        self.has_left = True


def test_it_is_asked_at_once_then_between_the_loops_work_then_seldom() -> None:
    clock, it = FakeClock(), Caretaker(2)
    care = Care(it, clock)
    assert [care.when_due() for _ in range(3)] == [True, False, False]
    assert care.due_at == clock.monotonic() + NEXT_SECONDS
    clock.at += timedelta(seconds=NEXT_SECONDS)
    assert [care.when_due(), care.when_due()] == [True, False]
    assert care.due_at == clock.monotonic() + ASK_SECONDS
    clock.at += timedelta(seconds=ASK_SECONDS - 1)
    assert not care.when_due()
    clock.at += timedelta(seconds=1)
    assert not care.when_due(), "nothing was freed"
    assert it.steps == 3
    care.leave()
    assert it.has_left


def test_without_one_there_is_never_a_moment() -> None:
    care = Care(None, FakeClock())
    assert not care.when_due()
    assert care.due_at == float("inf")
    care.leave()
