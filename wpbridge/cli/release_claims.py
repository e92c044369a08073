"""``release-claims``: what dead PHP runners hold is freed."""

from collections.abc import Sequence
from typing import Any

import click

from wpbridge.cli.filters import ids_of
from wpbridge.cli.options import format_option, one_line_errors, settings_of, site_options
from wpbridge.cli.output import told
from wpbridge.cli.terminal import print_json, print_line
from wpbridge.clock import SystemClock
from wpbridge.errors import InputError
from wpbridge.queue.facade import opened
from wpbridge.telling.words import plural
from wpbridge.upkeep import cleanup


@click.command(
    "release-claims",
    short_help="Free actions whose PHP runner is dead.",
    epilog="""
Examples:
  wpbridge release-claims --stale --dry-run
  wpbridge release-claims 812
  wpbridge release-claims --empty
""",
)
@click.argument("claim_ids", metavar="[CLAIM…]", nargs=-1)
@site_options
@click.option("--stale", is_flag=True, help="Free all whose runner has given no sign for 300 s.")
@click.option(
    "--empty", is_flag=True, help="Delete rows of claims without actions that are 300 s old."
)
@click.option("--dry-run", is_flag=True, help="Say which actions are meant; change nothing.")
@format_option("How (text).")
@click.pass_context
@one_line_errors
def release_claims(
    ctx: click.Context,
    claim_ids: Sequence[str],
    *,
    stale: bool,
    empty: bool,
    dry_run: bool,
    **flags: Any,
) -> None:
    """Free waiting actions whose runner is gone, as the plugin's cleaner does after 300 seconds.

    Actions whose runner has given a sign of life since, and running actions, are left alone. Claims
    of dead wpbridge runners are put back by claim-and-run.
    """
    ids = {int(i) for i in ids_of(claim_ids, "claim id")}
    if not (ids or stale or empty):
        raise InputError("name claims, or give --stale or --empty")
    settings = settings_of(ctx, flags)
    with opened(settings) as queue:
        freed = cleanup.release(
            queue, ids, stale=stale, empty=empty, now=SystemClock().now(), dry_run=dry_run
        )
    if settings.format == "json":
        print_json(
            {
                "dry_run": dry_run,
                "actions": list(freed.actions),
                "claims": list(freed.claims),
                "left": {str(claim): why for claim, why in freed.left.items()},
            }
        )
    else:
        freeing, dropping = ("would free", "would drop") if dry_run else ("freed", "dropped")
        actions = plural(len(freed.actions), "action")
        print_line(f"{freeing} {actions}, {dropping} {plural(len(freed.claims), 'empty claim')}")
        for claim, why in freed.left.items():
            if claim in ids or not empty:
                told(f"claim {claim} left as it is: {why}")
    if ids & set(freed.left):
        raise SystemExit(1)
