"""``hooks``: the routing table, applied to what is in the queue."""

from dataclasses import asdict
from typing import Any

import click

from wpbridge import app
from wpbridge.app.queued_hooks import RoutedHook, queued_hooks
from wpbridge.cli.options import (
    handlers_option,
    one_line_errors,
    php_options,
    settings_of,
    site_options,
)
from wpbridge.cli.output import list_options, print_rows, told
from wpbridge.cli.times import tz_option
from wpbridge.clock import SystemClock

FIELDS = ("hook", "group", "to", "why", "pending", "due", "running", "held", "next_at", "callback")
_SHOWN = ("hook", "group", "to", "pending", "due", "running", "next_at", "why")


@click.command(
    short_help="Show what happens to each hook in the queue, and why.",
    epilog="""
Examples:
  wpbridge hooks --path /var/www/html
  wpbridge hooks --path /var/www/html --php --ask-wordpress
  wpbridge hooks --path . --handlers shop.hooks --format json
""",
)
@site_options
@handlers_option
@php_options
@click.option(
    "--ask-wordpress", is_flag=True, help="Load WordPress once to see whether PHP has a callback."
)
@list_options(FIELDS)
@tz_option
@click.pass_context
@one_line_errors
def hooks(
    ctx: click.Context, *, ask_wordpress: bool, fields: str | None, field: str | None, **flags: Any
) -> None:
    """Show for each hook and group in the queue whether Python, a webhook or PHP runs it.

    The plugin's own runner may run hooks that lead to `leave`. wpbridge loads only the handlers
    that --handlers names; hooks that depend on others are shown as unknown. Changes nothing.
    """
    settings = settings_of(ctx, flags)
    found = queued_hooks(settings, SystemClock().now(), ask_wordpress=ask_wordpress)
    as_table = settings.format in ("text", "table")
    rows = [{**asdict(one), "why": _why(one) if as_table else one.why} for one in found.hooks]
    if rows or not as_table:
        print_rows(
            rows,
            fields=FIELDS,
            shown_fields=_SHOWN,
            style=settings.format,
            chosen=fields,
            field=field,
            zone=found.zone,
        )
    else:
        told("no pending or running actions, and no handlers")
    if found.left_out:
        told(app.not_loaded(found.left_out, settings))


def _why(one: RoutedHook) -> str:
    if one.callback is None:
        return one.why
    return f"{one.why}; WordPress has {'a' if one.callback else 'NO'} callback"
