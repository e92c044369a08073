"""The clock that a daemon's worker goes by."""

import pytest

from wpbridge import clock
from wpbridge.daemon.worker_link import SignClock


def test_a_daemon_counts_the_time_in_which_its_host_was_suspended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = SignClock()
    before = own.signed
    monkeypatch.setattr(clock, "seconds_since_boot", lambda: 4711.0)
    assert own.monotonic() == 4711.0
    # A suspended host is no reason to take its loop for hung.
    assert before <= own.signed < before + 3600
