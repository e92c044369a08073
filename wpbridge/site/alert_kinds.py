"""Kinds of the values below ``[alerts]``: who is told, and when.

A kind is as in :mod:`wpbridge.site.value_kinds`.
"""

import re
from collections.abc import Mapping
from datetime import datetime, time
from types import MappingProxyType
from typing import Final, TypeAlias

from wpbridge.dataclass import dataclass
from wpbridge.site.value_kinds import Origin

_TARGET: Final = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
_HOURS: Final = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")

Threshold: TypeAlias = str | float | bool
"""As it stands in the settings: what it means depends on the rule. False switches the rule off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """The hours of each day in which only critical alerts are sent."""

    begin: time
    end: time
    """Before the beginning: on the next day."""

    @classmethod
    def of(cls, told: str) -> "QuietHours":
        """Return the hours that a checked setting means."""
        begin, _, end = told.partition("-")
        return cls(begin=time.fromisoformat(begin), end=time.fromisoformat(end))

    def has(self, moment: datetime) -> bool:
        """Tell whether a moment lies in them. It has the zone that they are meant in."""
        at = moment.time()
        if self.begin < self.end:
            return self.begin <= at < self.end
        return at >= self.begin or at < self.end


def targets(value: object, _origin: Origin) -> tuple[str, ...]:
    """URLs of apprise: a list, or one text in which blanks part them."""
    parts = value.split() if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(
        isinstance(part, str) and _TARGET.fullmatch(part) for part in parts
    ):
        # It is not shown what was given: it holds tokens and passwords.
        raise ValueError('a list of addresses such as "mailto://…" and "slack://…"')
    return tuple(dict.fromkeys(parts))


def quiet_hours(value: object, _origin: Origin) -> str | None:
    """Such as ``22:00-07:00``; None for an empty text or ``off``."""
    told = value.strip().lower() if isinstance(value, str) else "?"
    if told in {"", "off"}:
        return None
    begin, _, end = (part.strip() for part in told.partition("-"))
    first, last = _HOURS.fullmatch(begin), _HOURS.fullmatch(end)
    if first is None or last is None or first.groups() == last.groups():
        raise ValueError('hours such as "22:00-07:00"')
    return "-".join(f"{int(one[1]):02}:{one[2]}" for one in (first, last))


def thresholds(value: object, _origin: Origin) -> Mapping[str, Threshold]:
    """``[alerts.rules]``: thresholds by rule, and false for rules that are off."""
    if not isinstance(value, Mapping) or not all(
        isinstance(told, str | int | float) and told is not True for told in value.values()
    ):
        raise ValueError("a table [alerts.rules] of rule = threshold, or rule = false")
    return MappingProxyType(dict(value))
