"""What a claim is given: whose actions it takes, and which of them start with it."""

from dataclasses import replace
from typing import Any

import pytest

from executor_runs import make_call
from factories import NOW
from wpbridge.action import Action
from wpbridge.codec import schedule as schedule_codec
from wpbridge.executors.openings import ANY_HOOK, NO_HOOKS, HookSet, Openings
from wpbridge.runner.claim_plan import claim_filter, start_plan
from wpbridge.store.base import ClaimFilter

THREADS = Openings(hooks=HookSet(frozenset({"a", "b"})))
PHP = Openings(
    hooks=ANY_HOOK.without(frozenset({"gone"})),
    at_once=HookSet(frozenset({"x", "y"})),
    room=2,
    ahead=2,
    is_routed=lambda hook, group: hook not in "ab" and group != "left",
)


def make_action(number: int, hook: str, **changes: Any) -> Action:
    given = {"schedule": schedule_codec.encode(schedule_codec.single(NOW)), **changes}
    return replace(make_call(hook, action_id=number).action, **given)


def test_a_filter_is_narrowed_to_what_would_start() -> None:
    narrowed = claim_filter(ClaimFilter(), [THREADS])
    assert narrowed.hooks == frozenset("ab")
    assert narrowed.accepts
    assert (narrowed.accepts("a", "g"), narrowed.accepts("x", "g")) == (True, False)
    assert claim_filter(ClaimFilter(hooks=frozenset("bc")), [THREADS]).hooks == frozenset("b")
    assert claim_filter(ClaimFilter(hooks=frozenset("bc")), [THREADS, PHP]).hooks == frozenset("bc")
    assert claim_filter(ClaimFilter(), [replace(THREADS, hooks=NO_HOOKS)]).hooks == frozenset()


def test_with_php_any_hook_may_be_looked_at_and_the_routes_decide() -> None:
    only = ClaimFilter(accepts=lambda hook, _: hook != "z", may_accept=lambda hook: hook != "z")
    narrowed = claim_filter(only, [THREADS, PHP])
    assert narrowed.hooks is None
    assert narrowed.accepts
    assert narrowed.may_accept
    hooks = ("a", "x", "z", "gone")
    assert [narrowed.accepts(hook, "g") for hook in hooks] == [True, True, False, False]
    assert [narrowed.may_accept(hook) for hook in hooks] == [True, True, False, False]
    assert not narrowed.accepts("x", "left")


def test_what_starts_with_a_claim_is_known_routed_readable_and_no_more_than_there_is_room() -> None:
    actions = [
        make_action(1, "a"),
        make_action(2, "x", group="left"),
        make_action(3, "x", args=b"{"),
        make_action(4, "x", schedule=b"O:1"),
        *(make_action(n, hook) for n, hook in enumerate("zyxy", 5)),
    ]
    plan = start_plan([THREADS, PHP], at=NOW)
    assert plan
    assert plan.chosen(actions) == [6, 7]
    assert plan.log_line.message == "action started via wpbridge"
    assert plan.log_line.at == NOW


def test_what_is_on_its_way_to_an_executor_takes_its_room() -> None:
    actions = [make_action(number, "x") for number in range(1, 6)]
    plan = start_plan([replace(PHP, room=5)], at=NOW, taken=3)
    assert plan
    assert plan.chosen(actions) == [1, 2]
    assert start_plan([PHP], at=NOW, taken=2) is None


@pytest.mark.parametrize("openings", [THREADS, replace(PHP, room=0), replace(PHP, room=-3)])
def test_without_room_there_is_no_plan(openings: Openings) -> None:
    assert start_plan([openings], at=NOW) is None


@pytest.mark.parametrize(
    ("waiting", "room", "portion"),
    [(9, 64, 9), (99, 64, 64), (99, 32, 32), (99, 31, 0), (20, 20, 20), (20, 19, 0), (0, 5, 0)],
)
def test_portions_are_large(waiting: int, room: int, portion: int) -> None:
    assert Openings(room=room, ahead=64).portion(waiting) == portion
