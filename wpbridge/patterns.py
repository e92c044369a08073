"""Patterns of hooks, groups and error classes: the one language of all settings and options.

``*`` is any text, the empty one too. ``?`` is one character. Every other character stands for
itself, brackets included. Letter case counts, as it does in PHP.
"""

import functools
import re


def matches(pattern: str | None, text: str) -> bool:
    """Tell whether a text is what a pattern describes; without a pattern every text is."""
    return pattern is None or compiled(pattern).fullmatch(text) is not None


def is_pattern(text: str) -> bool:
    """Tell whether a text may describe more than one name."""
    return "*" in text or "?" in text


def is_any(pattern: str | None) -> bool:
    """Tell whether a pattern describes every text."""
    return pattern is None or (pattern != "" and not pattern.strip("*"))


@functools.lru_cache(maxsize=1000)
def compiled(pattern: str) -> re.Pattern[str]:
    """Return the pattern as a regular expression for the whole text."""
    parts = ({"*": ".*", "?": "."}.get(part) or re.escape(part) for part in pattern)
    return re.compile("".join(parts), re.DOTALL)
