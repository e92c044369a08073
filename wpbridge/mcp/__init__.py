"""Lets assistants that speak MCP look at a queue, and change it if they are allowed to."""

from typing import Final

DOOR: Final = ("serving",)
"""The modules that other rooms may import."""
