"""Rows in and out: the only room that knows SQL, locks and database error numbers."""

from typing import Final

DOOR: Final = (
    "base",
    "bulk",
    "connect",
    "database",
    "opened",
    "posts",
    "protocol",
    "queueing",
    "reading",
    "records",
    "rows",
    "running",
    "schema",
    "structure",
    "upkeep",
)
"""The modules that other rooms may import."""
