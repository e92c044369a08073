"""The clock that tells how long ago something was."""

import time

import pytest

from wpbridge.clock import SystemClock


def test_the_counter_goes_on_while_the_host_is_suspended(monkeypatch: pytest.MonkeyPatch) -> None:
    """CLOCK_BOOTTIME does; CLOCK_MONOTONIC stands still then."""
    clocks = {time.CLOCK_BOOTTIME: 100.0, time.CLOCK_MONOTONIC: 40.0}
    monkeypatch.setattr(time, "clock_gettime", clocks.__getitem__)
    assert SystemClock().monotonic() == 100.0
