"""``migrate copy``: one queue's actions to another, without a file between them."""

from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import click

from wpbridge.cli.filters import MANY, filter_options, query_of, split
from wpbridge.cli.migrate_import import (
    AddOptions,
    conclude,
    import_options,
    noting,
    refuse_beside_undo,
    take_back,
    tell_rejected,
)
from wpbridge.cli.migrating import opened_with_places, undo_file
from wpbridge.cli.misspelled import tell_unknown
from wpbridge.cli.options import one_line_errors, settings_of, site_options
from wpbridge.cli.output import confirm
from wpbridge.cli.progress import counting
from wpbridge.migrate.journal import name_of
from wpbridge.migrate.transfer.copying import copy_queue
from wpbridge.telling.words import plural


@click.command(
    short_help="Copy actions from one site to another.",
    epilog="""
Examples:
  wpbridge migrate copy --to-dsn sqlite:///other.db --dry-run
  wpbridge migrate copy --to-dsn sqlite:///other.db --status pending --unique --yes
  wpbridge migrate copy --to-dsn sqlite:///other.db --undo wpbridge-import-other-wp.journal
""",
)
@site_options
@filter_options
@click.option("--to-dsn", required=True, metavar="URL", help="The other database.")
@click.option("--to-table-prefix", metavar="TEXT", help="The other table prefix (wp_).")
@click.option("--to-blog-id", type=click.IntRange(1), help="The other site of a multisite network.")
@click.option("--logs/--no-logs", default=True, help="Take their logs along (yes).")
@click.option("--origin", metavar="NAME", help="The name of the source queue; see the docs.")
@import_options
@click.pass_context
@one_line_errors
def copy(
    ctx: click.Context,
    *,
    to_dsn: str,
    to_table_prefix: str | None,
    to_blog_id: int | None,
    logs: bool,
    origin: str | None,
    **flags: Any,
) -> None:
    """Copy actions to another queue: export and import in one.

    The usual options name the source, which is only read. Actions that were copied before are
    skipped, so after a crash just run the command again. --undo deletes what was added and has not
    run since.
    """
    filters, options = split(flags), AddOptions.of(flags)
    settings = settings_of(ctx, flags)
    place: dict[str, Any] = {"dsn": to_dsn, "table_prefix": to_table_prefix, "blog_id": to_blog_id}
    there = replace(settings, path=None, url=None, ask_php="never", **place)
    with ExitStack() as stack:
        target, places = stack.enter_context(opened_with_places(there))
        if options.undo is not None:
            refuse_beside_undo(ctx, "logs", "origin", *filters)
            take_back(target, settings, undo_file(places, options.undo), options)
        query, wishes = query_of(filters), options.wishes()
        queue, origins = stack.enter_context(opened_with_places(settings))
        places = replace(places, folders=origins.folders)
        tell_unknown(queue.store, query.hooks, query.groups, for_people=not settings.quiet)
        noted, side = options.journal_in(places), options.side_file(places, "-")
        count = queue.count(query)
        if count > MANY and not options.dry_run:
            confirm(f"Copy {plural(count, 'action')} to {name_of(target.store)}", yes=options.yes)
        steps = stack.enter_context(noting(places, noted))
        advance = stack.enter_context(counting("copy", count, lines=not settings.quiet))
        report = copy_queue(
            queue.store,
            query,
            target.store,
            wishes,
            tell_rejected if side is None else side.add,
            logs=logs,
            origin=origin,
            tick=advance,
            journal=steps,
        )
    if side is not None:
        side.close()
    conclude(report, wishes, settings, side, noted, "copy")
