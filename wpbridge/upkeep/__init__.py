"""Keeps a queue in order: the plugin's cleaner's duties beside a runner, and retention."""

from typing import Final

DOOR: Final = (
    "caretaker",
    "claim_holders",
    "cleanup",
    "granting",
    "history",
    "old_rows",
    "own_tables",
    "selection",
    "signing_secrets",
)
"""The modules that other rooms may import."""
