"""Patterns for hooks, groups and error classes, as all settings and options understand them.

``*`` stands for any text, the empty one included. ``?`` stands for one character. Every other
character stands for itself, brackets included. Letter case counts, as it does in PHP.
"""

import functools
import re


def matches(pattern: str | None, text: str) -> bool:
    """Tell whether a text matches a pattern. Every text matches None."""
    return pattern is None or compiled(pattern).fullmatch(text) is not None


def is_pattern(text: str) -> bool:
    """Tell whether a text is a pattern that may match more than one name."""
    return "*" in text or "?" in text


def is_any(pattern: str | None) -> bool:
    """Tell whether a pattern matches every text."""
    return pattern is None or (pattern != "" and not pattern.strip("*"))


@functools.lru_cache(maxsize=1000)
def compiled(pattern: str) -> re.Pattern[str]:
    """Return a pattern as a regular expression, to be matched against the whole text."""
    parts = ({"*": ".*", "?": "."}.get(part) or re.escape(part) for part in pattern)
    return re.compile("".join(parts), re.DOTALL)
