"""One language of patterns for all settings."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heard import heard
from wpbridge.app import tell_brackets
from wpbridge.executors.routes import Routes
from wpbridge.patterns import is_any, is_pattern, matches
from wpbridge.runner.retry_rules import rule_for
from wpbridge.site.rules import RetryRule, Route


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        (None, "", True),
        ("", "", True),
        ("", "a", False),
        ("*", "", True),
        ("?", "", False),
        ("a?c*", "abc", True),
        ("a?c*", "a\nc\n", True),
        ("mail[eu]", "mail[eu]", True),
        ("mail[eu]", "maile", False),
        ("[!x]", "[!x]", True),
        ("[!x]", "y", False),
        ("a.c", "abc", False),
        ("Mail", "mail", False),
    ],
)
def test_what_a_pattern_describes(pattern: str | None, text: str, *, fits: bool) -> None:
    assert matches(pattern, text) is fits


@given(st.text("ab[]!-*?^.\\", max_size=8), st.text("ab[]!-^.\\", max_size=8))
def test_routes_and_retries_agree_on_every_pattern(pattern: str, hook: str) -> None:
    routes = Routes(
        [Route(to="php", hook=pattern)], python={}, webhooks=(), php=True, owns_site=False
    )
    routed = routes.decide(hook, "").why == "route 1"
    rule = rule_for([RetryRule(hook=pattern)], hook=hook, group="", error="ValueError")
    assert routed == (rule is not None)


@given(st.text("ab[]!-", max_size=8))
def test_a_pattern_without_stars_describes_itself(text: str) -> None:
    assert matches(text, text)
    assert not is_pattern(text)
    assert not is_any(text)


def test_a_runner_tells_of_rules_whose_brackets_meant_something_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rules = [RetryRule(hook="mail[eu]"), RetryRule(group="[x"), RetryRule(hook="mail_*")]
    with caplog.at_level(logging.WARNING):
        tell_brackets(rules)
    assert heard(caplog) == ["retry.brackets rule=1 pattern=mail[eu]"]
