"""What a runner needs of the store: candidates, claims, ownership, endings, limits, suspects."""

from typing import Final

DOOR: Final = (
    "candidates",
    "fences",
    "handed",
    "limits",
    "looks",
    "ownership",
    "plans",
    "runner_store",
    "seen_runners",
    "wake_addresses",
    "wishes",
)
"""The modules that other rooms may import."""
