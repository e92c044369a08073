"""Run statements on rows of one kind each: actions, logs, groups, zones, waits, options, secrets.

Functions that write take the connection of a transaction that the caller has begun.
"""

from typing import Final

DOOR: Final = (
    "groups",
    "held_hooks",
    "idempotency",
    "inserts",
    "inventory",
    "options",
    "results",
    "signing",
    "waits",
    "writes",
    "zones",
)
"""The modules that other rooms may import."""
