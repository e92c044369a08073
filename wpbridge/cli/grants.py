"""``grants``: the rights that an account of the database needs."""

from typing import Any

import click

from wpbridge.cli.options import format_option, one_line_errors, settings_of, site_options
from wpbridge.cli.terminal import print_json, print_line
from wpbridge.upkeep.granting import ACCOUNT, needed


@click.command(
    short_help="Print the rights that a database account needs; changes nothing.",
    epilog="""
Examples:
  wpbridge grants --path /var/www/html --for runner
  wpbridge grants --path /var/www/html --for gateway --account 'wpbridge@10.0.0.%'
  wpbridge grants --path /var/www/html --for init --format json
""",
)
@site_options
@click.option(
    "--for",
    "purposes",
    multiple=True,
    metavar="PURPOSE",
    help="runner, gateway, dashboard, migrations or init; several times for several (all).",
)
@click.option(
    "--account", default=ACCOUNT, metavar="USER@HOST", help=f"Whom they are for ({ACCOUNT})."
)
@click.option(
    "--with-create", is_flag=True, help="Let the account make those own tables that are missing."
)
@format_option("How to print.")
@click.pass_context
@one_line_errors
def grants(
    ctx: click.Context,
    *,
    purposes: tuple[str, ...],
    account: str,
    with_create: bool,
    **flags: Any,
) -> None:
    """Print the GRANT statements of an account that may do no more than it must.

    They are for MariaDB and MySQL, and name this site's tables as they are. An administrator of the
    database runs them; wpbridge does not.
    """
    settings = settings_of(ctx, flags)
    found = list(needed(settings, purposes, account=account, creates=with_create))
    if settings.format == "json":
        print_json(
            [
                {"for": one.purpose, "account": account, "statements": list(one.statements)}
                for one in found
            ]
        )
        return
    for one in found:
        print_line(f"-- {one.purpose}: {one.about}")
        for statement in one.statements:
            print_line(statement)
