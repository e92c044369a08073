"""The tables as they stand in a database: made, brought forward, compared, mended."""

from typing import Final

DOOR: Final = ("definitions", "own_steps", "own_tables", "rights", "server")
"""The modules that other rooms may import."""
