"""``exporter``: tell what the tables show, for a site without a daemon."""

import os
import signal
import threading
from typing import Any, Final

import click

from wpbridge.cli.options import one_line_errors, settings_of, site_options
from wpbridge.cli.terminal import print_line
from wpbridge.clock import SystemClock
from wpbridge.daemon.log_setup import start_log
from wpbridge.daemon.notify import Notifier
from wpbridge.monitor import endpoint
from wpbridge.monitor.gauges import CachedGauges, measure
from wpbridge.site.config import Settings
from wpbridge.site.resolve import resolve
from wpbridge.store.connect import open_site

FIRST_SECONDS: Final = 10.0
"""So long it waits for the first reading, before it says that it is ready."""


@click.command(
    short_help="Tell Prometheus what the tables show, without a daemon.",
    epilog="""
Examples:
  wpbridge exporter --path /var/www/html
  wpbridge exporter --dsn sqlite:///queue.db --listen 127.0.0.1:9500
  wpbridge exporter --path /var/www/html --dry-run
""",
)
@site_options
@click.option(
    "--listen",
    "metrics_listen",
    metavar="HOST:PORT",
    help=f"Where to listen ({endpoint.DEFAULT_LISTEN}).",
)
@click.option("--dry-run", is_flag=True, help="Check everything, read once; listen nowhere.")
@click.option("--log-format", type=click.Choice(["text", "json"]), help="Lines on stderr (text).")
@click.option("-v", "--verbose", count=True, help="Log more; twice for most.")
@click.pass_context
@one_line_errors
def exporter(ctx: click.Context, *, dry_run: bool, verbose: int, **flags: Any) -> None:
    """Answer GET /metrics with what the tables show: what is due, how old it is, what runs.

    `work --metrics` tells the same, and what its workers have done. It reads the tables each 15
    seconds, and less often where that takes long. While the database is away it goes on, and
    wpbridge_scrape_success is 0. Beyond this host it answers who sends WPBRIDGE_METRICS_TOKEN as
    `Authorization: Bearer`. TERM or INT: exit 0.
    """
    settings = settings_of(ctx, {**flags, "verbose": verbose or None})
    start_log(settings)
    listen = settings.metrics_listen or endpoint.DEFAULT_LISTEN
    if dry_run:
        _check(settings, listen)
        return
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    site = resolve(settings, os.environ).label
    gauges = CachedGauges.of(settings)
    try:
        server = endpoint.serve(listen, gauges.numbers, site=site, token=settings.metrics_token)
        try:
            gauges.wait(FIRST_SECONDS)
            print_line(f"metrics at {server.address}", err=True)
            Notifier.of(os.environ).ready(f"metrics at {server.address}")
            over.wait()
        finally:
            server.close()
    finally:
        gauges.close()


def _check(settings: Settings, listen: str) -> None:
    endpoint.check(listen, settings.metrics_token)
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
