"""``cancel``, ``delete``, ``requeue`` and ``reschedule``: changing actions by id or by filter."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from wpbridge.action import ActionId
from wpbridge.cli.filters import (
    MANY,
    change_options,
    filter_options,
    ids_of,
    moment_of_flags,
    query_of,
    split,
)
from wpbridge.cli.misspelled import tell_unknown
from wpbridge.cli.options import one_line_errors, settings_of, site_options
from wpbridge.cli.output import confirm, plural, told
from wpbridge.cli.terminal import print_json, print_line, write_data
from wpbridge.clock import SystemClock
from wpbridge.errors import InputError
from wpbridge.queue.enqueue import Enqueue, new_action
from wpbridge.queue.facade import Queue, opened
from wpbridge.store.records import Change, Query

_ENDED = ("complete", "failed", "canceled")
_MOST_SAID = 20
_MOST_IDS = 1000


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
@click.option("--all", "every", is_flag=True, help="With HOOK: all of them, whatever their args.")
@click.option("--reason", default="", metavar="TEXT", help="For their logs.")
@change_options
@click.pass_context
@one_line_errors
def cancel(
    ctx: click.Context, targets: Sequence[str], *, every: bool, reason: str, **flags: Any
) -> None:
    """Cancel pending actions: these ids, the next one of a hook, or all that the filters mean.

    With HOOK alone, like WP-CLI's: the next action of that hook with empty args, unless --args
    says which; --all cancels all of them. What runs already is left alone.
    """
    if len(targets) == 1 and not _are_ids(targets[0]):
        _cancel_hook(ctx, targets[0], flags, every=every, reason=reason)
        return
    if every:
        raise InputError("--all: name a hook")
    _change(
        ctx,
        "cancel",
        "canceled",
        targets,
        flags,
        lambda queue, which, dry: queue.cancel(which, reason=reason, dry_run=dry),
        statuses=("pending",),
    )


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
    options = _options(flags)
    settings = settings_of(ctx, flags)
    options["json"] = settings.format == "json"
    with opened(settings) as queue:
        _tell_unknown(queue, query, options)
        if every:
            _run(queue, "cancel", "canceled", query, options, _canceling(reason))
            return
        found = queue.find(query)
        if not found:
            others = queue.count(hooks=(hook,), statuses=("pending",))
            more = f"; {plural(others, 'other')} of this hook: --args or --all" if others else ""
            told(f"no pending action of {hook} with these args{more}")
            if options["json"]:
                _print(Change(), "cancel", "canceled", options)
            return
        _run(queue, "cancel", "canceled", [found[0].id], options, _canceling(reason))


def _canceling(reason: str) -> "_Deed":
    return lambda queue, which, dry: queue.cancel(which, reason=reason, dry_run=dry)


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
    """Delete actions with their logs, for good; not those a runner holds.

    With --modified-since or --modified-until alone only ended ones: what never ran has no date of
    a last attempt, and would count as older than any. For old ended actions there is clean, which
    goes in small batches by the plugin's own rule.
    """
    by_attempt = flags["modified_since"] or flags["modified_until"]
    _change(
        ctx,
        "delete",
        "deleted",
        targets,
        flags,
        lambda queue, which, dry: queue.delete(which, dry_run=dry),
        statuses=_ENDED if by_attempt else (),
    )


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
@click.option("--at", metavar="DATE", help="When (now).")
@click.option("--in", "in_", metavar="TIME", help="In so long: 10m, 2h.")
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
    """Add each failed action anew; the old one stays as history, and their logs name each other.

    Filters mean failed actions unless --status says otherwise; ids may also be canceled or
    complete ones. A recurring action whose chain has ended goes on with it, else it runs once.
    """
    when = moment_of_flags(at, in_, SystemClock().now())
    _change(
        ctx,
        "requeue",
        "requeued",
        targets,
        flags,
        lambda queue, which, dry: queue.requeue(which, at=when, again=again, dry_run=dry),
        statuses=("failed",),
    )


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
@click.option("--at", metavar="DATE", help="To this date.")
@click.option("--in", "in_", metavar="TIME", help="To so long from now: 10m, 2h.")
@click.option("--interval", metavar="TIME", help="And let it repeat so: 3600, 1h.")
@click.option("--cron", metavar="EXPRESSION", help="Or so.")
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
    _change(
        ctx,
        "reschedule",
        "rescheduled",
        targets,
        flags,
        lambda queue, which, dry: queue.reschedule(
            which, at=when, interval=interval, cron=cron, tz=tz, dry_run=dry
        ),
        statuses=("pending",),
    )


# What all of them do

_Which = Query | Sequence[ActionId]
_Deed = Callable[[Queue, _Which, bool], Change]


def _change(  # noqa: PLR0917 - one change and its words
    ctx: click.Context,
    verb: str,
    done: str,
    targets: Sequence[str],
    flags: dict[str, Any],
    deed: _Deed,
    statuses: tuple[str, ...] = (),
) -> None:
    """By ids or by filters; ``statuses``: what filters mean unless they name a status."""
    filters = split(flags)
    given = {name: value for name, value in filters.items() if value not in (None, ())}
    ids = ids_of(targets)
    if ids and given:
        raise InputError("give ids or filters, not both")
    if not ids and not given:
        raise InputError(f"name what to {verb}: ids, or filters such as --hook or --group")
    query = query_of({**filters, "status": filters.get("status") or statuses})
    options = _options(flags)
    settings = settings_of(ctx, flags)
    options["json"] = settings.format == "json"
    with opened(settings) as queue:
        _tell_unknown(queue, query, options)
        _run(queue, verb, done, ids or query, options, deed)


def _tell_unknown(queue: Queue, query: Query, options: dict[str, Any]) -> None:
    for_people = not (options["json"] or options["porcelain"])
    tell_unknown(queue.store, query.hooks, query.groups, for_people=for_people)


def _options(flags: dict[str, Any]) -> dict[str, Any]:
    return {name: flags.pop(name) for name in ("dry_run", "yes", "porcelain")}


def _run(  # noqa: PLR0917 - one change and its words
    queue: Queue, verb: str, done: str, which: _Which, options: dict[str, Any], deed: _Deed
) -> None:
    dry_run = bool(options["dry_run"])
    if not dry_run:
        count = queue.count(which) if isinstance(which, Query) else len(which)
        if count > MANY:
            confirm(f"{verb} {plural(count, 'action')}", yes=options["yes"])
    change = deed(queue, which, dry_run)
    _print(change, verb, done, options)
    if change.skipped and not isinstance(which, Query):
        raise SystemExit(1)


def _print(change: Change, verb: str, done: str, options: dict[str, Any]) -> None:
    if options["json"]:
        print_json(
            {
                "dry_run": options["dry_run"],
                "count": len(change.ids),
                "ids": list(change.ids),
                "made": {str(old): new for old, new in change.made.items()},
                "skipped": {str(i): why for i, why in change.skipped.items()},
            }
        )
        return
    results = list(change.made.values()) or list(change.ids)
    if options["porcelain"]:
        write_data("".join(f"{i}\n" for i in results))
    else:
        _print_text(change, f"would {verb}" if options["dry_run"] else done)
    for place, (action_id, why) in enumerate(change.skipped.items()):
        if place == _MOST_SAID:
            told(f"… and {len(change.skipped) - _MOST_SAID:,} more left as they are")
            break
        told(f"action {action_id} left as it is: {why}")


def _print_text(change: Change, deed: str) -> None:
    ids = " ".join(
        f"{i}>{change.made[i]}" if i in change.made else str(i) for i in change.ids[:_MOST_IDS]
    )
    more = len(change.ids) - _MOST_IDS
    rest = f" … and {more:,} more (--porcelain prints all)" if more > 0 else ""
    print_line(f"{deed} {plural(len(change.ids), 'action')}{': ' if ids else ''}{ids}{rest}")


def _are_ids(text: str) -> bool:
    """One, or several as ``--format ids`` prints them."""
    return all(part.isascii() and part.isdigit() for part in text.split() or [text])
