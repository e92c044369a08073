"""What wpbridge tells people and machines: the bus of events, log lines, texts for terminals."""

from typing import Final

DOOR: Final = ("bus", "fingerprint", "lines", "log", "visible")
"""The modules that other rooms may import."""
