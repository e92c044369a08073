"""Whole rows, thousands at a time, with all that hangs on them: what migrations need."""

from typing import Final

DOOR: Final = ("bulk", "inserting", "keys", "reading", "rows")
"""The modules that other rooms may import."""
