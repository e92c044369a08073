"""What a queue needs of the store: adding actions, changing them by hand, pauses."""

from typing import Final

DOOR: Final = ("adding", "edits", "jobs", "pauses")
"""The modules that other rooms may import."""
