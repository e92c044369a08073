"""Queues to files and back, and from one site straight to another."""

from wpbridge.deprecated import moved


def __getattr__(name: str) -> object:
    """Answer for names that stood here before this was a room."""
    return moved.name_of(__name__, name)
