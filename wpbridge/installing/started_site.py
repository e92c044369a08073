"""What a unit or a crontab starts for a site: as which user, where, and with which words."""

import os
import pwd
import re
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from wpbridge.dataclass import dataclass
from wpbridge.errors import ConfigError, InputError
from wpbridge.installing import written
from wpbridge.site.config import Settings
from wpbridge.site.resolve import Site
from wpbridge.system import own_program
from wpbridge.system.trusted_files import owner_name

_SECRET_FLAGS: Final = ("dsn",)
"""Everybody on the machine may read a unit, and what is running."""
_REPEATED: Final = (
    *("path", "table_prefix", "blog_id", "url", "ask_php"),
    *("handlers", "wp", "user", "skip_plugins"),
)
"""Flags whose values are repeated in what is started."""
_SWITCHES: Final = ("php", "owns_site")
_NOT_NAMES: Final = frozenset(
    {
        *("/", "html", "public_html", "htdocs", "httpdocs", "www", "public", "web", "current"),
        *("wordpress", "var", "srv", "home", "root", "opt", "usr", "tmp"),
    }
)
"""Names of folders that many sites have alike."""
_MOST_CHARACTERS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedSite:
    """One site that the machine is to start wpbridge for."""

    name: str
    """A short name: letters, digits, dots, dashes and underscores."""
    label: str
    """What log lines call the site, in one line."""
    user: pwd.struct_passwd
    """Who runs it. Never root."""
    why_user: str
    folder: Path
    """Where it is started. Handlers are looked for there."""
    why_folder: str
    program: tuple[str, ...]
    """The words that start wpbridge, from any folder."""
    options: tuple[str, ...]
    """The site options, as they were given here, with absolute paths."""
    is_single_file: bool
    """Whether the program is a ``wpbridge.pyz``, which has to unpack itself."""
    cache: str | None
    """Where wpbridge.pyz unpacks itself, if XDG_CACHE_HOME says so here."""
    path: str | None
    """PATH for programs that the settings name and that the usual folders have not."""
    left_out: tuple[str, ...]
    """Variables of this environment that count here, and that will not be there."""

    def trial(self, command: str, *options: str, is_bare: bool = False) -> str:
        """Return a command with which root tries another one of wpbridge as the site's user.

        Args:
            command: the command of wpbridge.
            options: its own options. The site options follow them.
            is_bare: whether the environment is as empty as cron's.
        """
        path = self.path or "/usr/bin:/bin"
        variables = [f"HOME={self.user.pw_dir}", f"PATH={path}"]
        variables += [f"XDG_CACHE_HOME={self.cache}"] if self.cache else []
        bare = ("env", "-i", *variables) if is_bare else ()
        words = (
            *("runuser", "-u", self.user.pw_name, "--", *bare),
            *(*self.program, command, *options, *self.options),
        )
        return f"cd {shlex.quote(str(self.folder))} && {shlex.join(words)}"


def started_site(
    settings: Settings,
    site: Site,
    env: Mapping[str, str],
    *,
    name: str | None = None,
    run_as: str | None = None,
) -> StartedSite:
    """Say what has to be started for a site.

    Args:
        settings: those of the command line here, with their sources.
        site: the site that they mean.
        env: the environment here.
        name: a short name; None makes one of the site's name or folder.
        run_as: the user; None takes the owner of wp-config.php.

    Raises:
        ConfigError: no user is known, or it is root, or a flag holds a secret.
        InputError: the name or the user cannot be used.
    """
    user, why_user = _user(site, run_as)
    folder, why_folder = _folder(settings)
    path = _path(settings, env) if settings.php or settings.wp else None
    return StartedSite(
        name=_name(name, settings, site, folder),
        label=written.label_of(site),
        user=user,
        why_user=why_user,
        folder=folder,
        why_folder=why_folder,
        program=own_program.command_for_others(),
        options=_options(settings),
        is_single_file=own_program.is_single_file(),
        cache=env.get("XDG_CACHE_HOME") if own_program.is_single_file() else None,
        path=path,
        left_out=tuple(
            dict.fromkeys(
                source.removeprefix("env ")
                for source in settings.sources.values()
                if source.startswith("env WPBRIDGE_")
            )
        ),
    )


def one_line(text: str) -> str:
    """Return a text that may stand in a unit or a crontab.

    Raises:
        ConfigError: it has a line break or another control character in it.
    """
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise ConfigError(f"{text!r} has a line break or another control character in it")
    return text


def _user(site: Site, run_as: str | None) -> tuple[pwd.struct_passwd, str]:
    if run_as is not None:
        try:
            user, why = pwd.getpwnam(run_as), "named with --run-as"
        except KeyError:
            raise InputError(f"--run-as: there is no user {run_as}") from None
    elif site.path is None:
        raise ConfigError("no wp-config.php says whose site this is: name the user with --run-as")
    else:
        owner = site.path.stat().st_uid
        why = f"the owner of {site.path}"
        if owner == 0:
            raise ConfigError(
                f"{site.path} belongs to root, and nothing is started as root: name the user with"
                " --run-as, usually that of the web server (www-data)"
            )
        try:
            user = pwd.getpwuid(owner)
        except KeyError:
            raise ConfigError(
                f"{site.path} belongs to {owner_name(owner)}, who has no name here: name a user"
                " with --run-as"
            ) from None
    if user.pw_uid == 0:
        raise InputError(f"--run-as {run_as}: nothing is started as root, and nothing needs it")
    return user, why


def _folder(settings: Settings) -> tuple[Path, str]:
    here = Path.cwd()
    if settings.file is None or settings.sources.get("handlers") == "flag":
        return here, "the folder in which this command was started"
    return settings.file.path.parent, f"the folder of {settings.file.path.name}"


def _options(settings: Settings) -> tuple[str, ...]:
    flags = {name for name, source in settings.sources.items() if source == "flag"}
    if secret := sorted(flags & set(_SECRET_FLAGS)):
        raise ConfigError(
            f"--{secret[0]} may hold a password, and others could read it: write it into"
            " wpbridge.toml instead, and let nobody but the site's user read that file"
        )
    words = [] if settings.file is None else ["--config", str(settings.file.path)]
    for name in _REPEATED:
        if name in flags:
            value = getattr(settings, name)
            told = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            if name == "wp":
                told = shlex.join(value)
            option = f"--{name.replace('_', '-')}"
            words += [f"{option}={told}"] if name == "ask_php" else [option, told]
    for name in _SWITCHES:
        if name in flags:
            on = getattr(settings, name)
            words.append(f"--{'' if on else 'no-'}{name.replace('_', '-')}")
    return tuple(words)


def _path(settings: Settings, env: Mapping[str, str]) -> str | None:
    """Return a PATH with which PHP and WP-CLI are found; None where the usual one does."""
    usual = ("/usr/bin", "/bin")
    names = settings.wp[:1] or ("wp", "php")
    found = [shutil.which(name, path=env.get("PATH")) for name in names]
    folders = dict.fromkeys(str(Path(place).parent) for place in found if place)
    more = [folder for folder in folders if folder not in usual]
    return os.pathsep.join([*more, *usual]) if more else None


def _name(name: str | None, settings: Settings, site: Site, folder: Path) -> str:
    if name is not None:
        if not re.fullmatch(rf"[A-Za-z0-9][A-Za-z0-9_.-]{{0,{_MOST_CHARACTERS}}}", name):
            raise InputError(
                f"--name {name!r}: it may have letters, digits, dots, dashes and underscores"
            )
        return name
    places = [folder] if settings.file or not site.folder else [site.folder, folder]
    named = [part for place in places for part in reversed(place.parts) if part not in _NOT_NAMES]
    told = settings.site_name or next(iter(named), "site")
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", told).strip("-._")[:_MOST_CHARACTERS]
    return plain or "site"
