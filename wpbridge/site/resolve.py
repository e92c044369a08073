"""Finds one WordPress: where its tables are and how they are named.

Settings and ``wp-config.php`` decide, and no database is asked. Only the network's own table says
which blog a URL means, so a :class:`Site` may keep the URL, and the store looks the blog up.
"""

import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from wpbridge.dataclass import dataclass
from wpbridge.errors import ConfigError, SiteError, WpCliError
from wpbridge.site.config import Settings, working_folder
from wpbridge.site.database import DatabaseAddress
from wpbridge.system.trusted_files import may_obey

if TYPE_CHECKING:
    from wpbridge.site.wpconfig import WpConfig
    from wpbridge.site.wpconfig.found import NeedsPhp

DEFAULT_PREFIX = "wp_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A site's database and the names of its tables."""

    name: str
    """What people read: a folder, or the address of a database without its password."""
    database: DatabaseAddress
    given_name: str | None = None
    """What the settings call the site."""
    base_prefix: str
    """The network's prefix. It has only letters, digits and underscores, since it goes into SQL."""
    table_prefix: str
    """This blog's prefix: the base prefix for the first blog, ``<base>N_`` for the others."""
    blog_id: int | None = 1
    """None if the store has to look up ``url`` first."""
    url: str | None = None
    path: Path | None = None
    """The configuration's file. None if only a DSN is given."""
    folder: Path | None = None
    """WordPress's own folder. None if only a DSN is given."""
    mu_plugins: Path | None = None
    """The folder of its must-use plugins. None if the configuration does not say."""
    numbers_first_blog: bool = False
    """Whether the tables of blog 1 are numbered too, as in networks older than WordPress 3.0."""
    config: "WpConfig | None" = field(default=None, repr=False, compare=False)
    """The configuration. None if only a DSN is given."""

    @property
    def label(self) -> str:
        """Return what log lines call the site: its name, and its prefix and blog where needed.

        Two blogs of one network, or two prefixes in one database, have different labels. A name
        that the settings give stands in the place of a folder, an address or a database.
        """
        name = self.given_name or self.name
        if self.url is not None:
            return f"{name} {self.url}" if self.given_name else name
        has_own_prefix = self.config is None and self.base_prefix != DEFAULT_PREFIX
        prefix = f" prefix {self.base_prefix}" if has_own_prefix else ""
        blog = f" blog {self.blog_id}" if self.blog_id != 1 else ""
        return f"{name}{prefix}{blog}"

    def with_blog(self, blog_id: int) -> "Site":
        """Return the same site with another blog of its network."""
        prefix = blog_prefix(self.base_prefix, blog_id, numbers_first=self.numbers_first_blog)
        return replace(self, blog_id=blog_id, table_prefix=prefix)

    def plugins_to_write(self, *, trusted: bool = False) -> Path:
        """Return the folder of the must-use plugins, for a caller that writes into it.

        Args:
            trusted: allows root to write outside of WordPress's folder even if others than root
                may change the configuration that names the folder.

        Raises:
            ConfigError: there is no such folder, or root must not write there.
        """
        folder, config = self.mu_plugins, self.config
        if folder is None or config is None:
            raise ConfigError(
                "the companion plugin lies in a WordPress folder: name it with --path"
            )
        plain = Path(os.path.normpath(folder))
        is_inside = any(plain.is_relative_to(one) for one in (config.abspath, config.file.parent))
        if not (is_inside or trusted or os.geteuid()):
            may_obey(config.file, f"the folder {folder} lies outside WordPress, and")
        return folder


def resolve(settings: Settings, env: Mapping[str, str], cwd: Path | None = None) -> Site:
    """Return the site that the settings mean.

    The database is that of the DSN, or else that of the path's configuration. The prefix is that
    of the settings, or else that of the configuration, or else ``wp_``. Without DSN and path, the
    configuration is looked for in the working folder and the folders above it.

    Raises:
        ConfigError: no setting says where the site is.
        SiteError: the configuration does not say what is needed.
        WpCliError: PHP was asked and failed.
    """
    path = settings.path
    if path is None and settings.dsn is None:
        path = _around(cwd or working_folder())
    if path is None:
        return _site(settings, None)
    return _of_wordpress(path, settings, env)


def preload() -> None:
    """Load what finding a site needs, for a process whose copies shall share it.

    A copy that has become another user may not be able to read Python's own folders any more.
    """
    import difflib  # noqa: PLC0415
    import encodings.utf_8_sig  # noqa: PLC0415
    import random  # noqa: PLC0415
    import tomllib  # noqa: PLC0415
    import zoneinfo  # noqa: PLC0415

    from wpbridge.site import dropin, wpconfig  # noqa: PLC0415
    from wpbridge.site.wpconfig import asking, found, request  # noqa: PLC0415

    with suppress(zoneinfo.ZoneInfoNotFoundError):
        # It may look for its data in a package.
        zoneinfo.ZoneInfo("Europe/Berlin")
    del difflib, encodings, random, tomllib, dropin, wpconfig, asking, found, request


def _of_wordpress(path: Path, settings: Settings, env: Mapping[str, str]) -> Site:
    """Return the site of a configuration, which PHP runs where it has to."""
    from wpbridge.site import wpconfig  # noqa: PLC0415 - a site that is a DSN has no configuration
    from wpbridge.site.wpconfig import request  # noqa: PLC0415
    from wpbridge.site.wpconfig.found import NeedsPhp  # noqa: PLC0415

    if settings.ask_php == "always":
        return _told_by_php(path, settings, env, None)
    try:
        return _site(settings, wpconfig.read(path, env, request=request.of_url(settings.url)))
    except NeedsPhp as unknown:
        if settings.ask_php == "never":
            raise
        return _told_by_php(path, settings, env, unknown)


def _told_by_php(
    path: Path, settings: Settings, env: Mapping[str, str], unknown: "NeedsPhp | None"
) -> Site:
    """Return the site of a configuration that PHP runs.

    ``unknown`` is what could not be read without PHP, and is raised where there is no PHP. None
    means that the settings want PHP to run it.
    """
    from wpbridge.site.wpconfig import asking  # noqa: PLC0415 - most are read without PHP
    from wpbridge.site.wpconfig.found import WAYS_OUT  # noqa: PLC0415

    if unknown is None:
        return _site(settings, asking.ask(path, env, url=settings.url, trusted=True))
    if asking.program(env) is None:
        raise unknown
    reason = str(unknown).removesuffix(f"; {WAYS_OUT}")
    try:
        return _site(settings, asking.ask(path, env, url=settings.url, trusted=settings.trusted))
    except WpCliError as failed:
        problem = f"{failed}. PHP was asked since {reason}; {WAYS_OUT}"
        raise WpCliError(problem, exit_code=failed.exit_code, stderr=failed.stderr) from failed


def _site(settings: Settings, config: "WpConfig | None") -> Site:
    base = _base_prefix(settings, config)
    blog_id = _blog_id(settings, config)
    numbers_first = config is not None and config.numbers_first_blog
    if settings.dsn is not None:
        database = replace(
            DatabaseAddress.from_dsn(settings.dsn, config), source=_source_of_dsn(settings)
        )
    elif config is not None:
        database = DatabaseAddress.from_wp(config)
    else:
        raise ConfigError("neither --path nor --dsn is given")
    if settings.driver != "auto":
        database = replace(database, client=settings.driver)
    if settings.only_reads:
        database = replace(database, only_reads=True)
    return Site(
        name=settings.url or (str(config.abspath) if config else database.safe),
        given_name=settings.site_name,
        database=database,
        base_prefix=base,
        table_prefix=blog_prefix(base, blog_id or 1, numbers_first=numbers_first),
        blog_id=blog_id,
        url=settings.url,
        path=config.file if config else None,
        folder=config.abspath if config else None,
        mu_plugins=_mu_plugins(config) if config else None,
        numbers_first_blog=numbers_first,
        config=config,
    )


def _source_of_dsn(settings: Settings) -> str:
    """Return what people call the place where the DSN was given."""
    kind, _, place = settings.sources.get("dsn", "").partition(" ")
    return {"flag": "--dsn", "env": place, "file": f"dsn in {place}"}.get(kind, "")


def _mu_plugins(config: "WpConfig") -> Path | None:
    """Return the folder of the must-use plugins, or None if it is unknown.

    Only the companion plugin needs it, so this is no reason to stop.
    """
    try:
        return config.mu_plugins_dir
    except SiteError:
        return None


def blog_prefix(base: str, blog_id: int, *, numbers_first: bool = False) -> str:
    """Return a blog's table prefix in a network, as ``wpdb::get_blog_prefix()`` does.

    With ``numbers_first`` the tables of blog 1 are numbered as well.
    """
    return base if blog_id == 1 and not numbers_first else f"{base}{blog_id}_"


def match_blog(url: str, rows: Iterable[tuple[int, str, str]]) -> int | None:
    """Return the blog to which a URL belongs, given rows of (blog_id, domain, path), or None.

    As in WordPress, the longest path with which the URL's path begins wins, and a ``www.`` in the
    URL may be missing in the domain.
    """
    from wpbridge.site.wpconfig import request  # noqa: PLC0415 - most sites need no address

    parts = request.split(url)
    place = parts.netloc.rpartition("@")[2].lower()
    host = re.sub(r":(80|443)\Z", "", place)
    domains = [host, *([host[4:]] if host.startswith("www.") else [])]
    inside = f"{parts.path.strip('/')}/".lower()
    found = [
        (-len(path.strip("/")), domains.index(domain.lower()), blog_id)
        for blog_id, domain, path in rows
        if domain.lower() in domains
        and (not path.strip("/") or inside.startswith(f"{path.strip('/').lower()}/"))
    ]
    return min(found)[2] if found else None


def _around(folder: Path) -> Path:
    for place in (folder, *folder.parents):
        if (place / "wp-config.php").is_file():
            return place
    raise ConfigError(
        f"no WordPress in {folder} or above it: name its folder with --path, or give --dsn"
    )


def _base_prefix(settings: Settings, config: "WpConfig | None") -> str:
    prefix = settings.table_prefix
    if prefix is None and config is not None:
        prefix = config.table_prefix
    if prefix is None:
        prefix = DEFAULT_PREFIX
    if not re.fullmatch(r"\w+", prefix, re.ASCII):
        raise SiteError(f"the table prefix {prefix!r} has other than letters, digits and _")
    return prefix


def _blog_id(settings: Settings, config: "WpConfig | None") -> int | None:
    other = settings.blog_id is not None and settings.blog_id > 1
    if other and config is not None and not config.is_multisite:
        raise SiteError(f"{config.file} is no network: it has no blog {settings.blog_id}")
    if settings.blog_id is not None:
        return settings.blog_id
    if config is None:
        return None if settings.url else 1
    if not config.is_multisite:
        return 1
    return None if settings.url else config.number("BLOG_ID_CURRENT_SITE") or 1
