"""``migrate import``: a file's actions to a queue."""

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from wpbridge.cli.filters import query_of
from wpbridge.cli.options import one_line_errors, settings_of, site_options
from wpbridge.cli.output import plural, shown, told
from wpbridge.cli.progress import counting
from wpbridge.clock import SystemClock
from wpbridge.config import Settings
from wpbridge.migrate import transfer
from wpbridge.migrate.transfer import Import, Rejects, Report, Wishes
from wpbridge.moments import parse_duration
from wpbridge.queue import opened

_MOST_SAID = 20


def import_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What import and copy take alike."""
    for option in reversed((
        click.option("--shift", metavar="TIME", help="Move pending dates by so much: 2h, -1d."),
        click.option("--unique", is_flag=True, help="Not what is pending already: hook, args,"
                     " group."),
        click.option("--rejects", metavar="FILE", help="Where lines go that cannot be added."),
        click.option("--dry-run", is_flag=True, help="Count and show some; change nothing."),
        click.option("--quiet", is_flag=True, default=None, help="Print errors only."),
        click.option("--format", "format", type=click.Choice(["text", "json"]),
                     help="How (text)."),
    )):  # fmt: skip
        command = option(command)
    return command


def wishes_of(
    shift: str | None,
    *,
    unique: bool,
    dry_run: bool,
    statuses: Sequence[str] = (),
    into_itself: bool = False,
) -> Wishes:
    """From the options; InputError for what cannot be read."""
    by = timedelta(0)
    if shift is not None:
        sign = -1 if shift.startswith("-") else 1
        by = sign * parse_duration(shift.lstrip("+-"), "--shift")
    names = query_of({"status": statuses}).statuses
    return Wishes(
        now=SystemClock().now(), shift=by, unique=unique, dry_run=dry_run,
        statuses=frozenset(names), into_itself=into_itself,
    )  # fmt: skip


@click.command("import", short_help="Add the actions of such a file.", epilog="""
Examples:
  wpbridge migrate import --input moved.jsonl --dry-run
  wpbridge migrate import --input moved.jsonl
  wpbridge migrate import --input moved.jsonl --status pending --shift 2h --unique
""")  # fmt: skip
@site_options
@click.option("--input", "input_", required=True, metavar="FILE|-", help="Packed or not.")
@click.option("--status", multiple=True, metavar="STATUS", help="Only these.")
@click.option("--into-itself", is_flag=True, help="Also into the queue the file was written from.")
@import_options
@click.pass_context
@one_line_errors
def import_(
    ctx: click.Context,
    *,
    input_: str,
    status: Sequence[str],
    into_itself: bool,
    shift: str | None,
    unique: bool,
    rejects: str | None,
    dry_run: bool,
    **flags: Any,
) -> None:
    """Add the actions of an exported file, in their statuses, with new ids.

    What the same file has added before is skipped, so that after a crash it is just called again.
    Lines that cannot be added go to a side file, with the reason; exit code 1 then, and when the
    file is cut off or the look at the end finds something missing.
    """
    wishes = wishes_of(
        shift, unique=unique, dry_run=dry_run, statuses=status, into_itself=into_itself
    )
    settings = settings_of(ctx, flags)
    usual = "rejected.jsonl" if input_ == "-" else f"{input_}.rejected.jsonl"
    side = Rejects(Path(rejects or usual))
    with (
        opened(settings) as queue,
        transfer.source(input_) as stream,
        counting("import", None, lines=not settings.quiet) as advance,
    ):
        report = Import(queue.store, wishes, side.add, advance).run(transfer.read(stream))
    side.close()
    conclude(report, wishes, settings, side, "import")


def conclude(report: Report, wishes: Wishes, settings: Settings, side: Rejects, verb: str) -> None:
    """Say what was done, and what was not; ends with exit code 1 when anything is amiss."""
    if not settings.quiet or wishes.dry_run:
        if settings.format == "json":
            click.echo(json.dumps(summary_of(report, wishes, side)))
        else:
            for sample in report.samples if wishes.dry_run else ():
                told(shown(sample))
            click.echo(_in_words(report, wishes, side, verb))
    if not report.is_whole:
        told("the input ends early: its last line is missing, and perhaps more")
    for problem in report.problems[:_MOST_SAID]:
        told(shown(problem))
    if not report.is_good:
        raise SystemExit(1)


def summary_of(report: Report, wishes: Wishes, side: Rejects) -> dict[str, Any]:
    """The report as JSON; docs/reference/json.md."""
    return {
        "dry_run": wishes.dry_run,
        "read": report.read,
        "added": report.added,
        "statuses": dict(report.statuses),
        "known": report.known,
        "refused": report.refused,
        "left_out": report.left_out,
        "rejected": report.rejected,
        "rejects": str(side.file) if report.rejected else None,
        "waits_lost": report.waits_lost,
        "whole": report.is_whole,
        "problems": report.problems,
    }


def _in_words(report: Report, wishes: Wishes, side: Rejects, verb: str) -> str:
    done = {"import": "imported", "copy": "copied"}[verb]
    parts = [f"{f'would {verb}' if wishes.dry_run else done} {plural(report.added, 'action')}"]
    for count, words in (
        (report.known, "there from before"),
        (report.refused, "not unique"),
        (report.left_out, "of other statuses left out"),
        (report.waits_lost, "waits lost, their actions stay without a date"),
        (report.rejected, f"rejected, see {side.file}"),
    ):
        if count:
            parts.append(f"{count:,} {words}")
    if not wishes.dry_run:
        parts.append("verified" if not report.problems else "NOT verified")
    return ", ".join(parts)
