"""``migrate export``: actions to a file."""

import json
from collections.abc import Mapping
from typing import Any

import click

from wpbridge.cli.filters import filter_options, query_of, split
from wpbridge.cli.migrating import opened_with_places
from wpbridge.cli.misspelled import tell_unknown
from wpbridge.cli.options import format_option, one_line_errors, settings_of, site_options
from wpbridge.cli.output import told
from wpbridge.cli.progress import counting
from wpbridge.cli.terminal import print_line
from wpbridge.clock import SystemClock
from wpbridge.migrate.transfer import files
from wpbridge.migrate.transfer.exporting import lines_of
from wpbridge.migrate.transfer.lines import dumped
from wpbridge.migrate.transfer.row_to_line import line_of
from wpbridge.queue.facade import Queue
from wpbridge.site.config import Settings
from wpbridge.store.records import Query
from wpbridge.telling.words import plural

_SHOWN = 3


@click.command(
    short_help="Write actions to a file.",
    epilog="""
Examples:
  wpbridge migrate export --output /var/backups/queue.jsonl.gz
  wpbridge migrate export --output /var/backups/pending.jsonl --status pending --no-logs
  wpbridge migrate export --output - --hook send_mail | gzip > mails.jsonl.gz
  wpbridge migrate export --output /var/backups/queue.jsonl --dry-run
""",
)
@site_options
@filter_options
@click.option(
    "--output", required=True, metavar="FILE|-", help="The file to write; packed if it ends in .gz."
)
@click.option("--logs/--no-logs", default=True, help="Take their logs along (yes).")
@click.option("--origin", metavar="NAME", help="The name of the source queue; see the docs.")
@click.option("--dry-run", is_flag=True, help="Count them and show some; write nothing.")
@click.option("--quiet", is_flag=True, default=None, help="Print errors only.")
@format_option("How (text).")
@click.pass_context
@one_line_errors
def export(
    ctx: click.Context,
    *,
    output: str,
    logs: bool,
    origin: str | None,
    dry_run: bool,
    **flags: Any,
) -> None:
    """Write actions to a file of JSON lines, which import adds to another queue.

    Each action is written as it is when it is read. A running or claimed action is written as
    pending: if it ends well here meanwhile, it runs twice, so stop the runners before a move. The
    file appears only when it is complete. An export that was stopped begins again.
    """
    filters = split(flags)
    query = query_of(filters)
    settings = settings_of(ctx, flags)
    with opened_with_places(settings) as (queue, places):
        output = output if output == "-" else str(places.named(output, "--output"))
        tell_unknown(queue.store, query.hooks, query.groups, for_people=not settings.quiet)
        count = queue.count(query)
        if dry_run:
            _show(queue, query)
            last: dict[str, Any] = {"actions": count}
        else:
            with (
                counting("export", count, lines=not settings.quiet) as advance,
                files.output(output) as stream,
            ):
                lines = lines_of(
                    queue.store,
                    query,
                    now=SystemClock().now(),
                    logs=logs,
                    origin=origin,
                    count=count,
                    tick=advance,
                )
                last = files.write(lines, stream)
    if dry_run or not settings.quiet:
        _tell(last, output, settings, dry_run=dry_run)


def _tell(last: Mapping[str, Any], output: str, settings: Settings, *, dry_run: bool) -> None:
    if settings.format == "json":
        facts = {"actions": last["actions"], "statuses": last.get("statuses"), "output": output}
        summary = json.dumps({"dry_run": dry_run, **facts})
    else:
        deed = "would export" if dry_run else "exported"
        summary = f"{deed} {plural(last['actions'], 'action')} to {output}"
    # Beside the data itself there is no room for it.
    print_line(summary, err=output == "-" and not dry_run)


def _show(queue: Queue, query: Query) -> None:
    """Show a few of the actions as they would be written."""
    for window in queue.store.whole_rows.read(query, logs=False, size=_SHOWN):
        for row in window:
            told(dumped(line_of(row)).decode("utf-8", "replace").rstrip())
        break
