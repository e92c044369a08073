"""``check``: whether the next run can start; with ``--nagios`` how the queue stands."""

from collections.abc import Sequence
from typing import Any, NoReturn

import click

from wpbridge.cli.options import (
    format_option,
    handlers_option,
    one_line_errors,
    php_options,
    settings_of,
    site_options,
)
from wpbridge.cli.output import told
from wpbridge.cli.terminal import print_json, print_line
from wpbridge.doctor.can_start import check as checked
from wpbridge.errors import InputError, SchemaError


@click.command(
    short_help="Check settings and store; changes nothing.",
    epilog="""
Examples:
  wpbridge check --path /var/www/html --handlers shop.hooks
  wpbridge check --path /var/www/html --php --format json
  wpbridge check --path /var/www/html --nagios --critical oldest_due=1h --warning failed=10%
""",
)
@site_options
@handlers_option
@php_options
@format_option("How to print.")
@click.option(
    "--nagios", is_flag=True, help="Print the state of the queue, as monitoring plugins do."
)
@click.option(
    "--warning",
    "-w",
    multiple=True,
    metavar="NAME=VALUE",
    help="With --nagios: above this threshold the answer is WARNING.",
)
@click.option(
    "--critical",
    "-c",
    multiple=True,
    metavar="NAME=VALUE",
    help="With --nagios: above this threshold the answer is CRITICAL.",
)
@click.pass_context
@one_line_errors
def check(
    ctx: click.Context,
    *,
    nagios: bool,
    warning: Sequence[str],
    critical: Sequence[str],
    **flags: Any,
) -> None:
    """Check settings, store, handlers and, with --php, WordPress. Changes nothing.

    It loads the handlers that --handlers names. It names those of the settings file and does not
    run them.

    The exit code is 78 if something keeps the next run from starting: a right that the account
    lacks, a database that takes no writes, tables that are not as they should be. It is 69 if the
    database or WordPress does not answer.

    --nagios prints one line with performance data about the queue instead, and exits with 0 (OK), 1
    (WARNING), 2 (CRITICAL) or 3 (UNKNOWN). Thresholds are those of the alerts, unless --warning and
    --critical give others; the value "off" means none. The names are those in the line.
    """
    if nagios:
        _nagios(ctx, flags, warning, critical)
    if warning or critical:
        raise InputError("--warning and --critical are for --nagios")
    settings = settings_of(ctx, flags)
    found = checked(settings)
    if settings.format == "json":
        print_json(found.facts)
    else:
        for name, value in found.facts.items():
            print_line(f"{name:13} {_plain(value)}")
    if found.unrun:
        told(f"warning: {found.unrun}")
    if found.problems:
        raise SchemaError(found.problems[0])


def _nagios(
    ctx: click.Context, flags: dict[str, Any], warning: Sequence[str], critical: Sequence[str]
) -> NoReturn:
    """Print the line, and exit with its code. Whatever goes wrong is UNKNOWN."""
    from wpbridge.monitor import nagios  # noqa: PLC0415 - a plain check needs none of it
    from wpbridge.monitor.watched_site import facts_now  # noqa: PLC0415

    try:
        bounds = nagios.bounds_of(warning, critical)
        report = nagios.report(facts_now(settings_of(ctx, flags)), bounds)
    except Exception as error:  # noqa: BLE001 - a traceback would be no answer
        report = nagios.unknown(str(error) or type(error).__name__)
    print_line(report.line)
    raise SystemExit(int(report.state))


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} ({v})" for k, v in value.items() if v is not None) or "all default"
    if value is None:
        return "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)
