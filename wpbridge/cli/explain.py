"""``explain``: why an action does not run."""

from dataclasses import asdict
from typing import Any

import click

from wpbridge.cli.filters import ids_of
from wpbridge.cli.options import (
    format_option,
    handlers_option,
    one_line_errors,
    php_options,
    settings_of,
    site_options,
)
from wpbridge.cli.terminal import print_json, print_line
from wpbridge.cli.times import tz_option
from wpbridge.doctor.explain import Explanation, explain_action
from wpbridge.errors import InputError


@click.command(
    short_help="Say why an action does not run.",
    epilog="""
Examples:
  wpbridge explain 4711
  wpbridge explain 4711 --handlers shop.hooks
  wpbridge explain 4711 --php --ask-wordpress
""",
)
@click.argument("action_id", metavar="ID")
@site_options
@handlers_option
@php_options
@click.option(
    "--ask-wordpress", is_flag=True, help="Load WordPress once to see whether PHP has a callback."
)
@format_option("How to print (text).")
@tz_option
@click.pass_context
@one_line_errors
def explain(ctx: click.Context, *, action_id: str, ask_wordpress: bool, **flags: Any) -> None:
    """Say everything that keeps an action from running, the most decisive reason first.

    Give the same --handlers and --php as for the run, so that the command knows what is run here.
    It does not load handlers that only the settings file names. It changes nothing. The exit code
    is 1 if there is no such action.
    """
    ids = ids_of([action_id])
    if len(ids) != 1:
        raise InputError("one action id")
    settings = settings_of(ctx, flags)
    found = explain_action(settings, ids[0], ask_wordpress=ask_wordpress)
    if settings.format == "json":
        print_json(asdict(found))
    else:
        _print(found)


def _print(found: Explanation) -> None:
    print_line(found.verdict)
    for reason in found.reasons:
        print_line(f"  {reason.code}: {reason.text}")
        if reason.fix:
            print_line(f"    fix: {reason.fix}")
