"""The circuit breaker: a hook that fails so many times in a row is paused, for every runner.

A failed attempt counts whether it is tried again or not; a completed one starts the count anew.
The count is kept in the tables, so that hosts and restarts add up.
"""

from collections.abc import Sequence
from datetime import datetime

from wpbridge.action import is_own_hook
from wpbridge.dataclass import dataclass
from wpbridge.events import HookPaused
from wpbridge.outcome import Booked, Completed, Failed, Outcome, Retried
from wpbridge.patterns import matches
from wpbridge.site.rules import Limit
from wpbridge.store.protocol import Store
from wpbridge.store.records import Pause


@dataclass(slots=True)
class _Row:
    """The failures of a hook since its count was last written into the tables."""

    failed: int = 0
    is_fresh: bool = False
    reason: str = ""


class Breaker:
    """Applies the limits that pause a hook after failures to what has ended."""

    def __init__(self, store: Store, rules: Sequence[Limit]) -> None:
        self._store = store
        self._rules = [rule for rule in rules if rule.hook is not None]
        self._known: dict[str, Limit | None] = {}
        self._rows: dict[str, _Row] = {}

    def note(self, hook: str, outcome: Outcome) -> None:
        """Count one more run; a run that its handler put off is neither good nor bad."""
        failure = _failure(outcome)
        is_good = isinstance(outcome, Completed) or outcome == Booked()
        if not (failure or is_good) or self._rule(hook) is None:
            return
        row = self._rows.setdefault(hook, _Row())
        if failure is None:
            self._rows[hook] = _Row(is_fresh=True)
        else:
            row.failed, row.reason = row.failed + 1, failure

    def is_over(self) -> bool:
        """Return whether a hook is to be paused by what the tables have not been told yet."""
        rules = [(self._rule(hook), row.failed) for hook, row in self._rows.items()]
        return any(rule is not None and failed >= rule.pause_after for rule, failed in rules)

    def flush(self, now: datetime, site: str) -> list[HookPaused]:
        """Write the counts into the tables; return an event for each hook that this has paused."""
        rows, self._rows = self._rows, {}
        found: list[HookPaused] = []
        for hook, row in rows.items():
            rule = self._rule(hook)
            if rule is None:
                continue
            until = None if rule.pause_for is None else now + rule.pause_for
            reason = f"{rule.pause_after} failures in a row, the last: {row.reason}"
            is_paused = self._store.count_failures(
                hook,
                failed=row.failed,
                is_fresh=row.is_fresh,
                most=rule.pause_after,
                pause=Pause(kind="hook", name=hook, until=until, reason=reason),
                now=now,
            )
            if is_paused:
                most, last = rule.pause_after, row.reason
                event = HookPaused(
                    at=now, site=site, hook=hook, failures=most, until=until, reason=last
                )
                found.append(event)
        return found

    def _rule(self, hook: str) -> Limit | None:
        """Return the first limit that fits the hook, if that limit pauses hooks.

        None pauses wpbridge's own hooks: one receiver that is away must not stop all callbacks.
        """
        if is_own_hook(hook):
            return None
        if hook not in self._known:
            fits = (rule for rule in self._rules if matches(rule.hook or "", hook))
            rule = next(fits, None)
            self._known[hook] = rule if rule is not None and rule.pause_after else None
        return self._known[hook]


def _failure(outcome: Outcome) -> str | None:
    """Return why it failed; None when it did not."""
    match outcome:
        case Failed(reason=reason):
            return reason
        case Booked(failure=Failed(reason=reason)):
            return reason
        case Retried(reason=reason, attempt=attempt) if attempt:
            return reason
        case _:
            return None
