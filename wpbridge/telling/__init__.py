"""What wpbridge reports to people and machines: events, log lines, and texts on terminals."""

from typing import Final

DOOR: Final = (
    "bus",
    "counting",
    "exposition",
    "fingerprint",
    "fingerprints",
    "formats",
    "lines",
    "log",
    "metrics",
    "numbers",
    "reasons",
    "sentry",
    "traces",
    "visible",
    "words",
)
"""The modules that other rooms may import."""
