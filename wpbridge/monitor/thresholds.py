"""Read the thresholds that people give to rules: as a number, a time, a part or a size."""

import re
from collections.abc import Mapping
from typing import Final

from wpbridge.errors import ConfigError
from wpbridge.monitor.rules import RULES, Unit
from wpbridge.site.alert_kinds import Threshold
from wpbridge.site.moments import seconds_of

_EXAMPLES: Final[Mapping[Unit, str]] = {
    "count": "a number such as 10",
    "ratio": 'a part such as "5%" or 0.05',
    "seconds": 'a time such as 90, "10m" or "1h30m"',
    "bytes": 'a size such as "5GB"',
}
_SIZE: Final = re.compile(r"(\d{1,12}(?:\.\d{1,3})?)\s*([kmgt]?)i?b?", re.ASCII)
_NUMBER: Final = re.compile(r"\d{1,12}(?:\.\d{1,6})?", re.ASCII)
_POWERS: Final = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}


def thresholds_of(told: Mapping[str, Threshold]) -> dict[str, float | None]:
    """Return what `[alerts.rules]` means: a threshold by rule, None for a rule that is off.

    Raises:
        ConfigError: a rule is unknown, or its threshold cannot be one. It names all faults.
    """
    faults, found = [], dict[str, float | None]()
    for name, value in told.items():
        rule = RULES.get(name)
        if rule is None:
            faults.append(f"[alerts.rules]: there is no rule {name}; there are {', '.join(RULES)}")
        elif value is False:
            found[name] = None
        elif (threshold := threshold_of(value, rule.unit)) is None:
            faults.append(f"[alerts.rules] {name} expects {_EXAMPLES[rule.unit]}, not {value!r}")
        else:
            found[name] = threshold
    if faults:
        raise ConfigError(faults=faults)
    return found


def threshold_of(value: object, unit: Unit) -> float | None:
    """Return a threshold; None for what cannot be one."""
    text = str(value).strip().lower() if not isinstance(value, bool) else ""
    if unit == "seconds":
        seconds = seconds_of(value)
        return seconds if seconds is not None and seconds >= 0 else None
    if unit == "bytes":
        size = _SIZE.fullmatch(text)
        return None if size is None else float(size[1]) * _POWERS[size[2]]
    is_percent = unit == "ratio" and text.endswith("%")
    number = text.removesuffix("%").strip() if is_percent else text
    if not _NUMBER.fullmatch(number):
        return None
    return float(number) / 100 if is_percent else float(number)


def expected(unit: Unit) -> str:
    """Return what a threshold of this unit looks like."""
    return _EXAMPLES[unit]
