"""Claims beside others that hold the rows at the front."""

from collections.abc import Callable

from factories import NOW, insert, make_new
from rows import change, query
from sent import listen
from wpbridge.outcome import Completed
from wpbridge.runner import concluding
from wpbridge.store.base import ClaimFilter
from wpbridge.store.running.runner_store import RunnerStore

LIMIT = 20


def test_the_next_batch_is_taken_in_the_same_transaction(
    mysql_dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    store, other = open_queue(mysql_dsn), open_queue(mysql_dsn)
    ids = insert(store, *[make_new("h", args=(n,)) for n in range(6 * LIMIT)])
    store.register(host="here", boot="boot", pid=1, pid_started="1")
    change(other, "START TRANSACTION")
    query(
        other,
        "SELECT action_id FROM wp_actionscheduler_actions FORCE INDEX (PRIMARY)"
        " WHERE action_id IN :ids FOR UPDATE",
        ids=ids[:LIMIT],
    )
    # What lies behind is not known yet, so it is searched for once more.
    first = store.claim_due(now=NOW, limit=LIMIT, only=ClaimFilter())
    assert first is not None
    assert len(first.actions) == LIMIT
    begun: list[object] = []
    begin = store.parts.dialect.begin
    stop = listen(
        store.session, "before", lambda *told: begun.append(told) if told[0] == begin else None
    )
    endings = [
        concluding.ending_of(a, Completed(), started_at=NOW, ended_at=NOW, marked=False)
        for a in first.actions
    ]
    made = store.claim_and_settle(
        endings,
        finished=[first.id],
        now=NOW,
        limit=LIMIT,
        only=ClaimFilter(),
        start_plan=None,
        portion=len,
    )
    stop()
    assert len(begun) == 1
    assert made.settled == frozenset(action.id for action in first.actions)
    assert made.claim is not None
    assert made.claim.make().actions[0].id == ids[LIMIT], "the first ones that are free"
    change(other, "ROLLBACK")
