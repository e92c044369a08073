"""How quick calls are, as the last dozen of them tell."""

from typing import Final

AHEAD_SECONDS: Final = 0.25
"""More is claimed before all has ended when what is left will have ended by then: a claim takes
about as long."""
_WEIGHT: Final = 0.2
"""Of the newest duration in the average."""


def moved(average: float | None, seconds: float) -> float:
    """Return an average after one more duration. It is None before the first one."""
    return seconds if average is None else average + (seconds - average) * _WEIGHT
