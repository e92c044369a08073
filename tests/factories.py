"""Making things for tests; verbs, with every value changeable."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from wpbridge.action import Action, ActionId, ClaimId, NewAction, Status
from wpbridge.codec import args as args_codec
from wpbridge.codec import schedule as schedule_codec
from wpbridge.executors.handlers import Context
from wpbridge.store.bulk.rows import WholeRow
from wpbridge.store.records import Pause
from wpbridge.store.running.runner_store import RunnerStore

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


def context(**changes: object) -> Context:
    """What a handler is given."""
    values: dict[str, object] = {
        "id": ActionId(7),
        "hook": "h",
        "group": "",
        "attempt": 1,
        "scheduled_at": None,
        "args": [],
        "logger": None,
        "site": "s",
        "now": lambda: datetime(2026, 1, 1, tzinfo=UTC),
    }
    return Context(**{**values, **changes})  # type: ignore[arg-type]


def make_new(
    hook: str = "h",
    *,
    args: object = (),
    due_in: float = -60.0,
    group: str = "",
    priority: int = 10,
    interval: int | None = None,
    now: datetime = NOW,
) -> NewAction:
    """An action due ``due_in`` seconds from now."""
    at = now + timedelta(seconds=due_in)
    made = schedule_codec.single(at) if interval is None else schedule_codec.interval(at, interval)
    return NewAction(
        hook=hook,
        args=args_codec.encode(list(args) if isinstance(args, tuple) else args),
        schedule=schedule_codec.encode(made),
        scheduled_at=at,
        group=group,
        priority=priority,
    )


def stored(**changes: Any) -> Action:
    """A claimed action, as a runner has it."""
    action = Action(
        id=ActionId(1),
        hook="h",
        status=Status.PENDING,
        scheduled_at=None,
        priority=10,
        args=b"[]",
        schedule=b"",
        group_id=0,
        group="",
        attempts=0,
        claim_id=ClaimId(1),
    )
    return replace(action, **changes)


def insert(store: RunnerStore, *actions: NewAction, now: datetime = NOW) -> list[ActionId]:
    """Insert pending actions; returns their ids."""
    return list(store.insert(actions, now=now))


def whole(**changes: Any) -> WholeRow:
    """A pending action as an import has it, with all its columns."""
    row = WholeRow(
        id=1,
        hook="h",
        status="pending",
        scheduled="2026-11-24 10:00:00",
        scheduled_local="2026-11-24 10:00:00",
        args="[]",
        extended_args=None,
        schedule="x",
        group="g",
    )
    return replace(row, **changes)


def bucketed(seconds: float, bounds: Sequence[float]) -> tuple[int, ...]:
    """Return the buckets of one duration or wait."""
    place = bisect_left(bounds, seconds)
    return tuple(int(place == number) for number in range(len(bounds) + 1))


def pauses_of(hook: str, group: str) -> list[Pause]:
    """One pause of each kind that keeps a hook in a group from starting."""
    of_hook, of_group = Pause(kind="hook", name=hook), Pause(kind="group", name=group)
    return [Pause(kind="all", name=""), of_hook, of_group]
