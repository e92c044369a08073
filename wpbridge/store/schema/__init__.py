"""What the plugin's tables and ours look like. Pure: nothing here asks a database."""

from typing import Final

DOOR: Final = ("charsets", "ids", "layout", "text_columns")
"""The modules that other rooms may import."""
