"""As whom a site's processes run, with which environment, and within which bounds.

A daemon of root never acts as root for a site. A daemon of anybody else runs everything as itself.
"""

import os
import pwd
import resource
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from wpbridge.dataclass import dataclass
from wpbridge.errors import ConfigError
from wpbridge.site.site_list import SiteEntry

_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PASSED_ON: Final = ("LANG", "LANGUAGE", "TZ")
"""Variables that a site's process gets from a daemon of root, and those that begin with LC_."""
_OOM_SCORE: Final = "500"
"""When memory runs out, the kernel ends a site's process before the daemon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemUser:
    """A user of the system, with all that a process of this user is given."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    name: str
    home: str


def user_of(entry: SiteEntry) -> SystemUser:
    """Return the user as whom the processes of a site run.

    Raises:
        ConfigError: no process may run for this site. The message says what to do.
    """
    me = os.geteuid()
    if entry.user is not None:
        found = _named(entry.user)
    elif me != 0:
        found = _numbered(me)
    elif entry.owner is None:
        raise ConfigError(
            "root runs nothing of a site: name the user as whom its processes run with `user`"
        )
    elif entry.owner == 0:
        raise ConfigError(
            f"it belongs to root, and root runs nothing of a site: give {entry.path} to a user of"
            " its own, or name one with `user`"
        )
    else:
        found = _numbered(entry.owner)
    if me not in (0, found.uid):
        raise ConfigError(
            f"only root can run it as {found.name}: start the daemon as root, or leave `user` out"
        )
    if me == 0 and found.uid == 0:
        raise ConfigError("root runs nothing of a site: name another `user`")
    return found


def environment(user: SystemUser, env: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment of a process for a site.

    A daemon of root passes on nothing but the language and the time zone. Others pass on theirs.
    """
    if os.geteuid() != 0:
        return dict(env)
    kept = {name: env[name] for name in env if name in _PASSED_ON or name.startswith("LC_")}
    runtime = Path(f"/run/user/{user.uid}")
    with suppress(OSError):
        if runtime.lstat().st_uid == user.uid:
            kept["XDG_RUNTIME_DIR"] = str(runtime)
    return {
        **kept,
        "PATH": _PATH,
        "HOME": user.home,
        "USER": user.name,
        "LOGNAME": user.name,
        "SHELL": "/bin/sh",
    }


def allow_descriptors() -> None:
    """Raise this process's own limit of open descriptors as far as it may: each site needs some."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def limit(most_bytes: int) -> None:
    """Bound this process and all that it starts: no core files, and so much memory for each.

    ``most_bytes`` is of a process's own memory, and 0 is no bound. When the system's memory runs
    out, the kernel ends these processes before the daemon.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE, encoding="ascii")
    if most_bytes:
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        bound = most_bytes if most == resource.RLIM_INFINITY else min(most_bytes, most)
        resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))


def _named(name: str) -> SystemUser:
    try:
        return _of(pwd.getpwnam(name))
    except KeyError:
        raise ConfigError(f"this system has no user {name}") from None


def _numbered(uid: int) -> SystemUser:
    try:
        return _of(pwd.getpwuid(uid))
    except KeyError:
        if uid == os.geteuid():
            # A container may run as a number without a name.
            home = os.environ.get("HOME", "/")
            return SystemUser(uid=uid, gid=os.getegid(), groups=(), name=str(uid), home=home)
        raise ConfigError(
            f"it belongs to the user {uid}, who has no name on this system: name one with `user`"
        ) from None


def _of(entry: pwd.struct_passwd) -> SystemUser:
    is_me = entry.pw_uid == os.geteuid()
    groups = os.getgroups() if is_me else os.getgrouplist(entry.pw_name, entry.pw_gid)
    return SystemUser(
        uid=entry.pw_uid,
        gid=entry.pw_gid,
        groups=tuple(groups),
        name=entry.pw_name,
        home=entry.pw_dir,
    )
