"""A worker's end of its link to the supervisor."""

import json
import socket
from collections.abc import Callable
from typing import Any, cast

import pytest

from wpbridge import clock
from wpbridge.daemon.worker_link import Lifetime, SignClock, WorkerLink
from wpbridge.runner.in_hand import Totals


class Loop:
    """A runner whose loop answers at once, as the first step of a run does."""

    totals = Totals()
    places = 1

    def quiet(self, *, on: bool) -> None:
        del on

    def when_wished(self, obey: Callable[[str], None]) -> None:
        self.wished = obey

    def carry(self, wish: str) -> None:
        self.carried = wish

    def ask(self, answer: Callable[[dict[str, Any]], None]) -> None:
        answer({})


def test_a_daemon_counts_the_time_in_which_its_host_was_suspended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = SignClock()
    before = own.signed
    monkeypatch.setattr(clock, "seconds_since_boot", lambda: 4711.0)
    assert own.monotonic() == 4711.0
    # A suspended host is no reason to take its loop for hung.
    assert before <= own.signed < before + 3600


def test_a_worker_has_said_that_it_is_ready_before_it_claims() -> None:
    """Its first action may kill it, and the daemon must know by then that it can start."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        link = WorkerLink(theirs, SignClock(), Lifetime())
        link._speaker.start()
        link.attach(cast("Any", Loop()), files=list)
        ours.setblocking(False)
        told = [json.loads(line) for line in ours.recv(65536).splitlines()]
        link.close({})
    assert "ready" in {one["event"] for one in told}


def test_a_concurrency_that_is_told_before_there_is_a_runner_is_kept_for_it() -> None:
    ours, theirs = socket.socketpair()
    told: list[int] = []
    with ours, theirs:
        link = WorkerLink(theirs, SignClock(), Lifetime())
        link._speaker.start()
        ours.sendall(b"concurrency 3\nconcur")
        link._obey()
        ours.sendall(b"rency 8\n")
        link._obey()
        assert told == []
        link.attach(cast("Any", Loop()), files=list, resize=told.append)
        assert told == [8]
        ours.sendall(b"concurrency 2\n")
        link._obey()
        link.close({})
    assert told == [8, 2]


def test_what_is_taken_over_from_the_worker_before_is_kept_for_the_runner() -> None:
    ours, theirs = socket.socketpair()
    loop = Loop()
    with ours, theirs:
        link = WorkerLink(theirs, SignClock(), Lifetime())
        link._speaker.start()
        ours.sendall(b"carry quiet\ndeaths 3\n")
        link._obey()
        link.attach(cast("Any", loop), files=list)
        assert (loop.carried, link.deaths) == ("quiet", 3)
        # What people wish from then on is told to the supervisor.
        loop.wished("stop")
        link.close({})
        ours.setblocking(False)
        said = [json.loads(line) for line in ours.recv(65536).splitlines()]
    assert {"event": "wish", "wish": "stop"} in said
