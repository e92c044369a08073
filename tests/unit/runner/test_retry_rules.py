"""When a failure is followed by another attempt."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wpbridge.runner.retry_rules import decide, longest_wait, rule_for
from wpbridge.site.rules import RetryRule

RULE = RetryRule(max_attempts=5, base=timedelta(seconds=10), cap=timedelta(seconds=60))


def test_the_longest_wait_doubles_up_to_the_cap() -> None:
    waits = [longest_wait(RULE, attempt).total_seconds() for attempt in range(1, 6)]
    assert waits == [10, 20, 40, 60, 60]


def test_the_wait_lies_anywhere_below_the_longest() -> None:
    again = decide(RULE, attempt=2, chance=0.5)
    assert again is not None
    assert (again.after.total_seconds(), again.attempt, again.of) == (10.0, 3, 5)
    first = decide(RULE, attempt=1, chance=0.0)
    assert first is not None
    assert first.after.total_seconds() == 1.0


@pytest.mark.parametrize("attempt", [5, 6, 1000])
def test_after_the_last_attempt_there_is_none(attempt: int) -> None:
    assert decide(RULE, attempt=attempt, chance=0.5) is None


@given(
    attempt=st.integers(1, 10**6),
    most=st.integers(1, 10**6),
    base=st.timedeltas(timedelta(milliseconds=1), timedelta(days=30)),
    cap=st.timedeltas(timedelta(milliseconds=1), timedelta(days=3650)),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_a_wait_is_at_least_a_second_and_at_most_the_cap(
    attempt: int, most: int, base: timedelta, cap: timedelta, chance: float
) -> None:
    again = decide(RetryRule(max_attempts=most, base=base, cap=cap), attempt=attempt, chance=chance)
    assert (again is None) == (attempt >= most)
    if again is not None:
        assert timedelta(seconds=1) <= again.after <= max(cap, timedelta(seconds=1))
        assert again.attempt == attempt + 1


@pytest.mark.parametrize(
    ("rule", "hook", "group", "error", "fits"),
    [
        (RetryRule(), "h", "", "ValueError", True),
        (RetryRule(), "h", "", "CodecError", False),
        (RetryRule(error="CodecError"), "h", "", "CodecError", True),
        (RetryRule(error="*Error"), "h", "", "TypeError", True),
        (RetryRule(hook="wc_*"), "wc_sync", "", "ValueError", True),
        (RetryRule(hook="wc_*"), "mail", "", "ValueError", False),
        (RetryRule(hook="mail[eu]"), "mail[eu]", "", "ValueError", True),
        (RetryRule(hook="mail[eu]"), "maile", "", "ValueError", False),
        (RetryRule(hook="[!a]?*"), "[!a]b", "", "ValueError", True),
        (RetryRule(hook="[!a]?*"), "bb", "", "ValueError", False),
        (RetryRule(group="[*]"), "h", "[a\nb]", "ValueError", True),
        (RetryRule(group="[*]"), "h", "*", "ValueError", False),
        (RetryRule(group=""), "h", "", "ValueError", True),
        (RetryRule(group=""), "h", "g", "ValueError", False),
        (RetryRule(group="g"), "h", "g", "ValueError", True),
        (RetryRule(error="Timeout*"), "h", "", "ValueError", False),
    ],
)
def test_which_failures_a_rule_fits(
    rule: RetryRule, hook: str, group: str, error: str, *, fits: bool
) -> None:
    found = rule_for([rule], hook=hook, group=group, error=error)
    assert (found is rule) == fits


def test_the_first_rule_that_fits_decides() -> None:
    never, often = RetryRule(hook="pay", max_attempts=1), RetryRule(max_attempts=9)
    assert rule_for([never, often], hook="pay", group="", error="E") is never
    assert rule_for([never, often], hook="mail", group="", error="E") is often
