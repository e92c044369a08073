"""``status``: how a queue stands."""

import os
from contextlib import closing
from typing import Any

import click

from wpbridge import action
from wpbridge.cli.options import format_option, one_line_errors, settings_of, site_options
from wpbridge.cli.output import counted, exact_option
from wpbridge.cli.terminal import print_json, print_line
from wpbridge.cli.times import tz_option
from wpbridge.clock import SystemClock
from wpbridge.monitor.advice import Advice
from wpbridge.monitor.advising import facts
from wpbridge.monitor.glance import advice_at_a_glance
from wpbridge.queue.status import Status, status_of
from wpbridge.site.moments import iso
from wpbridge.site.resolve import resolve
from wpbridge.store.connect import open_site
from wpbridge.store.reading.counting import CAP
from wpbridge.store.running.seen_runners import CELERY, RELAY

_SHOWN_HOOKS = 3
_WHO = {RELAY: "relay", CELERY: "celery worker"}
"""What runners are called that do not run what is due by themselves."""


@click.command(
    short_help="Show how many actions have each status, and who runs them.",
    epilog="""
Examples:
  wpbridge status --path /var/www/html
  wpbridge status --path /var/www/html --format json
""",
)
@site_options
@format_option("How to print.")
@exact_option
@tz_option
@click.pass_context
@one_line_errors
def status(ctx: click.Context, *, exact: bool, **flags: Any) -> None:
    """Show how many actions have each status, how many are due, what is paused, and who runs them.

    The line ``workers`` has the advice of `wpbridge advise`: how many actions can run at once, and
    how many should.
    """
    settings = settings_of(ctx, flags)
    now = SystemClock().now()
    with closing(open_site(resolve(settings, os.environ))) as store:
        found = status_of(store, settings, now, cap=None if exact else CAP)
        advice = advice_at_a_glance(store, found, settings, now)
    if settings.format == "json":
        print_json({**_facts(found), "advice": facts(advice)})
    else:
        _print(found)
        _print_advice(advice)


def _facts(found: Status) -> dict[str, Any]:
    numbers = {**found.counts, "due": found.due}
    capped = [name for name, n in numbers.items() if found.cap is not None and n >= found.cap]
    return {
        "counts": found.counts,
        "due": found.due,
        "due_is_capped": "due" in capped,
        "capped": capped,
        "oldest_due": iso(found.oldest_due),
        "held": found.held,
        "handed": found.handed,
        "runners": [
            {
                "host": one.runner.host,
                "pid": one.runner.pid,
                "kind": one.about.kind or None,
                "beat_age_seconds": one.runner.beat_age_seconds,
                "claims": list(one.runner.claims),
            }
            for one in found.runners
        ],
        "pauses": [
            {"kind": p.kind, "name": p.name, "until": iso(p.until), "reason": p.reason}
            for p in found.pauses
        ],
    }


def _print(found: Status) -> None:
    for name in action.Status:
        print_line(_number(name, found.counts.get(name, 0), found.cap))
    print_line(_number("due now", found.due, found.cap))
    if found.oldest_due is not None:
        print_line(f"{'oldest due':12} {iso(found.oldest_due, found.zone)}")
    if found.held:
        names = ", ".join(found.held_hooks[:_SHOWN_HOOKS])
        more = ", …" if len(found.held_hooks) > _SHOWN_HOOKS else ""
        print_line(f"{'held':12} {found.held:>10,} no callback in WordPress for {names}{more}")
    for pause in found.pauses:
        end = "until resumed" if pause.until is None else f"until {iso(pause.until, found.zone)}"
        print_line(f"paused {pause.kind} {pause.name} {end}")
    if found.handed or any(one.about.kind == RELAY for one in found.runners):
        print_line(f"{'handed':12} {found.handed:>10,} to Celery, not started")
    for one in found.runners:
        who = _WHO.get(one.about.kind, "runner")
        beat = f"beat {one.runner.beat_age_seconds:.0f} s ago"
        print_line(f"{who} {one.runner.host} pid {one.runner.pid}, {beat}")


def _print_advice(advice: Advice) -> None:
    """Print a line: the number, or what holds the work up; `wpbridge advise` says why."""
    told = f"{advice.workers_advised:,} advised" if advice.obstacle is None else advice.obstacle
    print_line(f"{'workers':12} {advice.workers_now:>10,} now, {told}")


def _number(name: str, number: int, cap: int | None) -> str:
    """Return a line in which the digits of all numbers stand below each other."""
    text = counted(number, cap)
    return f"{name:12} {text:>{10 + text.endswith('+')}}"
