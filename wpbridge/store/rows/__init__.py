"""Run statements on rows of one kind each, such as actions, groups, options and API keys.

Functions that write take the connection of a transaction that the caller has begun.
"""

from typing import Final

DOOR: Final = (
    "alerts",
    "api_keys",
    "audit",
    "groups",
    "held_hooks",
    "idempotency",
    "inserts",
    "inventory",
    "nonces",
    "options",
    "results",
    "sessions",
    "signing",
    "sizes",
    "stats",
    "traces",
    "users",
    "waits",
    "wordpress_users",
    "writes",
    "zones",
)
"""The modules that other rooms may import."""
