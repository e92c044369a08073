"""``init`` and ``uninstall``: wpbridge's own tables are made and removed."""

from typing import Any

import click

from wpbridge.cli.options import one_line_errors, settings_of, site_options
from wpbridge.cli.terminal import print_line
from wpbridge.clock import SystemClock
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


@click.command(
    short_help="Remove wpbridge's own tables.",
    epilog="""
Examples:
  wpbridge uninstall --path /var/www/html --dry-run
  wpbridge uninstall --path /var/www/html --yes
""",
)
@site_options
@click.option("--dry-run", is_flag=True, help="Say what would be removed.")
@click.option(
    "--yes", "-y", is_flag=True, help="Remove them even if pauses, waits or time zones are lost."
)
@click.pass_context
@one_line_errors
def uninstall(ctx: click.Context, *, dry_run: bool, yes: bool, **flags: Any) -> None:
    """Remove wpbridge's own tables. The plugin's tables stay as they are.

    The command refuses while a runner has claims. With the tables go all pauses and idempotency
    keys. Actions that wait for others then never run, and cron chains with a time zone go on in
    UTC.
    """
    settings = settings_of(ctx, flags)
    done = own_tables.remove(settings, now=SystemClock().now(), may_lose=yes, dry_run=dry_run)
    for words in done.lost:
        print_line(f"{'would lose' if dry_run else 'lost'} {words}", err=True)
    names = ", ".join(done.tables) or "nothing: there are none of wpbridge's tables"
    print_line(f"{'would remove' if dry_run else 'removed'} {names}")
