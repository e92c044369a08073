"""``sites``: the sites of a list, and how each of them stands."""

import os
import pwd
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from wpbridge.cli.exit_codes import Exit
from wpbridge.cli.options import one_line_errors, say, settings_of
from wpbridge.cli.output import check_fields, list_options, print_rows, told
from wpbridge.cli.terminal import print_json
from wpbridge.clock import SystemClock
from wpbridge.errors import ConfigError, InputError
from wpbridge.site.moments import parse_duration
from wpbridge.site.site_list import SiteEntry, SiteList, read_sites
from wpbridge.system.trusted_files import is_lifted

if TYPE_CHECKING:
    from datetime import timedelta

    from wpbridge.monitor.sites_standing import Standing
    from wpbridge.site.config import Settings

LIST_FIELDS: Final = ("name", "place", "user", "network", "php", "problem")
STATUS_FIELDS: Final = (
    "name",
    "state",
    "due",
    "oldest_due",
    "failed",
    "running",
    "last_run",
    "reason",
    "bad",
    "place",
    "looked_at",
)
_SHOWN: Final = STATUS_FIELDS[:8]


sites_option: Final = click.option(
    "--sites",
    metavar="FILE|DIR",
    help="Look at many sites at once, by their list: a file or a folder.",
)
_config_option: Final = click.option(
    "--config", metavar="FILE", help="Settings file (default ./wpbridge.toml)."
)


def sites_options(command: Any) -> Any:
    """Add the options that name a list of sites, and the settings file of who looks at it."""
    return sites_option(_config_option(command))


def check_one_or_many(settings: "Settings") -> None:
    """Refuse settings that name a list of sites and one site as well. Raises ConfigError."""
    given = ("path", "dsn", "url", "blog_id", "table_prefix")
    names = [name for name in given if getattr(settings, name) is not None]
    if settings.sites is not None and names:
        told = ", ".join(f"{name} ({settings.sources[name]})" for name in names)
        raise ConfigError(
            f"sites ({settings.sources['sites']}) names many sites, and {told} says something of"
            " one: give one or the other"
        )


@click.group()
def sites() -> None:
    """Look at many sites at once: what their list says, and how each of them stands."""


@sites.command(
    "list",
    short_help="Show the sites of a list, and its faults.",
    epilog="""
Examples:
  wpbridge sites list --sites /etc/wpbridge/sites.toml
  wpbridge sites list --sites /srv/www --format json
""",
)
@sites_options
@list_options(LIST_FIELDS)
@click.pass_context
@one_line_errors
def list_(ctx: click.Context, *, fields: str | None, field: str | None, **flags: Any) -> None:
    """Show the sites of a list, and each of its faults. Opens nothing of a site.

    The column `user` has the user as whom a daemon of root runs the site. The exit code is 1 if the
    list has a fault.
    """
    check_fields(LIST_FIELDS, fields, field)
    settings = settings_of(ctx, flags)
    listed = listed_of(settings)
    rows = [*map(_listed_row, listed.sites), *_fault_rows(listed)]
    print_rows(rows, fields=LIST_FIELDS, style=settings.format, chosen=fields, field=field)
    for folder in listed.others:
        told(f"{folder} has no WordPress")
    if listed.faults:
        raise SystemExit(Exit.ERROR)


def listed_of(settings: "Settings") -> SiteList:
    """Read the list that the settings name. ConfigError where they name none."""
    if settings.sites is None:
        raise ConfigError("name the list of sites with --sites: a file, or a folder of sites")
    return read_sites(settings.sites, os.environ)


def _listed_row(entry: SiteEntry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "place": entry.where,
        "user": entry.user or _owner(entry.owner),
        "network": entry.network,
        "php": entry.php,
        "problem": None,
    }


def _owner(uid: int | None) -> str | None:
    if uid is None:
        return None
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _fault_rows(listed: SiteList) -> Iterator[dict[str, Any]]:
    for fault in listed.faults:
        row: dict[str, Any] = dict.fromkeys(LIST_FIELDS)
        yield {**row, "place": fault.place, "problem": fault.problem}


@sites.command(
    short_help="Show the state of each site of a list: due, failed, last run.",
    epilog="""
Examples:
  wpbridge sites status --sites /etc/wpbridge/sites.toml
  wpbridge sites status --sites /srv/www --only bad
  wpbridge sites status --sites /srv/www --late 1h --format json
""",
)
@sites_options
@click.option(
    "--state-file",
    "sites_state_file",
    metavar="FILE",
    help="The file in which `work --sites` keeps the state of its sites.",
)
@click.option("--only", type=click.Choice(["bad"]), help="Show only bad sites.")
@click.option(
    "--late",
    metavar="TIME",
    default="10m",
    help="How long a due action may wait (10m; 0: for ever).",
)
@click.option(
    "--timeout", metavar="TIME", default="10s", help="How long a look at one site may take (10s)."
)
@click.option(
    "--follow", type=float, hidden=True, help="Look anew so often, for another process of wpbridge."
)
@click.option("--strict", is_flag=True, hidden=True, help="Read no wp-config.php of others.")
@list_options(STATUS_FIELDS)
@click.pass_context
@one_line_errors
def status(
    ctx: click.Context,
    *,
    only: str | None,
    late: str,
    timeout: str,
    follow: float | None,
    strict: bool,
    fields: str | None,
    field: str | None,
    **flags: Any,
) -> None:
    """Show each site's state, what is due and since when, what failed in 24 hours, the last run.

    The state comes from the daemon `work --sites`, if one runs. The numbers come from a look at
    each site's tables, eight sites at a time. As root, each look is made as the site's user.

    A site is bad if it cannot be looked at, if the daemon cannot run it, if an action has been due
    for longer than --late, or if its entry has a fault. The exit code is 0 if no site is bad and
    the daemon, if there is one, is alive. Otherwise it is 1.
    """
    if follow is not None:
        _follow(flags["sites"], follow, strict=strict)
    check_fields(STATUS_FIELDS, fields, field)
    limit, patience = parse_duration(late, "--late"), parse_duration(timeout, "--timeout")
    if not patience:
        raise InputError("--timeout: give a time of more than 0, such as 10s")
    settings = settings_of(ctx, flags)
    found, problem = _standings(settings, patience, limit or None)
    shown = [one for one in found if one.is_bad] if only else found
    print_rows(
        map(_row, shown),
        fields=STATUS_FIELDS,
        shown_fields=_SHOWN,
        style=settings.format,
        chosen=fields,
        field=field,
    )
    bad = sum(one.is_bad for one in found)
    told(f"{len(found)} sites, {bad} bad")
    if problem:
        say(problem)
    if bad or problem:
        raise SystemExit(Exit.ERROR)


def _follow(place: str, every_seconds: float, *, strict: bool) -> None:
    """Look at the sites over and over, for another process of wpbridge: JSON lines, for ever.

    No settings are read: the list says everything.
    """
    from wpbridge.monitor.site_stream import stream  # noqa: PLC0415 - needs the store

    def say_line(said: dict[str, Any]) -> None:
        print_json(said)
        sys.stdout.flush()

    stream(
        lambda: read_sites(Path(place), os.environ),
        say_line,
        trusted=is_lifted(os.environ),
        strict=strict,
        every_seconds=every_seconds,
    )


def _standings(
    settings: "Settings", patience: "timedelta", late: "timedelta | None"
) -> tuple[list["Standing"], str]:
    """Look at each site of the list; return how they stand, and what is wrong with the daemon."""
    from wpbridge.monitor import sites_standing, sites_state  # noqa: PLC0415 - needs the store
    from wpbridge.monitor.followed_sites import Followed  # noqa: PLC0415
    from wpbridge.monitor.site_look import look_at_each  # noqa: PLC0415

    listed = listed_of(settings)
    file = sites_state.state_file(settings, os.environ)
    daemon = sites_standing.daemon_of(file, listed.place)
    looks = dict(
        look_at_each(listed.sites, trusted=is_lifted(os.environ), seconds=patience.total_seconds())
    )
    found = Followed(
        places={entry.name: entry.place for entry in listed.sites},
        faults=listed.faults,
        looks=looks,
    )
    now = SystemClock().now()
    return sites_standing.standings(found, daemon.state, now, late=late), daemon.problem


def _row(one: "Standing") -> dict[str, Any]:
    return {
        **asdict(one),
        "bad": one.is_bad,
        "name": one.name or None,
        "reason": one.reason or None,
    }
