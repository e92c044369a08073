"""How often the tables are asked."""

import pytest

from wpbridge.monitor.repeating import EVERY_SECONDS, KEPT_SECONDS, pause_after


@pytest.mark.parametrize(
    ("took", "pause"),
    [
        (0.0, 15.0),  # It failed: the next attempt may go well.
        (0.1, 15.0),
        (0.5, 50.0),
        (2.4, 240.0),
        (60.0, 240.0),
    ],
)
def test_a_question_that_takes_long_is_asked_less_often(took: float, pause: float) -> None:
    found = pause_after(took, EVERY_SECONDS)
    assert found == pytest.approx(pause)
    assert found + took <= KEPT_SECONDS
