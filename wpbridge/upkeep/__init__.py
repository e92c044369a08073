"""Keeps a queue in order: the plugin's cleaner's duties beside a runner, and retention."""

from typing import Final

from wpbridge import moved

DOOR: Final = ("caretaker", "cleanup")
"""The modules that other rooms may import."""


def __getattr__(name: str) -> object:
    """Answer for names that stood here before this was a room."""
    return moved.name_of(__name__, name)
