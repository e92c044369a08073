"""``exporter``: tell what the tables show, for a site without a daemon."""

import os
import signal
import threading
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any, Final

import click

from wpbridge.cli.options import one_line_errors, settings_of, site_options
from wpbridge.cli.sites import check_one_or_many, listed_of, sites_option
from wpbridge.cli.terminal import print_line
from wpbridge.clock import SystemClock
from wpbridge.daemon.log_setup import start_log
from wpbridge.daemon.notify import Notifier
from wpbridge.monitor import endpoint
from wpbridge.monitor.gauges import CachedGauges, measure
from wpbridge.monitor.site_gauges import numbers_of
from wpbridge.site.config import Settings
from wpbridge.site.resolve import resolve
from wpbridge.store.connect import open_site

if TYPE_CHECKING:
    from wpbridge.monitor.followed_sites import FollowedSites

FIRST_SECONDS: Final = 10.0
"""So long it waits for the first reading, before it says that it is ready."""


@click.command(
    short_help="Serve metrics of the tables to Prometheus, without a daemon.",
    epilog="""
Examples:
  wpbridge exporter --path /var/www/html
  wpbridge exporter --dsn sqlite:///queue.db --listen 127.0.0.1:9500
  wpbridge exporter --sites /etc/wpbridge/sites.toml
  wpbridge exporter --path /var/www/html --dry-run
""",
)
@site_options
@sites_option
@click.option(
    "--listen",
    "metrics_listen",
    metavar="HOST:PORT",
    help=f"Where to listen ({endpoint.DEFAULT_LISTEN}).",
)
@click.option("--dry-run", is_flag=True, help="Check everything, read once; listen nowhere.")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    help="How to write log lines to stderr (text).",
)
@click.option("-v", "--verbose", count=True, help="Log more; twice for most.")
@click.pass_context
@one_line_errors
def exporter(ctx: click.Context, *, dry_run: bool, verbose: int, **flags: Any) -> None:
    """Serve what the tables show at /metrics: how many actions are due, for how long, what runs.

    `work --metrics` serves the same, and also what its workers have done. The exporter reads the
    tables every 15 seconds, or less often if that takes long. While the database is away the
    exporter goes on, and wpbridge_scrape_success is 0. From other hosts it answers only requests
    that send WPBRIDGE_METRICS_TOKEN as `Authorization: Bearer`. On TERM or INT it exits with 0.

    With --sites it serves a few numbers of each site of a list. It looks at each site once a
    minute, in processes of their own.
    """
    settings = settings_of(ctx, {**flags, "verbose": verbose or None})
    check_one_or_many(settings)
    start_log(settings)
    listen = settings.metrics_listen or endpoint.DEFAULT_LISTEN
    if dry_run:
        _check(settings, listen)
        return
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    token = settings.metrics_token
    with ExitStack() as ends:
        seen: CachedGauges | FollowedSites
        if settings.sites is None:
            site = resolve(settings, os.environ).label
            seen = gauges = ends.enter_context(closing(CachedGauges.of(settings)))
            server = endpoint.serve(listen, gauges.numbers, site=site, token=token)
        else:
            seen = many = ends.enter_context(closing(_followed(settings)))
            server = endpoint.serve_sites(
                listen, lambda: numbers_of(many.latest(), SystemClock().now()), token=token
            )
        ends.enter_context(closing(server))
        seen.wait(FIRST_SECONDS)
        print_line(f"metrics at {server.address}", err=True)
        Notifier.of(os.environ).ready(f"metrics at {server.address}")
        over.wait()


def _followed(settings: Settings) -> "FollowedSites":
    from wpbridge.monitor.followed_sites import FollowedSites  # noqa: PLC0415 - for many sites

    return FollowedSites.of(listed_of(settings).place, os.environ)


def _check(settings: Settings, listen: str) -> None:
    endpoint.check(listen, settings.metrics_token)
    if settings.sites is not None:
        listed = listed_of(settings)
        listed.refuse()
        print_line(
            f"would tell metrics of {len(listed.sites)} sites at http://{listen}{endpoint.PATH}"
        )
        return
    site = resolve(settings, os.environ)
    store = open_site(site)
    try:
        measured = measure(store, SystemClock().now(), settings)
    finally:
        store.close()
    milliseconds = measured.readings.took_seconds * 1000
    print_line(
        f"would tell metrics of {site.label} at http://{listen}{endpoint.PATH};"
        f" one reading takes {milliseconds:.0f} ms"
    )
