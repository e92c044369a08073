"""Which ended actions are meant: the options that ``clean`` and ``migrate archive`` share."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import click

from wpbridge.action import Status
from wpbridge.cli.filters import ENDED_NAMES, span_from, statuses_of
from wpbridge.errors import InputError
from wpbridge.site.moments import parse_moment
from wpbridge.upkeep.cleanup import BATCH_SIZE
from wpbridge.upkeep.selection import Selection


def ended_options(statuses: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the options that say which ended actions are meant; ``statuses``: help of --status."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in (
            click.option(
                "--batch-size",
                type=click.IntRange(1, 10_000),
                default=BATCH_SIZE,
                help="Rows in each transaction (500).",
            ),
            click.option(
                "--before",
                metavar="DATE",
                help="Only actions whose last attempt was before this date.",
            ),
            click.option(
                "--older-than",
                metavar="TIME",
                help="Only actions whose last attempt is so old (31d; failed 93d).",
            ),
            click.option(
                "--group", "groups", multiple=True, metavar="SLUG", help="Only these groups."
            ),
            click.option(
                "--hook",
                "hooks",
                multiple=True,
                metavar="PATTERN",
                help="Only hooks that match; * and ? are wildcards.",
            ),
            click.option("--status", "statuses", multiple=True, metavar="STATUS", help=statuses),
        ):
            command = option(command)
        return command

    return add


def selection_of(flags: dict[str, Any], now: datetime, statuses: Sequence[str] = ()) -> Selection:
    """Take the options of :func:`ended_options` out of a command's flags.

    ``statuses``: those that are meant where none is named. InputError for what cannot be read.
    """
    older_than, before = flags.pop("older_than"), flags.pop("before")
    if older_than is not None and before is not None:
        raise InputError("--older-than and --before: give one of them")
    end = None if before is None else parse_moment(before, now, name="--before")
    if older_than is not None:
        end = span_from(now, older_than, "--older-than", -1)
    return Selection(
        statuses=tuple(map(Status, statuses_of(flags.pop("statuses") or statuses, ENDED_NAMES))),
        hooks=tuple(flags.pop("hooks")),
        groups=tuple(flags.pop("groups")),
        before=end,
    )
