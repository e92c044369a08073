"""``init``: wpbridge's own tables are made."""

from typing import Any

import click

from wpbridge.cli.options import one_line_errors, settings_of, site_options
from wpbridge.cli.terminal import print_line
from wpbridge.upkeep import own_tables


@click.command(
    short_help="Prepare a queue: wpbridge's own tables, on SQLite all tables.",
    epilog="""
Examples:
  wpbridge init --dsn sqlite:///queue.db
  wpbridge init --path /var/www/html --dry-run
""",
)
@site_options
@click.option("--with-tables", is_flag=True, help="Also create the plugin's tables on MySQL.")
@click.option("--dry-run", is_flag=True, help="Say what would be created.")
@click.pass_context
@one_line_errors
def init(ctx: click.Context, *, with_tables: bool, dry_run: bool, **flags: Any) -> None:
    """Create wpbridge's own tables. A stand-alone SQLite queue gets its file and all tables.

    The site gets its signing secret as well, unless it has one. The database of a WordPress on
    SQLite must exist, with the plugin's tables, because only PHP makes those in a way that PHP
    knows.
    """
    settings = settings_of(ctx, flags)
    deed = "would make" if dry_run else "making"
    made = own_tables.make(
        settings,
        with_tables=with_tables,
        dry_run=dry_run,
        tell=lambda names: print_line(f"{deed} {', '.join(names)}"),
    )
    what = "the queue's tables and wpbridge's own" if made.everything else "wpbridge's own tables"
    done = "would create" if dry_run else "created"
    told = f"{done} {what} in" if made.tables else f"{what} are there in"
    print_line(f"{told} {made.where}")
    if made.has_secret:
        print_line(
            "would make the site's signing secret" if dry_run else "made the site's signing secret"
        )
