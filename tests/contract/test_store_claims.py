"""What every store does when it claims: MariaDB and SQLite pass the same tests."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from factories import NOW, insert, make_new
from rows import change, column, query
from wpbridge.action import Claim
from wpbridge.errors import StoreError
from wpbridge.store.base import ClaimFilter
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.running.runner_store import RunnerStore

ANY = ClaimFilter()


def claimed(store: RunnerStore, limit: int = 25, only: ClaimFilter = ANY) -> list[int]:
    claim = store.claim_due(now=NOW, limit=limit, only=only)
    return [action.id for action in claim.actions] if claim else []


def test_nothing_due_gives_no_claim_and_leaves_no_claims_row(store: RunnerStore) -> None:
    insert(store, make_new(due_in=3600))
    assert store.claim_due(now=NOW, limit=10, only=ANY) is None
    assert query(store, "SELECT * FROM wp_actionscheduler_claims") == []


def test_order_is_priority_attempts_date_id(store: RunnerStore) -> None:
    ids = insert(
        store,
        make_new(due_in=-10),
        make_new(due_in=-20),
        make_new(due_in=-20),
        make_new(due_in=-1, priority=5),
        make_new(due_in=-99, priority=200),
    )
    change(
        store, "UPDATE wp_actionscheduler_actions SET attempts = 1 WHERE action_id = :i", i=ids[1]
    )
    assert claimed(store) == [ids[3], ids[2], ids[0], ids[1], ids[4]]


def test_a_claim_writes_what_the_plugin_writes(store: RunnerStore) -> None:
    (action_id,) = insert(store, make_new())
    claim = store.claim_due(now=NOW, limit=5, only=ANY)
    assert claim is not None
    assert column(store, "status", action_id) == "pending"
    assert column(store, "claim_id", action_id) == claim.id
    assert column(store, "attempts", action_id) == 0
    assert str(column(store, "last_attempt_gmt", action_id)) == "2026-11-24 12:00:00"
    assert len(query(store, "SELECT * FROM wp_actionscheduler_claims")) == 1


def test_claimed_rows_are_not_claimed_again(store: RunnerStore) -> None:
    insert(store, *[make_new() for _ in range(5)])
    first, second = claimed(store, 3), claimed(store, 3)
    assert len(first) == 3
    assert len(second) == 2
    assert not set(first) & set(second)


@pytest.mark.parametrize("status", ["in-progress", "complete", "failed", "canceled"])
def test_only_pending_rows_are_claimed(store: RunnerStore, status: str) -> None:
    (action_id,) = insert(store, make_new())
    change(
        store,
        "UPDATE wp_actionscheduler_actions SET status = :s WHERE action_id = :i",
        s=status,
        i=action_id,
    )
    assert claimed(store) == []


def test_hooks_are_told_apart_by_case_and_accent(store: RunnerStore) -> None:
    """The database's collation finds all three; PHP would run only the first."""
    ids = insert(store, make_new("my_hook"), make_new("MY_HOOK"), make_new("my_höok"))
    assert claimed(store, only=ClaimFilter(hooks=frozenset({"my_hook"}))) == [ids[0]]


def test_no_hooks_means_no_claim(store: RunnerStore) -> None:
    insert(store, make_new())
    assert store.claim_due(now=NOW, limit=5, only=ClaimFilter(hooks=frozenset())) is None


def test_a_status_the_plugin_does_not_know_is_not_ours(store: RunnerStore) -> None:
    insert(store, make_new())
    claim = store.claim_due(now=NOW, limit=5, only=ANY)
    assert claim is not None
    change(store, "UPDATE wp_actionscheduler_actions SET status = 'weird'")
    assert store.still_claimed(claim.actions) == frozenset()


def test_the_plugins_own_upkeep_is_left_alone(store: RunnerStore) -> None:
    insert(store, make_new("action_scheduler_run_actions_cleanup_hook", priority=0))
    assert claimed(store) == []


@pytest.mark.parametrize("others", [(), (5, 10), (255,)])
def test_the_first_priority_is_claimed_first(store: RunnerStore, others: tuple[int, ...]) -> None:
    """At both ends of the column's range, where MariaDB's MIN has its own ideas."""
    levels = [*others, 0]
    ids = insert(store, *[make_new(priority=level, due_in=-level - 1) for level in levels])
    assert claimed(store, limit=1) == [ids[-1]]
    assert claimed(store) == ids[:-1]


def test_groups_filter_and_exclude(store: RunnerStore) -> None:
    a, b, c = insert(store, make_new(group="a"), make_new(group="b"), make_new())
    assert claimed(store, only=ClaimFilter(groups=frozenset({"a"}))) == [a]
    assert claimed(store, only=ClaimFilter(exclude_groups=frozenset({"b"}))) == [c]
    assert claimed(store) == [b]


def test_an_unknown_group_is_an_error_and_leaves_nothing_behind(store: RunnerStore) -> None:
    insert(store, make_new(group="a"))
    with pytest.raises(StoreError, match="no such group: nope"):
        claimed(store, only=ClaimFilter(groups=frozenset({"nope"})))
    assert query(store, "SELECT * FROM wp_actionscheduler_claims") == []


def test_zero_dates_are_always_due_and_null_dates_never(store: RunnerStore) -> None:
    zero, null = insert(store, make_new(due_in=3600), make_new())
    update = "UPDATE wp_actionscheduler_actions SET scheduled_date_gmt = :d WHERE action_id = :i"
    change(store, update, d="0000-00-00 00:00:00", i=zero)
    change(store, update, d=None, i=null)
    assert claimed(store) == [zero]


def test_a_foreign_schedule_class_is_not_ours_to_run(store: RunnerStore) -> None:
    foreign, own = insert(store, make_new(), make_new())
    change(
        store,
        "UPDATE wp_actionscheduler_actions SET schedule = :s WHERE action_id = :i",
        s='O:10:"Acme_Sched":0:{}',
        i=foreign,
    )
    assert claimed(store) == [own]


@pytest.mark.parametrize(
    "change_of",
    [
        "REPLACE(schedule, 'ActionScheduler', 'actionscheduler')",
        "REPLACE(schedule, 'O:', 'O:000000')",
        "REPLACE(schedule, '}', '}  ')",
    ],
)
def test_a_schedule_in_another_form_that_php_reads_is_ours_to_run(
    store: RunnerStore, change_of: str
) -> None:
    [own] = insert(store, make_new())
    change(store, f"UPDATE wp_actionscheduler_actions SET schedule = {change_of}")
    assert claimed(store) == [own]


def test_ours_are_found_behind_many_of_others(store: RunnerStore) -> None:
    insert(store, *[make_new(f"other_{n % 7}", due_in=-1000, priority=n % 3) for n in range(1500)])
    ours = insert(store, *[make_new("ours", due_in=-n) for n in range(1, 31)])
    found = claimed(store, 10, ClaimFilter(hooks=frozenset({"ours"})))
    assert found == ours[:-11:-1]


def test_priorities_hold_where_ours_are_few_among_many(store: RunnerStore) -> None:
    insert(store, *[make_new("other", due_in=-1000, priority=1) for _ in range(700)])
    late = insert(store, *[make_new("ours", due_in=-500, priority=20) for _ in range(40)])
    soon = insert(store, *[make_new("ours", due_in=-1, priority=5) for _ in range(5)])
    found = claimed(store, 10, ClaimFilter(hooks=frozenset({"ours"})))
    assert found == [*soon, *late[:5]]


def test_two_stores_share_the_work(dsn: str, open_queue: Callable[[str], RunnerStore]) -> None:
    one, two = open_queue(dsn), open_queue(dsn)
    one.register(host="a", boot="x", pid=1, pid_started="1")
    two.register(host="b", boot="y", pid=2, pid_started="2")
    insert(one, *[make_new() for _ in range(10)])
    first, second = claimed(one, 6), claimed(two, 6)
    assert len(first) == 6
    assert len(second) == 4
    assert not set(first) & set(second)


def test_a_dry_run_shows_and_changes_nothing(store: RunnerStore) -> None:
    ids = insert(store, make_new(), make_new())
    claim = store.claim_due(now=NOW, limit=5, only=ANY, dry_run=True)
    assert claim is not None
    assert [action.id for action in claim.actions] == ids
    assert claimed(store) == ids


def test_release_puts_unstarted_rows_back(store: RunnerStore) -> None:
    ids = insert(store, make_new(), make_new())
    claim = store.claim_due(now=NOW, limit=5, only=ANY)
    assert claim is not None
    assert store.release(claim.actions, finished=[claim.id]) == 2
    assert query(store, "SELECT * FROM wp_actionscheduler_claims") == []
    assert claimed(store) == ids


def test_heartbeat_refreshes_held_rows_only(store: RunnerStore) -> None:
    ids = insert(store, *[make_new() for _ in range(3)])
    claimed(store, 2)
    store.heartbeat(ids, now=NOW + timedelta(minutes=4))
    dates = [str(column(store, "last_attempt_gmt", i)) for i in ids]
    assert dates == ["2026-11-24 12:04:00", "2026-11-24 12:04:00", "0000-00-00 00:00:00"]


def test_what_others_have_locked_is_passed_over(
    mysql_dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    """Another runner holds 500 rows at the front while it claims; a run must not end for that."""
    store, other = open_queue(mysql_dsn), open_queue(mysql_dsn)
    ids = sorted(insert(store, *[make_new("h", args=(n,)) for n in range(600)]))
    store.register(host="here", boot="boot", pid=2, pid_started="2")

    def claim(connection: Connection) -> Claim | None:
        locked = f"SELECT action_id FROM wp_actionscheduler_actions WHERE action_id <= {ids[499]}"
        connection.execute(text(f"{locked} FOR UPDATE"))
        return store.claim_due(now=NOW, limit=25, only=ClaimFilter())

    found = other.session.transact(claim)
    assert found is not None
    assert {action.id for action in found.actions} <= set(ids[500:])
    assert len(found.actions) == 25
