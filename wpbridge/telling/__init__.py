"""What wpbridge reports to people and machines: events, log lines, and texts on terminals."""

from typing import Final

DOOR: Final = ("bus", "fingerprint", "formats", "lines", "log", "visible", "words")
"""The modules that other rooms may import."""
