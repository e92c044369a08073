"""``work --sites``: the daemon for many sites, its dry run, and the processes that it starts."""

import os
from collections.abc import Callable, Mapping
from typing import Any, Final

import click

from wpbridge.cli.metrics import sites_measured
from wpbridge.cli.options import say
from wpbridge.cli.terminal import print_json, print_line
from wpbridge.errors import ConfigError
from wpbridge.site.config import Settings
from wpbridge.telling.words import plural

_OPTIONS: Final = (
    click.option(
        "--sites", metavar="FILE|DIR", help="Run all sites of a list: a file, or a folder of them."
    ),
    click.option(
        "--max-running",
        "sites_max_running",
        type=click.IntRange(1, 1000),
        help="How many sites may have a process at once (8).",
    ),
    click.option(
        "--max-php",
        "sites_max_php",
        type=click.IntRange(0, 1000),
        help="How many PHP processes all sites may have together (8).",
    ),
    click.option(
        "--linger",
        "sites_linger",
        metavar="TIME",
        help="How long a site's process stays when it has nothing to do (30s).",
    ),
    click.option(
        "--turn",
        "sites_turn",
        metavar="TIME",
        help="How long a site's process runs while other sites wait (1m).",
    ),
    click.option(
        "--state-file",
        "sites_state_file",
        metavar="FILE",
        help="The file for the state of all sites, which `sites status` reads.",
    ),
)
_OF_ONE_SITE: Final[Mapping[str, str]] = {
    "path": "--path",
    "dsn": "--dsn",
    "url": "--url",
    "blog_id": "--blog-id",
    "table_prefix": "--table-prefix",
    "handlers": "--handlers",
    "php": "--php",
    "hooks": "--hooks",
    "exclude_hooks": "--exclude-hooks",
    "groups": "--group",
    "exclude_groups": "--exclude-groups",
    "processes": "--processes",
    "concurrency": "--concurrency",
    "web_listen": "--serve",
}
"""Settings that say something of one site, with the options that give them."""


def sites_daemon_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a daemon for many sites."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def check_for_many(flags: Mapping[str, Any], *, watches: bool) -> None:
    """Refuse options that mean one site. Raises ConfigError that names them."""
    found = [option for name, option in _OF_ONE_SITE.items() if flags.get(name) not in (None, ())]
    found += ["--reload"] if watches else []
    if found:
        raise ConfigError(
            f"with --sites, {', '.join(found)} says something of one site: write it into the list,"
            " or into the settings file of the site"
        )


def run_sites(settings: Settings, read: Callable[[], Settings]) -> int:
    """Be the daemon for many sites; returns the exit code."""
    from wpbridge.daemon.sites.service import schedule_sites  # noqa: PLC0415 - few daemons are it
    from wpbridge.daemon.sites.site_metrics import SitesMeasured  # noqa: PLC0415

    told = SitesMeasured()
    with sites_measured(settings.metrics_listen, settings, also=told.numbers):
        return schedule_sites(
            settings, read, show=lambda line: print_line(line, err=True), measured=told.learn
        )


def be_site_or_host(told: str) -> None:
    """Be a process that a daemon for many sites has started, and leave; return if this is none."""
    kind = told.partition(":")[0]
    if kind == "site":
        from wpbridge.app.site_worker import serve_site  # noqa: PLC0415 - for this process alone

        serve_site(told)
    if kind == "pollers":
        from wpbridge.daemon.sites import poller_host  # noqa: PLC0415 - for this process alone

        poller_host.main(told)


def plan_sites(settings: Settings) -> None:
    """Print what there would be for each site. Nothing is started, and nothing of a site opened."""
    from wpbridge.daemon.sites.plan import plan_of  # noqa: PLC0415 - for the dry run alone

    plan = plan_of(settings, os.environ)
    if settings.format == "json":
        print_json(plan.to_json())
        return
    print_line(
        f"would run {plural(len(plan.sites), 'site')}: at most {plan.most_running} at once, with"
        f" {plan.most_php} PHP workers together; an idle site is looked at each"
        f" {plan.interval_seconds:g} s"
    )
    for site in plan.sites:
        whose = f"as {site.user}" if site.user else f"not run: {site.reason}"
        print_line(f"{site.name}: {site.place}, {whose}")
    for fault in plan.faults:
        say(fault)
