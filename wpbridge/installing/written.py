"""Recognises what wpbridge has written for systemd, and what it has printed for cron.

A unit begins with a mark that names the site, and with a checksum of all that follows. A line of a
crontab has the mark on the line above it. :func:`found` looks in all places of a machine at once.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal

from wpbridge import __version__
from wpbridge.dataclass import dataclass
from wpbridge.site.resolve import Site

UNITS: Final = Path("/etc/systemd/system")
"""Where an administrator's own units lie."""
CRONTABS: Final = (
    Path("/etc/crontab"),
    Path("/etc/cron.d"),
    Path("/var/spool/cron/crontabs"),
    Path("/var/spool/cron"),
)
"""Crontabs, and folders of them, of all kinds of cron. Only root may look into the last two."""

Kind = Literal["systemd", "cron"]
_MARK: Final = re.compile(
    r"# Written by wpbridge (\S+) for (.+) \(wpbridge install (systemd|cron)\)\."
)
_SUM: Final = re.compile(r"# sha256 ([0-9a-f]{64}) of the lines below\.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One thing that wpbridge has written or printed."""

    kind: Kind
    label: str
    """The site, as log lines call it."""
    version: str
    """The version of the wpbridge that wrote it."""
    is_changed: bool = False
    """Whether somebody has changed a unit since."""
    line: str = ""
    """The line of a crontab, without the mark above it."""
    place: Path = Path()
    """The file in which it was found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """All that is on this machine."""

    units: Sequence[Written] = ()
    cron_lines: Sequence[Written] = ()
    unread: Sequence[Path] = ()
    """Places that exist and that this user may not look into."""


def label_of(site: Site) -> str:
    """Return what a mark calls a site: as log lines do, and in one line."""
    return " ".join(site.label.split())


def mark(label: str, kind: Kind) -> str:
    """Return the line by which something is known as ours."""
    return f"# Written by wpbridge {__version__} for {label} (wpbridge install {kind})."


def sealed(label: str, body: str) -> str:
    """Return a unit's whole text: the mark, a checksum, and its body."""
    return f"{mark(label, 'systemd')}\n# sha256 {_sum(body)} of the lines below.\n{body}"


def unit_of(text: str) -> Written | None:
    """Return what a unit's text says of itself. None if wpbridge has not written it."""
    first, _, rest = text.partition("\n")
    second, _, body = rest.partition("\n")
    marked, told = _MARK.fullmatch(first), _SUM.fullmatch(second)
    if marked is None or marked[3] != "systemd":
        return None
    return Written(
        kind="systemd",
        version=marked[1],
        label=marked[2],
        is_changed=told is None or told[1] != _sum(body),
    )


def cron_lines_of(text: str) -> list[Written]:
    """Return the lines of a crontab that wpbridge has printed, also those that were changed."""
    lines = text.splitlines()
    return [
        Written(kind="cron", version=marked[1], label=marked[2], line=after)
        for before, after in pairwise(lines)
        if (marked := _MARK.fullmatch(before.strip())) and marked[3] == "cron"
    ]


def found(units: Path = UNITS, crontabs: Sequence[Path] = CRONTABS) -> Found:
    """Look for everything on this machine, of all sites. Nothing is changed."""
    unread: list[Path] = []
    marked = [(file, unit_of(text)) for file, text in texts([units], unread, suffix=".service")]
    lines = [
        replace(one, place=file)
        for file, text in texts(crontabs, unread)
        for one in cron_lines_of(text)
    ]
    return Found(
        units=[replace(one, place=file) for file, one in marked if one],
        cron_lines=lines,
        unread=unread,
    )


def texts(
    places: Iterable[Path], unread: list[Path], *, suffix: str = ""
) -> Iterator[tuple[Path, str]]:
    """Yield the files of some places, each with its text. Links are left out.

    Args:
        places: files, and folders of files. Those that do not exist are left out.
        unread: gets the places and files that this user may not look into.
        suffix: the end of the names that count.
    """
    for place in places:
        try:
            inside = sorted(place.iterdir()) if place.is_dir() else [place]
            files = [file for file in inside if file.is_file() and not file.is_symlink()]
        except OSError:
            unread.append(place)
            continue
        for file in files:
            if file.name.endswith(suffix):
                try:
                    yield file, file.read_text("utf-8", "replace")
                except OSError:
                    unread.append(file)


def _sum(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()
