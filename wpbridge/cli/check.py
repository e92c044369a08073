"""``check``: whether the next run can start."""

from typing import Any

import click

from wpbridge.cli.options import (
    format_option,
    handlers_option,
    one_line_errors,
    php_options,
    settings_of,
    site_options,
)
from wpbridge.cli.terminal import print_json, print_line
from wpbridge.doctor.can_start import check as checked
from wpbridge.errors import SchemaError


@click.command(
    short_help="Check settings and store; changes nothing.",
    epilog="""
Examples:
  wpbridge check --path /var/www/html --handlers shop.hooks
  wpbridge check --path /var/www/html --php --format json
""",
)
@site_options
@handlers_option
@php_options
@format_option("How to print.")
@click.pass_context
@one_line_errors
def check(ctx: click.Context, **flags: Any) -> None:
    """Check settings, store, handlers and, with --php, WordPress; changes nothing.

    Handlers are loaded that --handlers names; those of the settings file are named, and not run.

    Exit 78 when something keeps the next run from starting: a right that the account lacks, a
    database that takes no writes, tables that are not as they should be. Exit 69 when the database
    or WordPress does not answer.
    """
    settings = settings_of(ctx, flags)
    found = checked(settings)
    if settings.format == "json":
        print_json(found.facts)
    else:
        for name, value in found.facts.items():
            print_line(f"{name:13} {_plain(value)}")
    if found.problems:
        raise SchemaError(found.problems[0])


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} ({v})" for k, v in value.items() if v is not None) or "all default"
    if value is None:
        return "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)
