"""What every store does when actions start and end."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from factories import NOW, insert, make_new
from rows import change, column, log_of, query
from stores import again
from wpbridge.action import Action, Claim, Status
from wpbridge.outcome import Completed, Failed, LogLine, Retried
from wpbridge.runner import concluding
from wpbridge.store.base import ClaimFilter
from wpbridge.store.running.runner_store import RunnerStore


def hold(store: RunnerStore, count: int = 1, **values: object) -> Claim:
    insert(store, *[make_new(**values) for _ in range(count)])  # type: ignore[arg-type]
    claim = store.claim_due(now=NOW, limit=count, only=ClaimFilter())
    assert claim is not None
    return claim


def end(store: RunnerStore, claim: Claim, outcome: Completed | Failed | Retried) -> frozenset[int]:
    endings = [
        concluding.ending_of(action, outcome, started_at=NOW, ended_at=NOW, marked=False)
        for action in claim.actions
    ]
    return frozenset(store.settle(endings, now=NOW, finished=[claim.id]))


def test_completing_writes_status_attempt_dates_and_logs(store: RunnerStore) -> None:
    claim = hold(store)
    (action,) = claim.actions
    assert end(store, claim, Completed()) == {action.id}
    assert column(store, "status", action.id) == "complete"
    assert column(store, "attempts", action.id) == 1
    assert column(store, "claim_id", action.id) == claim.id
    assert log_of(store, action.id) == [
        "action created",
        "action started via wpbridge",
        "action complete via wpbridge",
    ]
    assert query(store, "SELECT * FROM wp_actionscheduler_claims") == []


@pytest.mark.parametrize("status", ["canceled", "failed", "complete"])
def test_what_somebody_else_ended_is_left_as_it_is(store: RunnerStore, status: str) -> None:
    claim = hold(store, 3)
    lost = claim.actions[1]
    change(
        store,
        "UPDATE wp_actionscheduler_actions SET status = :s WHERE action_id = :i",
        s=status,
        i=lost.id,
    )
    assert end(store, claim, Completed()) == {claim.actions[0].id, claim.actions[2].id}
    assert column(store, "status", lost.id) == status
    assert log_of(store, lost.id) == ["action created"]


def test_what_another_claim_took_is_left_as_it_is(store: RunnerStore) -> None:
    claim = hold(store)
    (action,) = claim.actions
    change(
        store,
        "UPDATE wp_actionscheduler_actions SET claim_id = 999 WHERE action_id = :i",
        i=action.id,
    )
    assert end(store, claim, Completed()) == frozenset()
    assert column(store, "status", action.id) == "pending"


def test_a_deleted_row_leaves_no_log_rows_behind(store: RunnerStore) -> None:
    claim = hold(store)
    (action,) = claim.actions
    change(store, "DELETE FROM wp_actionscheduler_actions")
    change(store, "DELETE FROM wp_actionscheduler_logs")
    assert end(store, claim, Completed()) == frozenset()
    assert log_of(store, action.id) == []


def test_a_started_row_is_in_progress_and_ends_with_one_attempt(store: RunnerStore) -> None:
    claim = hold(store)
    (action,) = claim.actions
    line = LogLine(message="action started via wpbridge", at=NOW)
    assert store.start([(action, [line])], now=NOW, once=False) == {action.id}
    assert column(store, "status", action.id) == "in-progress"
    ending = concluding.ending_of(action, Completed(), started_at=NOW, ended_at=NOW, marked=True)
    assert store.settle([ending], now=NOW, finished=[claim.id]) == {action.id}
    assert column(store, "attempts", action.id) == 1
    assert len(log_of(store, action.id)) == 3


def test_a_canceled_row_does_not_start(store: RunnerStore) -> None:
    claim = hold(store)
    (action,) = claim.actions
    change(store, "UPDATE wp_actionscheduler_actions SET status = 'canceled'")
    assert store.start([(action, [])], now=NOW, once=False) == frozenset()
    assert store.still_claimed([action]) == frozenset()


def test_a_retry_puts_the_same_row_back_for_later(store: RunnerStore) -> None:
    claim = hold(store)
    (action,) = claim.actions
    end(store, claim, Retried(after=timedelta(seconds=200), reason="busy"))
    assert column(store, "status", action.id) == "pending"
    assert column(store, "claim_id", action.id) == 0
    assert column(store, "attempts", action.id) == 1
    assert str(column(store, "scheduled_date_gmt", action.id)) == "2026-11-24 12:03:20"
    assert log_of(store, action.id)[-1] == "action retry via wpbridge in 200 s: busy"
    assert store.claim_due(now=NOW, limit=5, only=ClaimFilter()) is None
    later = NOW + timedelta(seconds=201)
    assert store.claim_due(now=later, limit=5, only=ClaimFilter()) is not None


@pytest.mark.parametrize("outcome", [Completed(), Failed(reason="no")])
def test_a_recurring_action_gets_its_successor(
    store: RunnerStore, outcome: Completed | Failed
) -> None:
    claim = hold(store, interval=300, priority=7, group="g", args=({"r": 1},))
    (action,) = claim.actions
    end(store, claim, outcome)
    (new,) = query(
        store,
        "SELECT action_id, scheduled_date_gmt, priority, group_id, args, attempts, claim_id,"
        " last_attempt_gmt FROM wp_actionscheduler_actions WHERE status = 'pending'",
    )
    assert str(new[1]) == "2026-11-24 12:05:00"
    assert (new[2], new[3], new[4]) == (7, action.group_id, action.args.decode())
    assert (new[5], new[6], str(new[7])) == (0, 0, "0000-00-00 00:00:00")
    assert log_of(store, int(str(new[0]))) == ["action created"]


def test_the_chain_stops_when_the_five_oldest_are_failed(store: RunnerStore) -> None:
    old = insert(store, *[make_new("r", due_in=-1000 - n) for n in range(4)])
    change(store, "UPDATE wp_actionscheduler_actions SET status = 'failed'")
    assert len(old) == 4
    claim = hold(store, hook="r", interval=300)
    end(store, claim, Failed(reason="no"))
    (action,) = claim.actions
    assert log_of(store, action.id)[-1].startswith("This action appears to be consistently failing")
    assert query(store, "SELECT 1 FROM wp_actionscheduler_actions WHERE status = 'pending'") == []


def test_the_chain_goes_on_when_an_older_row_succeeded(store: RunnerStore) -> None:
    insert(store, *[make_new("r", due_in=-1000 - n) for n in range(4)])
    change(store, "UPDATE wp_actionscheduler_actions SET status = 'failed'")
    (good,) = insert(store, make_new("r", due_in=-5000))
    change(
        store,
        "UPDATE wp_actionscheduler_actions SET status = 'complete' WHERE action_id = :i",
        i=good,
    )
    end(store, hold(store, hook="r", interval=300), Failed(reason="no"))
    assert (
        len(query(store, "SELECT 1 FROM wp_actionscheduler_actions WHERE status = 'pending'")) == 1
    )


def test_many_long_log_rows_are_more_than_a_packet(store: RunnerStore) -> None:
    """MariaDB takes 16 MB at a time, MySQL 5.7 takes 4."""
    count = 300
    (action_id,) = insert(store, make_new())
    lines = [LogLine(message=f"{n} " + "x" * 65_000, at=NOW) for n in range(count)]
    store.log((action_id, line) for line in lines)
    assert log_of(store, action_id)[1:] == [line.message for line in lines]


def test_long_args_are_hashed_and_read_back(store: RunnerStore) -> None:
    (action_id,) = insert(store, make_new(args=("x" * 500,)))
    assert len(str(column(store, "args", action_id))) == 32
    claim = store.claim_due(now=NOW, limit=1, only=ClaimFilter())
    assert claim is not None
    assert claim.actions[0].args == ('["' + "x" * 500 + '"]').encode()


def test_adopting_a_dead_runner_moves_its_claims(
    dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    dead, living = open_queue(dsn), open_queue(dsn)
    dead.register(host="a", boot="x", pid=1, pid_started="1")
    living.register(host="b", boot="y", pid=2, pid_started="2")
    claim = hold(dead, 3)
    (record,) = living.other_runners()
    adopted = living.adopt(record)
    assert adopted is not None
    assert {a.id for a in adopted.actions} == {a.id for a in claim.actions}
    assert living.other_runners() == []
    assert living.adopt(record) is None
    held: tuple[Action, ...] = adopted.actions
    assert all(a.status is Status.PENDING for a in held)
    assert living.release(held, finished=[claim.id]) == 3


def test_schema_9_frees_the_unique_key_when_an_action_ends(
    dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    store = open_queue(dsn)
    change(store, "ALTER TABLE wp_actionscheduler_actions ADD COLUMN unique_key text NULL")
    store = again(store)
    store.register(host="a", boot="x", pid=1, pid_started="1")
    claim = hold(store)
    change(store, "UPDATE wp_actionscheduler_actions SET unique_key = 'v1:abc'")
    end(store, claim, Completed())
    assert column(store, "unique_key", claim.actions[0].id) is None
