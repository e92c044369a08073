"""Where files with customers' data may lie: never where a web server may hand them out.

What nobody names a place for lies in the state folder, which is checked as well
(:mod:`wpbridge.system.served_folders`). :mod:`wpbridge.system.private_files` makes the files.
"""

import contextlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from wpbridge.dataclass import dataclass
from wpbridge.errors import ConfigError, InputError, SiteError
from wpbridge.migrate.journal import Journal, header_of, name_of
from wpbridge.site.config import Settings, home_of
from wpbridge.site.resolve import Site
from wpbridge.store.opened import OpenStore
from wpbridge.store.structure.tables import Connected
from wpbridge.system import private_files
from wpbridge.system.served_folders import why_served
from wpbridge.system.trusted_files import owner_name

VARIABLE: Final = "WPBRIDGE_STATE_DIR"
_OF_ROOT: Final = Path("/var/lib/wpbridge")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLocations:
    """Where the files of one site's commands lie."""

    site: Site
    store: OpenStore | Connected
    """The site's; its prefix is known for certain."""
    folders: tuple[Path, ...]
    """Folders that are known to be a web site's, by their real paths."""
    state_dir: Path | None
    """The state folder that the settings name."""
    env: Mapping[str, str]

    @classmethod
    def of(
        cls,
        settings: Settings,
        site: Site,
        store: OpenStore | Connected,
        env: Mapping[str, str] = os.environ,
    ) -> "FileLocations":
        """Return those of a site under these settings."""
        return cls(
            site=site,
            store=store,
            folders=_folders(site),
            state_dir=settings.state_dir,
            env=env,
        )

    @property
    def address(self) -> str:
        """The database's address without a password. It tells journals of two servers apart."""
        path = self.site.database.path
        return self.site.database.safe if path is None else os.path.realpath(path)

    def journal(self, told: str | None, kind: str) -> Path:
        """Return the journal that ``--journal`` names, or the site's own in the state folder.

        Where two servers have a database of the same name, the second site's gets a number.

        Raises:
            InputError: a web server may hand out what lies in the folder that was named.
            ConfigError: there is no safe state folder.
        """
        if told is not None:
            return self.named(told, "--journal")
        address = self.store.session.address
        database = re.sub(r"[^A-Za-z0-9_.-]", "_", Path(address.name or address.path or "").stem)
        name = f"wpbridge-{kind}-{database}-{self.store.names.prefix.rstrip('_')}"
        folder, number = self.state(), 1
        while True:
            file = folder / f"{name}{'' if number == 1 else f'-{number}'}.journal"
            there = header_of(file)
            if there is None or (
                there.get("site") == name_of(self.store)
                and there.get("address", self.address) == self.address
            ):
                return file
            number += 1

    def begun(self, file: Path, kind: str, asked: Mapping[str, Any] | None = None) -> Journal:
        """Open a journal of the site's, or begin one. Raises as :class:`Journal` does."""
        site = name_of(self.store)
        return Journal(file, kind=kind, site=site, asked=asked, address=self.address)

    def named(self, told: str, option: str) -> Path:
        """Return the full path of a file or folder that somebody named.

        Raises:
            InputError: a web server may hand out what lies there.
        """
        folder = Path(os.path.realpath(told if Path(told).is_dir() else Path(told).parent))
        self.check(folder, option, told)
        return folder if Path(told).is_dir() else folder / Path(told).name

    def check(self, folder: Path, option: str, told: str) -> None:
        """Raise InputError where a web server may hand out what lies in a folder, a real path."""
        why = why_served(folder, self.folders)
        if why:
            raise InputError(f"{option} {told}: {why}: name another folder")

    def old(self, told: str, option: str = "--undo") -> Path:
        """Return the path of a file that must be there.

        A bare name is looked for in the working folder, then in the state folder.

        Raises:
            InputError: it is in neither.
        """
        file = Path(told).absolute()
        if os.path.lexists(file):
            return file
        if Path(told).name != told:
            raise InputError(f"{option}: there is no file {file}")
        state = state_folder(self.state_dir, self.env)[0]
        if os.path.lexists(state / told):
            return state / told
        raise InputError(f"{option}: there is no file {file}, and no {state / told}")

    def state(self) -> Path:
        """Return the state folder's real path; it is made where it is missing.

        Raises:
            ConfigError: it cannot be made, is not this user's alone to write to, or a web server
                may hand out what lies in it.
        """
        folder, is_found = state_folder(self.state_dir, self.env)
        hint = f"name another folder with {VARIABLE}"
        real = Path(os.path.realpath(folder))
        if why := why_served(real, self.folders, is_found=is_found):
            raise ConfigError(f"the state folder {folder}: {why}; {hint}")
        try:
            _make(real)
        except OSError as error:
            home = self.env.get("HOME", "")
            whose = f" (HOME is {home})" if is_found and home and os.geteuid() else ""
            raise ConfigError(
                f"the state folder {folder} cannot be used: {error.strerror}{whose}; {hint}"
            ) from None
        return real


def _folders(site: Site) -> tuple[Path, ...]:
    """Return the folders of a site that web servers hand out, by their real paths."""
    content = None
    if site.config is not None:
        # What the configuration does not tell is no reason to stop.
        with contextlib.suppress(SiteError):
            content = site.config.content_dir
    found = (site.folder, content, site.mu_plugins)
    return tuple(Path(os.path.realpath(one)) for one in found if one is not None)


def state_folder(told: Path | None, env: Mapping[str, str]) -> tuple[Path, bool]:
    """Return the state folder, and whether it is one that nobody named."""
    if told is not None:
        return told, False
    if given := env.get("STATE_DIRECTORY"):
        # systemd's StateDirectory=; several are parted by colons.
        return Path(given.partition(":")[0]), False
    if os.geteuid() == 0:
        return _OF_ROOT, True
    if (xdg := Path(env.get("XDG_STATE_HOME") or "")).is_absolute():
        return xdg / "wpbridge", True
    home = home_of(env)
    if home is None:
        raise ConfigError(
            f"there is no state folder: this user has no home; name a folder with {VARIABLE}"
        )
    return home.absolute() / ".local/state/wpbridge", True


def _make(folder: Path) -> None:
    """Make a folder and those above it. OSError where it is not this user's alone to write to."""
    handle = private_files.walk(folder, makes=True)
    try:
        found = os.fstat(handle)
        if found.st_uid not in {0, os.geteuid()}:
            owner = owner_name(found.st_uid)
            raise PermissionError(0, f"it belongs to {owner}: run wpbridge as that user")
        if found.st_mode & private_files.OTHERS_MAY_WRITE:
            raise PermissionError(0, "others may write into it: chmod go-w it")
        if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
            raise PermissionError(0, "it may not be written to")
    finally:
        os.close(handle)
