"""Moves of whole queues: each can be resumed, each looks at the end whether all is there.

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
