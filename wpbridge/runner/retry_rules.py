"""Whether a failed action runs again, and when: pure functions of the attempt and the chance.

The plugin has no retries. Here the same row goes back to pending with a later date, so its id,
log and attempts tell the whole story; only the last failure is an ending.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from wpbridge.dataclass import dataclass
from wpbridge.patterns import matches
from wpbridge.site.rules import RetryRule

FATAL: Final = frozenset({"CodecError", "HandlerNotFound", "TypeError"})
"""Errors that come again whatever one waits for: never retried unless a rule names them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryDecision:
    """The decision that a failed action runs once more."""

    after: timedelta
    attempt: int
    """Which one comes next, counted from 1."""
    of: int
    """How many there may be in all."""


def rule_for(rules: Sequence[RetryRule], *, hook: str, group: str, error: str) -> RetryRule | None:
    """Return the first rule that fits; None when the failure is an ending."""
    for rule in rules:
        is_named = rule.error is not None and matches(rule.error, error)
        is_plain = rule.error is None and error not in FATAL
        if matches(rule.hook, hook) and matches(rule.group, group) and (is_named or is_plain):
            return rule
    return None


def decide(rule: RetryRule, *, attempt: int, chance: float) -> RetryDecision | None:
    """Return whether a failed attempt is followed by another.

    Args:
        rule: that fits the failure.
        attempt: how many have failed by now.
        chance: from 0 to below 1, anew for each failure.

    Returns:
        When, by exponential back-off with full jitter: evenly between 0 and the doubled wait, so
        that what failed together does not come back together. At least a second.
    """
    if attempt >= rule.max_attempts:
        return None
    longest = longest_wait(rule, attempt)
    seconds = max(1.0, longest.total_seconds() * chance)
    return RetryDecision(
        after=timedelta(seconds=seconds), attempt=attempt + 1, of=rule.max_attempts
    )


def longest_wait(rule: RetryRule, attempt: int) -> timedelta:
    """Return the longest wait that may follow a failed attempt."""
    # Beyond 2^32 every cap is long reached.
    doubled = rule.base.total_seconds() * 2 ** min(max(attempt, 1) - 1, 32)
    return timedelta(seconds=min(doubled, rule.cap.total_seconds()))
