"""Whether a web server may hand out what lies in a folder.

Which folders a web server serves no program can know for certain, so a folder is judged by what
lies in it and in those above it. A folder that somebody named is refused where it surely belongs to
a web site. One that nobody named is refused where it only looks so: the home of www-data is
/var/www, and web sites lie below it.
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
"""Names that a web site's folders often have, and other folders too."""
_AROUND_SITES: Final = frozenset({Path("/var/www"), Path("/srv/www")})
"""Folders that web sites lie in, and are rarely handed out themselves."""


def why_served(folder: Path, roots: Sequence[Path] = (), *, is_found: bool = False) -> str | None:
    """Say why a web server may hand out what lies in a folder; None where nothing tells so.

    Args:
        folder: its real path; it need not be there.
        roots: real paths of folders that are known to be a web site's.
        is_found: nobody named this folder, so that less is enough to refuse it.
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
    """Whether a wp-config.php was put above the document root, where WordPress looks for it too.

    Below another name WordPress may have a folder of its own in the document root.
    """
    try:
        folders = [below for below in place.iterdir() if below.name.lower() in _SERVED | _LIKELY]
        return any((below / "wp-settings.php").exists() for below in folders)
    except OSError:
        return False
