"""Sort what is due by whether it could start if a place were free. Pure."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from wpbridge.monitor.advice import DueParts
from wpbridge.store.reading.due_pairs import Pair
from wpbridge.store.records import Pause

if TYPE_CHECKING:
    from wpbridge.monitor.handed_hooks import IsHanded
    from wpbridge.site.rules import Limit
    from wpbridge.store.running.limits import Key


def parts_of(
    due: Sequence[Pair],
    running: Sequence[Pair],
    *,
    pauses: Collection[Pause],
    limits: Sequence["Limit"],
    held: Collection[str],
    target_wait_seconds: float,
    is_handed: "IsHanded | None" = None,
) -> DueParts:
    """Return the parts of what is due.

    Args:
        due: the due actions by hook and group.
        running: the running actions.
        pauses: those in force.
        limits: the rules of the settings.
        held: the hooks that are held; their actions are left out, as everywhere.
        target_wait_seconds: a rate that takes longer for what is due keeps it up.
        is_handed: which actions go to Celery; None for none.
    """
    full = frozenset(_full(due, running, limits, target_wait_seconds)) if limits else frozenset()
    free: Counter[str] = Counter()
    paused = limited = claimed = handed = 0
    for pair in due:
        if pair.hook in held:
            continue
        if is_handed is not None and is_handed(pair.hook, pair.group):
            handed += pair.actions
        elif any(_holds(pause, pair) for pause in pauses):
            paused += pair.actions
        elif full & {("hook", pair.hook), ("group", pair.group)}:
            limited += pair.actions
        else:
            free[pair.hook] += pair.actions
            claimed += pair.claimed
    names = tuple(f"{kind} {name}" if name else f"no {kind}" for kind, name in sorted(full))
    return DueParts(
        free=free,
        claimed=claimed,
        paused=paused,
        limited=limited,
        limited_by=names,
        handed=handed,
    )


def _holds(pause: Pause, pair: Pair) -> bool:
    return pause.kind == "all" or pause.name == (pair.hook if pause.kind == "hook" else pair.group)


def _full(
    due: Sequence[Pair], running: Sequence[Pair], limits: Sequence["Limit"], target: float
) -> Iterator["Key"]:
    """Yield the hooks and groups of due actions that are at their limit.

    One is if as many of its actions are claimed or running as may be, or if its rate does not start
    within the target wait what is due.
    """
    # Only settings with limits need the module.
    from wpbridge.store.running.limits import Key, Wanted, limits_of  # noqa: PLC0415

    waiting: Counter[Key] = Counter()
    in_hand: Counter[Key] = Counter()
    rules: dict[Key, Limit] = {}
    for pair in due:
        rules |= limits_of(limits, Wanted(pair.hook, pair.group))
        for key in (Key("hook", pair.hook), Key("group", pair.group)):
            waiting[key] += pair.actions
            in_hand[key] += pair.claimed
    for pair in running:
        for key in (Key("hook", pair.hook), Key("group", pair.group)):
            in_hand[key] += pair.actions
    for key, rule in rules.items():
        if rule.max_concurrency and in_hand[key] >= rule.max_concurrency:
            yield key
        elif rule.rate is not None:
            each = rule.rate.per.total_seconds() / rule.rate.count
            if waiting[key] * each > target:
                yield key
