"""Finds what has this machine start wpbridge: units of systemd, and lines of crontabs.

They are recognised by what stands in them, whoever has written them. Those that `wpbridge install`
has made say which site they are for, and those of other sites are left out. Nothing is changed: a
file of the system is its administrator's.
"""

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from wpbridge.errors import WpCliError
from wpbridge.installing import written
from wpbridge.system import programs

_STARTS: Final = re.compile(r"^\s*ExecStart\s*=.*\bwpbridge\b", re.MULTILINE)
_LINE: Final = re.compile(r"^(?!\s*#).*\bwpbridge\b.*\b(?:claim-and-run|clean|doctor|watch|work)\b")
_OF_USERS: Final = frozenset({"crontabs", "cron"})
"""Names of folders in which each user has a crontab."""


def units(label: str, folder: Path | None = None) -> Iterator[tuple[str, str]]:
    """Yield each unit that starts wpbridge, and the commands that remove it.

    Args:
        label: what log lines call the site.
        folder: of the units; None for the system's.
    """
    for file, text in written.texts([folder or written.UNITS], [], suffix=".service"):
        mark = written.unit_of(text)
        if _STARTS.search(text) and (mark is None or mark.label == label):
            name = shlex.quote(file.name.replace("@.", "@NAME."))
            rm = f"rm {shlex.quote(str(file))}"
            yield f"the unit {file}", f"systemctl disable --now {name}; {rm}"


def cron_lines(label: str, places: Sequence[Path] | None = None) -> Iterator[tuple[str, str]]:
    """Yield each line of a crontab that starts wpbridge, and how it is removed.

    Only root may look into the crontabs of all users. Others are shown the lines of their own.

    Args:
        label: what log lines call the site.
        places: crontabs and folders of them; None for the system's, and for this user's own.
    """
    for file, text in written.texts(written.CRONTABS if places is None else places, []):
        edit = f"crontab -u {file.name} -e" if file.parent.name in _OF_USERS else f"edit {file}"
        yield from _starting(text, label, f"the crontab {file}", edit)
    if places is None and os.geteuid() != 0:
        yield from _starting(_own_crontab(), label, "your own crontab", "crontab -e")


def _starting(text: str, label: str, crontab: str, edit: str) -> Iterator[tuple[str, str]]:
    others = {one.line for one in written.cron_lines_of(text) if one.label != label}
    for number, line in enumerate(text.splitlines(), 1):
        if _LINE.match(line) and line not in others:
            yield f"line {number} of {crontab}", f"{edit}: {line.strip()}"


def _own_crontab() -> str:
    """Return this user's crontab: its file lies in a folder that only cron may look into."""
    try:
        return programs.run(["crontab", "-l"], env=os.environ).decode("utf-8", "replace")
    except WpCliError:
        # There is no cron here, or the user has no crontab.
        return ""
