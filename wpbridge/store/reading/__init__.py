"""Read what people look at: actions, counts, failures. Nothing here changes a row."""

from typing import Final

DOOR: Final = (
    "chain_rows",
    "conditions",
    "counting",
    "day_of_hooks",
    "due",
    "due_pairs",
    "failed",
    "failure_rows",
    "gauges",
    "handed_actions",
    "known_names",
    "live_claims",
    "log_ends",
    "network_sites",
    "newest",
    "pending",
    "reading",
    "stopped_chains",
    "summed_stats",
    "survey",
)
"""The modules that other rooms may import."""
