"""Judges whether a web server may hand out what lies in a folder.

No program can know for certain which folders a web server serves. So a folder is judged by the
files in it and in the folders above it. A folder that somebody named is refused if it certainly
belongs to a web site. A folder that wpbridge found by itself is refused even if it only looks so:
the home of www-data is /var/www, and web sites lie below it.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_SIGNS: Final = (
    "wp-load.php",
    "wp-settings.php",
    "index.php",
    "index.html",
    "index.htm",
    ".htaccess",
)
"""Files that only the folder of a web site has."""
_CONFIG: Final = "wp-config.php"
_SERVED: Final = frozenset(
    {
        "wp-content",
        "wp-includes",
        "wp-admin",
        "public_html",
        "htdocs",
        "httpdocs",
        "httpsdocs",
    }
)
"""Names that only a web site's folders have."""
_LIKELY: Final = frozenset({"html", "www", "web", "webroot", "wwwroot", "docroot", "public"})
"""Names that folders of web sites often have, but other folders as well."""
_AROUND_SITES: Final = frozenset({Path("/var/www"), Path("/srv/www")})
"""Folders that contain web sites, but are rarely served themselves."""


def why_served(folder: Path, roots: Sequence[Path] = (), *, is_found: bool = False) -> str | None:
    """Say why a web server may hand out what lies in a folder. None if nothing points to that.

    Args:
        folder: the folder's real path. It may not exist yet.
        roots: the real paths of folders that are known to belong to a web site.
        is_found: whether wpbridge found the folder by itself, so that less is enough to refuse it.
    """
    for place in (folder, *folder.parents):
        if place == Path("/"):
            continue
        why = _why(place, roots, is_found=is_found)
        if why:
            return f"a web server may hand out what lies in {folder}, since {why}"
    return None


def _why(place: Path, roots: Sequence[Path], *, is_found: bool) -> str | None:
    if place in roots:
        return f"{place} is a folder of the WordPress site"
    for sign in _SIGNS:
        if os.path.lexists(place / sign):
            return f"{place} has the file {sign}"
    if os.path.lexists(place / _CONFIG) and not _is_moved_up(place):
        return f"{place} has the file {_CONFIG}"
    name = place.name.lower()
    holds_site = place not in _AROUND_SITES and any(root.is_relative_to(place) for root in roots)
    if name in _SERVED or (name in _LIKELY and (is_found or holds_site)):
        return f"{place} has the name of a web site's folder"
    return None


def _is_moved_up(place: Path) -> bool:
    """Tell whether the wp-config.php here was moved up out of a document root below.

    WordPress looks for it in the folder above as well. With any other name, the folder below may
    be one that WordPress has to itself inside of the document root.
    """
    try:
        folders = [below for below in place.iterdir() if below.name.lower() in _SERVED | _LIKELY]
        return any((below / "wp-settings.php").exists() for below in folders)
    except OSError:
        return False
