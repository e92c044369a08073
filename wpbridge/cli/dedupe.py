"""``dedupe``: recurring chains that exist more than once."""

from collections.abc import Sequence
from typing import Any

import click

from wpbridge.cli.filters import MANY
from wpbridge.cli.misspelled import tell_unknown
from wpbridge.cli.options import format_option, one_line_errors, settings_of, site_options
from wpbridge.cli.output import confirm
from wpbridge.cli.terminal import print_json, print_line
from wpbridge.clock import SystemClock
from wpbridge.queue.facade import opened
from wpbridge.store.records import Query
from wpbridge.telling.words import plural
from wpbridge.upkeep import cleanup


@click.command(
    short_help="End recurring chains that exist more than once.",
    epilog="""
Examples:
  wpbridge dedupe --dry-run
  wpbridge dedupe --hook nightly_report --yes
""",
)
@site_options
@click.option("--hook", "hooks", multiple=True, metavar="HOOK", help="Only these hooks.")
@click.option("--group", "groups", multiple=True, metavar="SLUG", help="Only these groups.")
@click.option("--dry-run", is_flag=True, help="Say which actions are meant; change nothing.")
@click.option("--yes", "-y", is_flag=True, help=f"Do not ask about more than {MANY}.")
@format_option("How (text).")
@click.pass_context
@one_line_errors
def dedupe(
    ctx: click.Context,
    *,
    hooks: Sequence[str],
    groups: Sequence[str],
    dry_run: bool,
    yes: bool,
    **flags: Any,
) -> None:
    """Cancel duplicates of recurring actions (same hook, args, group and recurrence).

    The one that is due first goes on. The logs of the others say why they were canceled.
    """
    settings = settings_of(ctx, flags)
    query = Query(hooks=tuple(hooks), groups=tuple(groups))
    with opened(settings) as queue:
        tell_unknown(queue.store, hooks, groups, for_people=settings.format != "json")
        chains = cleanup.duplicate_chains(queue.store, query)
        extra = [record.id for chain in chains for record in chain.extra]
        if not dry_run:
            if len(extra) > MANY:
                confirm(f"cancel {plural(len(extra), 'action')}", yes=yes)
            extra = list(cleanup.end_duplicates(queue.store, chains, now=SystemClock().now()))
    if settings.format == "json":
        rows = [
            {"hook": c.keep.hook, "keep": c.keep.id, "cancel": [r.id for r in c.extra]}
            for c in chains
        ]
        print_json({"dry_run": dry_run, "count": len(extra), "chains": rows})
        return
    for chain in chains:
        ids = " ".join(str(record.id) for record in chain.extra)
        print_line(f"{chain.keep.hook}: keeps {chain.keep.id}, ends {ids}")
    print_line(f"{'would cancel' if dry_run else 'canceled'} {plural(len(extra), 'action')}")
