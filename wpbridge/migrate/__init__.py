"""Moves of whole queues. Each can go on after it was stopped, and checks its own work at the end.

None holds a queue in memory.
"""

from typing import Final

DOOR: Final = (
    "archive",
    "file_locations",
    "journal",
    "post_store",
    "schema",
    "transfer",
    "wp_cron",
)
"""The modules that other rooms may import."""
