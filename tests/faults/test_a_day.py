"""Twenty-four hours on a clock that is moved: every count is exact, and memory stays flat."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import a_day
import invariants
from wpbridge.runner.in_hand import InHand
from wpbridge.store.running.runner_store import RunnerStore

MOST_GROWTH = 8 << 20
"""Bytes between the second hour and the last: a page cache may grow a little."""


def test_a_day_of_chains_retries_and_rescues(
    tmp_path: Path, open_queue: Callable[[str], RunnerStore]
) -> None:
    dsn = f"sqlite:///{tmp_path / 'queue.db'}"
    store = open_queue(dsn)
    day = a_day.Day(dsn, poll=timedelta(seconds=20), hours=(2, 24))
    told = day.run()
    expected = a_day.expected(day.seed)
    assert told.lines == expected
    assert told.totals.retried == a_day.retries(day.seed)
    assert told.totals.reclaimed == a_day.RESCUED
    # Every start is a call of the handler, but for those of runners that died.
    starts = sum(line.attempts for line in expected.values())
    assert sum(told.handled.values()) == starts - 24 * a_day.STARTED
    assert told.totals.lost == 0
    invariants.check(store)
    assert day.runner._run.in_hand == InHand(), "what has ended is forgotten"
    assert told.memory[24] - told.memory[2] < MOST_GROWTH
