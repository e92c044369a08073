"""The lines of ``wpbridge top``: the overview of the dashboard, as text."""

from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo
from typing import Final

from wpbridge.cli.output import counted
from wpbridge.cli.terminal import Piece
from wpbridge.dashboard.overview import HookRow, Overview
from wpbridge.site.moments import iso

BARS: Final = "▁▂▃▄▅▆▇█"
PLAIN_BARS: Final = "_.:-=+*#"
"""For a terminal whose encoding has no bars."""
_NAMES: Final = 10
_BAD, _WARN, _GOOD, _STRONG, _DIM = "bold red", "yellow", "green", "bold", "dim"
_UNITS: Final = ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))

Line = Sequence[Piece]


def lines_of(seen: Overview, *, site: str, zone: tzinfo, bars: str = BARS) -> list[Line]:
    """Return the overview as lines. Texts of the database stand in them as they are.

    Args:
        seen: the overview.
        site: what the site is called.
        zone: times are shown in it.
        bars: eight signs for small numbers to large ones.
    """
    head: Line = [("wpbridge", _STRONG), (f"  {site}  {_time(seen.at, zone)}", "")]
    return [
        head,
        *_warnings(seen, zone),
        [],
        *_numbers(seen),
        [],
        [("completed  ", _DIM), (bars_of(seen.complete_minutes, bars), _GOOD)],
        [("failed     ", _DIM), (bars_of(seen.failed_minutes, bars), _BAD)],
        [("           of each of the last 60 minutes", _DIM)],
        *_hooks("Hooks that fail most, 24 hours", "failed", seen.failing),
        *_hooks("Slowest hooks, 24 hours", "95 %", seen.slowest),
    ]


def _warnings(seen: Overview, zone: tzinfo) -> Iterator[Line]:
    if seen.is_empty:
        yield [("There is no action yet.", _WARN)]
    elif seen.is_first_use:
        yield [("wpbridge has not run anything here yet.", _WARN)]
    elif seen.silent_since is not None:
        since = _time(seen.silent_since, zone)
        yield [(f"Actions are due, and no runner has given a sign since {since}.", _BAD)]
    for kind, name, until, reason in seen.paused:
        what = "everything" if kind == "all" else f"{kind} {name or '(none)'}"
        end = "until resumed" if until is None else f"until {_time(until, zone)}"
        yield [(f"paused: {what} {end}{f' ({reason})' if reason else ''}", _WARN)]
    if seen.held_hooks:
        names = ", ".join(seen.held_hooks[:_NAMES])
        more = ", …" if len(seen.held_hooks) > _NAMES else ""
        yield [(f"held, WordPress has no callback: {names}{more}", _WARN)]
    if seen.recurring_stopped:
        yield [(f"recurring actions that have stopped: {seen.recurring_stopped:,}", _WARN)]


def _numbers(seen: Overview) -> Iterator[Line]:
    oldest = f"oldest {span_of(seen.oldest_due_seconds)}" if seen.due else ""
    longest = f", longest {span_of(seen.running_longest_seconds)}" if seen.running else ""
    yield _number("due", counted(seen.due, seen.cap), oldest, _WARN if seen.past_due else "")
    yield _number("running", f"{seen.running:,}", f"{seen.places:,} places{longest}")
    yield _number("pending", counted(seen.counts.get("pending", 0), seen.cap), "")
    failed = counted(seen.failed_day, seen.cap)
    yield _number("failed", failed, "in 24 hours", _BAD if seen.failed_day else _GOOD)
    yield _number("ended", f"{seen.per_second * 60:,.0f}", "a minute, mean of 5 minutes")
    p95 = f"95 % {span_of(seen.wait_p95)}, in an hour"
    yield _number("wait", span_of(seen.wait_p50), p95)
    yield _number("duration", span_of(seen.duration_p95), "95 %, in an hour")
    for name, at in sorted(seen.last_run.items()):
        ago = span_of(max(0.0, (seen.at - at).total_seconds()))
        yield _number(name, ago, "ago, last sign of a runner")


def _number(name: str, number: str, note: str, style: str = "") -> Line:
    return [(f"{name:10} ", _DIM), (f"{number:>10}", style or _STRONG), (f"  {note}", _DIM)]


def _hooks(title: str, column: str, rows: Sequence[HookRow]) -> Iterator[Line]:
    """Yield a small table, whose names come last: they may be of any width."""
    if not rows:
        return
    yield []
    yield [(f"{column:>10} {'ended':>10}  {title}", _DIM)]
    for row in rows:
        told = f"{row.failed:,}" if column == "failed" else span_of(row.duration_p95)
        yield [(f"{told:>10} {row.failed + row.complete:>10,}  {row.name}", "")]


def bars_of(numbers: Sequence[int], bars: str = BARS) -> str:
    """Return a sign for each number: the first one for nothing, the last for the highest."""
    most = max(numbers, default=0)
    steps = len(bars) - 1
    return "".join(bars[0 if not most else -(-number * steps // most)] for number in numbers)


def span_of(seconds: float | None) -> str:
    """Return a time in one or two units, such as ``1 h 5 min``; a dash for None."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms" if seconds else "0 s"
    whole = round(seconds)
    for unit, name, part, part_name in _UNITS:
        if whole >= unit:
            rest = whole % unit // part
            return f"{whole // unit} {name}" + (f" {rest} {part_name}" if rest else "")
    return f"{whole} s"


def _time(at: datetime, zone: tzinfo) -> str:
    return iso(at, zone) or ""
