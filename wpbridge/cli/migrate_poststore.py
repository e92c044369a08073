"""``migrate post-store``: the plugin's old store of posts into its tables."""

from pathlib import Path
from typing import Any, Final

import click
from click.core import ParameterSource

from wpbridge.cli.exit_codes import Exit
from wpbridge.cli.filters import MANY
from wpbridge.cli.migrating import opened_with_places, undo_file
from wpbridge.cli.options import format_option, one_line_errors, settings_of, site_options
from wpbridge.cli.output import confirm, told
from wpbridge.cli.progress import counting
from wpbridge.cli.terminal import print_json, print_line
from wpbridge.errors import InputError
from wpbridge.migrate.file_locations import FileLocations
from wpbridge.migrate.journal import Journal, name_of
from wpbridge.migrate.post_store.deciding import IN_PROGRESS, InProgress
from wpbridge.migrate.post_store.moving import BATCH_SIZE, KIND, PostStore, Summary
from wpbridge.migrate.post_store.undo import Undo, Undone
from wpbridge.queue.facade import Queue
from wpbridge.site.config import Settings
from wpbridge.system import private_files
from wpbridge.telling.words import plural

_GIVEN: Final = ParameterSource.COMMANDLINE
_OF_MOVING: Final = ("batch_size", "in_progress", "journal")
_FLUSH: Final = (
    "WordPress caches its options and posts: with a persistent object cache run `wp cache flush`"
)


@click.command(
    "post-store",
    short_help="Move the plugin's old post store into its tables.",
    epilog="""
Examples:
  wpbridge migrate post-store --path /var/www/html --dry-run
  wpbridge migrate post-store --path /var/www/html --yes
  wpbridge migrate post-store --path /var/www/html --in-progress failed --batch-size 200 --yes
  wpbridge migrate post-store --path /var/www/html --undo wpbridge-post-store-shop-wp.journal --yes
""",
)
@site_options
@click.option(
    "--batch-size",
    type=click.IntRange(1, 10_000),
    default=BATCH_SIZE,
    help="Posts in each transaction (500).",
)
@click.option(
    "--in-progress",
    type=click.Choice(IN_PROGRESS),
    default="complete",
    help="What becomes of actions that a dead runner left (complete, as the plugin does).",
)
@click.option(
    "--journal", metavar="FILE", help="The file that notes what is done (in the state folder)."
)
@click.option("--undo", metavar="JOURNAL", help="Put back the posts that this journal names.")
@click.option("--force", is_flag=True, help="Go on although PHP's runners were seen.")
@click.option("--dry-run", is_flag=True, help="Say what would be moved; change nothing.")
@click.option("--yes", "-y", is_flag=True, help=f"Do not ask about more than {MANY}.")
@format_option("How to print the summary (text).")
@click.pass_context
@one_line_errors
def post_store(
    ctx: click.Context,
    *,
    batch_size: int,
    in_progress: InProgress,
    journal: str | None,
    undo: str | None,
    force: bool,
    dry_run: bool,
    yes: bool,
    **flags: Any,
) -> None:
    """Turn scheduled-action posts, with their groups and logs, into rows of the plugin's tables.

    PHP's runners must be off. Posts that cannot be read stay posts and are written to the journal's
    file with .left at its end. The exit code is 1 then. You may stop the command at any moment;
    start it again and it goes on. It keeps beside the journal what it deletes, for --undo.
    """
    settings = settings_of(ctx, flags)
    with opened_with_places(settings) as (queue, places):
        if undo is not None:
            if any(ctx.get_parameter_source(name) == _GIVEN for name in _OF_MOVING):
                raise InputError("--undo: it puts back all that its journal tells of")
            _undo(queue, places, settings, undo, force=force, dry_run=dry_run, yes=yes)
            return
        it = PostStore(queue.store, in_progress=in_progress, batch_size=batch_size)
        total = sum(it.counts().values())
        if dry_run:
            with counting("look", total, lines=True) as advance:
                done = it.look(advance)
            _tell(done, settings, None)
            raise SystemExit(int(Exit.OK if done.is_good else Exit.ERROR))
        if not force:
            it.check_alone()
        noted = places.journal(journal, KIND)
        if total > MANY:
            confirm(f"Move {plural(total, 'post')} into the tables", yes=yes)
        done = _move(it, places, noted, total)
    _tell(done, settings, noted)
    if done.is_complete:
        told(_FLUSH)
    raise SystemExit(int(Exit.OK if done.is_good else Exit.ERROR))


def _move(it: PostStore, places: FileLocations, journal: Path, total: int) -> Summary:
    side = _side(journal)
    with places.begun(journal, KIND) as steps:
        try:
            # What was left is met again by each run, so the file always tells all of it.
            with (
                private_files.text(side) as left,
                counting("post-store", total, lines=True) as advance,
            ):
                done = it.move(steps, left, advance)
        except OSError as error:
            raise InputError(f"{side} cannot be written: {error.strerror}") from None
    if not done.left:
        side.unlink(missing_ok=True)
    return done


def _undo(
    queue: Queue,
    places: FileLocations,
    settings: Settings,
    undo: str,
    *,
    force: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    file = undo_file(places, undo)
    it = PostStore(queue.store)
    with Journal(file, kind=KIND, site=name_of(queue.store), is_old=True) as steps:
        way = Undo(queue.store, steps)
        if not (dry_run or force):
            it.check_alone()
        # Looked at first where somebody is to be asked, or wants to know only.
        if dry_run or not yes:
            with counting("look", way.total, lines=True) as advance:
                done = way.look(advance)
            if done.restored and not dry_run:
                confirm(f"Make {plural(done.restored, 'action')} posts again", yes=yes)
        if not dry_run:
            with counting("undo", way.total, lines=True) as advance:
                done = way.run(advance)
    _tell_undone(done, settings, dry_run=dry_run)
    if done.restored and not dry_run:
        told(_FLUSH)
    raise SystemExit(int(Exit.OK if done.is_good else Exit.ERROR))


def _side(journal: Path) -> Path:
    return journal.with_name(f"{journal.name}.left")


def _tell(done: Summary, settings: Settings, journal: Path | None) -> None:
    """Print the summary; without a journal it tells what would be done."""
    moved, left = sum(done.moved.values()), sum(done.left.values())
    if settings.format == "json":
        counts: dict[str, Any] = {
            "dry_run": journal is None,
            "moved": dict(done.moved),
            "left": dict(done.left),
            "problems": done.problems,
            "complete": done.is_complete,
        }
        counts |= {"samples": done.samples} if journal is None else {"journal": str(journal)}
        print_json(counts)
        return
    for one in done.samples:
        print_line(
            f"e.g. post {one['post']}: {one['hook']} {one['args']},"
            f" {one['scheduled']}, {one['from']} to {one['to']}, {plural(one['logs'], 'log row')}"
        )
    for why, count in done.left.most_common():
        told(f"{'would be left' if journal is None else 'left'}: {count:,}: {why}")
    for problem in done.problems:
        told(f"not as it should be: {problem}")
    by_status = ", ".join(f"{count:,} {status}" for status, count in done.moved.most_common())
    words = [f"{'would move' if journal is None else 'moved'} {plural(moved, 'action')}"]
    words[0] += f" ({by_status})" if by_status else ""
    if left:
        words.append(f"{left:,} left" + ("" if journal is None else f", see {_side(journal)}"))
    if done.is_complete:
        words.append("the migration is marked complete")
    print_line("; ".join(words))


def _tell_undone(done: Undone, settings: Settings, *, dry_run: bool) -> None:
    if settings.format == "json":
        counts: dict[str, Any] = {
            "would_restore" if dry_run else "restored": done.restored,
            "present": done.present,
            "stayed": done.stayed,
            "busy": done.busy,
            "taken": done.taken,
            "gone": done.gone,
            "damaged": done.damaged,
            "unwritten": done.unwritten,
            "problems": done.problems,
            "reopened": done.is_reopened,
        }
        counts |= {"samples": done.samples} if dry_run else {}
        print_json(counts)
        return
    for one in done.samples if dry_run else ():
        print_line(
            f"e.g. action {one['action']}: {one['hook']} {one['args']},"
            f" {one['scheduled']}, {one['from']} to post {one['post']}, {one['to']},"
            f" {plural(one['logs'], 'log row')}"
        )
    for problem in done.problems:
        told(f"not as it should be: {problem}")
    words = [f"{'would put' if dry_run else 'put'} {plural(done.restored, 'post')} back"]
    words += [f"{done.present:,} there already"] * bool(done.present)
    words += [f"{done.stayed:,} have run or changed since and stay"] * bool(done.stayed)
    words += [f"{done.busy:,} running: try again later"] * bool(done.busy)
    words += [f"{done.taken:,} stay, as their ids are other posts' by now"] * bool(done.taken)
    words += [f"{done.gone:,} ended and gone since"] * bool(done.gone)
    words += [f"{done.damaged:,} stay, as their part of the file is damaged"] * bool(done.damaged)
    words += [f"{done.unwritten:,} stay, moved before anything was kept"] * bool(done.unwritten)
    words += ["the migration is no longer marked complete"] * done.is_reopened
    print_line(", ".join(words))
