"""``migrate archive``: what ended long ago is moved into packed files."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from wpbridge.cli.clean import selected
from wpbridge.cli.ended import ended_options, selection_of
from wpbridge.cli.exit_codes import Exit
from wpbridge.cli.filters import ENDED_NAMES, MANY
from wpbridge.cli.migrating import opened_with_places
from wpbridge.cli.options import format_option, one_line_errors, settings_of, site_options
from wpbridge.cli.output import confirm, told
from wpbridge.cli.progress import counting
from wpbridge.cli.stopping import stoppable
from wpbridge.cli.terminal import print_json, print_line
from wpbridge.clock import SystemClock
from wpbridge.migrate import archive as archives
from wpbridge.migrate.journal import Journal, name_of
from wpbridge.queue.facade import Queue
from wpbridge.site.config import Settings
from wpbridge.store.upkeep.retention import Expiry
from wpbridge.telling.words import plural

_SHOWN = 3


@click.command(
    short_help="Move actions that ended long ago into files.",
    epilog="""
Examples:
  wpbridge migrate archive --output /var/backups --dry-run
  wpbridge migrate archive --output /var/backups --yes
  wpbridge migrate archive --older-than 7d --status complete --output /var/backups/7d.jsonl.gz --yes
""",
)
@site_options
@click.option(
    "--output",
    required=True,
    metavar="FOLDER|FILE",
    help="A folder, or a file that ends in .jsonl.gz.",
)
@ended_options("Only these statuses: complete, failed, canceled (all three).")
@click.option("--dry-run", is_flag=True, help="Count them and show some; change nothing.")
@click.option("--quiet", is_flag=True, default=None, help="Print errors only, as cron likes it.")
@click.option("--yes", "-y", is_flag=True, help=f"Do not ask about more than {MANY}.")
@format_option("How (text).")
@click.pass_context
@one_line_errors
def archive(
    ctx: click.Context,
    *,
    output: str,
    batch_size: int,
    dry_run: bool,
    yes: bool,
    **flags: Any,
) -> None:
    """Move ended actions and their logs into a packed file of JSON lines, which import reads.

    A row is deleted once its line is on the disk. To go on with an archive that was stopped, give
    the same --output; the options of the first call count. The exit code is 1 if the finished file,
    read back, is not as it should be.
    """
    now = SystemClock().now()
    selection = selection_of(flags, now, ENDED_NAMES)
    settings = settings_of(ctx, flags)
    with opened_with_places(settings) as (queue, places):
        file = archives.file_for(str(places.named(output, "--output")), now, name_of(queue.store))
        wanted = selected(queue, settings, selection, now)
        by_status = Counter[str]()
        for expiry in wanted:
            by_status[expiry.status.value] += queue.store.retention.count(expiry)
        if dry_run:
            _tell_plan(by_status, _samples(queue, wanted), file, settings)
            return
        count = by_status.total()
        if not count and not archives.journal_of(file).exists():
            _tell_nothing(settings)
            return
        report = _run(queue, wanted, count, file, batch_size, yes=yes, quiet=bool(settings.quiet))
    _tell(report, settings)
    raise SystemExit(int(Exit.ERROR if report.problems else Exit.OK))


def _run(
    queue: Queue,
    wanted: Sequence[Expiry],
    count: int,
    file: Path,
    batch_size: int,
    *,
    yes: bool,
    quiet: bool,
) -> archives.Report:
    if count > MANY:
        confirm(f"move {plural(count, 'action')} into {file}", yes=yes)
    journal = archives.journal_of(file)
    site = name_of(queue.store)
    with Journal(journal, kind=archives.KIND, site=site, asked=archives.asked(wanted)) as steps:
        work = archives.Archive(queue.store, steps, file, now=SystemClock().now())
        if work.report.archived and not quiet:
            told(f"going on with {file}: {plural(work.report.archived, 'action')} are in it")
        with stoppable(), counting("archive", count, lines=not quiet) as advance:
            return work.run(batch_size=batch_size, tick=advance)


def _tell_nothing(settings: Settings) -> None:
    if settings.format == "json":
        print_json({"dry_run": False, "actions": 0, "file": None})
    elif not settings.quiet:
        print_line("archived 0 actions: nothing is that old")


def _tell(report: archives.Report, settings: Settings) -> None:
    size = report.file.stat().st_size
    if settings.format == "json":
        print_json(
            {
                "dry_run": False,
                "actions": report.archived,
                "file": str(report.file),
                "bytes": size,
                "statuses": dict(report.statuses),
                "stayed": report.stayed,
                "problems": report.problems,
            }
        )
    elif report.problems or not settings.quiet:
        more = f"; {report.stayed:,} changed meanwhile and stayed" if report.stayed else ""
        actions = plural(report.archived, "action")
        print_line(f"archived {actions} into {report.file} ({size:,} bytes){more}")
    for one in report.problems:
        told(f"problem: {one}")


def _samples(queue: Queue, wanted: Sequence[Expiry]) -> list[dict[str, Any]]:
    retention, reading = queue.store.retention, queue.store.reading
    ids = retention.next(wanted, 0, _SHOWN) if wanted else []
    return [
        {"id": record.id, "hook": record.hook, "status": record.status}
        for record in reading.existing(ids).values()
    ]


def _tell_plan(
    by_status: Counter[str], samples: list[dict[str, Any]], file: Path, settings: Settings
) -> None:
    count, statuses = by_status.total(), {name: n for name, n in by_status.items() if n}
    if settings.format == "json":
        told_plan = {"dry_run": True, "actions": count, "file": str(file), "statuses": statuses}
        print_json({**told_plan, "samples": samples})
        return
    for one in samples:
        told(f"  {one['id']} {one['hook']} {one['status']}")
    of_these = ", ".join(f"{n:,} {name}" for name, n in statuses.items())
    print_line(
        f"would archive {plural(count, 'action')}{f' ({of_these})' if statuses else ''} into {file}"
    )
