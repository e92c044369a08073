"""Check the way of wakes: whether PHP sends them, and whether they can reach the daemons.

Whether the site has a signing secret is the check ``signing-secret``.
"""

import os
import pwd
import re
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from wpbridge.doctor.defined import defined
from wpbridge.doctor.examination import Check
from wpbridge.doctor.examined_site import ExaminedSite
from wpbridge.doctor.findings import Finding, note, ok, some, warning
from wpbridge.plugin import companion
from wpbridge.site.wake_kinds import split
from wpbridge.store.running.wake_addresses import wake_addresses
from wpbridge.system.datagrams import is_heard, resolved

_UNIX: Final = "unix:"
_SENT_TO: Final = re.compile(
    r"unix:/.*|udp:(?:\d+\.\d+\.\d+\.\d+|\[[0-9a-f:.]+\]):\d{1,5}", re.IGNORECASE
)
"""The addresses that the companion plugin sends to, by the same rule in its PHP."""
_CONSTANT: Final = "WPBRIDGE_WAKE"
_PLAIN: Final = ("true", "false", "null")
_EFFECT: Final = "what PHP enqueues waits until the daemon looks by itself"


def wakes(examined: ExaminedSite) -> list[Finding]:
    """Does what PHP enqueues start at once?"""
    told = wake_addresses(examined.store.tables)
    found = [*_announce(examined)]
    if told:
        found += [*_companion(examined), *_elsewhere(examined)]
    here = socket.gethostname()
    near = {address for one in told if one.host == here for address in one.addresses}
    for address in sorted(near):
        if address.startswith(_UNIX):
            found += _socket(examined, Path(address.removeprefix(_UNIX)))
    if found or not told:
        return found or [ok("no daemon of this site hears wakes now")]
    return [ok(f"daemons hear wakes at {some(sorted({a for one in told for a in one.addresses}))}")]


def _announce(examined: ExaminedSite) -> Iterator[Finding]:
    announce = examined.settings.wake_announce
    if announce is None:
        return
    try:
        resolved(split(announce)[0])
    except OSError as error:
        yield warning(
            f"announce below [wake] is {announce}, which has no address: {error.strerror}",
            f"a daemon that starts now tells PHP nothing; {_EFFECT}",
            fix="wpbridge config show",
        )


def _companion(examined: ExaminedSite) -> Iterator[Finding]:
    folder = examined.site.mu_plugins
    if folder is None or companion.sends_wakes(folder):
        return
    yield note(
        "the companion plugin is not there, or too old to send wakes",
        _EFFECT,
        fix=companion.command_for(examined.settings, examined.site.folder),
    )


def _elsewhere(examined: ExaminedSite) -> Iterator[Finding]:
    """Look at the constant that takes the place of what the daemons tell."""
    told = defined(examined).get(_CONSTANT)
    if told is None or not (told.kind in {"string", "number"} or told.word in _PLAIN):
        return
    names = told.text.split() if told.kind == "string" else []
    if not names:
        yield note(f"{_CONSTANT} in wp-config.php switches wakes off", _EFFECT)
    elif wrong := [name for name in names if not _SENT_TO.fullmatch(name)]:
        yield warning(
            f"{_CONSTANT} in wp-config.php names {some(wrong)}, to which PHP cannot send",
            f"{_EFFECT}: name unix:/PATH, or udp:HOST:PORT with a numeric address",
        )


def _socket(examined: ExaminedSite, path: Path) -> Iterator[Finding]:
    try:
        status = path.lstat()
        is_there = stat.S_ISSOCK(status.st_mode)
        if is_there and not is_heard(path):
            yield warning(
                f"nobody listens on {path}: a daemon that was killed has left it",
                _EFFECT,
                fix="wpbridge probe live",
            )
            return
    except FileNotFoundError:
        is_there = False
    except OSError:
        # This user may not look at it. What PHP's user may is judged by the modes.
        is_there = True
    if not is_there:
        yield warning(
            f"a daemon says that it hears wakes on {path}, but no socket is there",
            f"{_EFFECT}; restart the daemon, and do not clean that folder while it runs",
        )
        return
    who = _php_user(examined)
    if who is not None and (what := _closed(path, who)):
        yield warning(
            f"PHP runs as {who.pw_name}, it seems (the owner of wp-content), who may not {what}",
            f"{_EFFECT}: open it, or set mode and group below [wake]",
        )


def _php_user(examined: ExaminedSite) -> pwd.struct_passwd | None:
    """Return the user that PHP seems to run as: the owner of what WordPress writes into."""
    folder = examined.site.mu_plugins
    try:
        return None if folder is None else pwd.getpwuid(folder.parent.stat().st_uid)
    except (OSError, KeyError):
        return None


def _closed(path: Path, who: pwd.struct_passwd) -> str:
    """Return what a user may not do on the way to a socket; empty if all is open."""
    if who.pw_uid == 0:
        return ""
    groups = set(os.getgrouplist(who.pw_name, who.pw_gid))

    def may(place: Path, bit: int) -> bool:
        status = place.stat()
        if status.st_uid == who.pw_uid:
            return bool(status.st_mode & bit << 6)
        return bool(status.st_mode & (bit << 3 if status.st_gid in groups else bit))

    try:
        for folder in reversed(path.parents):
            if not may(folder, stat.S_IXOTH):
                return f"enter {folder}"
        return "" if may(path, stat.S_IWOTH) else f"write to {path}"
    except OSError:
        return ""


CHECKS: Final = (Check(name="wakes", look=wakes),)
