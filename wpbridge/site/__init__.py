"""From `wp-config.php`, flags, files and the environment to one checked site."""

from typing import Final

from wpbridge.deprecated import moved

DOOR: Final = (
    "alert_kinds",
    "bounds",
    "celery_kinds",
    "config",
    "database",
    "moments",
    "resolve",
    "rules",
    "shown_settings",
    "site_list",
    "wake_kinds",
    "web_kinds",
    "wpconfig",
    "zone",
)
"""The modules that other rooms may import."""


def __getattr__(name: str) -> object:
    """Return a name that this module had before it became a room."""
    return moved.name_of(__name__, name)
