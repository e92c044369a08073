"""Read what people look at: actions, counts, failures. Nothing here changes a row."""

from typing import Final

DOOR: Final = (
    "conditions",
    "counting",
    "due",
    "failed",
    "known_names",
    "pending",
    "reading",
    "survey",
)
"""The modules that other rooms may import."""
