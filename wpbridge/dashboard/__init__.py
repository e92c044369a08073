"""What the dashboard shows: from a store to one frozen value for each page.

No HTTP and no HTML are known here, so `wpbridge top` shows the same numbers in a terminal. The
pages themselves are in :mod:`wpbridge.web.pages`. See docs/explain/dashboard.md.
"""

from typing import Final

DOOR: Final = (
    "detail",
    "failure_entries",
    "failure_index",
    "failures",
    "hooks",
    "ids",
    "jobs",
    "listing",
    "measures",
    "overview",
    "past",
    "recurring",
    "retry_hints",
    "schedule_words",
    "shown_text",
    "sites",
    "workers",
)
"""The modules that other rooms may import."""
