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

from wpbridge.errors import ConfigError
from wpbridge.installing.started_site import StartedSite
from wpbridge.site.config import NOTHING_NAMED, Settings
from wpbridge.site.resolve import Site
from wpbridge.system.trusted_files import components, may_obey


def refuse_what_runs_nothing(settings: Settings) -> None:
    """Raise ConfigError if the settings name nothing to run: what is started would end at once."""
    if not (settings.handlers or settings.webhooks or settings.php):
        raise ConfigError(f"nothing would run here: {NOTHING_NAMED}")


def refuse_what_is_not_obeyed(site: StartedSite, settings: Settings) -> None:
    """Raise NotObeyed if the user's wpbridge would refuse the settings file or the handlers.

    The same holds for the folder in which it is started: everybody who may write there could put a
    settings file or a module into it.
    """
    may_obey(site.folder, "the folder to start in", is_searched=True, uid=site.user.pw_uid)
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


def full_home(site: StartedSite) -> list[str]:
    """Return a sentence if ``wpbridge.pyz`` cannot unpack itself in the user's home."""
    if not site.is_single_file or site.cache:
        return []
    cache = Path(site.user.pw_dir) / ".cache" / "wpbridge"
    there = next(place for place in (cache, *cache.parents) if place.is_dir())
    why = _closed(there, site.user, writes=True)
    cure = (
        f"make a folder that belongs to {site.user.pw_name}, and write XDG_CACHE_HOME=FOLDER before"
        f" {site.program[0]} in the line"
    )
    if why:
        return [f"wpbridge.pyz unpacks itself into {cache}, and {why}: {cure}"]
    return []


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


def _closed(place: Path, user: pwd.struct_passwd, *, writes: bool = False) -> str:
    """Say at which place a user's way to a file ends. Empty if it does not.

    With ``writes`` the place is a folder, and the user has to make files in it.
    """
    end = place.resolve() if writes else None
    groups = os.getgrouplist(user.pw_name, user.pw_gid)
    try:
        for part, status in components(place):
            if stat.S_ISLNK(status.st_mode):
                continue
            deed, need = ("enter", 1) if stat.S_ISDIR(status.st_mode) else ("read", 4)
            if part == end:
                deed, need = "write into", 3
            if not _may(user, groups, status, need):
                mode = stat.S_IMODE(status.st_mode)
                return f"{user.pw_name} may not {deed} {part}, whose mode is {mode:04o}"
    except OSError as error:
        return f"{place} cannot be looked at: {error.strerror}"
    return ""


def _may(user: pwd.struct_passwd, groups: list[int], status: os.stat_result, need: int) -> bool:
    """Tell whether a mode gives a user the rights: 4 to read, 2 to write, 1 to enter, added up."""
    if status.st_uid == user.pw_uid:
        need <<= 6
    elif status.st_gid in groups:
        need <<= 3
    return status.st_mode & need == need
