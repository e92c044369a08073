"""One row and all that goes with it, written in a transaction that the caller began."""

from typing import Final

DOOR: Final = (
    "groups",
    "held_hooks",
    "inserts",
    "inventory",
    "options",
    "waits",
    "writes",
    "zones",
)
"""The modules that other rooms may import."""
