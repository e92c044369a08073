"""A recurring action that only fails: its chain stops exactly where the plugin would stop it.

The plugin settles one action after the other, so a batch must leave what its endings leave one by
one, each followed by the plugin's own two queries.
"""

import random
from collections.abc import Sequence
from datetime import timedelta

import pytest

from factories import NOW, insert, make_new
from rows import change, log_of, query
from sent import listen
from wpbridge.action import ActionId, Claim
from wpbridge.outcome import Canceled, Completed, Failed, Outcome, Retried
from wpbridge.runner import concluding, log_texts
from wpbridge.store.base import ClaimFilter, Ending
from wpbridge.store.running.runner_store import RunnerStore

FAILED = Failed(reason="no")
STOPPED = log_texts.consistently_failing(NOW).message


def hold_all(store: RunnerStore) -> Claim:
    claim = store.claim_due(now=NOW, limit=500, only=ClaimFilter())
    assert claim is not None
    return claim


def endings_of(claim: Claim, ids: Sequence[int], outcomes: Sequence[Outcome]) -> list[Ending]:
    """In the order of ``ids``, which is the order in which they ended."""
    actions = {action.id: action for action in claim.actions}
    return [
        concluding.ending_of(
            actions[ActionId(one)],
            outcome,
            started_at=NOW,
            ended_at=NOW,
            marked=False,
        )
        for one, outcome in zip(ids, outcomes, strict=True)
    ]


@pytest.mark.parametrize(("place", "stops"), [(0, False), (3, False), (4, True)])
def test_what_ends_later_in_the_batch_has_not_failed_yet(
    store: RunnerStore, place: int, stops: bool
) -> None:
    once = insert(store, *[make_new("r", due_in=-900 + n) for n in range(4)])
    (chain,) = insert(store, make_new("r", due_in=-1000, interval=300))
    order: list[int] = [*once]
    order.insert(place, chain)
    store.settle(endings_of(hold_all(store), order, [FAILED] * 5), now=NOW)
    assert (STOPPED in log_of(store, chain)) is stops
    pending = query(store, "SELECT 1 FROM wp_actionscheduler_actions WHERE status = 'pending'")
    assert len(pending) == (0 if stops else 1)


def test_a_successor_counts_from_where_it_is_added(store: RunnerStore) -> None:
    """The first chain's successor is older than the failed rows that lie in the future."""
    insert(store, *[make_new("r", due_in=-1000 + n) for n in range(4)])
    change(
        store,
        "UPDATE wp_actionscheduler_actions SET status = 'failed',"
        " scheduled_date_gmt = '2027-01-01 00:00:00' WHERE action_id > 1",
    )
    change(store, "UPDATE wp_actionscheduler_actions SET status = 'failed' WHERE action_id = 1")
    chains = insert(store, *[make_new("r", due_in=-100 + n, interval=300) for n in range(3)])
    store.settle(endings_of(hold_all(store), chains, [FAILED] * 3), now=NOW)
    assert [STOPPED in log_of(store, chain) for chain in chains] == [False] * 3


def test_many_failures_take_no_more_statements_than_few(store: RunnerStore) -> None:
    counts = []
    for count in (6, 60):
        change(store, "DELETE FROM wp_actionscheduler_actions")
        ids = insert(store, *[make_new("r", due_in=-1000 + n, interval=300) for n in range(count)])
        endings = endings_of(hold_all(store), ids, [FAILED] * count)
        statements: list[str] = []

        def note(*arguments: object, into: list[str] = statements) -> None:
            into.append(str(arguments[0]))

        stop = listen(store.session, "before", note)
        store.settle(endings, now=NOW)
        stop()
        counts.append(len(statements))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("seed", range(25))
def test_a_batch_leaves_what_its_endings_leave_one_by_one(store: RunnerStore, seed: int) -> None:
    """The plugin's queries sort by date alone, and then MariaDB picks one of several rows with one
    date by the plan of the moment. So here its query says that the lower id comes first.
    """
    listen(store.session, "before", _lower_ids_first)
    batch, single = _ended(store, seed, at_once=True), _ended(store, seed, at_once=False)
    assert batch == single


def _lower_ids_first(statement: str, _values: object) -> str:
    order = "ORDER BY a.scheduled_date_gmt ASC"
    return statement.replace(order, f"{order}, a.action_id")


def _ended(store: RunnerStore, seed: int, *, at_once: bool) -> list[Sequence[object]]:
    """The tables after a random batch."""
    chance = random.Random(seed)  # noqa: S311 - test data
    for table in ("actions", "logs"):
        change(store, f"DELETE FROM wp_actionscheduler_{table}")
    _fill_history(store, chance)
    hooks, dates = ["r", "R", "s"], chance.choice([3, 300])
    new = [
        make_new(
            chance.choice(hooks),
            due_in=-1000.0 + chance.randrange(dates),
            interval=chance.choice([None, 60, 60, 86_400]),
        )
        for _ in range(chance.randrange(5, 40))
    ]
    ids = [int(i) for i in insert(store, *new)]
    chance.shuffle(ids)
    weights = chance.choice([(1, 0, 0, 0), (8, 1, 1, 1)])
    kinds: list[Outcome] = [
        FAILED,
        Completed(),
        Canceled(reason=""),
        Retried(after=timedelta(days=1), reason=""),
    ]
    outcomes = chance.choices(kinds, weights, k=len(ids))
    endings = endings_of(hold_all(store), ids, outcomes)
    if at_once:
        store.settle(endings, now=NOW)
    for ending in () if at_once else endings:
        _settle_as_the_plugin(store, ending)
    first = min(ids)
    return [
        (int(str(i)) - first if i in ids else "new", *rest, log_of(store, int(str(i))))
        for i, *rest in query(
            store,
            "SELECT action_id, hook, status, scheduled_date_gmt, schedule"
            " FROM wp_actionscheduler_actions ORDER BY action_id",
        )
    ]


def _fill_history(store: RunnerStore, chance: random.Random) -> None:
    for hook in ("r", "s"):
        for _ in range(chance.randrange(7)):
            (old,) = insert(store, make_new(hook))
            date = chance.choice([None, "0000-00-00 00:00:00", f"2026-11-0{chance.randint(1, 9)}"])
            status = chance.choice(["failed", "failed", "failed", "complete", "odd"])
            change(
                store,
                "UPDATE wp_actionscheduler_actions SET status = :s, scheduled_date_gmt = :d"
                " WHERE action_id = :i",
                s=status,
                d=f"{date} 00:00:00" if date and len(date) == 10 else date,
                i=old,
            )


def _settle_as_the_plugin(store: RunnerStore, ending: Ending) -> None:
    if ending.successor is None or ending.stop_line is None:
        store.settle([ending], now=NOW)
        return
    store.settle([ending._replace(successor=None, stop_line=None)], now=NOW)
    select = "SELECT a.action_id FROM wp_actionscheduler_actions a WHERE 1=1 AND a.hook = :h"
    order = " ORDER BY a.scheduled_date_gmt ASC LIMIT 4, 1"
    hook = ending.action.hook
    fifth_failed = query(store, f"{select} AND a.status IN ('failed'){order}", h=hook)
    if fifth_failed and fifth_failed == query(store, select + order, h=hook):
        store.log([(ending.action.id, ending.stop_line)])
    else:
        insert(store, ending.successor)
