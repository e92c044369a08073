"""Entries of the list as values for JSON, for processes of the sites' users, and back.

They go through pipes and files without a name, since they may hold a password.
"""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from wpbridge.site.site_list import SiteEntry

_PATHS: Final = frozenset({"folder", "path", "config"})


def packed(entry: SiteEntry) -> dict[str, Any]:
    """Return an entry as values for JSON."""
    values = {one.name: getattr(entry, one.name) for one in fields(entry)}
    return {
        name: str(value) if name in _PATHS and value is not None else value
        for name, value in values.items()
    }


def unpacked(told: Mapping[str, Any]) -> SiteEntry:
    """Return the entry that :func:`packed` was given."""
    values: dict[str, Any] = {
        name: Path(value) if name in _PATHS and value is not None else value
        for name, value in told.items()
    }
    return SiteEntry(**{**values, "handlers": tuple(values["handlers"])})
