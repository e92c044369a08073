"""Judges files and folders by who may change them, and reads those that may be obeyed.

Each folder and each link on the way to a file counts, since whoever may write to one of them can
put another file in its place. They are judged from the root down. If only root may write above a
place, nobody can change it after it was judged. Access control lists count only as far as the bits
of the group show them, which is how Linux shows those of POSIX.
"""

import errno
import grp
import os
import pwd
import shlex
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from wpbridge.errors import ConfigError, NotObeyed

LIFTS: Final = "WPBRIDGE_TRUST"
"""The variable that lifts the rules."""

_MOST_LINKS: Final = 40
"""How many links may be followed. The kernel has the same limit."""
_EVERYBODY: Final = stat.S_IWOTH
_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


def is_lifted(env: Mapping[str, str]) -> bool:
    """Tell whether the environment lifts the rules. ConfigError if the value is not a yes or no.

    The settings file cannot lift them, since they judge that file as well.
    """
    value = env.get(LIFTS, "").strip().lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"", "0", "false", "no", "off"}:
        return False
    raise ConfigError(f"{LIFTS} expects true or false, not {value!r}")


def may_obey(path: Path, what: str, *, is_searched: bool = False, uid: int | None = None) -> None:
    """Raise NotObeyed if this process must not obey a file, or what lies in a folder.

    Args:
        path: the file or folder. Links are followed, and are judged as well.
        what: what the file is, for the message.
        is_searched: whether it is a folder in which names are looked up. Then others must not be
            able to add a file to it, either.
        uid: another user, whose processes are judged instead of this one.
    """
    reader = os.geteuid() if uid is None else uid
    am_root = reader == 0
    end = path.resolve() if is_searched else None
    try:
        for place, status in components(path):
            if am_root and status.st_uid != 0:
                why = f"{owner_name(status.st_uid)} may change it"
                others = [one for one, its in components(path) if its.st_uid != 0]
                raise _refused(path, what, place, status, why, reader=reader, others=others)
            who = _who_writes(place, status, is_end=place == end)
            if who and (am_root or who == "everybody"):
                raise _refused(path, what, place, status, f"{who} may write it", reader=reader)
    except OSError as error:
        raise NotObeyed(f"{what} {path} cannot be looked at: {error.strerror}") from error


def read(file: Path, what: str, *, welcome: frozenset[int] | None = None) -> bytes:
    """Return the content of a file that this process may obey. It is opened once, then judged.

    Args:
        file: the file.
        what: what the file is, for messages.
        welcome: None for a file that somebody has named. For a file that wpbridge has found by
            itself, the users whose files may be obeyed, besides root and this user.

    Raises:
        NotObeyed: this process must not obey the file.
        OSError: the file cannot be read.
    """
    # Somebody may have put a pipe there, so the call must not wait.
    number = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(number, "rb") as stream:  # noqa: PTH123 - a descriptor
        status = os.fstat(number)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no plain file")
        may_obey(file, what)
        if os.geteuid() == 0:
            # The path was judged from the root down, so only root can have changed its target.
            if not os.path.samestat(status, file.stat()):
                raise OSError(errno.EAGAIN, "it was replaced in this moment")
        elif _who_writes(number, status) == "everybody":
            why = "everybody may write it"
            raise _refused(file, what, file, status, why, reader=os.geteuid())
        elif welcome is not None:
            _refuse_strangers(file, what, (status, file.lstat()), welcome)
        return stream.read()


def decider(path: Path, *, trusted: bool = False) -> "Decider":
    """Find the user who decides what a path leads to: the first owner on the way who is not root.

    That user can exchange everything below the place, so the files below it are theirs, whoever
    owns them. Nothing is opened.

    Args:
        path: the file or folder.
        trusted: whether others may write above it even where root asks.

    Raises:
        NotObeyed: root asks, and others may write to a place of root on the way, so that there is
            no such user.
        OSError: the path cannot be looked at.
    """
    judged = os.geteuid() == 0 and not trusted
    decided: tuple[Path, int] | None = None
    leads_out = False
    for place, status in components(path):
        if decided is not None:
            leads_out = leads_out or not place.is_relative_to(decided[0])
            continue
        if status.st_uid != 0:
            decided = (place, status.st_uid)
            continue
        if judged and (who := _who_writes(place, status)):
            why = f"{who} may write it"
            raise _refused(path, "the site", place, status, why, reader=os.geteuid())
    return Decider(0 if decided is None else decided[1], leads_out)


class Decider(NamedTuple):
    """Who decides what a path leads to."""

    uid: int
    leads_out: bool
    """Whether a link of this user leads to a place outside of what is theirs."""


def components(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield each folder and link on the way to a path, from the root down, and then its end.

    The target of a link is followed from the root down as well. Raises what lstat(2) raises.
    """
    place, rest, links = Path("/"), [*reversed(path.absolute().parts[1:])], 0
    yield place, place.lstat()
    while rest:
        part = rest.pop()
        if part == "..":
            # The path so far contains no link, so ".." is the folder above it.
            place = place.parent
            continue
        inside = place / part
        status = inside.lstat()
        yield inside, status
        if stat.S_ISLNK(status.st_mode):
            links += 1
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            target = inside.readlink()
            rest += reversed(target.parts)
            place = Path(rest.pop()) if target.is_absolute() else place
        elif stat.S_ISDIR(status.st_mode):
            place = inside
        else:
            # The rest of the path lies inside this file, as in an archive of modules.
            return


def _who_writes(place: Path | int, status: os.stat_result, *, is_end: bool = False) -> str:
    """Return who besides the owner may write to a place, by its mode. Empty for nobody."""
    mode = status.st_mode
    if stat.S_ISLNK(mode) or not mode & _OTHERS or _is_read_only(place):
        return ""
    if stat.S_ISDIR(mode) and mode & stat.S_ISVTX and not is_end:
        # In a sticky folder such as /tmp nobody can replace the files of others.
        return ""
    return "everybody" if mode & _EVERYBODY else f"the group {_group(status)}"


def _is_read_only(place: Path | int) -> bool:
    """Tell whether a place is mounted read-only, as Kubernetes mounts a ConfigMap."""
    return bool(os.statvfs(place).f_flag & os.ST_RDONLY)


def _refuse_strangers(
    file: Path, what: str, statuses: tuple[os.stat_result, ...], welcome: frozenset[int]
) -> None:
    for status in statuses:
        if status.st_uid not in {0, os.geteuid(), *welcome}:
            raise NotObeyed(
                f"{what} {file} was found here, but belongs to {owner_name(status.st_uid)}, who is"
                " neither you nor root nor the owner of the WordPress folder: name it with --config"
                f" if it is yours to obey, or set {LIFTS}=1"
            )


def _refused(
    path: Path,
    what: str,
    place: Path,
    status: os.stat_result,
    why: str,
    *,
    reader: int,
    others: Iterable[Path] = (),
) -> NotObeyed:
    """Return the refusal. ``others`` are all places on the way that root does not own."""
    am_root, owner = reader == 0, owner_name(status.st_uid)
    you = "you" if reader == os.geteuid() else owner_name(reader)
    it = "it" if place == path.absolute() else place
    not_root = status.st_uid != 0
    if am_root and not_root:
        cure = f"`chown -h root {shlex.join(map(str, others or (place,)))}`"
    elif stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX:
        # The mode of a sticky folder such as /tmp is right and must stay.
        cure = "use a folder of your own"
    else:
        cure = f"`chmod go-w {place}`"
    other = f"run wpbridge as {owner}, " if am_root and not_root else ""
    return NotObeyed(
        f"{what} {path} is not obeyed by {'root' if am_root else you}: {it} belongs to {owner}"
        f" and has mode {stat.S_IMODE(status.st_mode):04o}, so {why}; {other}{cure}, or set"
        f" {LIFTS}=1 to obey it all the same"
    )


def owner_name(uid: int) -> str:
    """Return a user's name for messages, or the number of a user without a name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"the user {uid}"


def _group(status: os.stat_result) -> str:
    try:
        return grp.getgrgid(status.st_gid).gr_name
    except KeyError:
        return str(status.st_gid)
