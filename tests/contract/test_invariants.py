"""The checker of the tables sees each thing that must not be there; else it would prove nothing."""

import time
from collections.abc import Callable

import pytest

import invariants
from evidence import Attempt
from factories import insert, make_new
from rows import change, query
from wpbridge.clock import SystemClock
from wpbridge.outcome import Completed
from wpbridge.runner import concluding
from wpbridge.store.base import ClaimFilter
from wpbridge.store.running.runner_store import RunnerStore

ACTIONS, LOGS = "wp_actionscheduler_actions", "wp_actionscheduler_logs"
QUICK, CHAIN, LAST = 1, 2, 3
"""Ids: one that is complete, a recurring one that is, and its successor, which was canceled."""


@pytest.fixture
def attempts(store: RunnerStore) -> dict[int, list[Attempt]]:
    """A queue whose actions have ended well, and what its handlers saw."""
    now = SystemClock().now()
    insert(store, make_new("quick", now=now), make_new("chain", interval=60, now=now), now=now)
    claim = store.claim_due(now=now, limit=5, only=ClaimFilter())
    assert claim is not None
    endings = [
        concluding.ending_of(action, Completed(), started_at=now, ended_at=now, marked=False)
        for action in claim.actions
    ]
    store.settle(endings, now=now, finished=[claim.id])
    change(store, f"UPDATE {ACTIONS} SET status = 'canceled' WHERE action_id = {LAST}")
    store.unregister()
    return {i: [attempt(i, hook)] for i, hook in ((QUICK, "quick"), (CHAIN, "chain"))}


def attempt(action_id: int, hook: str, at: float = 1.0, wall: float = 0.0) -> Attempt:
    return Attempt(
        action_id=action_id,
        hook=hook,
        number=1,
        pid=100 + action_id,
        parent=1,
        mark="m",
        started=at,
        wall=wall,
        ended=at + 0.5,
        is_success=True,
    )


def check(store: RunnerStore, attempts: dict[int, list[Attempt]]) -> None:
    statuses = {"quick": ("complete",), "chain": ("complete", "canceled")}
    terms = invariants.Terms(ids=(QUICK, CHAIN), statuses=statuses, chains=1, once=())
    invariants.check_round(store, attempts, terms)


def test_a_queue_that_ended_well(store: RunnerStore, attempts: dict[int, list[Attempt]]) -> None:
    check(store, attempts)


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (f"DELETE FROM {ACTIONS} WHERE action_id = {QUICK}", "action 1 is gone"),
        (
            f"UPDATE {ACTIONS} SET status = 'pending', claim_id = 0 WHERE action_id = 1",
            "did not end",
        ),
        (f"UPDATE {ACTIONS} SET status = 'canceled' WHERE action_id = {QUICK}", "quick, canceled"),
        (f"UPDATE {ACTIONS} SET status = 'in-progress' WHERE action_id = 1", "held by nobody"),
        (f"UPDATE {ACTIONS} SET attempts = 2 WHERE action_id = {QUICK}", "differ from started"),
        (f"DELETE FROM {LOGS} WHERE message LIKE 'action complete%'", "exactly one log row"),
        (f"DELETE FROM {LOGS} WHERE message LIKE 'action started%'", "differ from started"),
        ("INSERT INTO wp_actionscheduler_claims (date_created_gmt) VALUES (NULL)", "orphan claims"),
        (f"DELETE FROM {ACTIONS} WHERE action_id = {LAST}", "has 1 actions after 1 endings"),
        (
            f"INSERT INTO {ACTIONS} (hook, status, args) VALUES ('chain', 'canceled', '[]')",
            "has 3 actions after 1 endings",
        ),
        (f"UPDATE {ACTIONS} SET hook = 'quick' WHERE hook = 'chain'", "0 chains of 1"),
    ],
)
def test_what_is_wrong_in_the_tables_is_told(
    harm: str, told: str, store: RunnerStore, attempts: dict[int, list[Attempt]]
) -> None:
    change(store, harm)
    with pytest.raises(AssertionError) as error:
        check(store, attempts)
    assert told in str(error.value)


def test_a_runner_that_is_still_there_is_told(
    store: RunnerStore, attempts: dict[int, list[Attempt]]
) -> None:
    store.register(host="h", boot="b", pid=1, pid_started="1")
    with pytest.raises(AssertionError, match="still registered"):
        check(store, attempts)


LATER = time.time() + 86_400
"""After every run of the tests, however long it takes."""


@pytest.mark.parametrize(
    ("change_it", "told"),
    [
        (lambda found: found.pop(QUICK), "has no attempt that succeeded"),
        (lambda found: found[QUICK].append(attempt(1, "quick", 9.0)), "run again after it had"),
        (lambda found: found[QUICK].append(attempt(1, "quick", 1.1)), "twice at once"),
        (lambda found: found[QUICK].append(attempt(1, "quick", 9.0)), "ran 2 times and counts 1"),
        (lambda found: found.update({1: [attempt(1, "quick", 9.0, LATER)]}), "started later"),
    ],
    ids=["not run", "run again", "at once", "uncounted", "after the end"],
)
def test_what_is_wrong_in_the_record_is_told(
    change_it: Callable[[dict[int, list[Attempt]]], object],
    told: str,
    store: RunnerStore,
    attempts: dict[int, list[Attempt]],
) -> None:
    change_it(attempts)
    assert query(store, f"SELECT COUNT(*) FROM {ACTIONS}")[0][0] == LAST
    with pytest.raises(AssertionError) as error:
        check(store, attempts)
    assert told in str(error.value)
