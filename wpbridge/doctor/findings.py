"""Describe what a check found: a level, the cause, the effect, and the command that mends it."""

from dataclasses import replace
from typing import Final, Literal, TypeAlias

from wpbridge.dataclass import dataclass
from wpbridge.store.reading.survey import CAP

Level: TypeAlias = Literal["ok", "note", "warning", "problem"]
LEVELS: Final[tuple[Level, ...]] = ("ok", "note", "warning", "problem")
"""From the least to the worst. Only a problem makes the command fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The outcome of one check."""

    check: str = ""
    """The check's name, entered by the examination."""
    level: Level
    cause: str
    """What was found, also when all is well."""
    effect: str = ""
    """What follows from it; empty when all is well."""
    fix: str = ""
    """One command, ready to be copied except for the site's options; empty where there is none."""
    fixable: bool = False
    """Whether ``doctor --fix`` mends it."""
    count: int | None = None
    """How many rows, hooks or the like; never more than a cap plus one."""

    def of(self, check: str) -> "Finding":
        """Return the same finding with the check's name."""
        return replace(self, check=check)


def ok(cause: str, *, count: int | None = None) -> Finding:
    """Return a finding that all is well."""
    return Finding(level="ok", cause=cause, count=count)


def note(
    cause: str, effect: str, *, fix: str = "", fixable: bool = False, count: int | None = None
) -> Finding:
    """Return a finding that is worth knowing, but needs nothing to be done."""
    return Finding(level="note", cause=cause, effect=effect, fix=fix, fixable=fixable, count=count)


def warning(
    cause: str, effect: str, *, fix: str = "", fixable: bool = False, count: int | None = None
) -> Finding:
    """Return a finding that something works worse than it should, or will stop working."""
    return Finding(
        level="warning", cause=cause, effect=effect, fix=fix, fixable=fixable, count=count
    )


def problem(
    cause: str, effect: str, *, fix: str = "", fixable: bool = False, count: int | None = None
) -> Finding:
    """Return a finding that something does not work."""
    return Finding(
        level="problem", cause=cause, effect=effect, fix=fix, fixable=fixable, count=count
    )


def number(count: int, cap: int = CAP) -> str:
    """Return a count for people; it may have stopped at a cap."""
    return f"over {cap:,}" if count > cap else f"{count:,}"


def some(names: list[str], most: int = 5) -> str:
    """Return the first of some names, for people."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def span(seconds: float) -> str:
    """Return a length of time in its largest unit."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size * 2:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
