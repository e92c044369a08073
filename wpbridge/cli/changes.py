"""``cancel``, ``delete``, ``requeue`` and the like: changing actions by id or by filter."""

from collections.abc import Sequence
from typing import Any

import click

from wpbridge.cli.changing import Changing, change, opened_for, run, tell, tell_names
from wpbridge.cli.filters import (
    ENDED_NAMES,
    change_options,
    filter_options,
    moment_of_flags,
    query_of,
    split,
)
from wpbridge.cli.options import one_line_errors, site_options
from wpbridge.cli.output import told
from wpbridge.clock import SystemClock
from wpbridge.errors import InputError
from wpbridge.queue.enqueue import Enqueue, new_action
from wpbridge.store.records import Change
from wpbridge.telling.words import plural


@click.command(
    short_help="Cancel pending actions.",
    epilog="""
Examples:
  wpbridge cancel 4711 4712
  wpbridge cancel send_mail
  wpbridge cancel send_mail --args '[17]' --group mail
  wpbridge cancel send_mail --all --dry-run
  wpbridge cancel --group mail --until -7d --yes
""",
)
@click.argument("targets", metavar="[ID…|HOOK]", nargs=-1)
@site_options
@filter_options
@click.option(
    "--all", "every", is_flag=True, help="With HOOK: all its actions, whatever their args."
)
@click.option("--reason", default="", metavar="TEXT", help="A reason, for their logs.")
@change_options
@click.pass_context
@one_line_errors
def cancel(
    ctx: click.Context, targets: Sequence[str], *, every: bool, reason: str, **flags: Any
) -> None:
    """Cancel pending actions: these ids, the next one of a hook, or all that the filters match.

    With HOOK alone, as in WP-CLI, cancel the next action of that hook with empty args. --args gives
    other args, and --all cancels all actions of the hook. Running actions are left alone.
    """
    if len(targets) == 1 and not _are_ids(targets[0]):
        _cancel_hook(ctx, targets[0], flags, every=every, reason=reason)
        return
    if every:
        raise InputError("--all: name a hook")
    change(ctx, targets, flags, _canceling(reason))


def _cancel_hook(
    ctx: click.Context, hook: str, flags: dict[str, Any], *, every: bool, reason: str
) -> None:
    filters = split(flags)
    if filters.get("hook"):
        raise InputError("name the hook once")
    if filters.get("status"):
        raise InputError("--status: only pending actions of a hook are canceled")
    filters = {**filters, "hook": (hook,), "status": ("pending",)}
    if not every and filters["args"] is None:
        filters["args"] = "[]"
    query = query_of(filters)
    options, site = opened_for(ctx, flags)
    with site as queue:
        tell_names(queue, query, options)
        found = [] if every else queue.find(query)
        if every or found:
            run(queue, query if every else [found[0].id], options, _canceling(reason))
            return
        others = queue.count(hooks=(hook,), statuses=("pending",))
        more = f"; {plural(others, 'other')} of this hook: --args or --all" if others else ""
        told(f"no pending action of {hook} with these args{more}")
        if options.json:
            tell(Change(), options, _canceling(reason))


def _canceling(reason: str) -> Changing:
    return Changing(
        verb="cancel",
        done="canceled",
        deed=lambda queue, which, dry: queue.cancel(which, reason=reason, dry_run=dry),
        statuses=("pending",),
    )


@click.command(
    short_help="Delete actions and their logs.",
    epilog="""
Examples:
  wpbridge delete 4711 4712
  wpbridge delete --status canceled --hook send_mail --dry-run
  wpbridge delete --status complete --modified-until -31d --yes
""",
)
@click.argument("targets", metavar="[ID…]", nargs=-1)
@site_options
@filter_options
@change_options
@click.pass_context
@one_line_errors
def delete(ctx: click.Context, targets: Sequence[str], **flags: Any) -> None:
    """Delete actions with their logs for good, but not those that a runner has in hand.

    With --modified-since or --modified-until alone, only ended actions are deleted: an action that
    never ran has no date of a last attempt, and would count as older than any. To delete old ended
    actions, use clean, which works in small batches by the plugin's own rule.
    """
    by_attempt = flags["modified_since"] or flags["modified_until"]
    changing = Changing(
        verb="delete",
        done="deleted",
        deed=lambda queue, which, dry: queue.delete(which, dry_run=dry),
        statuses=ENDED_NAMES if by_attempt else (),
    )
    change(ctx, targets, flags, changing)


@click.command(
    short_help="Run failed actions once more.",
    epilog="""
Examples:
  wpbridge requeue 4711
  wpbridge requeue --hook send_mail --modified-since -1d --dry-run
  wpbridge requeue --group mail --in 10m --yes
""",
)
@click.argument("targets", metavar="[ID…]", nargs=-1)
@site_options
@filter_options
@click.option("--at", metavar="DATE", help="When they are due (now).")
@click.option("--in", "in_", metavar="TIME", help="How long from now they are due: 10m, 2h.")
@click.option("--again", is_flag=True, help="Also those that were requeued before.")
@change_options
@click.pass_context
@one_line_errors
def requeue(
    ctx: click.Context,
    targets: Sequence[str],
    *,
    at: str | None,
    in_: str | None,
    again: bool,
    **flags: Any,
) -> None:
    """Add each failed action anew. The old one stays as history, and their logs name each other.

    Filters match failed actions unless --status says otherwise; ids may also be those of canceled
    or complete actions. A recurring action whose chain has ended goes on with its chain; otherwise
    it runs once.
    """
    when = moment_of_flags(at, in_, SystemClock().now())
    changing = Changing(
        verb="requeue",
        done="requeued",
        deed=lambda queue, which, dry: queue.requeue(which, at=when, again=again, dry_run=dry),
        statuses=("failed",),
    )
    change(ctx, targets, flags, changing)


@click.command(
    short_help="Move pending actions to another date.",
    epilog="""
Examples:
  wpbridge reschedule 4711 --in 2h
  wpbridge reschedule 4711 --cron '0 3 * * *' --tz Europe/Rome
  wpbridge reschedule --hook send_mail --until now --at 2026-12-01T06:00Z --dry-run
""",
)
@click.argument("targets", metavar="[ID…]", nargs=-1)
@site_options
@filter_options
@click.option("--at", metavar="DATE", help="Move them to this date.")
@click.option("--in", "in_", metavar="TIME", help="Move them to so long from now: 10m, 2h.")
@click.option("--interval", metavar="TIME", help="Let it repeat so long after each run: 3600, 1h.")
@click.option("--cron", metavar="EXPRESSION", help="Or let it repeat by a cron expression.")
@click.option("--tz", metavar="ZONE", help="Read --cron in this zone.")
@change_options
@click.pass_context
@one_line_errors
def reschedule(
    ctx: click.Context,
    targets: Sequence[str],
    *,
    at: str | None,
    in_: str | None,
    interval: str | None,
    cron: str | None,
    tz: str | None,
    **flags: Any,
) -> None:
    """Move pending actions that no runner has claimed; a recurring one keeps its recurrence."""
    now = SystemClock().now()
    when = moment_of_flags(at, in_, now)
    if when is None and interval is None and cron is None:
        raise InputError("give --at, --in, --interval or --cron")
    # Before anything is looked for, or asked.
    new_action(Enqueue(hook="check", at=when, interval=interval, cron=cron, tz=tz), now)
    changing = Changing(
        verb="reschedule",
        done="rescheduled",
        deed=lambda queue, which, dry: queue.reschedule(
            which, at=when, interval=interval, cron=cron, tz=tz, dry_run=dry
        ),
        statuses=("pending",),
    )
    change(ctx, targets, flags, changing)


@click.command(
    short_help="Set the priority of pending actions.",
    epilog="""
Examples:
  wpbridge priority 4711 4712 --to 0
  wpbridge priority --hook send_mail --to 20 --dry-run
""",
)
@click.argument("targets", metavar="[ID…]", nargs=-1)
@site_options
@filter_options
@click.option(
    "--to",
    type=click.IntRange(0, 255),
    required=True,
    metavar="N",
    help="The new priority, 0 to 255; 0 runs first.",
)
@change_options
@click.pass_context
@one_line_errors
def priority(ctx: click.Context, targets: Sequence[str], *, to: int, **flags: Any) -> None:
    """Give pending actions that no runner has claimed another priority; lower runs first."""
    changing = Changing(
        verb="reprioritize",
        done="reprioritized",
        deed=lambda queue, which, dry: queue.set_priority(which, to, dry_run=dry),
        statuses=("pending",),
    )
    change(ctx, targets, flags, changing)


def _are_ids(text: str) -> bool:
    """Tell whether a text is one id, or several as ``--format ids`` prints them."""
    return all(part.isascii() and part.isdigit() for part in text.split() or [text])
