"""Finds what has this machine start wpbridge: units of systemd, and lines of crontabs.

They are recognised by what stands in them, whoever has written them. Nothing is changed: a file of
the system is its administrator's.
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

UNITS: Final = (Path("/etc/systemd/system"), Path("/run/systemd/system"))
"""Folders of units that an administrator has written."""
CRONTABS: Final = (
    Path("/etc/crontab"),
    Path("/etc/cron.d"),
    Path("/var/spool/cron/crontabs"),
    Path("/var/spool/cron"),
)
"""Crontabs, and folders of them, of all kinds of cron. Only root may look into the last two."""
_STARTS: Final = re.compile(r"^\s*ExecStart\s*=.*\bwpbridge\b", re.MULTILINE)
_LINE: Final = re.compile(r"^(?!\s*#).*\bwpbridge\b.*\b(?:claim-and-run|clean|doctor|watch|work)\b")


def units(folders: Sequence[Path] = UNITS) -> Iterator[tuple[str, str]]:
    """Yield each unit that starts wpbridge, and the commands that remove it."""
    for file in _files(folders):
        if file.suffix == ".service" and _STARTS.search(_text(file)):
            name = shlex.quote(file.name.replace("@.", "@NAME."))
            rm = f"rm {shlex.quote(str(file))}"
            yield f"the unit {file}", f"systemctl disable --now {name}; {rm}"


def cron_lines(places: Sequence[Path] = CRONTABS) -> Iterator[tuple[str, str]]:
    """Yield each line of a crontab that starts wpbridge, and how it is removed."""
    for file in _files(places):
        for number, line in enumerate(_text(file).splitlines(), 1):
            if _LINE.match(line):
                is_users = file.parent.name in {"crontabs", "cron"}
                edit = f"crontab -u {file.name} -e" if is_users else f"edit {file}"
                yield f"line {number} of the crontab {file}", f"{edit}: {line.strip()}"


def _files(places: Sequence[Path]) -> Iterator[Path]:
    for place in places:
        try:
            inside = sorted(place.iterdir()) if place.is_dir() else [place]
            yield from (file for file in inside if file.is_file() and not file.is_symlink())
        except OSError:
            # Only root may look there; whoever is not root has written nothing there.
            continue


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace")
    except OSError:
        return ""
