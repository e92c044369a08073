"""What a claim is given: which actions it takes, and which of them start with it. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from wpbridge.action import Action, ActionId
from wpbridge.executors.openings import Openings
from wpbridge.runner import log_texts
from wpbridge.runner.dispatcher import is_readable
from wpbridge.store.base import ClaimFilter, StartPlan


def claim_filter(only: ClaimFilter, openings: Sequence[Openings]) -> ClaimFilter:
    """Narrow a filter to what the executors would start soon."""
    accepts, may_accept = only.accepts, only.may_accept
    hooks = only.hooks
    if not any(one.hooks.is_all_but for one in openings):
        open_hooks = frozenset[str]().union(*(one.hooks.names for one in openings))
        hooks = open_hooks if hooks is None else hooks & open_hooks

    def accepts_now(hook: str, group: str) -> bool:
        is_wanted = accepts is None or accepts(hook, group)
        return is_wanted and any(one.takes(hook, group) for one in openings)

    def may_accept_now(hook: str) -> bool:
        is_wanted = may_accept is None or may_accept(hook)
        return is_wanted and any(hook in one.hooks for one in openings)

    return replace(only, hooks=hooks, accepts=accepts_now, may_accept=may_accept_now)


def start_plan(openings: Sequence[Openings], *, at: datetime, taken: int = 0) -> StartPlan | None:
    """Plan which actions of a claim start with it; None when none can.

    ``taken``: so many calls are on their way to the executors, and need their room.
    """
    left = [replace(one, room=one.room - taken) for one in openings]
    with_room = [one for one in left if one.room > 0]
    if not with_room:
        return None
    return StartPlan(
        chosen=lambda actions: [i for one in with_room for i in _chosen(one, actions)],
        log_line=log_texts.started(at),
    )


def _chosen(openings: Openings, actions: Sequence[Action]) -> list[ActionId]:
    fitting = [
        action.id
        for action in actions
        if action.hook in openings.at_once
        and openings.is_routed(action.hook, action.group)
        and is_readable(action)
    ]
    return fitting[: openings.portion(len(fitting))]
