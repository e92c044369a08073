"""What commands that tell metrics have in common: the option, and the endpoint beside them."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any

import click

from wpbridge.cli.terminal import print_line
from wpbridge.daemon.measured import Measured
from wpbridge.errors import ConfigError
from wpbridge.site.config import Settings
from wpbridge.site.resolve import resolve
from wpbridge.store.opened import OpenStore
from wpbridge.telling.counting import Counter
from wpbridge.telling.log import tell
from wpbridge.telling.numbers import Numbers


def metrics_option(setting: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the option that says where metrics are told; ``setting`` is where it is kept."""
    return click.option(
        "--metrics",
        setting,
        metavar="HOST:PORT",
        help="Serve metrics for Prometheus at this address (none).",
    )


textfile_option = click.option(
    "--metrics-textfile",
    "metrics_textfile",
    metavar="FILE",
    help="Add what was done to this file, for Prometheus (none).",
)


@contextlib.contextmanager
def textfile(
    settings: Settings, store: OpenStore, *, site: str
) -> Iterator[Callable[[Counter], None]]:
    """Add what a run of this block counts to the file that the settings name, with the gauges.

    Yields a function that takes the counter of the run. What was counted is written at the end,
    also of a run that an error ends. That it cannot be written is logged.

    Raises:
        ConfigError: it cannot be written to, or the extra is missing.
    """
    file, runs = settings.metrics_textfile, list[Callable[[], Numbers]]()
    if file is None:
        yield lambda _counter: None
        return
    from wpbridge.monitor import textfile as files  # noqa: PLC0415 - few runs write one
    from wpbridge.monitor.gauges import numbers_now  # noqa: PLC0415

    files.check(file)
    try:
        yield lambda counter: runs.append(counter.metrics())
    finally:
        for take in runs:
            try:
                files.add(file, take(), numbers_now(store, settings), site=site)
            except (OSError, ConfigError) as error:
                told = error.strerror if isinstance(error, OSError) else str(error)
                tell("metrics.textfile_failed", file=str(file), error=told)


def check_metrics(listen: str | None, settings: Settings) -> None:
    """Look whether metrics may be told at this address; listen nowhere.

    Raises:
        ConfigError: they may not, or the extra is missing.
    """
    if listen is not None:
        from wpbridge.monitor import endpoint  # noqa: PLC0415 - few daemons tell metrics

        endpoint.check(listen, settings.metrics_token)


@contextlib.contextmanager
def measured(
    listen: str | None,
    settings: Settings,
    *,
    also: Callable[[], Numbers] = Numbers,
    has_places: bool = True,
) -> Iterator[Measured | None]:
    """Tell metrics at an address while this block runs; nowhere if it is None.

    Args:
        listen: the address.
        settings: which site, and who may read.
        also: returns what this process itself has counted since its start.
        has_places: False for a gateway, at whose processes no action runs.

    Yields:
        What adds the numbers up.

    Raises:
        ConfigError: nothing can listen there, it needs a token, or the extra is missing.
    """
    if listen is None:
        yield None
        return
    from wpbridge.monitor import endpoint  # noqa: PLC0415 - few daemons tell metrics
    from wpbridge.monitor.gauges import CachedGauges  # noqa: PLC0415

    site = resolve(settings, os.environ).label
    with closing(CachedGauges.of(settings)) as gauges:
        found = Measured(gauges.numbers, also, has_places=has_places)
        with closing(
            endpoint.serve(listen, found.numbers, site=site, token=settings.metrics_token)
        ) as server:
            print_line(f"metrics at {server.address}", err=True)
            yield found


@contextlib.contextmanager
def sites_measured(
    listen: str | None,
    settings: Settings,
    *,
    strict: bool = False,
    also: Callable[[], Mapping[str, Numbers]] = dict,
) -> Iterator[None]:
    """Tell the metrics of the sites of a list while this block runs; nowhere without an address.

    With ``strict`` no ``wp-config.php`` is read that other users can change. ``also`` returns what
    this process itself knows of each site, by name.

    Raises:
        ConfigError: as :func:`measured`, or the settings name no list.
    """
    if listen is None or settings.sites is None:
        yield
        return
    from wpbridge.clock import SystemClock  # noqa: PLC0415 - few commands tell metrics
    from wpbridge.monitor import endpoint  # noqa: PLC0415
    from wpbridge.monitor.followed_sites import FollowedSites  # noqa: PLC0415
    from wpbridge.monitor.site_gauges import numbers_of  # noqa: PLC0415

    def numbers() -> dict[str, Numbers]:
        found = numbers_of(followed.latest(), SystemClock().now())
        for name, more in also().items():
            found.setdefault(name, Numbers()).join(more)
        return found

    place = settings.sites.absolute()
    with (
        closing(FollowedSites.of(place, os.environ, strict=strict)) as followed,
        closing(endpoint.serve_sites(listen, numbers, token=settings.metrics_token)) as server,
    ):
        print_line(f"metrics at {server.address}", err=True)
        yield
