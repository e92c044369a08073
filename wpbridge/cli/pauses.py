"""``pause`` and ``resume``: every runner is kept from claiming, and let on again."""

from collections.abc import Collection, Sequence
from datetime import datetime, tzinfo
from typing import Any

import click

from wpbridge.cli.filters import span_from
from wpbridge.cli.misspelled import tell
from wpbridge.cli.options import one_line_errors, settings_of, site_options
from wpbridge.cli.output import check_fields, is_table, list_options, print_rows, told
from wpbridge.cli.terminal import print_line
from wpbridge.cli.times import times_in, tz_option
from wpbridge.clock import SystemClock
from wpbridge.errors import InputError
from wpbridge.queue.enqueue import check_group, check_hook
from wpbridge.queue.facade import opened
from wpbridge.queue.unknown_names import Unknown, nearest, unknown
from wpbridge.site.moments import iso, parse_moment
from wpbridge.store.records import Pause

FIELDS = ("kind", "name", "until", "reason", "since")


@click.command(
    short_help="Keep every runner from claiming actions, or list the pauses.",
    epilog="""
Examples:
  wpbridge pause --group mail --for 2h --reason "mail server is down"
  wpbridge pause --hook send_mail
  wpbridge pause --all --for 10m --dry-run
  wpbridge pause --format json
""",
)
@site_options
@click.option("--hook", "hooks", multiple=True, metavar="HOOK", help="This hook, exactly.")
@click.option("--group", "groups", multiple=True, metavar="SLUG", help="This group, exactly.")
@click.option("--all", "everything", is_flag=True, help="All actions of the site.")
@click.option(
    "--for", "for_", metavar="TIME", help="How long the pause lasts: 30m, 2h (until resumed)."
)
@click.option("--until", metavar="DATE", help="When the pause ends.")
@click.option("--reason", default="", metavar="TEXT", help="A reason, which lists of pauses show.")
@click.option("--dry-run", is_flag=True, help="Say what would be paused; change nothing.")
@list_options(FIELDS)
@tz_option
@click.pass_context
@one_line_errors
def pause(
    ctx: click.Context,
    *,
    hooks: Sequence[str],
    groups: Sequence[str],
    everything: bool,
    for_: str | None,
    until: str | None,
    reason: str,
    dry_run: bool,
    fields: str | None,
    field: str | None,
    **flags: Any,
) -> None:
    """Pause hooks, groups or everything for every wpbridge runner on every host, at its next claim.

    The pause is kept in the database. With the companion plugin PHP's runners honour it as well.
    Running actions go on to their end. Without --hook, --group and --all the command lists the
    pauses in force.
    """
    if for_ is not None and until is not None:
        raise InputError("--for and --until: give one of them")
    check_fields(FIELDS, fields, field)
    _check_names(hooks, groups)
    is_change = bool(hooks or groups or everything)
    if not is_change and (for_ is not None or until is not None or reason):
        raise InputError("name what to pause: --hook, --group or --all")
    end = _end(for_, until)
    settings = settings_of(ctx, flags)
    with opened(settings) as queue:
        zone = times_in(settings, queue.store)
        absent = unknown(queue.store, hooks, groups, exactly=True)
        if is_change:
            pauses = queue.pause(
                hooks=hooks,
                groups=groups,
                everything=everything,
                until=end,
                reason=reason,
                dry_run=dry_run,
            )
        else:
            pauses = queue.pauses()
    if is_change and is_table(settings.format, field):
        _tell(pauses, "would pause" if dry_run else "paused", zone, absent)
    else:
        rows = [_row(one) for one in pauses]
        print_rows(
            rows, fields=FIELDS, style=settings.format, chosen=fields, field=field, zone=zone
        )
    tell(absent)


def _tell(pauses: Sequence[Pause], deed: str, zone: tzinfo, absent: Collection[Unknown]) -> None:
    unused = {(one.kind, one.name) for one in absent}
    for one in pauses:
        end = "until resumed" if one.until is None else f"until {iso(one.until, zone)}"
        more = "; no action has it yet" if (one.kind, one.name) in unused else ""
        print_line(f"{deed} {_name(one)} {end}{more}")


def _end(for_: str | None, until: str | None) -> datetime | None:
    now = SystemClock().now()
    if for_ is not None:
        return span_from(now, for_, "--for")
    return None if until is None else parse_moment(until, now, name="--until")


def _check_names(hooks: Sequence[str], groups: Sequence[str]) -> None:
    """Refuse what no action can be called: it would be paused in vain."""
    for hook in hooks:
        check_hook(hook, "--hook")
    for group in groups:
        check_group(group, "--group")


@click.command(
    short_help="Lift pauses.",
    epilog="""
Examples:
  wpbridge resume --group mail
  wpbridge resume --all --dry-run
""",
)
@site_options
@click.option("--hook", "hooks", multiple=True, metavar="HOOK", help="This hook.")
@click.option("--group", "groups", multiple=True, metavar="SLUG", help="This group.")
@click.option("--all", "everything", is_flag=True, help="Lift every pause.")
@click.option("--dry-run", is_flag=True, help="Say what would be resumed; change nothing.")
@click.pass_context
@one_line_errors
def resume(
    ctx: click.Context,
    *,
    hooks: Sequence[str],
    groups: Sequence[str],
    everything: bool,
    dry_run: bool,
    **flags: Any,
) -> None:
    """Lift pauses, so that runners claim these actions again."""
    if not (hooks or groups or everything):
        raise InputError("name what to resume: --hook, --group or --all")
    with opened(settings_of(ctx, flags)) as queue:
        stored = queue.pauses()
        lifted = queue.resume(hooks=hooks, groups=groups, everything=everything, dry_run=dry_run)
    for one in lifted:
        print_line(f"{'would resume' if dry_run else 'resumed'} {_name(one)}")
    if not lifted:
        told("nothing of it was paused")
    there = {(one.kind, one.name) for one in lifted}
    given = [("hook", name) for name in hooks] + [("group", name) for name in groups]
    tell(_near_pause(*scope, stored) for scope in given if scope not in there)


def _near_pause(kind: str, name: str, stored: Sequence[Pause]) -> Unknown:
    near = nearest(name, [one.name for one in stored if one.kind == kind])
    return Unknown(kind=f"paused {kind}", name=name, near=near)


def _row(one: Pause) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "name": one.name,
        "until": one.until,
        "reason": one.reason,
        "since": one.created_at,
    }


def _name(one: Pause) -> str:
    if one.kind == "all":
        return "everything"
    return f"{one.kind} {one.name}" if one.name else "actions without a group"
