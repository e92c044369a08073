"""Who may call the HTTP gateway, and who may look at the dashboard."""

from typing import Final

DOOR: Final = (
    "attempts",
    "caller",
    "callers",
    "changing",
    "keys",
    "people",
    "person",
    "rates",
    "tokens",
    "user_changes",
)
"""The modules that other rooms may import."""
