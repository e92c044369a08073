"""Ways to run one action, and the table that says which one. An executor returns an outcome.

It writes no row. The runner knows executors by `base` and `openings` alone. A webhook is a handler
that posts, and runs on threads.
"""

from typing import Final

DOOR: Final = (
    "base",
    "handlers",
    "loading",
    "openings",
    "php",
    "process",
    "router",
    "routes",
    "threads",
    "webhook",
)
"""The modules that other rooms may import."""
