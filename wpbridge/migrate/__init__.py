"""Moves of whole queues: each can be resumed, each looks at the end whether all is there.

None holds a queue in memory.
"""

from typing import Final

DOOR: Final = (
    "added",
    "archive",
    "deviations",
    "files",
    "journal",
    "lines",
    "mending",
    "places",
    "poststore",
    "poststore_undo",
    "schema",
    "transfer",
    "wpcron",
    "wpcron_since",
    "wpcron_undo",
)
"""The modules that other rooms may import."""
