"""Endings and the next claim in one transaction."""

from collections.abc import Callable, Sequence

import pytest

import invariants
from factories import NOW, insert, make_new
from rows import change, column, log_of, query
from sent import listen
from stores import again
from wpbridge.action import Claim, ClaimId
from wpbridge.outcome import Completed
from wpbridge.runner import concluding
from wpbridge.site.rules import Limit
from wpbridge.store.base import ClaimAndSettled, ClaimFilter, Ending
from wpbridge.store.running.runner_store import RunnerStore

ANY = ClaimFilter()


def hold(store: RunnerStore, count: int = 2) -> Claim:
    claim = store.claim_due(now=NOW, limit=count, only=ANY)
    assert claim is not None
    return claim


def endings_of(claim: Claim) -> list[Ending]:
    return [
        concluding.ending_of(a, Completed(), started_at=NOW, ended_at=NOW, marked=False)
        for a in claim.actions
    ]


def claimed(
    store: RunnerStore,
    endings: Sequence[Ending],
    finished: Sequence[ClaimId],
    *,
    limit: int = 2,
    only: ClaimFilter = ANY,
    portion: Callable[[Sequence[str]], int] = len,
) -> ClaimAndSettled:
    return store.claim_and_settle(
        endings,
        finished=finished,
        now=NOW,
        limit=limit,
        only=only,
        start_plan=None,
        portion=portion,
    )


def begun(store: RunnerStore) -> list[str]:
    """The transactions that are begun on the store from now on."""
    sent: list[str] = []
    begin = store.parts.dialect.begin
    listen(store.session, "before", lambda *told: sent.append(begin) if told[0] == begin else None)
    return sent


def test_endings_and_claim_are_one_transaction(store: RunnerStore) -> None:
    insert(store, *[make_new(f"h{n}") for n in range(4)])
    first = hold(store)
    transactions = begun(store)
    made = claimed(store, endings_of(first), [first.id])
    assert len(transactions) == 1
    assert made.settled == frozenset(action.id for action in first.actions)
    assert made.claim is not None
    second = made.claim.make()
    assert list(made.claim.ids) == [action.id for action in second.actions]
    assert {action.hook for action in second.actions} == {"h2", "h3"}
    assert [column(store, "status", i) for i in made.settled] == ["complete", "complete"]
    assert log_of(store, first.actions[0].id)[-1] == "action complete via wpbridge"
    assert query(store, "SELECT claim_id FROM wp_actionscheduler_claims") == [(second.id,)]
    assert store.settle(endings_of(second), now=NOW, finished=[second.id])
    invariants.check(store)


def test_nothing_is_settled_where_nothing_is_due(store: RunnerStore) -> None:
    insert(store, *[make_new() for _ in range(2)])
    first = hold(store)
    assert claimed(store, endings_of(first), [first.id]) == ClaimAndSettled(
        claim=None, settled=None
    )
    assert column(store, "status", first.actions[0].id) == "pending"
    assert len(store.settle(endings_of(first), now=NOW, finished=[first.id])) == 2
    invariants.check(store)


def test_nothing_is_settled_or_claimed_where_an_ending_is_not_ours(store: RunnerStore) -> None:
    insert(store, *[make_new() for _ in range(4)])
    first = hold(store)
    gone = first.actions[0].id
    change(
        store,
        "UPDATE wp_actionscheduler_actions SET status = 'canceled' WHERE action_id = :i",
        i=gone,
    )
    made = claimed(store, endings_of(first), [first.id])
    assert made.settled is None
    assert column(store, "status", first.actions[1].id) == "pending"
    assert store.settle(endings_of(first), now=NOW, finished=[first.id]) == {first.actions[1].id}
    if made.claim is not None:
        claim = made.claim.make()
        store.settle(endings_of(claim), now=NOW, finished=[claim.id])
    assert column(store, "status", gone) == "canceled"
    invariants.check(store)


def test_what_others_took_meanwhile_does_not_undo_the_endings(store: RunnerStore) -> None:
    """The rows that were found are gone when they are to be locked; the endings are written."""
    insert(store, *[make_new() for _ in range(3)])
    first = hold(store)
    begin = store.parts.dialect.begin
    other = again(store)

    def take(*told: object) -> None:
        if told[0] == begin:
            stop()
            change(
                other,
                "UPDATE wp_actionscheduler_actions SET status = 'canceled' WHERE claim_id = 0",
            )

    stop = listen(store.session, "before", take)
    made = claimed(store, endings_of(first), [first.id])
    assert made.claim is None
    assert made.settled == frozenset(action.id for action in first.actions)
    assert query(store, "SELECT claim_id FROM wp_actionscheduler_claims") == []
    invariants.check(store)


def test_a_refused_ending_is_an_error_and_claims_nothing(store: RunnerStore) -> None:
    insert(store, *[make_new() for _ in range(4)])
    first = hold(store)

    def refuse(sql: str, _values: object) -> None:
        if "status = 'complete'" in sql:
            raise ValueError("this ending is refused")

    stop = listen(store.session, "before", refuse)
    with pytest.raises(Exception, match="refused"):
        claimed(store, endings_of(first), [first.id])
    stop()
    assert query(store, "SELECT claim_id FROM wp_actionscheduler_claims") == [(first.id,)]
    assert column(store, "status", first.actions[0].id) == "pending"
    assert len(store.settle(endings_of(first), now=NOW, finished=[first.id])) == 2
    invariants.check(store)


def test_limits_are_asked_once_what_has_ended_is_written(store: RunnerStore) -> None:
    insert(store, *[make_new("h") for _ in range(2)])
    only = ClaimFilter(limits=(Limit(hook="h", max_concurrency=1),))
    first = store.claim_due(now=NOW, limit=5, only=only)
    assert first is not None
    made = claimed(store, endings_of(first), [first.id], only=only)
    assert made == ClaimAndSettled(claim=None, settled=None)


def test_the_portion_is_asked_for_the_hooks_in_their_order(store: RunnerStore) -> None:
    insert(store, *[make_new(f"h{n}") for n in range(5)])
    asked: list[list[str]] = []

    def two(hooks: Sequence[str]) -> int:
        asked.append(list(hooks))
        return 2

    made = claimed(store, [], [], limit=4, portion=two)
    assert made.claim is not None
    assert [action.hook for action in made.claim.make().actions] == ["h0", "h1"]
    assert asked == [["h0", "h1", "h2", "h3"]]
