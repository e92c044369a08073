"""The tables as they stand in a database: made, brought forward, compared, mended."""

from typing import Final

DOOR: Final = (
    "creation",
    "definitions",
    "network",
    "own_steps",
    "own_tables",
    "rights",
    "server",
    "tables",
)
"""The modules that other rooms may import."""
