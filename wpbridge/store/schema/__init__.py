"""What the plugin's tables and ours look like. Pure: nothing here asks a database."""

from typing import Final

DOOR: Final = (
    "alterations",
    "charsets",
    "ddl",
    "description",
    "found",
    "ids",
    "layout",
    "rows",
    "tables",
    "text_columns",
)
"""The modules that other rooms may import."""
