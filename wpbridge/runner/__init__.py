"""One run: it decides what is claimed, run, settled, tried again and put back.

It sees stores and executors by their protocols only.
"""

from typing import Final

DOOR: Final = (
    "about",
    "claim_size",
    "handed_loop",
    "identity",
    "in_hand",
    "liveness",
    "loop",
    "reaper",
    "retry_rules",
    "upkeep_turns",
)
"""The modules that other rooms may import."""
