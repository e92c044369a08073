"""``advise``: how many workers a queue needs, or what holds its work up instead."""

import os
from contextlib import closing
from typing import Any

import click

from wpbridge.cli.options import format_option, one_line_errors, settings_of, site_options
from wpbridge.cli.terminal import print_json, print_line
from wpbridge.clock import SystemClock
from wpbridge.monitor.advice import Advice
from wpbridge.monitor.advising import advice_of, facts
from wpbridge.monitor.handed_hooks import handed_by
from wpbridge.monitor.readings import read
from wpbridge.site.config import Settings
from wpbridge.site.resolve import resolve
from wpbridge.store.connect import open_site


@click.command(
    short_help="Say how many workers the queue needs, or what holds it up.",
    epilog="""
Examples:
  wpbridge advise --path /var/www/html
  wpbridge advise --path /var/www/html --target-wait 30s --format json
""",
)
@site_options
@click.option(
    "--target-wait",
    "advise_target_wait",
    metavar="TIME",
    help="For how long an action may be due before it starts (1m).",
)
@format_option("How to print.")
@click.pass_context
@one_line_errors
def advise(ctx: click.Context, **flags: Any) -> None:
    """Say how many workers the queue needs and why, or what holds its work up instead.

    A worker is here a place at which one action runs at a time: a thread, an isolated child or a
    PHP worker. The number follows from how many actions arrive, how long one takes, and how many
    are due. The command reads only the tables, so you can run it on any machine that reaches the
    database.
    """
    settings = settings_of(ctx, flags)
    found = _advice(settings)
    if settings.format == "json":
        print_json(facts(found))
        return
    for name, value in _lines(found):
        print_line(f"{name:16} {value}")


def _advice(settings: Settings) -> Advice:
    with closing(open_site(resolve(settings, os.environ))) as store:
        is_handed = handed_by(settings)
        readings = read(store, SystemClock().now(), is_handed)
        return advice_of(
            store,
            readings,
            target_wait=settings.advise_target_wait,
            limits=settings.limits,
            pairs=readings.due_pairs,
            is_handed=is_handed,
        )


def _lines(advice: Advice) -> list[tuple[str, str]]:
    return [
        ("workers now", f"{advice.workers_now:,}"),
        ("workers advised", f"{advice.workers_advised:,}"),
        ("obstacle", advice.obstacle or "none"),
        ("arrivals", _shown(advice.arrivals_per_second, "a second")),
        ("service time", _shown(advice.service_seconds, "s")),
        ("due", f"{advice.due:,}"),
        ("target wait", f"{advice.target_wait_seconds:g} s"),
        ("reason", advice.reason),
    ]


def _shown(value: float | None, unit: str) -> str:
    return "unknown" if value is None else f"{value:.3g} {unit}"
