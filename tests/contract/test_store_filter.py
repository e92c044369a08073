"""What every store claims when a routing table judges, starts with the claim, and tells of it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from factories import NOW, insert, make_new
from rows import change, column, log_of, query
from sent import listen
from wpbridge.action import Action, ActionId, Claim, NewAction
from wpbridge.errors import StoreError, StoreUnavailable
from wpbridge.outcome import LogLine
from wpbridge.store.base import RESET_MESSAGE, Adopted, ClaimFilter, QueuedHook, StartPlan
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.running import candidates, look
from wpbridge.store.running.runner_store import RunnerStore

ACTIONS = "wp_actionscheduler_actions"
UPKEEP = "action_scheduler_run_actions_cleanup_hook"
BEHIND = candidates.WINDOW + 100
"""So many rows of others in front, and ours are not found in the first look."""


def taking(*hooks: str) -> ClaimFilter:
    """As a runner with PHP on: any hook may be looked at, a table decides."""
    wanted = frozenset(hooks)
    return ClaimFilter(accepts=lambda hook, _: hook in wanted, may_accept=lambda h: h in wanted)


def claimed(store: RunnerStore, only: ClaimFilter, limit: int = 25) -> list[int]:
    claim = store.claim_due(now=NOW, limit=limit, only=only)
    return [action.id for action in claim.actions] if claim else []


def crowd(store: RunnerStore, count: int = BEHIND, *, hooks: int = 7) -> None:
    """Older rows that nobody here wants, of one priority."""
    insert(store, *[make_new(f"other_{n % hooks}", due_in=-90_000 - n) for n in range(count)])


@pytest.fixture
def asked(store: RunnerStore) -> Iterator[list[str]]:
    """The statements the store sends, as they are sent."""
    found: list[str] = []

    def hear(*told: object) -> None:
        found.append(str(told[0]))

    stop = listen(store.session, "before", hear)
    yield found
    stop()


@pytest.fixture
def bound(store: RunnerStore) -> Iterator[list[object]]:
    """The values the store sends with its walks over rows."""
    found: list[object] = []

    def hear(*told: Any) -> None:
        if "SUBSTR(schedule" in told[0]:
            found.extend(told[1])

    stop = listen(store.session, "before", hear)
    yield found
    stop()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Time as the finder sees it; moved by setting ``seconds``."""
    it = SimpleNamespace(seconds=1000.0)
    monkeypatch.setattr(candidates, "time", SimpleNamespace(monotonic=lambda: it.seconds))
    return it


def looks(asked: Sequence[str]) -> int:
    """How often the names of all due hooks were asked for."""
    return sum("DISTINCT" in statement for statement in asked)


# What is accepted.


@pytest.mark.parametrize("behind", [0, BEHIND])
def test_only_what_is_accepted_by_hook_is_claimed(store: RunnerStore, behind: int) -> None:
    crowd(store, behind)
    a, _, c = insert(store, make_new("a"), make_new("b"), make_new("c"))
    assert claimed(store, taking("a", "c")) == [a, c]
    assert claimed(store, taking("a", "c")) == []
    assert store.counts() == {"pending": behind + 3}


def test_without_a_word_on_hooks_the_rows_alone_are_judged(store: RunnerStore) -> None:
    """``may_accept`` saves work; it is not needed to find anything."""
    crowd(store)
    (a, _) = insert(store, make_new("a"), make_new("b"))
    assert claimed(store, ClaimFilter(accepts=lambda hook, _: hook == "a")) == [a]


def test_nothing_accepted_gives_no_claim_and_leaves_no_claims_row(store: RunnerStore) -> None:
    crowd(store)
    assert store.claim_due(now=NOW, limit=9, only=taking("absent")) is None
    assert query(store, "SELECT 1 FROM wp_actionscheduler_claims") == []


@pytest.mark.parametrize("behind", [0, BEHIND])
def test_the_group_is_judged_by_its_slug(store: RunnerStore, behind: int) -> None:
    """No group: id 0, an id whose row is gone, or an empty slug."""
    crowd(store, behind)
    (group_zero, gone, empty, named, other) = insert(
        store,
        replace(make_new("a"), group_id=0),
        replace(make_new("a"), group_id=999_999),
        make_new("a", group=""),
        make_new("a", group="g"),
        make_new("a", group="G2"),
    )
    ids = [int(str(column(store, "group_id", i))) for i in (group_zero, gone, empty)]
    assert ids[:2] == [0, 999_999]
    assert ids[2] not in ids[:2]
    seen: set[str] = set()

    def accepts(hook: str, group: str) -> bool:
        seen.add(group)
        return hook == "a" and group == ""

    assert claimed(store, ClaimFilter(accepts=accepts)) == [group_zero, gone, empty]
    assert seen == {"", "g", "G2"}
    assert claimed(store, ClaimFilter(accepts=lambda _, group: group == "g")) == [named]
    assert claimed(store, ClaimFilter(accepts=lambda _, group: group == "g2")) == []
    assert claimed(store, ClaimFilter(accepts=lambda _, group: group == "G2")) == [other]


def test_several_group_rows_of_one_slug_are_one_group(store: RunnerStore) -> None:
    for _ in range(2):
        change(store, "INSERT INTO wp_actionscheduler_groups (slug) VALUES ('twin')")
    groups = query(store, "SELECT group_id FROM wp_actionscheduler_groups WHERE slug = 'twin'")
    rows = [replace(make_new("a"), group_id=int(str(row[0]))) for row in groups]
    ids = insert(store, *rows, make_new("a", group="single"))
    only = ClaimFilter(accepts=lambda _, group: group == "twin")
    assert len({row.group_id for row in rows}) == 2
    assert claimed(store, only) == ids[:2]


@pytest.mark.parametrize("behind", [0, BEHIND])
def test_accepts_narrows_what_hooks_and_groups_let_through(store: RunnerStore, behind: int) -> None:
    crowd(store, behind)
    ours, _, _, _ = insert(
        store,
        make_new("a", group="g"),
        make_new("a", group="h"),
        make_new("b", group="g"),
        make_new("c", group="g"),
    )
    only = ClaimFilter(
        hooks=frozenset({"a", "b"}), groups=frozenset({"g"}), accepts=lambda hook, _: hook != "b"
    )
    assert claimed(store, only) == [ours]


def test_excluded_hooks_and_groups_are_not_claimed_though_accepted(store: RunnerStore) -> None:
    crowd(store)
    _, ours, _ = insert(store, make_new("a"), make_new("b"), make_new("b", group="g"))
    only = replace(
        taking("a", "b"), exclude_hooks=frozenset({"a"}), exclude_groups=frozenset({"g"})
    )
    assert claimed(store, only) == [ours]


@pytest.mark.parametrize("behind", [0, BEHIND])
@pytest.mark.parametrize("hooks", [None, frozenset({UPKEEP, "a"})])
def test_the_plugins_upkeep_is_claimed_only_when_it_is_asked_for(
    store: RunnerStore, behind: int, hooks: frozenset[str] | None
) -> None:
    crowd(store, behind)
    upkeep, ours = insert(store, make_new(UPKEEP, due_in=-70), make_new("a"))
    only = replace(taking(UPKEEP, "a"), hooks=hooks)
    assert claimed(store, only) == [ours]
    assert claimed(store, replace(only, upkeep=True)) == [upkeep]


def test_upkeep_that_is_asked_for_has_to_be_accepted_too(store: RunnerStore) -> None:
    insert(store, make_new(UPKEEP))
    assert claimed(store, replace(taking("a"), upkeep=True)) == []


@pytest.mark.parametrize("behind", [0, BEHIND])
def test_of_spellings_that_the_collation_takes_together_one_is_claimed(
    store: RunnerStore, behind: int
) -> None:
    spellings = ["my_hook", "My_Hook", "my_höok", "MY_HOOK"]
    crowd(store, behind)
    ids = insert(store, *[make_new(hook) for hook in spellings])
    for hook, action_id in zip(spellings, ids, strict=True):
        assert claimed(store, taking(hook)) == [action_id]


def test_ours_are_found_behind_many_rows_of_their_own_twin(store: RunnerStore) -> None:
    """The index finds the twin's rows first, and more of them than any window holds."""
    insert(store, *[make_new("My_Hook", due_in=-90_000) for _ in range(1200)])
    ours = insert(store, make_new("my_hook"), make_new("my_hook"))
    assert claimed(store, taking("my_hook")) == ours


# Behind others, and in which order.


def test_ours_are_found_behind_three_thousand_that_are_refused(store: RunnerStore) -> None:
    crowd(store, 3000)
    ours = insert(store, *[make_new("ours", due_in=-n) for n in range(1, 31)])
    assert claimed(store, taking("ours"), 10) == ours[:-11:-1]
    assert claimed(store, taking("ours"), 50) == ours[19::-1]


@pytest.mark.parametrize("behind", [0, BEHIND])
def test_order_among_the_accepted_is_priority_attempts_date_id(
    store: RunnerStore, behind: int
) -> None:
    crowd(store, behind)
    ids = insert(
        store,
        make_new("a", due_in=-10),
        make_new("b", due_in=-20),
        make_new("a", due_in=-20),
        make_new("refused", due_in=-30),
        make_new("b", due_in=-1, priority=5),
        make_new("a", due_in=-99, priority=200),
        make_new("b", due_in=-20),
    )
    change(store, f"UPDATE {ACTIONS} SET attempts = 1 WHERE action_id = :i", i=ids[1])
    assert claimed(store, taking("a", "b")) == [ids[4], ids[2], ids[6], ids[0], ids[1], ids[5]]


def test_one_batch_after_another_keeps_the_order_over_several_priorities(
    store: RunnerStore,
) -> None:
    crowd(store)
    late = insert(store, *[make_new(f"h{n % 3}", due_in=-500 + n, priority=20) for n in range(40)])
    soon = insert(store, *[make_new(f"h{n % 2}", due_in=-100 + n, priority=5) for n in range(15)])
    only = taking("h0", "h1", "h2")
    found = [claimed(store, only, 10) for _ in range(6)]
    assert [action_id for batch in found for action_id in batch] == [*soon, *late]


def test_the_oldest_go_first_though_all_are_of_one_of_many_hooks(store: RunnerStore) -> None:
    """One priority: date decides, and no hook's share of a search may cut that short."""
    crowd(store)
    old = insert(store, *[make_new("old", due_in=-5000 + n) for n in range(60)])
    insert(store, *[make_new(f"new_{n % 5}", due_in=-1000 + n) for n in range(300)])
    only = taking("old", *[f"new_{n}" for n in range(5)])
    assert claimed(store, only, 40) == old[:40]


@pytest.mark.parametrize("keys", [50, 3])
def test_batch_after_batch_goes_by_date_though_hooks_come_in_lumps(
    store: RunnerStore, monkeypatch: pytest.MonkeyPatch, keys: int
) -> None:
    """Also where the hooks are more than one statement looks for."""
    for module in (candidates, look):
        monkeypatch.setattr(module, "KEYS_A_STATEMENT", keys)
    crowd(store)
    lumps = [("a", 30), ("b", 70), ("a", 20), ("c", 45), ("d", 5), ("b", 30)]
    hooks = [hook for hook, count in lumps for _ in range(count)]
    ids = insert(store, *[make_new(hook, due_in=-5000 + n) for n, hook in enumerate(hooks)])
    found = [claimed(store, taking("a", "b", "c", "d"), 25) for _ in range(8)]
    assert found == [ids[start : start + 25] for start in range(0, 200, 25)]


# Names are remembered.


def test_names_are_asked_for_once_while_they_are_remembered(
    store: RunnerStore, asked: list[str], clock: SimpleNamespace
) -> None:
    crowd(store)
    ours = insert(store, *[make_new("ours") for _ in range(6)])
    for n in range(5):
        clock.seconds = 1000.0 + n * 7
        assert claimed(store, taking("ours"), 1) == [ours[n]]
    assert looks(asked) == 1
    clock.seconds = 1000.0 + candidates.HOOKS_SECONDS
    assert claimed(store, taking("ours"), 1) == [ours[5]]
    assert looks(asked) == 2


def test_a_queue_of_ours_alone_never_asks_for_names(store: RunnerStore, asked: list[str]) -> None:
    insert(store, *[make_new("ours") for _ in range(30)])
    for _ in range(4):
        claimed(store, taking("ours"), 10)
    assert looks(asked) == 0


def test_a_hook_that_comes_later_is_found_when_the_names_expire(
    store: RunnerStore, clock: SimpleNamespace
) -> None:
    crowd(store)
    assert claimed(store, taking("fresh")) == []
    (fresh,) = insert(store, make_new("fresh"))
    clock.seconds += candidates.HOOKS_SECONDS - 0.1
    assert claimed(store, taking("fresh")) == []
    clock.seconds += 0.1
    assert claimed(store, taking("fresh")) == [fresh]


def test_a_later_hook_near_the_front_waits_for_nothing(
    store: RunnerStore, clock: SimpleNamespace
) -> None:
    crowd(store)
    assert claimed(store, taking("fresh")) == []
    oldest = -90_000 - BEHIND
    (fresh,) = insert(store, make_new("fresh", due_in=oldest + candidates.WINDOW - 10))
    assert claimed(store, taking("fresh")) == [fresh]


def test_later_rows_of_a_remembered_hook_are_found_at_once(
    store: RunnerStore, clock: SimpleNamespace
) -> None:
    crowd(store)
    first = insert(store, make_new("ours"))
    assert claimed(store, taking("ours")) == first
    later = insert(store, make_new("ours"), make_new("ours", group="new"))
    assert claimed(store, taking("ours")) == later


def test_remembered_names_are_judged_anew_by_each_filter(
    store: RunnerStore, asked: list[str], clock: SimpleNamespace
) -> None:
    crowd(store)
    a, b = insert(store, make_new("a"), make_new("b"))
    assert claimed(store, taking("a")) == [a]
    assert claimed(store, taking("b")) == [b]
    assert looks(asked) == 1


@pytest.mark.parametrize("names", [None, frozenset({"ours", "never", "excluded", UPKEEP})])
def test_hooks_that_cannot_be_ours_are_not_walked(
    store: RunnerStore, bound: list[object], names: frozenset[str] | None
) -> None:
    """Neither those refused by name, nor excluded ones, nor the plugin's upkeep."""
    crowd(store)
    insert(store, *[make_new(hook, due_in=-80_000) for hook in ("never", "excluded", UPKEEP)])
    (ours,) = insert(store, make_new("ours"))
    only = replace(
        taking("ours", "excluded", UPKEEP), hooks=names, exclude_hooks=frozenset({"excluded"})
    )
    bound.clear()
    assert claimed(store, only) == [ours]
    assert "ours" in bound
    assert not {"never", "excluded", UPKEEP} & set(bound)


# Claim and start at once.


class Going:
    """Chooses every action of the hook "go", and remembers what it was asked of."""

    def __init__(self) -> None:
        self.asked: list[list[Action]] = []

    def chosen(self, actions: Sequence[Action]) -> list[ActionId]:
        self.asked.append(list(actions))
        return [action.id for action in actions if action.hook == "go"]

    def plan(self) -> StartPlan:
        return StartPlan(chosen=self.chosen, log_line=LogLine(message="it starts", at=NOW))


def claim_and_start(store: RunnerStore, going: Going | None = None, limit: int = 25) -> Claim:
    plan = (going or Going()).plan()
    claim = store.claim_due(now=NOW, limit=limit, only=ClaimFilter(), start_plan=plan)
    assert claim is not None
    return claim


def states_of(store: RunnerStore, ids: Sequence[int]) -> list[tuple[object, ...]]:
    """Status, attempts, claim and date of the last attempt."""
    names = ("status", "attempts", "claim_id", "last_attempt_gmt")
    return [tuple(str(column(store, name, i)) for name in names) for i in ids]


def test_what_is_named_starts_with_the_claim_and_the_rest_waits(store: RunnerStore) -> None:
    go, wait, again = insert(store, make_new("go"), make_new("wait"), make_new("go"))
    claim = claim_and_start(store)
    assert claim.started == {go, again}
    assert [action.id for action in claim.actions] == [go, wait, again]
    moment, held = "2026-11-24 12:00:00", str(claim.id)
    assert states_of(store, [go, wait, again]) == [
        ("in-progress", "1", held, moment),
        ("pending", "0", held, moment),
        ("in-progress", "1", held, moment),
    ]
    assert log_of(store, go) == ["action created", "it starts"]
    assert log_of(store, wait) == ["action created"]


def test_it_is_asked_once_for_what_was_claimed_in_order_and_under_the_claim(
    store: RunnerStore,
) -> None:
    ids = insert(
        store,
        make_new(due_in=-1),
        make_new(due_in=-9),
        make_new(due_in=-5),
        make_new("go", due_in=-7),
    )
    going = Going()
    claim = claim_and_start(store, going, limit=3)
    assert [[action.id for action in told] for told in going.asked] == [[ids[1], ids[3], ids[2]]]
    assert tuple(going.asked[0]) == claim.actions
    assert {action.claim_id for action in claim.actions} == {claim.id}


def test_a_start_adds_to_the_attempts_there_were(store: RunnerStore) -> None:
    (action_id,) = insert(store, make_new("go"))
    change(store, f"UPDATE {ACTIONS} SET attempts = 4")
    claim = claim_and_start(store)
    assert claim.actions[0].attempts == 4
    assert column(store, "attempts", action_id) == 5


@pytest.mark.parametrize("hook", ["wait", "go"])
def test_none_of_them_or_all_of_them_may_start(store: RunnerStore, hook: str) -> None:
    ids = insert(store, make_new(hook), make_new(hook))
    claim = claim_and_start(store)
    status, attempts = ("in-progress", "1") if hook == "go" else ("pending", "0")
    assert claim.started == frozenset(ids if hook == "go" else [])
    assert [state[:2] for state in states_of(store, ids)] == [(status, attempts)] * 2


def test_claim_and_start_are_one_transaction(store: RunnerStore, asked: list[str]) -> None:
    insert(store, make_new("go"), make_new("wait"))
    asked.clear()
    claim_and_start(store)
    begins = [n for n, statement in enumerate(asked) if statement == store.parts.dialect.begin]
    ends = [n for n, statement in enumerate(asked) if statement == "COMMIT"]
    writes = [n for n, s in enumerate(asked) if s.startswith(("INSERT", "UPDATE"))]
    assert (len(begins), len(ends)) == (1, 1)
    assert len(writes) >= 4
    assert begins[0] < min(writes) <= max(writes) < ends[0]


def test_without_its_log_rows_nothing_is_claimed_or_started(store: RunnerStore) -> None:
    ids = insert(store, make_new("go"), make_new("wait"))
    before = states_of(store, ids)
    change(store, "ALTER TABLE wp_actionscheduler_logs RENAME TO elsewhere")
    with pytest.raises(StoreError):
        claim_and_start(store)
    assert states_of(store, ids) == before
    assert query(store, "SELECT 1 FROM wp_actionscheduler_claims") == []


def test_when_the_plan_raises_nothing_is_changed(store: RunnerStore) -> None:
    ids = insert(store, make_new("go"), make_new("wait"))
    before = states_of(store, ids)

    def broken(actions: Sequence[Action]) -> list[ActionId]:
        raise ZeroDivisionError

    plan = replace(Going().plan(), chosen=broken)
    with pytest.raises(ZeroDivisionError):
        store.claim_due(now=NOW, limit=9, only=ClaimFilter(), start_plan=plan)
    assert states_of(store, ids) == before
    assert [log_of(store, i) for i in ids] == [["action created"]] * 2
    assert query(store, "SELECT 1 FROM wp_actionscheduler_claims") == []
    assert query(store, "SELECT claims FROM wp_wpbridge_runners") == [("",)]
    assert claim_and_start(store).started == {ids[0]}


def test_what_started_is_nobody_elses(
    store: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    ids = insert(store, make_new("go"), make_new("wait"), make_new("go"))
    claim_and_start(store, limit=2)
    other = open_queue(dsn)
    other.register(host="there", boot="boot", pid=2, pid_started="1")
    assert claimed(other, ClaimFilter()) == [ids[2]]


def test_a_dry_run_starts_nothing(store: RunnerStore) -> None:
    ids = insert(store, make_new("go"))
    before, going = states_of(store, ids), Going()
    plan = going.plan()
    claim = store.claim_due(now=NOW, limit=5, only=ClaimFilter(), dry_run=True, start_plan=plan)
    assert claim is not None
    assert claim.started == frozenset()
    assert going.asked == []
    assert states_of(store, ids) == before


def test_a_claim_without_a_plan_started_nothing(store: RunnerStore) -> None:
    insert(store, make_new("go"))
    claim = store.claim_due(now=NOW, limit=5, only=ClaimFilter())
    assert claim is not None
    assert claim.started == frozenset()


def test_a_start_whose_commit_was_never_answered_is_undone_and_made_again(
    store: RunnerStore,
) -> None:
    """The caller never heard of it, so nobody would run those rows or put them back."""
    go, wait = insert(store, make_new("go"), make_new("wait"))
    lose_an_answer(store)
    claim = claim_and_start(store)
    assert claim.started == {go}
    held = str(claim.id)
    assert [state[:3] for state in states_of(store, [go, wait])] == [
        ("in-progress", "2", held),
        ("pending", "0", held),
    ]
    told = log_of(store, go)
    assert told[1] == told[3] == "it starts"
    assert told[2] == "action put back via wpbridge: the database's answer to its claim was lost"
    assert log_of(store, wait) == ["action created"]
    assert store.said([go], RESET_MESSAGE) == {}
    assert query(store, "SELECT claim_id FROM wp_actionscheduler_claims") == [(claim.id,)]
    assert query(store, "SELECT claims FROM wp_wpbridge_runners") == [(held,)]


def test_an_unanswered_claim_whose_rows_are_gone_is_forgotten(store: RunnerStore) -> None:
    """Nothing is left to put back, and that must not stop the next claim."""
    insert(store, make_new("go"), make_new("wait"))
    lose_an_answer(store, "COMMIT", store.session._dialect.begin, patience_seconds=0.0)
    with pytest.raises(StoreUnavailable):
        claim_and_start(store)
    change(store, f"DELETE FROM {ACTIONS}")
    (later,) = insert(store, make_new("go"))
    claim = claim_and_start(store)
    assert claim.started == {later}
    assert query(store, "SELECT claim_id FROM wp_actionscheduler_claims") == [(claim.id,)]


def test_a_connection_lost_over_a_groups_name_repeats_the_whole_claim(store: RunnerStore) -> None:
    ids = insert(store, make_new("go", group="g"), make_new("wait", group="g"))
    lose_an_answer(store, "SELECT slug")
    claim = claim_and_start(store)
    assert claim.started == {ids[0]}
    assert [action.group for action in claim.actions] == ["g", "g"]
    assert [state[:2] for state in states_of(store, ids)] == [
        ("in-progress", "1"),
        ("pending", "0"),
    ]
    assert query(store, "SELECT claim_id FROM wp_actionscheduler_claims") == [(claim.id,)]


def test_an_adoption_whose_commit_was_never_answered_is_one_all_the_same(
    store: RunnerStore, dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    """Its rows have run: they are not to be put back as those of a claim nobody heard of."""
    dead = open_queue(dsn)
    dead.register(host="there", boot="boot", pid=2, pid_started="1")
    (once,) = insert(store, make_new())
    claim = claim_and_start(dead)
    dead.start([(claim.actions[0], [])], now=NOW, once=True)
    (runner,) = store.other_runners()
    lose_an_answer(store)
    adopted = store.adopt(runner)
    assert adopted is not None
    assert adopted.runner.once == {once}
    assert [(a.id, a.status) for a in adopted.actions] == [(once, "in-progress")]
    (later,) = insert(store, make_new("go"))
    assert claim_and_start(store).started == {later}
    assert states_of(store, [once])[0][:3] == ("in-progress", "1", str(claim.id))
    assert store.adopt(runner) is None


def test_a_mark_whose_commit_was_never_answered_is_one_all_the_same(store: RunnerStore) -> None:
    """Else nobody would end the row: it is in progress, and no longer what its runner expects."""
    insert(store, make_new("wait"), make_new("wait"))
    claim = claim_and_start(store)
    lose_an_answer(store)
    line = LogLine(message="action started", at=NOW)
    ids = {action.id for action in claim.actions}
    marked = store.start([(action, [line]) for action in claim.actions], now=NOW, once=False)
    assert marked == ids
    assert {state[:2] for state in states_of(store, sorted(ids))} == {("in-progress", "1")}
    assert [log_of(store, i).count("action started") for i in sorted(ids)] == [1, 1]


def test_what_a_stopped_runner_has_locked_is_not_taken_over_yet(
    mysql_dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    """It was stopped in a transaction: who waited for its locks would be the next to fall silent."""
    stopped, finder = open_queue(mysql_dsn), open_queue(mysql_dsn)
    for number, store in enumerate((stopped, finder), 1):
        store.register(host="here", boot="boot", pid=number, pid_started="1")
    (action_id,) = insert(stopped, make_new("go"))
    claim = claim_and_start(stopped)
    (runner,) = finder.other_runners()

    def in_the_middle(connection: Connection) -> Adopted | None:
        connection.execute(text(f"UPDATE {ACTIONS} SET status = 'complete'"))
        return finder.adopt(runner)

    assert stopped.session.transact(in_the_middle) is None
    assert states_of(finder, [action_id])[0][:3] == ("complete", "1", str(claim.id))
    adopted = finder.adopt(runner)
    assert adopted is not None
    assert adopted.actions == ()


def lose_an_answer(
    store: RunnerStore, to: str = "COMMIT", *more: str, patience_seconds: float = 60.0
) -> None:
    """The next such statement reaches the database; its answer does not come back.

    ``more``: then those that begin so, one after the other.
    """
    left = [to, *more]

    def lost(*told: object) -> None:
        if left and str(told[0]).startswith(left[0]):
            left.pop(0)
            raise store.session._engine.driver.error(0, "gone")

    listen(store.session, "after", lost)
    store.session.patience_seconds = patience_seconds
    store.session.pause = lambda _seconds: None


# How actions stand.


def test_states_tell_live_ended_and_lost_rows_and_leave_out_deleted_ones(
    store: RunnerStore,
) -> None:
    ids = insert(store, *[make_new("go"), make_new("wait"), make_new(), make_new(), make_new()])
    claim = claim_and_start(store)
    update = f"UPDATE {ACTIONS} SET status = :s, claim_id = :c WHERE action_id = :i"
    change(store, update, s="canceled", c=claim.id, i=ids[2])
    change(store, update, s="pending", c=0, i=ids[3])
    change(store, f"DELETE FROM {ACTIONS} WHERE action_id = :i", i=ids[4])
    assert store.states(claim.actions) == {
        ids[0]: ("in-progress", claim.id),
        ids[1]: ("pending", claim.id),
        ids[2]: ("canceled", claim.id),
        ids[3]: ("pending", 0),
    }
    assert store.states(claim.actions[1:2]) == {ids[1]: ("pending", claim.id)}
    assert store.states(claim.actions[4:]) == store.states([]) == {}


def test_a_status_that_nobody_knows_is_told_as_it_is(store: RunnerStore) -> None:
    insert(store, make_new())
    claim = claim_and_start(store)
    change(store, f"UPDATE {ACTIONS} SET status = 'weird', claim_id = 7")
    assert store.states(claim.actions) == {claim.actions[0].id: ("weird", 7)}


# What is in the queue.


def at(seconds: float) -> datetime:
    return make_new(due_in=seconds).scheduled_at


def queued(hook: str, group: str, *numbers: int, next_at: datetime | None) -> QueuedHook:
    pending, running, due = numbers
    return QueuedHook(
        hook=hook, group=group, pending=pending, running=running, due=due, next_at=next_at
    )


def test_the_queue_is_told_by_hook_and_group_with_counts_and_the_next_date(
    store: RunnerStore,
) -> None:
    *_, running, ended = insert(
        store,
        make_new("b", due_in=3600),
        make_new("b", due_in=0),
        make_new("b", due_in=1),
        make_new("a", group="g", due_in=-5),
        make_new("a", due_in=60),
        make_new("r", due_in=-7),
        make_new("ended"),
    )
    update = f"UPDATE {ACTIONS} SET status = :s WHERE action_id = :i"
    change(store, update, s="in-progress", i=running)
    change(store, update, s="complete", i=ended)
    assert store.parts.reading.queued(NOW) == [
        queued("a", "", 1, 0, 0, next_at=at(60)),
        queued("a", "g", 1, 0, 1, next_at=at(-5)),
        queued("b", "", 3, 0, 1, next_at=NOW),
        queued("r", "", 0, 1, 0, next_at=None),
    ]


def test_an_empty_queue_has_no_hooks(store: RunnerStore) -> None:
    assert store.parts.reading.queued(NOW) == []


def test_a_claimed_row_is_pending_still(store: RunnerStore) -> None:
    insert(store, make_new("wait"), make_new("go", due_in=-60))
    claim_and_start(store)
    assert store.parts.reading.queued(NOW) == [
        queued("go", "", 0, 1, 0, next_at=None),
        queued("wait", "", 1, 0, 1, next_at=at(-60)),
    ]


def test_spellings_that_the_collation_takes_together_are_told_apart(store: RunnerStore) -> None:
    spellings = ["My_Hook", "my_hook", "my_höok"]
    insert(store, *[make_new(hook) for hook in spellings])
    assert [one.hook for one in store.parts.reading.queued(NOW)] == spellings


def test_groups_of_one_slug_are_told_as_one(store: RunnerStore) -> None:
    """And so are the three ways of having none."""
    for _ in range(2):
        change(store, "INSERT INTO wp_actionscheduler_groups (slug) VALUES ('twin')")
    groups = query(store, "SELECT group_id FROM wp_actionscheduler_groups WHERE slug = 'twin'")
    one, two = (int(str(row[0])) for row in groups)

    def row(group_id: int, seconds: float) -> NewAction:
        return replace(make_new("a", due_in=seconds), group_id=group_id)

    insert(store, row(one, -5), row(two, -9), row(two, 60))
    insert(store, row(0, 7), row(999_999, -3), make_new("a", group="", due_in=9))
    assert store.parts.reading.queued(NOW) == [
        queued("a", "", 3, 0, 1, next_at=at(-3)),
        queued("a", "twin", 3, 0, 2, next_at=at(-9)),
    ]


@pytest.mark.parametrize(("date", "due"), [("0000-00-00 00:00:00", 1), (None, 0)])
def test_rows_without_a_date_are_counted_and_have_no_next_one(
    store: RunnerStore, date: str | None, due: int
) -> None:
    """As claims see them: a zero date is always due, no date never."""
    insert(store, make_new("a"))
    change(store, f"UPDATE {ACTIONS} SET scheduled_date_gmt = :d", d=date)
    assert store.parts.reading.queued(NOW) == [queued("a", "", 1, 0, due, next_at=None)]


def test_the_next_date_is_aware_utc(store: RunnerStore) -> None:
    insert(store, make_new("a", due_in=90))
    (one,) = store.parts.reading.queued(NOW)
    assert one.next_at == datetime(2026, 11, 24, 12, 1, 30, tzinfo=UTC)
