"""``migrate import``: a file's actions to a queue, and out of it again."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from wpbridge.cli.exit_codes import Exit
from wpbridge.cli.filters import MANY, query_of
from wpbridge.cli.migrating import opened_with_places, undo_file
from wpbridge.cli.options import one_line_errors, settings_of, site_options
from wpbridge.cli.output import confirm, told
from wpbridge.cli.progress import counting
from wpbridge.cli.terminal import print_json, print_line
from wpbridge.clock import SystemClock
from wpbridge.dataclass import dataclass
from wpbridge.errors import InputError
from wpbridge.migrate.file_locations import FileLocations
from wpbridge.migrate.journal import Journal, name_of
from wpbridge.migrate.transfer import files, taking_back
from wpbridge.migrate.transfer.files import Line, Rejects
from wpbridge.migrate.transfer.importing import Import
from wpbridge.migrate.transfer.taking_back import TakenBack
from wpbridge.migrate.transfer.wishes import Report, Wishes
from wpbridge.queue.facade import Queue
from wpbridge.site.config import Settings
from wpbridge.site.moments import parse_duration
from wpbridge.telling.words import plural

_MOST_SAID = 20


def import_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that import and copy take alike."""
    for option in reversed(
        (
            click.option("--shift", metavar="TIME", help="Move pending dates by so much: 2h, -1d."),
            click.option(
                "--unique",
                is_flag=True,
                help="Leave out actions whose hook, args and group are pending already.",
            ),
            click.option(
                "--rejects", metavar="FILE", help="The file for lines that cannot be added."
            ),
            click.option(
                "--journal",
                metavar="FILE",
                help="The file that notes what is added (in the state folder).",
            ),
            click.option("--undo", metavar="JOURNAL", help="Take back what this journal names."),
            click.option("--dry-run", is_flag=True, help="Count and show some; change nothing."),
            click.option("--yes", "-y", is_flag=True, help=f"Do not ask about more than {MANY}."),
            click.option("--quiet", is_flag=True, default=None, help="Print errors only."),
            click.option(
                "--format", "format", type=click.Choice(["text", "json"]), help="How (text)."
            ),
        )
    ):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True, kw_only=True)
class AddOptions:
    """What the options that import and copy take alike say."""

    shift: str | None
    unique: bool
    rejects: str | None
    journal: str | None
    undo: str | None
    dry_run: bool
    yes: bool

    @classmethod
    def of(cls, flags: dict[str, Any]) -> "AddOptions":
        """Take them out of a command's flags."""
        return cls(**{field.name: flags.pop(field.name) for field in fields(cls)})

    def wishes(self, statuses: Sequence[str] = (), *, into_itself: bool = False) -> Wishes:
        """What is to be added, and how; InputError for what cannot be read."""
        by = timedelta(0)
        if self.shift is not None:
            sign = -1 if self.shift.startswith("-") else 1
            by = sign * parse_duration(self.shift.lstrip("+-"), "--shift")
        return Wishes(
            now=SystemClock().now(),
            shift=by,
            unique=self.unique,
            dry_run=self.dry_run,
            statuses=frozenset(query_of({"status": statuses}).statuses),
            into_itself=into_itself,
        )

    def journal_in(self, places: FileLocations) -> Path | None:
        """Where what is added is noted; None for a trial, which notes nothing."""
        return None if self.dry_run else places.journal(self.journal, taking_back.KIND)

    def side_file(self, places: FileLocations, input_: str) -> Rejects | None:
        """Where lines go that cannot be added; None for a trial, which writes no file."""
        if self.dry_run:
            return None
        if self.rejects is not None:
            return Rejects(places.named(self.rejects, "--rejects"), beside=input_)
        usual = "rejected.jsonl" if input_ == "-" else f"{Path(input_).name}.rejected.jsonl"
        return Rejects(places.state() / usual, is_usual=True, beside=input_)


@click.command(
    "import",
    short_help="Add the actions of an exported file.",
    epilog="""
Examples:
  wpbridge migrate import --input moved.jsonl --dry-run
  wpbridge migrate import --input moved.jsonl --yes
  wpbridge migrate import --input moved.jsonl --status pending --shift 2h --unique --yes
  wpbridge migrate import --undo wpbridge-import-shop-wp.journal --yes
""",
)
@site_options
@click.option("--input", "input_", metavar="FILE|-", help="The exported file, packed or not.")
@click.option("--status", multiple=True, metavar="STATUS", help="Only actions with these statuses.")
@click.option(
    "--into-itself", is_flag=True, help="Import even into the queue that the file comes from."
)
@import_options
@click.pass_context
@one_line_errors
def import_(
    ctx: click.Context,
    *,
    input_: str | None,
    status: Sequence[str],
    into_itself: bool,
    **flags: Any,
) -> None:
    """Add the actions of an exported file, in their statuses, with new ids.

    Actions that the same file has added before are skipped, so after a crash just run the command
    again. Lines that cannot be added go to a side file, with the reason. The exit code is 1 then,
    and also if the file is cut off or the check at the end finds something missing. --undo deletes
    what was added and has not run since.
    """
    options = AddOptions.of(flags)
    settings = settings_of(ctx, flags)
    if options.undo is not None:
        refuse_beside_undo(ctx, "input_", "status", "into_itself")
        with opened_with_places(settings) as (queue, places):
            take_back(queue, settings, undo_file(places, options.undo), options)
        return
    if input_ is None:
        raise click.UsageError("Missing option '--input'.")
    wishes = options.wishes(status, into_itself=into_itself)
    with opened_with_places(settings) as (queue, places), files.source(input_) as stream:
        noted, side = options.journal_in(places), options.side_file(places, input_)
        lines = files.read(stream)
        first = next(lines, None)
        count = files.count_of(files.header_of(first))
        if not options.dry_run and (count is None or count > MANY):
            some = "the actions" if count is None else plural(count, "action")
            named = "standard input" if input_ == "-" else input_
            confirm(f"Add {some} of {named} to {name_of(queue.store)}", yes=options.yes)
        with (
            noting(places, noted) as steps,
            counting("import", count, lines=not settings.quiet) as advance,
        ):
            lines = itertools.chain([first] if first else [], lines)
            reject = tell_rejected if side is None else side.add
            report = Import(queue.store, wishes, reject, advance, steps).run(lines)
    if side is not None:
        side.close()
    conclude(report, wishes, settings, side, noted, "import")


def refuse_beside_undo(ctx: click.Context, *names: str) -> None:
    """Refuse options that an undo takes no notice of; InputError names the first."""
    for name in (*names, "shift", "unique", "rejects", "journal"):
        if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            option = name.rstrip("_").replace("_", "-")
            raise InputError(f"--undo: it takes back what its journal tells of, without --{option}")


def tell_rejected(line: Line, why: str) -> None:
    """Say on stderr what cannot be added: a trial writes no file."""
    told(f"line {line.number}: {why}")


@contextmanager
def noting(places: FileLocations, file: Path | None) -> Iterator[Journal | None]:
    """Open the journal of what is added to a queue; None for a trial."""
    if file is None:
        yield None
        return
    with places.begun(file, taking_back.KIND) as steps:
        yield steps


def take_back(queue: Queue, settings: Settings, file: Path, options: AddOptions) -> None:
    """Take back what a journal tells of; exit code 1 while runners hold some of the actions."""
    name, dry_run = name_of(queue.store), options.dry_run
    with Journal(file, kind=taking_back.KIND, site=name, is_old=True) as steps:
        # Looked at first where somebody is to be asked, or wants to know only.
        done = None
        if dry_run or not options.yes:
            done = taking_back.take_back(queue.store, steps, dry_run=True)
        if done is not None and done.removed.total() > MANY and not dry_run:
            actions = plural(done.removed.total(), "action")
            confirm(f"Delete {actions} that were added", yes=options.yes)
        if done is None or not dry_run:
            with counting("undo", taking_back.count(steps), lines=not settings.quiet) as advance:
                done = taking_back.take_back(queue.store, steps, tick=advance)
    _tell_taken_back(done, settings, dry_run=dry_run)
    raise SystemExit(int(Exit.ERROR if done.held or done.problems else Exit.OK))


def _tell_taken_back(done: TakenBack, settings: Settings, *, dry_run: bool) -> None:
    if settings.format == "json":
        counts: dict[str, Any] = {
            "dry_run": dry_run,
            "removed": dict(done.removed),
            "changed": done.changed,
            "held": done.held,
            "gone": done.gone,
            "problems": done.problems,
        }
        print_json(counts)
        return
    by_status = ", ".join(f"{count:,} {status}" for status, count in done.removed.most_common())
    words = [f"{'would delete' if dry_run else 'deleted'} {plural(done.removed.total(), 'action')}"]
    words[0] += f" ({by_status})" if by_status else ""
    words += [f"{done.changed:,} have run or changed since and stay"] * bool(done.changed)
    words += [f"{done.gone:,} are gone already"] * bool(done.gone)
    words += [f"{done.held:,} are held by runners: try again later"] * bool(done.held)
    for sample in done.samples:
        told(sample)
    for problem in done.problems:
        told(problem)
    if dry_run or not settings.quiet or done.held:
        print_line(", ".join(words))


def conclude(  # noqa: PLR0917 - the whole of an import
    report: Report,
    wishes: Wishes,
    settings: Settings,
    side: Rejects | None,
    journal: Path | None,
    verb: str,
) -> None:
    """Say what was done and what was not; exit code 1 when anything is amiss."""
    if not settings.quiet or wishes.dry_run:
        if settings.format == "json":
            told_of = None if journal is None else str(journal)
            print_json({**summary_of(report, wishes, side), "journal": told_of})
        else:
            for sample in report.samples if wishes.dry_run else ():
                told(sample)
            words = _in_words(report, wishes, side, verb)
            if report.added and not wishes.dry_run:
                words += f"; undo with --undo {journal}"
            print_line(words)
    if not report.is_whole:
        told("the input ends early: its last line is missing, and perhaps more")
    for problem in report.problems[:_MOST_SAID]:
        told(problem)
    if not report.is_good:
        raise SystemExit(1)


def summary_of(report: Report, wishes: Wishes, side: Rejects | None) -> dict[str, Any]:
    """Return the report as JSON has it: docs/reference/json.md."""
    return {
        "dry_run": wishes.dry_run,
        "read": report.read,
        "added": report.added,
        "statuses": dict(report.statuses),
        "known": report.known,
        "refused": report.refused,
        "left_out": report.left_out,
        "rejected": report.rejected,
        "rejects": str(side.file) if report.rejected and side is not None else None,
        "waits_lost": report.waits_lost,
        "whole": report.is_whole,
        "problems": report.problems,
    }


def _in_words(report: Report, wishes: Wishes, side: Rejects | None, verb: str) -> str:
    done = {"import": "imported", "copy": "copied"}[verb]
    parts = [f"{f'would {verb}' if wishes.dry_run else done} {plural(report.added, 'action')}"]
    for count, words in (
        (report.known, "there from before"),
        (report.refused, "not unique"),
        (report.left_out, "of other statuses left out"),
        (report.waits_lost, "waits lost, their actions stay without a date"),
        (report.rejected, "rejected" if side is None else f"rejected, see {side.file}"),
    ):
        if count:
            parts.append(f"{count:,} {words}")
    if not wishes.dry_run:
        parts.append("verified" if not report.problems else "NOT verified")
    return ", ".join(parts)
