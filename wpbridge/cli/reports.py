"""``stats``, ``failures`` and ``claims``: what there is, in numbers."""

import socket
from collections import defaultdict
from typing import Any

import click

from wpbridge.cli.filters import BIGGEST, filter_options, query_of, split
from wpbridge.cli.options import one_line_errors, settings_of, site_options
from wpbridge.cli.output import list_options, plural, print_rows, told
from wpbridge.clock import SystemClock
from wpbridge.errors import InputError
from wpbridge.fingerprint import fingerprint
from wpbridge.moments import iso
from wpbridge.queue import opened
from wpbridge.runner.identity import identity, is_dead
from wpbridge.store.base import RunnerRecord
from wpbridge.store.records import ClaimRecord, FailedRun, Tally

_STATUSES = ("pending", "in-progress", "complete", "failed", "canceled")
STAT_FIELDS = ("name", *_STATUSES, "other", "total", "due", "oldest_due")
FAILURE_FIELDS = ("fingerprint", "count", "hooks", "first", "last", "sample", "ids")
CLAIM_FIELDS = (
    "id", "state", "holder", "pending", "running", "last_sign", "created", "has_row"
)  # fmt: skip
_SHOWN_IDS = 20


@click.command(short_help="Count actions by hook, group, hour or status.", epilog="""
Examples:
  wpbridge stats --by hook
  wpbridge stats --by group --format json
  wpbridge stats --by hour --hours 48
""")  # fmt: skip
@site_options
@click.option(
    "--by",
    type=click.Choice(["hook", "group", "hour", "status"]),
    default="hook",
    help="By what (hook).",
)
@click.option(
    "--hours",
    type=click.IntRange(1, 24 * 366),
    default=24,
    help="With --by hour: so many back (24).",
)
@list_options(STAT_FIELDS)
@click.pass_context
@one_line_errors
def stats(
    ctx: click.Context, *, by: Any, hours: int, fields: str | None, field: str | None, **flags: Any
) -> None:
    """Count actions by status, for each hook, group or hour (UTC, by last attempt)."""
    settings = settings_of(ctx, flags)
    with opened(settings) as queue:
        tallies = queue.stats(by, hours=hours)
    shown_fields: tuple[str, ...] = ("name", *_STATUSES, "total")
    if by in ("hook", "group"):
        shown_fields = (*shown_fields, "due", "oldest_due")
    print_rows(
        [_stat(tally) for tally in tallies], fields=STAT_FIELDS, shown_fields=shown_fields,
        style=settings.format, chosen=fields, field=field,
    )  # fmt: skip


def _stat(tally: Tally) -> dict[str, Any]:
    counts = {status: tally.statuses.get(status, 0) for status in _STATUSES}
    return {
        "name": tally.name, **counts, "other": tally.total - sum(counts.values()),
        "total": tally.total, "due": tally.due, "oldest_due": iso(tally.oldest_due),
    }  # fmt: skip


@click.command(short_help="Show why actions fail, like failures together.", epilog="""
Examples:
  wpbridge failures --modified-since -1d
  wpbridge failures --hook send_mail --format json
""")  # fmt: skip
@site_options
@filter_options
@click.option(
    "--limit",
    type=click.IntRange(1, BIGGEST - 1),
    default=10_000,
    help="Look at so many of the newest failures (10000).",
)
@list_options(FAILURE_FIELDS)
@click.pass_context
@one_line_errors
def failures(
    ctx: click.Context, *, limit: int, fields: str | None, field: str | None, **flags: Any
) -> None:
    """Group failed actions by their message, with ids, dates and numbers masked."""
    from dataclasses import replace  # noqa: PLC0415

    query = replace(query_of(split(flags)), limit=limit + 1)
    if query.statuses not in ((), ("failed",)):
        raise InputError("--status: these are the failed ones")
    settings = settings_of(ctx, flags)
    with opened(settings) as queue:
        runs = queue.failures(query)
    print_rows(
        _grouped(runs[:limit]), fields=FAILURE_FIELDS,
        shown_fields=("count", "first", "last", "hooks", "fingerprint", "sample"),
        style=settings.format, chosen=fields, field=field,
    )  # fmt: skip
    if len(runs) > limit:
        told(f"of the newest {limit:,} failed actions; --limit for more")


def _grouped(runs: list[FailedRun]) -> list[dict[str, Any]]:
    groups: defaultdict[str, list[FailedRun]] = defaultdict(list)
    for run in runs:
        groups[fingerprint(run.message)].append(run)
    rows = []
    for name, alike in groups.items():
        dates = sorted(run.at for run in alike if run.at is not None)
        rows.append(
            {
                "fingerprint": name or "(no message)",
                "count": len(alike),
                "hooks": sorted({run.hook for run in alike}),
                "first": iso(dates[0]) if dates else None,
                "last": iso(dates[-1]) if dates else None,
                "sample": alike[0].message[:300],
                "ids": [run.id for run in alike[:_SHOWN_IDS]],
            }
        )
    return sorted(rows, key=lambda row: (-int(str(row["count"])), str(row["fingerprint"])))


@click.command(short_help="Show who holds what.", epilog="""
Examples:
  wpbridge claims
  wpbridge claims --all --format json
""")  # fmt: skip
@site_options
@click.option("--all", "every", is_flag=True, help="Also rows of claims that hold nothing.")
@list_options(CLAIM_FIELDS)
@click.pass_context
@one_line_errors
def claims(
    ctx: click.Context, *, every: bool, fields: str | None, field: str | None, **flags: Any
) -> None:
    """Show the claims that hold actions: whose they are, and their holder's last sign of life."""
    settings = settings_of(ctx, flags)
    with opened(settings) as queue:
        found = queue.store.parts.reading.claims()
        runners = queue.store.other_runners()
    holders = {claim: runner for runner in runners for claim in runner.claims}
    empty = sum(claim.is_orphan for claim in found)
    rows = [_claim(claim, holders.get(claim.id)) for claim in found if every or not claim.is_orphan]
    print_rows(rows, fields=CLAIM_FIELDS, style=settings.format, chosen=fields, field=field)
    if empty and not every:
        told(f"not shown: {plural(empty, 'claim')} without actions; --all for them")


def _claim(claim: ClaimRecord, runner: RunnerRecord | None) -> dict[str, Any]:
    return {
        "id": claim.id,
        "state": _state(claim, runner),
        "holder": "PHP" if runner is None else f"wpbridge on {_host(runner)}, pid {runner.pid}",
        "pending": claim.pending,
        "running": claim.running,
        "last_sign": iso(claim.last_attempt_at),
        "created": iso(claim.created_at),
        "has_row": claim.has_row,
    }


def _host(runner: RunnerRecord) -> str:
    return "this host" if runner.host == socket.gethostname() else runner.host


def _state(claim: ClaimRecord, runner: RunnerRecord | None) -> str:
    if claim.is_orphan:
        return "empty"
    if runner is not None:
        return "dead" if is_dead(runner, identity()) else "live"
    last = claim.last_attempt_at
    age = None if last is None else (SystemClock().now() - last).total_seconds()
    # The plugin's cleaner judges the same way.
    return "stale" if age is None or age >= 300 else "live"  # noqa: PLR2004
