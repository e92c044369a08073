"""One site's queue from Python: its methods, what they add, and how an idle daemon is woken."""

from typing import Final

from wpbridge.deprecated import moved

DOOR: Final = (
    "bulk",
    "bulk_filters",
    "bulk_pages",
    "callbacks",
    "commands",
    "enqueue",
    "facade",
    "fields",
    "failure_groups",
    "job_documents",
    "jobs",
    "many",
    "status",
    "unknown_names",
    "through",
    "wake",
    "workers",
)
"""The modules that other rooms may import."""


def __getattr__(name: str) -> object:
    """Answer for names that stood here before this was a room."""
    return moved.name_of(__name__, name)
