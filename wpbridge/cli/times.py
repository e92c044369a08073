"""``--tz``: the zone that a command shows times in."""

from collections.abc import Callable
from datetime import tzinfo
from typing import Any

import click

from wpbridge.site.config import Settings
from wpbridge.site.zone import shown_name, shown_zone
from wpbridge.store.opened import OpenStore


class _ZoneName(click.ParamType[str]):
    """An option's value that is ``site``, or the name of a time zone."""

    name = "zone"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name as it is spelled; a usage error names the nearest one there is."""
        from wpbridge.codec.zoned import zone_named  # noqa: PLC0415 - only where one is misspelled
        from wpbridge.errors import CronError  # noqa: PLC0415

        name = shown_name(str(value))
        if name is not None:
            return name
        try:
            return str(zone_named(str(value)))
        except CronError as error:
            self.fail(str(error), param, ctx)


def tz_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--tz`` to a command that shows times."""
    return click.option(
        "--tz",
        type=_ZoneName(),
        metavar="ZONE",
        help="Show times to people in this zone: site, UTC, Europe/Rome (UTC).",
    )(command)


def times_in(settings: Settings, store: OpenStore) -> tzinfo:
    """Return the zone that times are shown in for people; asks the store for the site's own."""
    return shown_zone(settings.tz, store.tables.zone)
