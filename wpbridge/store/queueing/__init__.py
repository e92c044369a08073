"""What a queue does: adding actions, changing them by hand, pauses."""

from typing import Final

DOOR: Final = ("adding", "edits", "pauses")
"""The modules that other rooms may import."""
