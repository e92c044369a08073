"""``clean``: what ended long ago is deleted."""

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any

import click

from wpbridge.cli.ended import ended_options, selection_of
from wpbridge.cli.filters import MANY
from wpbridge.cli.misspelled import tell_unknown
from wpbridge.cli.options import format_option, one_line_errors, settings_of, site_options
from wpbridge.cli.output import confirm, told
from wpbridge.cli.progress import counting
from wpbridge.cli.terminal import print_json, print_line
from wpbridge.cli.times import times_in, tz_option
from wpbridge.clock import SystemClock
from wpbridge.errors import InputError
from wpbridge.queue.facade import Queue, opened
from wpbridge.site.config import Settings
from wpbridge.site.moments import iso, parse_duration
from wpbridge.store.upkeep.retention import Expiry
from wpbridge.telling.words import plural
from wpbridge.upkeep import cleanup
from wpbridge.upkeep.selection import Selection, select


@click.command(
    short_help="Delete actions that ended long ago, by the plugin's rule or yours.",
    epilog="""
Examples:
  wpbridge clean --dry-run
  wpbridge clean --yes
  wpbridge clean --status complete --older-than 7d --hook 'wc_*' --yes
  wpbridge clean --status failed --before 2026-06-01 --yes
  wpbridge clean --orphan-logs --dry-run
""",
)
@site_options
@ended_options("Only these statuses: complete, canceled, failed (complete and canceled).")
@click.option("--batches", type=click.IntRange(0), default=0, help="Batches at most (0: no limit).")
@click.option(
    "--pause", "pause_", default="0", metavar="TIME", help="The time between two batches (0)."
)
@click.option("--orphan-logs", is_flag=True, help="Delete log rows without an action instead.")
@click.option("--dry-run", is_flag=True, help="Count what would be deleted; change nothing.")
@click.option("--quiet", is_flag=True, default=None, help="Print errors only, as cron likes it.")
@tz_option
@click.option("--yes", "-y", is_flag=True, help=f"Do not ask about more than {MANY}.")
@format_option("How (text).")
@click.pass_context
@one_line_errors
def clean(
    ctx: click.Context,
    *,
    batch_size: int,
    batches: int,
    pause_: str,
    orphan_logs: bool,
    dry_run: bool,
    yes: bool,
    **flags: Any,
) -> None:
    """Delete ended actions and their logs, oldest first, in small batches beside running claims.

    By default the plugin's own rule decides: complete and canceled actions go 31 days after their
    last attempt. Failed ones go only with --status failed, 93 days after it. Rules of [[retention]]
    in the settings come before the plugin's rule.
    """
    now = SystemClock().now()
    selection = selection_of(flags, now)
    settings = settings_of(ctx, flags)
    pause = parse_duration(pause_, "--pause")
    if pause > timedelta(days=1):
        raise InputError("--pause: a day at most")
    if orphan_logs and (selection != Selection() or batches or pause):
        raise InputError("--orphan-logs: it goes alone, or with --dry-run, --yes and --format")
    with opened(settings) as queue:
        if orphan_logs:
            _clean_logs(queue, dry_run=dry_run, yes=yes, style=settings.format)
            return
        zone = times_in(settings, queue.store)
        wanted = selected(queue, settings, selection, now)
        counts = [queue.store.retention.count(expiry) for expiry in wanted]
        if not dry_run:
            if sum(counts) > MANY:
                confirm(f"delete {plural(sum(counts), 'action')}", yes=yes)
            with counting("clean", sum(counts)) as advance:
                counts = cleanup.clean(
                    queue.store,
                    wanted,
                    now=now,
                    batch_size=batch_size,
                    batches=batches,
                    pause_seconds=pause.total_seconds(),
                    tick=advance,
                )
    if not wanted:
        told("nothing is meant: there is no such hook, or a rule keeps its actions")
    if dry_run or not settings.quiet:
        _print_cleaned(wanted, counts, dry_run=dry_run, style=settings.format, zone=zone)


def selected(
    queue: Queue, settings: Settings, selection: Selection, now: datetime
) -> Sequence[Expiry]:
    """Return what a selection means, and name what is misspelled in it.

    Patterns that match nothing are named where they add nothing to the others.
    """
    for_people = settings.format != "json" and not settings.quiet
    found = select(queue.store, selection, settings.retention, now=now)
    tell_unknown(queue.store, selection.names, selection.groups, for_people=for_people)
    if for_people and len(found.unmatched) < len(selection.hooks):
        for pattern in found.unmatched:
            told(f"no hook matches `{pattern}`")
    return found.expiries


def _print_cleaned(
    wanted: Sequence[Expiry], counts: Sequence[int], *, dry_run: bool, style: str, zone: tzinfo
) -> None:
    if style == "json":
        rows = [
            {
                "status": expiry.status.value,
                "before": iso(expiry.before),
                "hooks": list(expiry.hooks),
                "deleted": 0 if dry_run else count,
                "count": count,
            }
            for expiry, count in zip(wanted, counts, strict=True)
        ]
        print_json({"dry_run": dry_run, "count": sum(counts), "rules": rows})
        return
    for expiry, count in zip(wanted, counts, strict=True):
        some = f", {plural(len(expiry.hooks), 'hook')}" if expiry.hooks else ""
        print_line(
            f"{'would delete' if dry_run else 'deleted'} {count:,} {expiry.status.value}, last"
            f" attempt until {iso(expiry.before, zone)}{some}"
        )


def _clean_logs(queue: Queue, *, dry_run: bool, yes: bool, style: str) -> None:
    parts = queue.store
    if not (dry_run or yes):
        with counting("look", None) as advance:
            count = cleanup.delete_orphan_logs(parts, dry_run=True, tick=advance)
        if count > MANY:
            confirm(f"delete {plural(count, 'log row')}", yes=False)
    with counting("look", None) as advance:
        count = cleanup.delete_orphan_logs(parts, dry_run=dry_run, tick=advance)
    if style == "json":
        print_json({"dry_run": dry_run, "count": count})
    else:
        deed = "would delete" if dry_run else "deleted"
        print_line(f"{deed} {plural(count, 'log row')} whose action is gone")
