"""``list``, ``get``, ``logs`` and ``next``: looking at actions."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC
from typing import Any

import click

from wpbridge.action import ActionId
from wpbridge.cli.action_rows import (
    ACTION_FIELDS,
    LIST_FIELDS,
    LOG_FIELDS,
    RESULT_FIELDS,
    action_row,
    log_row,
    result_row,
)
from wpbridge.cli.filters import BIGGEST, filter_options, ids_of, query_of, read_args, split
from wpbridge.cli.misspelled import tell_unknown
from wpbridge.cli.options import one_line_errors, settings_of, site_options
from wpbridge.cli.output import (
    check_fields,
    counted,
    exact_option,
    is_table,
    list_options,
    print_one,
    print_rows,
    told,
)
from wpbridge.cli.terminal import print_line
from wpbridge.cli.times import times_in, tz_option
from wpbridge.errors import InputError
from wpbridge.queue.facade import Queue, opened
from wpbridge.site.config import Settings
from wpbridge.site.moments import iso
from wpbridge.store.reading.counting import CAP
from wpbridge.store.records import ORDERS, Query, Record

_ORDER_NAMES = (*ORDERS, "action_id")


@click.command(
    "list",
    short_help="List actions.",
    epilog="""
Examples:
  wpbridge list --status failed --since -1d
  wpbridge list --hook send_mail --group mail --format json
  wpbridge list --status pending --order-by date --limit 100 --fields id,hook,scheduled
  wpbridge list --search order --format ids
  wpbridge list --status complete --limit 0 --format jsonl
""",
)
@site_options
@filter_options
@click.option(
    "--limit",
    "--per-page",
    "--per_page",
    "limit",
    type=click.IntRange(0, BIGGEST),
    default=20,
    help="How many actions to show (20; 0: all).",
)
@click.option("--offset", type=click.IntRange(0, BIGGEST), default=0, help="Skip so many.")
@click.option(
    "--order-by",
    "--orderby",
    "order_by",
    type=click.Choice(_ORDER_NAMES),
    help="What to order by (a table by id; else by date, with --limit 0 by id).",
)
@click.option(
    "--order",
    type=click.Choice(["asc", "desc"], case_sensitive=False),
    help="The direction (asc; for a table without --order-by: desc, the newest first).",
)
@exact_option
@list_options(ACTION_FIELDS)
@tz_option
@click.pass_context
@one_line_errors
def list_(
    ctx: click.Context,
    *,
    limit: int,
    offset: int,
    order_by: Any,
    order: str | None,
    exact: bool,
    fields: str | None,
    field: str | None,
    **flags: Any,
) -> None:
    """List actions, 20 by default; stderr says how many there are in all.

    A table begins with the newest actions, the other formats with those that are due first. The
    number of --format count is always exact.
    """
    check_fields(ACTION_FIELDS, fields, field)
    query = query_of(split(flags))
    settings = settings_of(ctx, flags)
    query = replace(query, limit=limit, offset=offset)
    query = _ordered(query, order_by, order, for_people=is_table(settings.format, field))
    with opened(settings) as queue:
        as_table = is_table(settings.format, field)
        tell_unknown(queue.store, query.hooks, query.groups, for_people=as_table)
        if settings.format == "count":
            print_line(queue.count(query))
            return
        if limit == 0 and not offset and query.order == "id" and not query.descending:
            records = (r for page in queue.store.reading.pages(query) for r in page)
            _print(queue, records, settings, fields, field)
            return
        found = queue.find(query)
        _print(queue, iter(found), settings, fields, field)
        cap = None if exact else max(CAP, len(found) + 1)
        is_part = (limit and len(found) == limit) or offset
        total = queue.count(query, cap=cap) if is_part else len(found)
    if total > len(found):
        told(f"showing {len(found):,} of {counted(total, cap)}; --limit 0 for all")


def _ordered(query: Query, by: Any, way: str | None, *, for_people: bool) -> Query:
    """Put the query into the order that is asked for.

    People who name none see the newest actions first. Programs get them by date as ever. All of
    them come by id, so that they are printed as they are read, however many they are.
    """
    newest = for_people and bool(query.limit) and by is None
    by = by or ("id" if newest or not query.limit else "date")
    descending = newest if way is None else way.lower() == "desc"
    return replace(query, order="id" if by == "action_id" else by, descending=descending)


def _print(
    queue: Queue,
    records: Iterator[Record],
    settings: Settings,
    fields: str | None,
    field: str | None,
) -> None:
    print_rows(
        (action_row(record, zone) for record, zone in _with_zones(queue, records)),
        fields=ACTION_FIELDS,
        shown_fields=LIST_FIELDS,
        style=settings.format,
        chosen=fields,
        field=field,
        zone=times_in(settings, queue.store),
    )


def _with_zones(queue: Queue, records: Iterator[Record]) -> Iterator[tuple[Record, str | None]]:
    from itertools import islice  # noqa: PLC0415

    while part := list(islice(records, 1000)):
        zones = queue.zones_of([record.id for record in part])
        for record in part:
            yield record, zones.get(record.id)


@click.command(
    short_help="Show one action.",
    epilog="""
Examples:
  wpbridge get 4711
  wpbridge get 4711 --field status
  wpbridge get 4711 --format json
""",
)
@click.argument("action_id", metavar="ID")
@site_options
@list_options((*ACTION_FIELDS, "waits_for", *RESULT_FIELDS, "log"))
@tz_option
@click.pass_context
@one_line_errors
def get(
    ctx: click.Context, action_id: str, *, fields: str | None, field: str | None, **flags: Any
) -> None:
    """Show one action with its log. The exit code is 1 if there is no such action."""
    one = _one_id([action_id])
    settings = settings_of(ctx, flags)
    with opened(settings) as queue:
        record = queue.get(one)
        row = action_row(record, queue.zones_of([one]).get(one))
        row["waits_for"] = [wait.after_id for wait in queue.waits_of([one])]
        log = queue.logs(one)
        row |= result_row(queue.result(one))
        as_table = is_table(settings.format, field)
        zone = times_in(settings, queue.store) if as_table else UTC
    row["log"] = [{"date": iso(entry.at, zone), "message": entry.message} for entry in log]
    told = tuple(name for name in RESULT_FIELDS if not as_table or row[name] is not None)
    names: tuple[str, ...] = (*ACTION_FIELDS, "waits_for", *told, "log")
    if as_table and not fields:
        lines = {
            f"log {n}": f"{iso(entry.at, zone)} {entry.message}" for n, entry in enumerate(log, 1)
        }
        row |= lines
        names = (*ACTION_FIELDS, "waits_for", *told, *lines)
    print_one(row, fields=names, style=settings.format, chosen=fields, field=field, zone=zone)


@click.command(short_help="Show an action's log.", epilog="Example: wpbridge logs 4711")
@click.argument("action_id", metavar="ID…", nargs=-1, required=True)
@site_options
@list_options(LOG_FIELDS)
@tz_option
@click.pass_context
@one_line_errors
def logs(
    ctx: click.Context,
    action_id: Sequence[str],
    *,
    fields: str | None,
    field: str | None,
    **flags: Any,
) -> None:
    """Show what happened to actions, in order. The exit code is 1 if nothing is known of them."""
    ids = ids_of(action_id)
    settings = settings_of(ctx, flags)
    with opened(settings) as queue:
        entries = [entry for one in ids for entry in queue.logs(one)]
        zone = times_in(settings, queue.store)
    print_rows(
        (log_row(entry) for entry in entries),
        fields=LOG_FIELDS,
        shown_fields=("action_id", "date", "message") if len(ids) > 1 else ("date", "message"),
        style=settings.format,
        chosen=fields,
        field=field,
        zone=zone,
    )


@click.command(
    "next",
    short_help="Show when a hook runs next.",
    epilog="""
Examples:
  wpbridge next send_mail
  wpbridge next send_mail --args '[17]' --group mail
  wpbridge next nightly_report --any-args --raw
""",
)
@click.argument("hook")
@site_options
@click.option(
    "--args", "args", metavar="JSON|@FILE|-", help="Only actions with exactly these args ([])."
)
@click.option("--any-args", is_flag=True, help="Whatever the args.")
@click.option("--group", default="", metavar="SLUG", help="Only in this group.")
@click.option("--raw", is_flag=True, help="Print a Unix time.")
@tz_option
@click.pass_context
@one_line_errors
def next_(
    ctx: click.Context,
    hook: str,
    *,
    args: str | None,
    any_args: bool,
    group: str,
    raw: bool,
    **flags: Any,
) -> None:
    """Show when the hook's next action is due, as as_next_scheduled_action does.

    Prints "now" for an action that runs or is async. As in WP-CLI, only actions with empty args
    count unless you give --args or --any-args. If there is none, stderr says so.
    """
    if any_args and args is not None:
        raise InputError("--args and --any-args: give one of them")
    wanted = None if any_args else read_args(args or "[]")
    settings = settings_of(ctx, flags)
    with opened(settings) as queue:
        zone = times_in(settings, queue.store)
        found = queue.next_scheduled(hook, wanted, group)
        if found is None:
            others = queue.count(queue.matching(hook, None, group))
            more = "" if any_args or not others else "; others have other args: --any-args"
            told(f"no matching action is pending or running{more}")
            tell_unknown(queue.store, (hook,), (group,), for_people=False)
            return
    if found is True:
        print_line("now")
    else:
        print_line(int(found.timestamp()) if raw else iso(found, zone))


def _one_id(told_ids: Sequence[str]) -> ActionId:
    ids = ids_of(told_ids)
    if len(ids) != 1:
        raise InputError("one action id")
    return ids[0]
