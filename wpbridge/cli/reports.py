"""``stats``, ``failures`` and ``claims``: what there is, in numbers."""

import socket
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, tzinfo
from typing import Any

import click

from wpbridge.cli.filters import BIGGEST, filter_options, moment_or_age, query_of, split
from wpbridge.cli.misspelled import tell_unknown
from wpbridge.cli.options import one_line_errors, settings_of, site_options
from wpbridge.cli.output import exact_option, is_table, list_options, print_rows, told
from wpbridge.cli.stats_since import ENDED_FIELDS, check, ended_rows
from wpbridge.cli.times import times_in, tz_option
from wpbridge.clock import SystemClock
from wpbridge.errors import InputError
from wpbridge.queue.facade import opened
from wpbridge.queue.failure_groups import grouped
from wpbridge.store.base import RunnerRecord
from wpbridge.store.reading.counting import CAP
from wpbridge.store.records import Tally
from wpbridge.store.running.seen_runners import CELERY, RELAY
from wpbridge.telling.words import plural
from wpbridge.upkeep.claim_holders import OwnedClaim, owned_claims

_STATUSES = ("pending", "in-progress", "complete", "failed", "canceled")
STAT_FIELDS = ("name", *_STATUSES, "other", "total", "due", "oldest_due", "held", "capped")
FAILURE_FIELDS = ("fingerprint", "count", "hooks", "first", "last", "sample", "ids")
CLAIM_FIELDS = ("id", "state", "holder", "pending", "running", "last_sign", "created", "has_row")


@click.command(
    short_help="Count actions by hook, group, hour or status.",
    epilog="""
Examples:
  wpbridge stats --by hook
  wpbridge stats --by group --format json
  wpbridge stats --by status --group mail
  wpbridge stats --by hour --hours 48
  wpbridge stats --by hour --since -30d
  wpbridge stats --by hook --since -1d --format json
""",
)
@site_options
@click.option(
    "--by",
    type=click.Choice(["hook", "group", "hour", "status"]),
    default="hook",
    help="What to count by (hook).",
)
@click.option(
    "--hours",
    type=click.IntRange(1, 24 * 366),
    help="With --by hour: how many hours back (24).",
)
@click.option(
    "--since",
    metavar="DATE|AGE",
    help="Show what ended since then, with rates and percentiles: -30d, 2026-12-01.",
)
@click.option("--hook", "hooks", multiple=True, metavar="HOOK", help="Only these hooks.")
@click.option("--group", "groups", multiple=True, metavar="SLUG", help="Only these groups.")
@exact_option
@list_options((*STAT_FIELDS, *ENDED_FIELDS[3:]))
@tz_option
@click.pass_context
@one_line_errors
def stats(
    ctx: click.Context,
    *,
    by: Any,
    hours: int | None,
    since: str | None,
    hooks: Sequence[str],
    groups: Sequence[str],
    exact: bool,
    fields: str | None,
    field: str | None,
    **flags: Any,
) -> None:
    """Count actions by status, for each hook, group or hour (UTC, by last attempt).

    --since shows what ended within a time, even if the actions have been deleted since: how many,
    how many per second, and how long they ran and waited. wpbridge counts this minute by minute and
    keeps hours for 90 days. Actions that PHP's runners ended count as well.
    """
    query = query_of({"hook": hooks, "group": groups})
    begin = check(by, since, hours)
    settings = settings_of(ctx, flags)
    as_table = is_table(settings.format, field)
    with opened(settings) as queue:
        if begin is not None:
            shown_in = times_in(settings, queue.store) if as_table else None
            ended = ended_rows(queue.store, by, begin, hooks=hooks, groups=groups, zone=shown_in)
            style, chosen = settings.format, fields
            print_rows(ended, fields=ENDED_FIELDS, style=style, chosen=chosen, field=field)
            return
        tell_unknown(queue.store, hooks, groups, for_people=as_table)
        tallies = queue.stats(by, hours=hours or 24, query=query, cap=None if exact else CAP)
        zone = times_in(settings, queue.store)
    shown_fields: tuple[str, ...] = ("name", *_STATUSES, "total")
    if by in ("hook", "group"):
        shown_fields = (*shown_fields, "due", "oldest_due")
        if not as_table or any(tally.held for tally in tallies):
            shown_fields = (*shown_fields, "held")
    cap = next((tally.cap for tally in tallies if _capped(tally)), None)
    if not as_table:
        shown_fields = (*shown_fields, "capped")
    rows = [_stat(tally, for_people=as_table) for tally in tallies]
    if by == "hour" and zone is not UTC and as_table:
        rows = [{**row, "name": _hour(row["name"], zone)} for row in rows]
    print_rows(
        rows,
        fields=STAT_FIELDS,
        shown_fields=shown_fields,
        style=settings.format,
        chosen=fields,
        field=field,
        zone=zone,
    )
    if cap is not None:
        # Also for programs: the fields that were chosen may leave out the one that says it.
        told(f"counted up to {cap:,}, which means so many or more; --exact counts them all")


def _hour(name: str, zone: tzinfo) -> str:
    """Return an hour of UTC by another zone's clock, where it may begin at half past."""
    return datetime.fromisoformat(name).astimezone(zone).isoformat(timespec="minutes")


def _stat(tally: Tally, *, for_people: bool) -> dict[str, Any]:
    numbers, capped = _numbers(tally), _capped(tally)
    shown: dict[str, Any] = dict(numbers)
    if for_people:
        shown |= {name: f"{numbers[name]}+" for name in capped}
    return {
        "name": tally.name,
        **shown,
        "oldest_due": tally.oldest_due,
        "capped": capped,
    }


def _numbers(tally: Tally) -> dict[str, int]:
    counts = {status: tally.statuses.get(status, 0) for status in _STATUSES}
    return {
        **counts,
        "other": tally.total - sum(counts.values()),
        "total": tally.total,
        "due": tally.due,
        "held": tally.held,
    }


def _capped(tally: Tally) -> list[str]:
    """Return the fields whose number means so many or more."""
    if tally.cap is None:
        return []
    numbers = _numbers(tally)
    found = [name for name in (*_STATUSES, "other") if numbers[name] >= tally.cap]
    found += ["total"] if found else []
    # What is due and what is held come from the same rows.
    return found + ["due", "held"] * (tally.due + tally.held >= tally.cap)


@click.command(
    short_help="Show why actions fail, in groups of similar failures.",
    epilog="""
Examples:
  wpbridge failures --open --failed-since 1d
  wpbridge failures --hook send_mail --format json
""",
)
@site_options
@filter_options
@click.option(
    "--open",
    "open_only",
    is_flag=True,
    help="Only failures that stand: not requeued, no later success of the chain.",
)
@click.option(
    "--failed-since", metavar="DATE|AGE", help="Only failures at or after this: 2026-12-01, 1d, 2h."
)
@click.option(
    "--limit",
    type=click.IntRange(1, BIGGEST - 1),
    default=10_000,
    help="How many of the newest failures to look at (10000).",
)
@list_options(FAILURE_FIELDS)
@tz_option
@click.pass_context
@one_line_errors
def failures(
    ctx: click.Context,
    *,
    open_only: bool,
    failed_since: str | None,
    limit: int,
    fields: str | None,
    field: str | None,
    **flags: Any,
) -> None:
    """Group failed actions by their message, with ids, dates and numbers masked.

    A failure stands (--open) until its action is requeued or deleted. The failure of a recurring
    action also ends when a later run of its chain completes. --since goes by the scheduled date.
    """
    query = replace(query_of(split(flags)), limit=limit)
    if query.statuses not in ((), ("failed",)):
        raise InputError("--status: these are the failed ones")
    since = None
    if failed_since is not None:
        since = moment_or_age(failed_since, SystemClock().now(), "--failed-since")
    settings = settings_of(ctx, flags)
    with opened(settings) as queue:
        as_table = is_table(settings.format, field)
        tell_unknown(queue.store, query.hooks, query.groups, for_people=as_table)
        failed = queue.store.failed
        runs, is_cut = failed.newest(query, since=since, open_only=open_only)
        zone = times_in(settings, queue.store)
    print_rows(
        [asdict(group) for group in grouped(runs)],
        fields=FAILURE_FIELDS,
        shown_fields=("count", "first", "last", "hooks", "fingerprint", "sample"),
        style=settings.format,
        chosen=fields,
        field=field,
        zone=zone,
    )
    if is_cut:
        told(f"of the newest {limit:,} failed actions; --limit for more")


@click.command(
    short_help="Show which runner has which claims.",
    epilog="""
Examples:
  wpbridge claims
  wpbridge claims --all --format json
""",
)
@site_options
@click.option("--all", "every", is_flag=True, help="Also show rows of claims without actions.")
@list_options(CLAIM_FIELDS)
@tz_option
@click.pass_context
@one_line_errors
def claims(
    ctx: click.Context, *, every: bool, fields: str | None, field: str | None, **flags: Any
) -> None:
    """Show the claims that have actions, with their runners and their last signs of life."""
    settings = settings_of(ctx, flags)
    with opened(settings) as queue:
        found = owned_claims(queue, SystemClock().now())
        zone = times_in(settings, queue.store)
    empty = sum(one.claim.is_orphan for one in found)
    rows = [_claim(one) for one in found if every or not one.claim.is_orphan]
    print_rows(
        rows, fields=CLAIM_FIELDS, style=settings.format, chosen=fields, field=field, zone=zone
    )
    if empty and not every:
        told(f"not shown: {plural(empty, 'claim')} without actions; --all for them")


def _claim(one: OwnedClaim) -> dict[str, Any]:
    claim, runner = one.claim, one.runner
    return {
        "id": claim.id,
        "state": one.state,
        "holder": "PHP" if runner is None else f"{_who(one)} on {_host(runner)}, pid {runner.pid}",
        "pending": claim.pending,
        "running": claim.running,
        "last_sign": claim.last_attempt_at,
        "created": claim.created_at,
        "has_row": claim.has_row,
    }


def _who(one: OwnedClaim) -> str:
    return {RELAY: "relay", CELERY: "celery worker"}.get(one.kind, "wpbridge")


def _host(runner: RunnerRecord) -> str:
    return "this host" if runner.host == socket.gethostname() else runner.host
