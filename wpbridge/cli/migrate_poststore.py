"""``migrate post-store``: the plugin's old store of posts into its tables."""

import json
from pathlib import Path
from typing import Any, Final

import click

from wpbridge.cli.exits import Exit
from wpbridge.cli.filters import MANY
from wpbridge.cli.options import one_line_errors, settings_of, site_options
from wpbridge.cli.output import confirm, plural, shown, told
from wpbridge.cli.progress import counting
from wpbridge.config import Settings
from wpbridge.errors import InputError
from wpbridge.migrate import poststore
from wpbridge.migrate.journal import Journal
from wpbridge.migrate.poststore import PostStore, Summary
from wpbridge.queue import Queue, opened

JOURNAL: Final = "wpbridge-post-store.journal"
_FLUSH: Final = (
    "WordPress caches its options and posts: with a persistent object cache run `wp cache flush`"
)


@click.command(
    "post-store", short_help="Move the plugin's old post store into its tables.", epilog="""
Examples:
  wpbridge migrate post-store --path /var/www/html --dry-run
  wpbridge migrate post-store --path /var/www/html --yes
  wpbridge migrate post-store --path /var/www/html --in-progress failed --batch-size 200 --yes
""")  # fmt: skip
@site_options
@click.option(
    "--batch-size",
    type=click.IntRange(1, 10_000),
    default=poststore.BATCH_SIZE,
    help="Posts a transaction (500).",
)
@click.option(
    "--in-progress",
    type=click.Choice(poststore.IN_PROGRESS),
    default="complete",
    help="What becomes of actions that a dead runner left (complete, as the plugin does).",
)
@click.option("--journal", default=JOURNAL, metavar="FILE", help=f"What is done ({JOURNAL}).")
@click.option("--force", is_flag=True, help="Though runners of PHP's were seen.")
@click.option("--dry-run", is_flag=True, help="Say what would be moved; change nothing.")
@click.option("--yes", "-y", is_flag=True, help=f"Do not ask about more than {MANY}.")
@click.option(
    "--format", "format", type=click.Choice(["text", "json"]), help="Of the summary (text)."
)
@click.pass_context
@one_line_errors
def post_store(
    ctx: click.Context,
    *,
    batch_size: int,
    in_progress: poststore.InProgress,
    journal: str,
    force: bool,
    dry_run: bool,
    yes: bool,
    **flags: Any,
) -> None:
    """Turn scheduled-action posts, with their groups and logs, into rows of the plugin's tables.

    PHP's runners must be off. What cannot be read stays a post and is written to the journal's file
    with .left at its end: exit 1. Stopped at any moment, it goes on when it is started again.
    """
    settings = settings_of(ctx, flags)
    with opened(settings) as queue:
        it = PostStore(queue.store, in_progress=in_progress, batch_size=batch_size)
        total = sum(it.counts().values())
        if dry_run:
            with counting("look", total, lines=True) as advance:
                done = it.look(advance)
            _tell(done, settings, None)
            raise SystemExit(int(Exit.OK if done.is_good else Exit.ERROR))
        if not force:
            it.check_alone()
        if total > MANY:
            confirm(f"Move {plural(total, 'post')} into the tables", yes=yes)
        done = _move(it, queue, Path(journal), total)
    _tell(done, settings, Path(journal))
    if done.is_complete:
        told(_FLUSH)
    raise SystemExit(int(Exit.OK if done.is_good else Exit.ERROR))


def _move(it: PostStore, queue: Queue, journal: Path, total: int) -> Summary:
    side = _side(journal)
    site = f"{queue.store.session.address.database} {queue.store.names.prefix}"
    with Journal(journal, kind=poststore.KIND, site=site) as steps:
        try:
            # What was left is met again by each run, so the file always tells all of it.
            left = side.open("w", encoding="utf-8")
        except OSError as error:
            raise InputError(f"{side} cannot be written: {error.strerror}") from None
        with left, counting("post-store", total, lines=True) as advance:
            done = it.move(steps, left, advance)
    if not done.left:
        side.unlink(missing_ok=True)
    return done


def _side(journal: Path) -> Path:
    return journal.with_name(f"{journal.name}.left")


def _tell(done: Summary, settings: Settings, journal: Path | None) -> None:
    """The summary; without a journal, of what would be done."""
    moved, left = sum(done.moved.values()), sum(done.left.values())
    if settings.format == "json":
        counts: dict[str, Any] = {
            "dry_run": journal is None, "moved": dict(done.moved), "left": dict(done.left),
            "problems": done.problems, "complete": done.is_complete,
        }  # fmt: skip
        counts |= {"samples": done.samples} if journal is None else {"journal": str(journal)}
        click.echo(json.dumps(counts, ensure_ascii=False))
        return
    for one in done.samples:
        click.echo(
            f"e.g. post {one['post']}: {shown(one['hook'])} {shown(one['args'])},"
            f" {one['scheduled']}, {one['from']} to {one['to']}, {plural(one['logs'], 'log row')}"
        )
    for why, count in done.left.most_common():
        told(f"{'would be left' if journal is None else 'left'}: {count:,}: {shown(why)}")
    for problem in done.problems:
        told(f"not as it should be: {problem}")
    by_status = ", ".join(f"{count:,} {status}" for status, count in done.moved.most_common())
    words = [f"{'would move' if journal is None else 'moved'} {plural(moved, 'action')}"]
    words[0] += f" ({by_status})" if by_status else ""
    if left:
        words.append(f"{left:,} left" + ("" if journal is None else f", see {_side(journal)}"))
    if done.is_complete:
        words.append("the migration is marked complete")
    click.echo("; ".join(words))
