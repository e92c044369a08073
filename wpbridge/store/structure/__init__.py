"""Make a site's tables, bring them forward to this release, compare them and repair them."""

from typing import Final

DOOR: Final = (
    "creation",
    "definitions",
    "granting",
    "network",
    "old_keys",
    "own_steps",
    "own_tables",
    "rights",
    "server",
    "tables",
)
"""The modules that other rooms may import."""
