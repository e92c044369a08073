"""The finder behind rows that are not ours: what it looks at, and how much of it."""

from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace

import pytest

from factories import NOW, insert, make_new
from rows import change
from stores import registered
from wpbridge.clock import to_text
from wpbridge.store.base import ClaimFilter
from wpbridge.store.rows import inventory
from wpbridge.store.running import candidates, look
from wpbridge.store.running.action_rows import CandidateRow
from wpbridge.store.running.runner_store import RunnerStore

CROWD = 3_000


@pytest.fixture
def rows_read(store: RunnerStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """How many rows of the actions table the searches have brought so far."""
    told = SimpleNamespace(count=0)
    judge = look.Look._ours

    def counted(it: look.Look, rows: Sequence[CandidateRow]) -> object:
        told.count += len(rows)
        return judge(it, rows)

    monkeypatch.setattr(look.Look, "_ours", counted)
    return told


def claimed(store: RunnerStore, only: ClaimFilter, limit: int = 25) -> list[int]:
    claim = store.claim_due(now=NOW, limit=limit, only=only)
    return [action.id for action in claim.actions] if claim else []


def crowd(store: RunnerStore, hook: str, *, group: str = "", count: int = CROWD) -> None:
    insert(store, *[make_new(hook, group=group, due_in=-9_000 - n % 500) for n in range(count)])


def due_hooks(store: RunnerStore) -> set[str]:
    it = store._claiming._finder._inventory
    return set(store.session.run(lambda c: it.due_hooks(c, to_text(NOW))))


@pytest.mark.parametrize("hooks", [None, frozenset({"busy", "ours"})])
def test_a_hook_that_nobody_has_room_for_now_is_not_walked(
    store: RunnerStore, rows_read: SimpleNamespace, hooks: frozenset[str] | None
) -> None:
    """Its routes would take it: ``may_accept`` says yes, ``accepts`` says not now."""
    crowd(store, "busy")
    ours = insert(store, make_new("ours"), make_new("ours"))
    only = ClaimFilter(hooks=hooks, accepts=lambda h, _: h == "ours", may_accept=lambda _: True)
    assert claimed(store, only) == ours
    assert rows_read.count < CROWD / 3
    free = ClaimFilter(hooks=hooks, accepts=lambda _h, _g: True, may_accept=lambda _: True)
    assert len(claimed(store, free)) == 25


@pytest.mark.parametrize("only_group", [True, False])
def test_groups_are_walked_where_a_hook_is_ours_in_some_of_them(
    store: RunnerStore, rows_read: SimpleNamespace, *, only_group: bool
) -> None:
    crowd(store, "mixed", group="bulk", count=2 * CROWD)
    ours = insert(store, *[make_new("mixed", group="quick") for _ in range(3)])
    accepts: Callable[[str, str], bool] = lambda _, group: (  # noqa: E731
        group == "quick" if only_group else group != "bulk"
    )
    assert claimed(store, ClaimFilter(accepts=accepts)) == ours
    assert rows_read.count < CROWD


def test_nothing_of_ours_costs_the_front_and_no_more(
    store: RunnerStore, rows_read: SimpleNamespace
) -> None:
    crowd(store, "left")
    assert claimed(store, ClaimFilter(accepts=lambda _h, _g: False)) == []
    assert rows_read.count <= candidates.WINDOW + 25


def test_too_many_groups_are_not_enumerated_and_ours_are_found_all_the_same(
    store: RunnerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory, "MOST_GROUPS", 2)
    store = registered(store.parts)
    crowd(store, "mixed", group="bulk")
    insert(store, *[make_new("mixed", group=f"g{n}", due_in=60) for n in range(5)])
    ours = insert(store, make_new("mixed", group="quick"))
    assert claimed(store, ClaimFilter(accepts=lambda _, group: group == "quick")) == ours


def test_due_hooks_are_exact_and_none_is_stepped_over(store: RunnerStore) -> None:
    """Neighbours in every collation: one that goes on where another ends, and twins."""
    names = {
        "a",
        "a_b",
        "a b",
        "a-b",
        "a/b",
        "a.b",
        "a1",
        "ab",
        "A_B",
        "a_é",
        "a_e",
        "\\ns\\a",
        "_a",
        "0",
        "é",
        "x" * 160,
        "x" * 163,
        "x" * 163 + "y",
        "x" * 163 + "z",
        "x" * 191,
    }
    insert(store, *[make_new(name) for name in sorted(names) for _ in range(3)])
    insert(store, make_new("later", due_in=60))
    (ended,) = insert(store, make_new("ended"))
    change(
        store,
        "UPDATE wp_actionscheduler_actions SET status = 'complete' WHERE action_id = :i",
        i=ended,
    )
    assert due_hooks(store) == names


@pytest.mark.parametrize("most", [1, 5, 1000])
def test_many_hooks_are_found_by_steps_or_by_reading_what_is_due(
    store: RunnerStore, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(inventory, "MOST_FOR_CLAIMS", most)
    monkeypatch.setattr(inventory, "_NAMES_A_STATEMENT", 7)
    names = {f"hook_{n}" for n in range(20)}
    insert(store, *[make_new(name) for name in names])
    assert due_hooks(store) == names
