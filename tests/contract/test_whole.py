"""Actions that only their messages hold: what rows their endings become."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

import invariants
from factories import NOW, make_new, pauses_of
from rows import log_of, query
from stores import again
from wpbridge.action import Action, ActionId, Claim, ClaimId, Status
from wpbridge.codec import schedule
from wpbridge.outcome import Canceled, Completed, Failed, Outcome, Retried
from wpbridge.runner import concluding
from wpbridge.store.base import ClaimFilter, Ending
from wpbridge.store.queueing.adding import Request
from wpbridge.store.records import Pause
from wpbridge.store.running.handed import Fate, HandedStore, Inbox
from wpbridge.store.running.runner_store import RunnerStore

KEY = "01890a5d-ac96-774b-bcce-b302099a8057"


class Worker:
    def __init__(self, store: RunnerStore, *, keeps_completed: bool = True) -> None:
        self.inbox = Inbox()
        self.fates: list[tuple[int, Fate]] = []
        self.store = HandedStore(
            again(store).parts,
            self.inbox,
            keeps_completed=keeps_completed,
            told=lambda action_id, fate: self.fates.append((action_id, fate)),
        )
        self.store.register(host="worker", boot="b", pid=2, pid_started="2")

    def take(self, *actions: Action, runs: bool = True) -> list[Claim]:
        for one in actions:
            self.inbox.put_whole(one)
        return self.store.take_whole(now=NOW, runs=lambda _hook: runs)


def whole(number: int = 1, *, hook: str = "h", key: str = KEY) -> Action:
    return Action(
        id=ActionId(-number),
        hook=hook,
        status=Status.PENDING,
        scheduled_at=NOW,
        priority=5,
        args=b'["a\\/b"]',
        schedule=schedule.encode(schedule.Async()),
        group_id=0,
        group="g",
        attempts=0,
        claim_id=ClaimId(-number),
        make_key=lambda: key,
    )


def ending(action: Action, outcome: Outcome) -> Ending:
    return concluding.ending_of(action, outcome, started_at=NOW, ended_at=NOW, marked=False)


def rows(store: RunnerStore) -> Sequence[Sequence[object]]:
    return query(
        store,
        "SELECT action_id, hook, status, args, attempts, claim_id, priority"
        " FROM wp_actionscheduler_actions ORDER BY action_id",
    )


@pytest.mark.parametrize(
    ("outcome", "status", "log"),
    [
        (Completed(), "complete", "action complete via wpbridge"),
        (Failed(reason="no"), "failed", "action failed via wpbridge: no"),
        (Canceled(reason="so"), "canceled", "action canceled via wpbridge: so"),
        (
            Retried(after=timedelta(seconds=30), reason="no", attempt=2, of=5),
            "pending",
            "action retry via wpbridge: retry 2 of 5 in 30 s: no",
        ),
    ],
)
def test_an_ending_becomes_a_row(
    store: RunnerStore, outcome: Outcome, status: str, log: str
) -> None:
    worker = Worker(store)
    [claim] = worker.take(whole())
    assert rows(store) == []
    done = worker.store.settle([ending(claim.actions[0], outcome)], now=NOW, finished=[claim.id])
    assert done == frozenset({-1})
    assert worker.fates == [(-1, "written")]
    [row] = rows(store)
    assert row[1:] == ("h", status, '["a\\/b"]', 1, 0, 5)
    told = log_of(store, int(str(row[0])))
    assert told == ["action created", "action started via wpbridge", log]
    invariants.check(store)


def test_a_second_delivery_writes_no_second_row(store: RunnerStore) -> None:
    first, second = Worker(store), Worker(store)
    [claim] = first.take(whole())
    first.store.settle([ending(claim.actions[0], Failed(reason="no"))], now=NOW)
    [claim] = second.take(whole(7))
    done = second.store.settle([ending(claim.actions[0], Completed())], now=NOW)
    assert done == frozenset({-7})
    assert [row[2] for row in rows(store)] == ["failed"]


def test_completions_may_leave_no_row(store: RunnerStore) -> None:
    worker = Worker(store, keeps_completed=False)
    [claim] = worker.take(whole())
    assert worker.store.settle([ending(claim.actions[0], Completed())], now=NOW)
    assert rows(store) == []
    assert worker.fates == [(-1, "written")]
    [claim] = worker.take(whole(2))
    worker.store.settle([ending(claim.actions[0], Failed(reason="no"))], now=NOW)
    assert [row[2] for row in rows(store)] == ["failed"]


def test_endings_with_and_without_rows_are_settled_together(store: RunnerStore) -> None:
    worker = Worker(store)
    claims = worker.take(whole(1, key="k1"), whole(2, key="k2"), whole(3, key="k3"))
    endings = [ending(claim.actions[0], Completed()) for claim in claims]
    assert worker.store.settle(endings, now=NOW) == frozenset({-1, -2, -3})
    assert [row[2] for row in rows(store)] == ["complete"] * 3


@pytest.mark.parametrize("pause", pauses_of("h", "g"), ids=lambda pause: pause.kind)
def test_what_is_paused_becomes_a_pending_row(store: RunnerStore, pause: Pause) -> None:
    store.parts.pauses.add([pause], now=NOW)
    worker = Worker(store)
    assert worker.take(whole()) == []
    assert worker.fates == [(-1, "row")]
    [row] = rows(store)
    assert row[1:] == ("h", "pending", '["a\\/b"]', 0, 0, 5)


def test_what_cannot_run_here_becomes_a_pending_row_once(store: RunnerStore) -> None:
    worker = Worker(store)
    assert worker.take(whole(), runs=False) == []
    assert worker.take(whole(2), runs=False) == []
    assert [row[2] for row in rows(store)] == ["pending"]
    assert worker.fates == [(-1, "row"), (-2, "row")]


@pytest.mark.parametrize("has_broker", [True, False])
def test_its_row_runs_with_the_same_key(store: RunnerStore, *, has_broker: bool) -> None:
    """Also after the site has gone back to running its actions by itself."""
    worker = Worker(store)
    worker.take(whole(), runs=False)
    reader = RunnerStore(again(store).parts, has_broker=has_broker)
    reader.register(host="r", boot="b", pid=3, pid_started="3")
    claim = reader.claim_due(now=NOW + timedelta(seconds=1), limit=1, only=ClaimFilter())
    assert claim is not None
    assert claim.actions[0].idempotency_key == KEY


def test_what_is_given_back_is_told(store: RunnerStore) -> None:
    worker = Worker(store)
    [claim] = worker.take(whole())
    assert worker.store.release(claim.actions, finished=[claim.id]) == 1
    assert worker.fates == [(-1, "not run")]
    assert rows(store) == []


def test_beats_and_logs_pass_it_over(store: RunnerStore) -> None:
    worker = Worker(store)
    [claim] = worker.take(whole())
    action = claim.actions[0]
    assert worker.store.heartbeat([action.id], now=NOW)
    assert worker.store.still_claimed([action]) == {action.id}
    worker.store.log([(action.id, ending(action, Completed()).logs[0])])
    assert query(store, "SELECT COUNT(*) FROM wp_actionscheduler_logs") == [(0,)]


def test_two_messages_with_other_keys_are_two_actions(store: RunnerStore) -> None:
    """Two actions of one text are two actions."""
    worker = Worker(store)
    first, second = worker.take(whole(1, key="a"), replace(whole(2), make_key=lambda: "b"))
    worker.store.settle([ending(one.actions[0], Completed()) for one in (first, second)], now=NOW)
    assert len(rows(store)) == 2


def test_a_key_that_a_user_gives_is_none_of_the_broker(store: RunnerStore) -> None:
    """It is told from others by each of its characters, and is not what the handler gets."""
    keys = ["celery:order", "celery:Order", "celery:\u00e9", f"celery:{KEY}x"]
    requests = [Request(action=make_new("h", due_in=-1), key=key) for key in keys]
    made = store.parts.adding.add(requests, by="group", now=NOW)
    assert len({one.id for one in made}) == 4
    again_made = store.parts.adding.add(requests, by="group", now=NOW)
    assert [one.id for one in again_made] == [one.id for one in made]
    reader = RunnerStore(again(store).parts, has_broker=True)
    reader.register(host="r", boot="b", pid=3, pid_started="3")
    claim = reader.claim_due(now=NOW, limit=9, only=ClaimFilter())
    assert claim is not None
    told = {action.idempotency_key for action in claim.actions}
    assert len(told) == 4
    assert all(len(key) == 36 and key != KEY for key in told)


def test_what_the_tables_cannot_hold_is_given_back_and_stops_nothing_else(
    store: RunnerStore,
) -> None:
    worker = Worker(store)
    claims = worker.take(whole(1), whole(2, hook="h\ud800", key="half"), runs=False)
    assert claims == []
    assert sorted(worker.fates) == [(-2, "not run"), (-1, "row")]
    assert [row[1] for row in rows(store)] == ["h"]
