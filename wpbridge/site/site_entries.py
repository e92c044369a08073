"""What a list of many sites says of each: where its queue is, whose it is, and its settings.

:mod:`wpbridge.site.site_list` reads such a list.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Final, NamedTuple

from wpbridge.dataclass import dataclass
from wpbridge.errors import ConfigError, NotObeyed
from wpbridge.site.config import Settings, combine
from wpbridge.site.database import DatabaseAddress
from wpbridge.site.resolve import Site
from wpbridge.site.settings_file import SettingsFile, found_file, named_file
from wpbridge.system.trusted_files import LIFTS, is_lifted, owner_name

_OF_ONE_SITE: Final = (
    "PATH",
    "DSN",
    "URL",
    "BLOG_ID",
    "TABLE_PREFIX",
    "SITE_NAME",
    "CONFIG",
    "HANDLERS",
    "PHP",
)
"""Variables of the environment that mean one site, so they count for none of a list."""
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]|\.(?!\.)){0,62}")
_BLOG_NAME: Final = re.compile(r"(.+)\.([1-9][0-9]{0,14})")


def is_site_name(name: object) -> bool:
    """Tell whether a site may be called so: a name fits into addresses, labels and file names."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


class BlogName(NamedTuple):
    """The name of a site that is a blog of a network: ``NETWORK.NUMBER``."""

    network: str
    blog_id: int

    def __str__(self) -> str:
        return f"{self.network}.{self.blog_id}"

    @classmethod
    def of(cls, name: str) -> "BlogName | None":
        """Read a name; None for one of another form. Each blog has one spelling."""
        found = _BLOG_NAME.fullmatch(name)
        return None if found is None else cls(found[1], int(found[2]))


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteEntry:
    """One site as its list says it: a queue, or the queues of a whole network."""

    name: str
    """Unique in the list. It has letters, digits, dots and hyphens, and fits into addresses."""
    place: str
    """Where the list says it, for messages."""
    folder: Path
    """The folder of the list's file: handlers are searched there first."""
    path: Path | None = None
    """Absolute: a WordPress folder, or its configuration file. None if only a DSN is given."""
    dsn: str | None = field(default=None, repr=False)
    table_prefix: str | None = None
    url: str | None = None
    blog_id: int | None = None
    """None: the site of ``url``, or the main site."""
    network: bool | None = None
    """Whether each blog of the network is a site. None: as :meth:`is_network` says."""
    user: str | None = None
    """The user of the system as whom this site's processes run. None: :attr:`owner`."""
    owner: int | None = None
    """The number of the user who decides what lies at ``path``. None if only a DSN is given."""
    config: Path | None = None
    """The site's own settings file. It is not read before :meth:`settings`."""
    handlers: tuple[str, ...] = ()
    php: bool | None = None
    """Whether PHP workers run what has no handler. None: as the settings file says."""

    @property
    def where(self) -> str:
        """Return where the site is, for people: its path, or its database without the password."""
        return str(self.path) if self.path else DatabaseAddress.from_dsn(self.dsn or "").safe

    @property
    def may_be_network(self) -> bool:
        """Whether the entry means all blogs if its WordPress is a network: it names no blog."""
        if self.network is not None:
            return self.network
        return self.path is not None and self.url is None and self.blog_id is None

    def is_network(self, site: Site) -> bool:
        """Tell whether the entry means all blogs of a network, now that its site is known.

        The list's own word counts. Without one, a WordPress that is a network means all its blogs,
        unless the entry or the site's settings name one of them.
        """
        if self.network is not None or not self.may_be_network:
            return bool(self.network)
        names_none = site.url is None and site.blog_id == 1
        return names_none and site.config is not None and site.config.is_multisite

    def of_blog(self, blog_id: int) -> "SiteEntry":
        """Return the entry of one blog of this network, named ``NETWORK.NUMBER``."""
        name = str(BlogName(self.name, blog_id))
        return replace(self, name=name, network=False, blog_id=blog_id, url=None)

    def settings(self, env: Mapping[str, str]) -> Settings:
        """Read this site's settings. Variables of the environment count that name no site.

        The settings file is :attr:`config`, or else the one that a command in the folder of the
        WordPress would find. Only a process of the site's user calls this, since it obeys the file.

        Raises:
            ConfigError: the settings file must not be obeyed by this process or has faults.
        """
        own = {
            key: value
            for key, value in env.items()
            if key not in {f"WPBRIDGE_{name}" for name in _OF_ONE_SITE}
        }
        settings = combine(self._flags(), own, self.folder, self._settings_file(own))
        if not self.handlers:
            return settings
        return replace(settings, handlers_folder=str(self.folder))

    @property
    def home(self) -> Path:
        """Return the working folder of this site's processes: its WordPress, or the list's."""
        if self.path is None:
            return self.folder
        return self.path if self.path.is_dir() else self.path.parent

    def _settings_file(self, env: Mapping[str, str]) -> SettingsFile | None:
        if self.config is not None:
            return named_file(self.config, env)
        if self.path is None:
            return None
        return found_file({"path": self.path}, env, self.home, trusted=is_lifted(env))

    def plain_settings(self) -> Settings:
        """Return the settings of who only looks at this site: no file and no variable counts."""
        flags = self._flags()
        del flags["handlers"]
        return combine(flags, {}, self.folder, None)

    def safe_settings(self, *, trusted: bool) -> Settings:
        """Return the settings of who looks at this site and must not read what others can change.

        A ``wp-config.php`` may name files, and hosts to which what stands in them is sent. So it is
        read only if nobody but this process's user and root can change it. Else the list must name
        the database, and nothing in the folder of the site is read. PHP is asked in the first case
        alone.

        Args:
            trusted: whether each ``wp-config.php`` is read, whoever can change it.

        Raises:
            NotObeyed: another user can change it, and the list names no database.
        """
        plain, is_ours = self.plain_settings(), self.owner in {0, os.geteuid()}
        if self.path is None or is_ours:
            return plain
        if not trusted and self.dsn is None:
            raise NotObeyed(
                f"{owner_name(self.owner or 0)} can change {self.path}, and no wp-config.php of"
                " others is read here: name its database in the list, with dsn and"
                f" table_prefix, or set {LIFTS}=1"
            )
        if trusted and self.dsn is None:
            return replace(plain, ask_php="never")
        return replace(plain, path=None)

    def _flags(self) -> dict[str, object]:
        return {
            "path": self.path,
            "dsn": self.dsn,
            "table_prefix": self.table_prefix,
            "url": self.url,
            "blog_id": self.blog_id,
            "site_name": self.name,
            "handlers": self.handlers,
            "php": self.php,
        }


class ToldSite(NamedTuple):
    """An entry before it is compared with the others of its list."""

    entry: SiteEntry
    """Its name is empty if none is given."""
    is_named: bool


@dataclass(frozen=True, slots=True)
class SiteFault:
    """Something that is wrong with a list, and where."""

    place: str
    problem: str

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}"


@dataclass(frozen=True, slots=True)
class SiteList:
    """The sites of a list, and everything that is wrong with it."""

    place: Path
    sites: tuple[SiteEntry, ...]
    """Those without a fault, in the order of the list."""
    faults: tuple[SiteFault, ...]
    others: tuple[Path, ...] = ()
    """Folders of a listed folder in which there is no WordPress."""

    def refuse(self) -> None:
        """Raise ConfigError with all faults; nothing happens when there are none."""
        if self.faults:
            raise ConfigError(faults=tuple(str(fault) for fault in self.faults))
