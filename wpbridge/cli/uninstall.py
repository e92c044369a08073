"""``uninstall``: wpbridge is taken out of a site again."""

from dataclasses import asdict
from typing import Any

import click

from wpbridge.cli.options import format_option, one_line_errors, settings_of, site_options
from wpbridge.cli.terminal import print_json, print_line
from wpbridge.leaving import uninstalling


@click.command(
    short_help="Take wpbridge out of a site again.",
    epilog="""
Examples:
  wpbridge uninstall --path /var/www/html --dry-run
  wpbridge uninstall --path /var/www/html --yes
""",
)
@site_options
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and what would stay.")
@click.option(
    "--yes",
    "-y",
    is_flag=True,
    help="Remove it even if keys, users, pauses, waits or time zones are lost.",
)
@click.option("--with-index", is_flag=True, help="Also drop the index of `migrate index`.")
@click.option("--with-bridge", is_flag=True, help="Also remove the bridge of moved cron events.")
@format_option("How to print.")
@click.pass_context
@one_line_errors
def uninstall(
    ctx: click.Context,
    *,
    dry_run: bool,
    yes: bool,
    with_index: bool,
    with_bridge: bool,
    **flags: Any,
) -> None:
    """Remove wpbridge's own tables, the companion plugin and its option.

    The command refuses while a runner may be at work. The plugin's tables stay. What dead runners
    had in hand is put back, actions that wait without a date are canceled, and actions of
    wpbridge's own hooks are deleted. With the tables go all pauses, keys, users and the time zones
    of cron chains.

    The command names what it leaves, and how to remove it: units, lines of crontabs and journals.
    """
    settings = settings_of(ctx, flags)
    done = uninstalling.remove(
        settings, may_lose=yes, dry_run=dry_run, with_index=with_index, with_bridge=with_bridge
    )
    if settings.format == "json":
        print_json({"dry_run": dry_run, **asdict(done)})
        return
    if done.refusal:
        print_line(f"would refuse: {done.refusal}", err=True)
    for words in done.lost:
        print_line(f"{'would lose' if dry_run else 'lost'} {words}", err=True)
    deed = "would remove" if dry_run else "removed"
    for words in done.removed:
        print_line(f"{deed} {words}")
    names = ", ".join(done.tables) or "no tables: there are none of wpbridge's"
    print_line(f"{deed} {names}")
    for one in done.left:
        print_line(f"{'would leave' if dry_run else 'left'} {one.what}: {one.command}", err=True)
