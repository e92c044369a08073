"""Ways to run one action, and the table that says which one. An executor returns an outcome.

It writes no row. The runner knows executors by `base`, `openings` and `pace` alone. A webhook is a
handler that posts, and runs on threads.
"""

from typing import Final

DOOR: Final = (
    "base",
    "callback",
    "celery",
    "handlers",
    "loading",
    "openings",
    "pace",
    "php",
    "process",
    "router",
    "routes",
    "threads",
    "webhook",
)
"""The modules that other rooms may import."""
