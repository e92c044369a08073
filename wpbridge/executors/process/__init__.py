"""Isolated Python handlers: each runs in a child process that can be killed."""

from typing import Final

DOOR: Final = ("executor",)
"""The modules that other rooms may import."""
