"""Describe the plugin's tables and our own. Nothing here asks a database."""

from typing import Final

DOOR: Final = (
    "alterations",
    "charsets",
    "ddl",
    "description",
    "found",
    "ids",
    "layout",
    "purposes",
    "rows",
    "tables",
    "text_columns",
)
"""The modules that other rooms may import."""
