"""Reads the list of sites that one daemon, one dashboard or one exporter is for.

A list is a TOML file with ``[[sites]]``, or a folder in which each WordPress is a site and each
``*.toml`` is such a file. Reading it asks the file system for names and owners. It opens no
``wp-config.php`` and no database, so whether a site works is found out by who opens it.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from wpbridge.errors import ConfigError, SiteError
from wpbridge.site.database import DatabaseAddress
from wpbridge.site.resolve import DEFAULT_PREFIX
from wpbridge.site.site_entries import (
    BlogName,
    SiteEntry,
    SiteFault,
    SiteList,
    ToldSite,
    is_site_name,
)
from wpbridge.site.site_folders import folders_of, site_name, wordpresses
from wpbridge.site.site_list_file import sites_of_file
from wpbridge.system import trusted_files as trust

__all__ = ("MOST_SITES", "BlogName", "SiteEntry", "SiteFault", "SiteList", "read_sites")

MOST_SITES: Final = 10_000
"""A list may have so many sites."""


def read_sites(place: Path, env: Mapping[str, str]) -> SiteList:
    """Read a list of sites, with everything that is wrong with it.

    A site with a fault is left out of the sites. Of two with the same name or queue, the first one
    stays, but not if a link leads it to a site of somebody else.

    Args:
        place: the file or the folder.
        env: the environment, whose ``WPBRIDGE_TRUST`` counts.

    Raises:
        ConfigError: there is no such file or folder, it must not be obeyed, or cannot be read.
    """
    place = place.absolute()
    faults: list[SiteFault] = []
    others: list[Path] = []
    if place.is_dir():
        found = _of_folder(place, env, faults, others)
    else:
        found, told = sites_of_file(place, env)
        faults += told
    seen = _looked_at(found, faults, trusted=trust.is_lifted(env))
    sites = _named(_each_queue_once(seen, faults), faults)
    if not found and not faults:
        faults.append(SiteFault(str(place), "there is no site in it"))
    if len(sites) > MOST_SITES:
        raise ConfigError(f"{place} has {len(sites)} sites; {MOST_SITES} is the most")
    return SiteList(place=place, sites=sites, faults=tuple(faults), others=tuple(others))


def _of_folder(
    place: Path, env: Mapping[str, str], faults: list[SiteFault], others: list[Path]
) -> list[ToldSite]:
    """Return what a folder holds. Faults are added to the list, and folders without a WordPress."""
    if not trust.is_lifted(env):
        trust.may_obey(place, "the folder of sites", is_searched=True)
    found: list[ToldSite] = []
    for folder in folders_of(place):
        try:
            inside = wordpresses(folder)
        except OSError as error:
            faults.append(SiteFault(str(folder), f"it cannot be looked at: {error.strerror}"))
            continue
        entries = (SiteEntry(name="", place=str(one), folder=place, path=one) for one in inside)
        found += [ToldSite(entry, is_named=False) for entry in entries]
        if not inside:
            others.append(folder)
    for file in sorted(one for one in place.glob("*.toml") if not one.name.startswith(".")):
        try:
            named, told = sites_of_file(file, env)
        except ConfigError as error:
            faults += [SiteFault(str(file), fault) for fault in error.faults]
        else:
            found += named
            faults += told
    return found


class _Seen(NamedTuple):
    """An entry, and what is compared of it."""

    entry: SiteEntry
    is_named: bool
    home: tuple[str, ...]
    """The configuration or the database, and the prefix of its tables."""
    leads_out: bool


def _looked_at(found: list[ToldSite], faults: list[SiteFault], *, trusted: bool) -> list[_Seen]:
    """Return the entries that lead to a site. Faults are added to the list."""
    seen: list[_Seen] = []
    for told in found:
        entry = told.entry
        try:
            seen.append(_seen(told, trusted=trusted))
        except (SiteError, ConfigError) as error:
            faults.append(SiteFault(entry.place, str(error)))
        except OSError as error:
            faults.append(SiteFault(entry.place, f"{entry.path}: {error.strerror}"))
    return seen


def _seen(told: ToldSite, *, trusted: bool) -> _Seen:
    """Look at where an entry leads. Raises SiteError, ConfigError and OSError."""
    entry, is_named = told
    database = None
    if entry.dsn is not None:
        database = (DatabaseAddress.from_dsn(entry.dsn).safe, entry.table_prefix or DEFAULT_PREFIX)
    if entry.path is None:
        return _Seen(entry, is_named, database or (), leads_out=False)
    from wpbridge.site.wpconfig import named  # noqa: PLC0415 - a DSN has no configuration

    file = named(entry.path)
    of_folder = trust.decider(entry.path, trusted=trusted)
    # The file may lie one above the folder.
    of_file = trust.decider(file.parent.resolve() / file.name, trusted=trusted)
    return _Seen(
        replace(entry, owner=of_folder.uid or of_file.uid),
        is_named,
        database or (os.path.realpath(file), entry.table_prefix or ""),
        leads_out=of_folder.leads_out or of_file.leads_out,
    )


def _each_queue_once(seen: list[_Seen], faults: list[SiteFault]) -> list[_Seen]:
    """Return the entries whose queue no other one has, or which come first with it.

    Those that links of their users lead elsewhere come last: nobody can take a site from its list
    by a link to it.
    """
    taken: dict[tuple[str, ...], dict[str | None, str]] = {}
    kept: set[int] = set()
    for number, one in sorted(enumerate(seen), key=lambda pair: pair[1].leads_out):
        there = taken.setdefault(one.home, {})
        blog = _blog(one.entry)
        other = there.get(blog) or there.get(None)
        if blog is None and there:
            other = next(iter(there.values()))
        if other is None:
            there[blog] = one.entry.place
            kept.add(number)
        else:
            faults.append(SiteFault(one.entry.place, f"it is the same queue as {other}"))
    return [one for number, one in enumerate(seen) if number in kept]


def _blog(entry: SiteEntry) -> str | None:
    """Return which blog an entry means, for comparison. None for all of a network."""
    return None if entry.network else entry.url or str(entry.blog_id or 1)


def _named(seen: list[_Seen], faults: list[SiteFault]) -> tuple[SiteEntry, ...]:
    """Give a name to those without one, and leave out those whose given name is taken."""
    given: dict[str, str] = {}
    kept: list[_Seen] = []
    for one in seen:
        name = one.entry.name
        if one.is_named and name in given:
            faults.append(SiteFault(one.entry.place, f"{name} is the name of {given[name]}, too"))
            continue
        if one.is_named:
            given[name] = one.entry.place
        kept.append(one)
    networks = {one.entry.name for one in kept if one.is_named and one.entry.network}
    taken, sites = set(given), list[SiteEntry]()
    for one in kept:
        entry = one.entry
        if not one.is_named:
            name = _free(entry, taken, networks)
            entry = replace(entry, name=name)
            taken.add(name)
            if entry.network:
                networks.add(name)
        elif _is_blog_of(entry.name, networks):
            faults.append(SiteFault(entry.place, f"{entry.name} would be a blog of a network"))
            continue
        sites.append(entry)
    return tuple(sites)


def _is_blog_of(name: str, networks: set[str]) -> bool:
    blog = BlogName.of(name)
    return blog is not None and blog.network in networks


def _derived(entry: SiteEntry) -> str:
    """Return a name made of the folder, or of the database, and of the blog."""
    if entry.path is not None:
        told = site_name(entry.path)
    else:
        address = DatabaseAddress.from_dsn(entry.dsn or "")
        told = address.name or Path(address.path or "site").stem
    if entry.url is not None:
        told = re.sub(r"\Ahttps?://", "", entry.url)
    elif entry.blog_id is not None and entry.blog_id > 1:
        told = f"{told}-{entry.blog_id}"
    plain = re.sub(r"[^a-z0-9.]+|\.{2,}", "-", told.lower()).strip("-.")[:_LONGEST_DERIVED]
    return plain if is_site_name(plain) else "site"


_LONGEST_DERIVED: Final = 55
"""A number fits behind it."""


def _free(entry: SiteEntry, taken: set[str], networks: set[str]) -> str:
    """Return a name made of what the entry says, with a number behind it if it is taken."""
    name = free = _derived(entry)
    number = 1
    while (
        free in taken
        or _is_blog_of(free, networks)
        or (entry.network and any(_is_blog_of(one, {free}) for one in taken))
    ):
        number += 1
        free = f"{name}-{number}"
    return free
