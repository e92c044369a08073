"""When a caretaker gets a moment of the loop's."""

from datetime import timedelta

from clocks import FakeClock
from wpbridge.runner.upkeep_turns import ASK_SECONDS, NEXT_SECONDS, UpkeepReport, UpkeepTurns


class Caretaker:
    """Has these pieces to do: how many actions each frees."""

    def __init__(self, *pieces: int) -> None:
        self.pieces = list(pieces)
        self.steps = 0
        self.has_left = False

    def step(self) -> UpkeepReport:
        self.steps += 1
        return (
            UpkeepReport(freed=self.pieces.pop(0), has_more=True) if self.pieces else UpkeepReport()
        )

    def leave(self) -> None:
        self.has_left = True


def test_it_is_asked_at_once_then_between_the_loops_work_then_seldom() -> None:
    clock, it = FakeClock(), Caretaker(0, 0)
    care = UpkeepTurns(it, clock)
    for pause in (NEXT_SECONDS, NEXT_SECONDS, ASK_SECONDS, ASK_SECONDS):
        steps = it.steps
        assert not any(care.when_due() for _ in range(3))
        assert it.steps == steps + 1
        assert care.due_at == clock.monotonic() + pause
        clock.at += timedelta(seconds=pause)
    care.leave()
    assert it.has_left


def test_what_frees_actions_goes_on_at_once() -> None:
    clock, it = FakeClock(), Caretaker(500, 100, 0)
    care = UpkeepTurns(it, clock)
    assert [care.when_due() for _ in range(4)] == [True, True, False, False]
    assert it.steps == 3
    assert care.due_at == clock.monotonic() + NEXT_SECONDS


def test_without_one_there_is_never_a_moment() -> None:
    care = UpkeepTurns(None, FakeClock())
    assert not care.when_due()
    assert care.due_at == float("inf")
    care.leave()
