"""How many places are advised, and which obstacle is told instead."""

import math
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from queue_simulation import EPOCH, history, readings
from wpbridge.monitor.advice import MOST_ADVISED, Advice, DueParts, advise, places_needed


def advised(
    *,
    arrivals: float | None = 1.0,
    service: float | None = 1.0,
    ended: int = 300,
    claim_p99: float | None = 0.01,
    target: float = 60.0,
    parts: DueParts | None = None,
    **seen: Any,
) -> Advice:
    told = history(
        arrivals=arrivals, service=service, ended=ended, claim_p99=claim_p99, until=EPOCH
    )
    return advise(readings(**seen), told, target, parts=parts)


@pytest.mark.parametrize(
    ("arrivals", "service", "due", "target", "places"),
    [
        (0, 5, 0, 60, 0),
        (0.001, 0.001, 0, 60, 1),
        (7, 1, 0, 60, 10),
        (7.1, 1, 0, 60, 11),
        (0, 1, 420, 60, 10),
        (3.5, 1, 210, 60, 10),
        (3.5, 2, 210, 60, 20),
        (3.5, 1, 210, 30, 15),
        (1000, 100, 100_000, 1, MOST_ADVISED),
    ],
)
def test_a_number_follows_from_what_arrives_takes_time_and_is_due(
    arrivals: float, service: float, due: int, target: float, places: int
) -> None:
    needed = places_needed(
        arrivals_per_second=arrivals,
        service_seconds=service,
        due=due,
        target_wait_seconds=target,
    )
    assert needed == places
    told = advised(arrivals=arrivals, service=service, due=due, target=target, running={"mail": 4})
    assert (told.workers_advised, told.workers_now, told.obstacle) == (places, 4, None)


def test_the_reason_has_all_numbers_in_sentences() -> None:
    told = advised(arrivals=3.5, service=2.0, due=210, running={"mail": 4})
    assert told.reason == (
        "Actions arrive at a rate of 3.5 per second. One takes 2 s on average. 210 are due. An"
        " action shall start within 60 s of its date. That needs 20 places, with a reserve of 30%."
        " There are 4 now."
    )
    assert advised(arrivals=0.0, service=None).reason == (
        "No action arrives. Nothing is due. No place is needed now. There are 4 now."
    )


def test_what_is_unknown_is_said_and_no_worker_is_given_up_for_it() -> None:
    told = advised(arrivals=None, service=1.0, due=3)
    assert told.workers_advised == told.workers_now == 4
    assert told.arrivals_per_second is None
    assert "How many actions arrive is not known yet" in told.reason

    told = advised(arrivals=1.0, service=None, ended=0, due=3)
    assert told.workers_advised == 4
    assert told.service_seconds is None
    assert "How long an action takes is not known yet" in told.reason

    told = advised(arrivals=None, service=None, ended=0)
    assert told.workers_advised == 4
    assert "How many actions arrive is not known yet" in told.reason

    assert advised(arrivals=None, service=1.0, due=4200).workers_advised == 100


def test_a_capped_count_is_so_many_or_more() -> None:
    assert "100,000 or more are due" in advised(due=100_000, running={"mail": 4}).reason


def test_no_runner_is_the_obstacle_and_the_number_is_still_told() -> None:
    told = advised(places=0, due=840, arrivals=None, ended=0, last_run={})
    assert (told.obstacle, told.workers_advised, told.workers_now) == ("no runner", 20, 0)
    assert told.reason.startswith("No runner of wpbridge is alive, so there is no place at all.")
    with_php = advised(places=0, due=840, last_run={"php": EPOCH})
    assert "PHP's runners are at work alone" in with_php.reason
    assert advised(places=0, service=None, ended=0, due=5).workers_advised == 1
    assert advised(places=0, arrivals=0.0, service=None, ended=0).obstacle is None


def test_paused_work_needs_no_place() -> None:
    told = advised(due=1000, parts=DueParts(free={"mail": 100}, paused=900), running={"mail": 4})
    assert (told.obstacle, told.workers_advised) == ("paused", 4)
    assert told.reason.startswith(
        "90% of what is due is paused: no place helps until it is resumed."
    )
    # What is not paused counts, and is the answer where the places do not suffice for it.
    told = advised(due=4000, parts=DueParts(free={"mail": 100}, paused=300), running={"mail": 4})
    assert (told.obstacle, told.workers_advised) == (None, 26)


def test_limited_work_needs_a_higher_limit() -> None:
    parts = DueParts(free={"mail": 1}, limited=99, limited_by=("hook sync", "group eu"))
    told = advised(due=10_000, parts=parts, running={"sync": 2}, arrivals=40.0, oldest=500)
    assert (told.obstacle, told.workers_advised) == ("limited", 4)
    assert told.reason.startswith(
        "99% of what is due belongs to what is at its limit (hook sync, group eu): no place helps,"
        " only a higher limit."
    )


def test_one_hook_that_holds_all_places() -> None:
    parts = DueParts(free={"mail": 90, "report": 10})
    told = advised(due=100, oldest=300, running={"report": 4}, longest=900, parts=parts)
    assert (told.obstacle, told.workers_advised) == ("one hook holds all places", 4)
    assert told.reason.startswith("Actions of report hold 4 of 4 places, for up to 900 s, while")
    # Where the same hook waits, more places are the answer.
    same = DueParts(free={"mail": 10, "report": 90})
    assert advised(due=1000, running={"report": 4}, parts=same).obstacle is None
    # A single place is always held by one hook.
    assert advised(due=1000, running={"report": 1}, places=1, parts=parts).obstacle is None


def test_the_database_is_the_limit_when_claims_are_slow_and_places_idle() -> None:
    told = advised(due=5000, oldest=120, arrivals=40.0, service=0.1, claim_p99=0.84)
    assert told.obstacle == "the database is the limit: claims p99 840 ms"
    assert told.workers_advised == 4
    # Slow claims of places that are busy are no obstacle.
    busy = advised(due=5000, oldest=120, arrivals=40.0, claim_p99=0.84, running={"mail": 4})
    assert busy.obstacle is None


def test_places_that_are_idle_while_work_waits() -> None:
    parts = DueParts(free={"nobody": 30, "mail": 29})
    told = advised(due=59, oldest=120, ended=3, parts=parts)
    assert (told.obstacle, told.workers_advised) == ("places are idle", 3)
    assert told.reason.startswith("3 places of 4 are idle, while work has been due for 120 s.")
    assert "accepts these hooks, such as nobody" in told.reason
    # A runner has not had a few looks at it.
    assert advised(due=59, oldest=14, ended=3, parts=parts).obstacle is None
    # Short actions are never seen running, but have kept the places busy.
    assert advised(due=900, oldest=120, ended=1100, parts=parts).obstacle is None


def test_a_burst_of_short_actions_is_not_taken_for_idle_places() -> None:
    """None of them is ever marked as running, and the mean of five minutes is low."""
    burst: dict[str, Any] = {"due": 5000, "oldest": 20, "ended": 30, "service": 0.1}
    for parts in (DueParts(free={"mail": 5000}), DueParts(free={"new": 5000}, claimed=100), None):
        told = advised(**burst, parts=parts)
        assert (told.obstacle, told.workers_advised) == (None, 13)


def test_whatever_is_read_gives_whole_sentences() -> None:
    """No combination of small, large and unknown numbers breaks a reason or asks for no place."""
    numbers = (None, 0.0, 1e-9, 0.3, 1.0, 1e6)
    for arrivals in numbers:
        for service in numbers:
            for due in (0, 1, 100_000):
                for places in (0, 1, 5):
                    for parts in (None, DueParts(free={}), DueParts(free={}, paused=3)):
                        told = advised(
                            arrivals=arrivals,
                            service=service,
                            ended=0 if service is None else 10,
                            due=due,
                            places=places,
                            oldest=99.0,
                            parts=parts,
                        )
                        assert 0 <= told.workers_advised <= MOST_ADVISED
                        assert told.reason.endswith(".")
                        assert not {"nan", "inf", "None"} & set(told.reason.split())
                        assert " 1 places" not in told.reason
                        assert math.isfinite(told.target_wait_seconds)


def test_a_history_of_no_time_divides_by_nothing() -> None:
    told = replace(history(arrivals=None, service=None), since=EPOCH, until=EPOCH)
    back = replace(told, until=EPOCH - timedelta(seconds=5))
    parts = DueParts(free={"nobody": 3})
    for one in (told, back):
        found = advise(readings(due=3, oldest=60.0), one, 60.0, parts=parts)
        assert found.obstacle == "places are idle"
