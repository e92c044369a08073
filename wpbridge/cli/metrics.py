"""What commands that tell metrics have in common: the option, and the endpoint beside them."""

import contextlib
import os
from collections.abc import Iterator

import click

from wpbridge.cli.terminal import print_line
from wpbridge.daemon.measured import Measured
from wpbridge.site.config import Settings
from wpbridge.site.resolve import resolve

metrics_option = click.option(
    "--metrics",
    "metrics_listen",
    metavar="HOST:PORT",
    help="Where to tell metrics to Prometheus (nowhere).",
)


def check_metrics(settings: Settings) -> None:
    """Look whether metrics may be told where the settings say; listen nowhere.

    Raises:
        ConfigError: they may not, or the extra is missing.
    """
    if settings.metrics_listen is not None:
        from wpbridge.monitor import endpoint  # noqa: PLC0415 - few daemons tell metrics

        endpoint.check(settings.metrics_listen, settings.metrics_token)


@contextlib.contextmanager
def measured(settings: Settings) -> Iterator[Measured | None]:
    """Tell metrics while this block runs, if the settings say where. Yields what adds them up.

    Raises:
        ConfigError: nothing can listen there, it needs a token, or the extra is missing.
    """
    if settings.metrics_listen is None:
        yield None
        return
    from wpbridge.monitor import endpoint  # noqa: PLC0415 - few daemons tell metrics

    found, site = Measured(), resolve(settings, os.environ).label
    server = endpoint.serve(
        settings.metrics_listen, found.numbers, site=site, token=settings.metrics_token
    )
    print_line(f"metrics at {server.address}", err=True)
    try:
        yield found
    finally:
        server.close()
