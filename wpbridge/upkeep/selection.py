"""What ``clean`` and ``migrate archive`` mean by old: the statuses, hooks and dates asked for."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from wpbridge.action import Status
from wpbridge.dataclass import dataclass
from wpbridge.errors import InputError
from wpbridge.patterns import is_pattern, matches
from wpbridge.site.rules import Keep
from wpbridge.store.opened import OpenStore
from wpbridge.store.upkeep.retention import Expiry
from wpbridge.upkeep import cleanup


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which ended actions are asked for."""

    statuses: tuple[Status, ...] = ()
    """Only these; empty: those that the rules mean."""
    hooks: tuple[str, ...] = ()
    """Names or patterns; empty: all."""
    groups: tuple[str, ...] = ()
    """Slugs; empty: all."""
    before: datetime | None = None
    """Actions whose last attempt came before this; None: as the rules say."""

    @property
    def names(self) -> list[str]:
        """The hooks that are no patterns."""
        return [hook for hook in self.hooks if not is_pattern(hook)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """What a selection means in a queue."""

    expiries: tuple[Expiry, ...]
    unmatched: tuple[str, ...]
    """Patterns of the selection that no hook matches."""


def select(
    store: OpenStore, selection: Selection, rules: Sequence[Keep], *, now: datetime
) -> Selected:
    """Find what a selection means: by its own date, else by the rules and then by the plugin's.

    Args:
        store: the site's.
        selection: what is asked for.
        rules: of the settings; they do not count where the selection has a date.
        now: aware.

    Raises:
        InputError: the date is not past, or there are too many hooks to hold patterns against.
    """
    end = selection.before
    if end is not None and end > now:
        raise InputError("that date is not past: nothing has ended before it yet")
    rules = () if end is not None else rules
    known = _hooks(store, selection.hooks, [rule.hook for rule in rules if rule.hook])
    statuses = selection.statuses or cleanup.PLUGIN_STATUSES
    found = cleanup.expiries(rules, now=now, hooks=known, statuses=statuses)
    if end is not None:
        found = [replace(expiry, before=end) for expiry in found]
    if selection.statuses:
        found = [expiry for expiry in found if expiry.status in selection.statuses]
    if selection.hooks:
        named = {hook for hook in known if any(matches(p, hook) for p in selection.hooks)}
        found = [expiry for one in found if (expiry := _only(one, named)).hooks]
    return Selected(
        expiries=tuple(replace(expiry, groups=selection.groups) for expiry in found),
        unmatched=tuple(
            pattern
            for pattern in selection.hooks
            if is_pattern(pattern) and not any(matches(pattern, hook) for hook in known)
        ),
    )


def _hooks(store: OpenStore, named: Sequence[str], ruled: Sequence[str]) -> list[str]:
    """The hooks that patterns are held against; looked for only where there are patterns."""
    for names in (named, [*named, *ruled]):
        if (names or not ruled) and not any(map(is_pattern, names)):
            return sorted(set(names))
    found = store.reading.hook_names()
    if found is None:
        raise InputError("too many hooks to look for patterns: name them exactly, with --hook")
    return found


def _only(expiry: Expiry, named: set[str]) -> Expiry:
    """Narrowed to these hooks."""
    hooks = named & set(expiry.hooks) if expiry.hooks else named - set(expiry.except_hooks)
    return replace(expiry, hooks=tuple(sorted(hooks)), except_hooks=())
