"""Ways to run one action, and the table that says which one. An executor returns an outcome.

It writes no row. The runner knows executors by `base` alone; only `wpbridge.app` names real ones.
"""

from typing import Final

DOOR: Final = (
    "base",
    "handlers",
    "openings",
    "php",
    "process",
    "router",
    "routes",
    "threads",
    "webhook",
)
"""The modules that other rooms may import."""
