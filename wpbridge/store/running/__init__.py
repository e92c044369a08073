"""What a runner does: finding, claiming, owning, ending, limits, suspects."""

from typing import Final

DOOR: Final = (
    "action_rows",
    "candidates",
    "limits",
    "orphans",
    "ownership",
    "runner_store",
    "suspects",
)
"""The modules that other rooms may import."""
