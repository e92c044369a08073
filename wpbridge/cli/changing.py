"""What every change of several actions does: find them, ask, change them, and tell."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

import click

from wpbridge.action import ActionId
from wpbridge.cli.filters import MANY, ids_of, query_of, split
from wpbridge.cli.misspelled import tell_unknown
from wpbridge.cli.options import settings_of
from wpbridge.cli.output import confirm, told
from wpbridge.cli.terminal import print_json, print_line, write_data
from wpbridge.dataclass import dataclass
from wpbridge.errors import InputError
from wpbridge.queue.facade import Queue, opened
from wpbridge.store.records import Change, Query
from wpbridge.telling.words import plural

Which: TypeAlias = Query | Sequence[ActionId]
Deed: TypeAlias = Callable[[Queue, Which, bool], Change]
"""Change these actions, or with True only say what would be changed."""
_MOST_SAID = 20
_MOST_IDS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Changing:
    """One command that changes actions."""

    verb: str
    """As in ``would cancel``."""
    done: str
    """As in ``canceled``."""
    deed: Deed
    statuses: tuple[str, ...] = ()
    """What filters mean unless they name a status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a change is made and told."""

    dry_run: bool
    yes: bool
    porcelain: bool
    json: bool


def change(
    ctx: click.Context, targets: Sequence[str], flags: dict[str, Any], changing: Changing
) -> None:
    """Change actions by their ids or by filters; exit 1 when one of the ids was left as it is."""
    filters = split(flags)
    given = {name: value for name, value in filters.items() if value not in (None, ())}
    ids = ids_of(targets)
    if ids and given:
        raise InputError("give ids or filters, not both")
    if not ids and not given:
        raise InputError(f"name what to {changing.verb}: ids, or filters such as --hook or --group")
    query = query_of({**filters, "status": filters.get("status") or changing.statuses})
    options, site = opened_for(ctx, flags)
    with site as queue:
        tell_names(queue, query, options)
        run(queue, ids or query, options, changing)


def opened_for(
    ctx: click.Context, flags: dict[str, Any]
) -> tuple[Options, AbstractContextManager[Queue]]:
    """Take the options of changes out of a command's flags, and open the queue that they mean."""
    own = {name: flags.pop(name) for name in ("dry_run", "yes", "porcelain")}
    settings = settings_of(ctx, flags)
    return Options(**own, json=settings.format == "json"), opened(settings)


def tell_names(queue: Queue, query: Query, options: Options) -> None:
    """Name hooks and groups that the queue does not know."""
    for_people = not (options.json or options.porcelain)
    tell_unknown(queue.store, query.hooks, query.groups, for_people=for_people)


def run(queue: Queue, which: Which, options: Options, changing: Changing) -> None:
    """Ask when they are many, change them, and tell."""
    if not options.dry_run:
        count = queue.count(which) if isinstance(which, Query) else len(which)
        if count > MANY:
            confirm(f"{changing.verb} {plural(count, 'action')}", yes=options.yes)
    done = changing.deed(queue, which, options.dry_run)
    tell(done, options, changing)
    if done.skipped and not isinstance(which, Query):
        raise SystemExit(1)


def tell(done: Change, options: Options, changing: Changing) -> None:
    """Print what was changed, and on stderr what was left."""
    if options.json:
        print_json(
            {
                "dry_run": options.dry_run,
                "count": len(done.ids),
                "ids": list(done.ids),
                "made": {str(old): new for old, new in done.made.items()},
                "skipped": {str(i): why for i, why in done.skipped.items()},
            }
        )
        return
    if options.porcelain:
        write_data("".join(f"{i}\n" for i in list(done.made.values()) or done.ids))
    else:
        _print_text(done, f"would {changing.verb}" if options.dry_run else changing.done)
    for place, (action_id, why) in enumerate(done.skipped.items()):
        if place == _MOST_SAID:
            told(f"… and {len(done.skipped) - _MOST_SAID:,} more left as they are")
            break
        told(f"action {action_id} left as it is: {why}")


def _print_text(done: Change, deed: str) -> None:
    ids = " ".join(
        f"{i}>{done.made[i]}" if i in done.made else str(i) for i in done.ids[:_MOST_IDS]
    )
    more = len(done.ids) - _MOST_IDS
    rest = f" … and {more:,} more (--porcelain prints all)" if more > 0 else ""
    print_line(f"{deed} {plural(len(done.ids), 'action')}{': ' if ids else ''}{ids}{rest}")
