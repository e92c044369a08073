"""Finds the WordPress folders below a folder. Only names and kinds of files are asked for."""

import os
import stat
from pathlib import Path
from typing import Final

from wpbridge.errors import ConfigError

LAYOUTS: Final = (
    "public_html",
    "htdocs",
    "httpdocs",
    "html",
    "www",
    "web",
    "public",
    "current",
    "wordpress",
)
"""Folders of a site below which hosts and tools keep WordPress. Bedrock's is ``web``."""


def folders_of(place: Path) -> list[Path]:
    """Return the folders of a folder by name, without the hidden ones.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        names = sorted(inside.name for inside in place.iterdir())
    except OSError as error:
        raise ConfigError(f"{place} cannot be read: {error.strerror}") from None
    folders = (place / name for name in names if not name.startswith("."))
    return [folder for folder in folders if folder.is_dir()]


def wordpresses(folder: Path) -> list[Path]:
    """Return the WordPress folders of a site's folder.

    That is the folder itself, or else each layout folder that has a ``wp-config.php``. Where the
    configuration lies one above WordPress, it is the folder of the configuration.

    Raises:
        OSError: the folder cannot be looked at.
    """
    if _is_file(folder / "wp-config.php"):
        return [folder]
    found: dict[str, Path] = {}
    for layout in LAYOUTS:
        inside = folder / layout
        if _is_file(inside / "wp-config.php"):
            found.setdefault(os.path.realpath(inside), inside)
    return list(found.values())


def _is_file(place: Path) -> bool:
    """Tell whether there is such a file. Raises PermissionError if that cannot be looked at."""
    try:
        return stat.S_ISREG(place.stat().st_mode)
    except PermissionError:
        raise
    except OSError:
        return False


def site_name(path: Path) -> str:
    """Return what a WordPress folder is called: its name, or that of the folder above a layout."""
    named = [part for part in reversed(path.parts) if part not in {*LAYOUTS, "wp-config.php"}]
    return named[0] if named and named[0] != "/" else path.name
