"""Says beforehand what would keep a site's user from running wpbridge, as far as files show it.

The rule whose files are obeyed is the one of :mod:`wpbridge.system.trusted_files`. Rights to read
are judged by modes, so access control lists count only as far as the bits of the group show them.
"""

import os
import pwd
import stat
import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path

from wpbridge.installing.started_site import StartedSite
from wpbridge.site.config import Settings
from wpbridge.site.resolve import Site
from wpbridge.system.trusted_files import components, may_obey


def refuse_what_is_not_obeyed(site: StartedSite, settings: Settings) -> None:
    """Raise NotObeyed if the user's wpbridge would refuse the settings file or the handlers."""
    if settings.file is not None:
        may_obey(settings.file.path, "the settings file", uid=site.user.pw_uid)
    for file in _handlers(site, settings):
        is_searched = file.is_dir()
        may_obey(file, "the handlers' module", is_searched=is_searched, uid=site.user.pw_uid)


def unreadable(site: StartedSite, settings: Settings, wordpress: Site) -> list[str]:
    """Return what the user may not read or start, a sentence each."""
    # pip's script names this Python in its first line.
    wanted = [Path(sys.executable), *(Path(word) for word in site.program if word[0] == "/")]
    wanted += [site.folder, *_handlers(site, settings)]
    wanted += [settings.file.path] if settings.file else []
    wanted += [wordpress.path] if wordpress.path else []
    told = dict.fromkeys(_closed(place, site.user) for place in wanted)
    return [one for one in told if one]


def missing_handlers(site: StartedSite, settings: Settings) -> list[str]:
    """Return the modules of handlers that are not in the folder where they are looked for."""
    folder = _handlers_folder(site, settings)
    return [
        name
        for name in settings.handlers
        if PathFinder.find_spec(name.partition(".")[0], [str(folder)]) is None
    ]


def _handlers(site: StartedSite, settings: Settings) -> Iterator[Path]:
    """Yield the folder of the handlers and the files of their modules. Nothing is imported."""
    folder = _handlers_folder(site, settings)
    for name in settings.handlers:
        spec = PathFinder.find_spec(name.partition(".")[0], [str(folder)])
        if spec is None:
            continue
        yield folder
        yield from map(Path, spec.submodule_search_locations or ())
        if spec.has_location and spec.origin:
            yield Path(spec.origin)


def _handlers_folder(site: StartedSite, settings: Settings) -> Path:
    return Path(settings.handlers_folder or site.folder)


def _closed(place: Path, user: pwd.struct_passwd) -> str:
    """Say at which place a user's way to a file ends. Empty if it does not."""
    groups = os.getgrouplist(user.pw_name, user.pw_gid)
    try:
        for part, status in components(place):
            if stat.S_ISLNK(status.st_mode):
                continue
            need = 1 if stat.S_ISDIR(status.st_mode) else 4
            if status.st_uid == user.pw_uid:
                need <<= 6
            elif status.st_gid in groups:
                need <<= 3
            if not status.st_mode & need:
                deed = "enter" if stat.S_ISDIR(status.st_mode) else "read"
                mode = stat.S_IMODE(status.st_mode)
                return f"{user.pw_name} may not {deed} {part}, whose mode is {mode:04o}"
    except OSError as error:
        return f"{place} cannot be looked at: {error.strerror}"
    return ""
