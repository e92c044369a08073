"""``stats --since``: what ended within a time, from wpbridge's own statistics."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, tzinfo
from typing import Any, Final

from wpbridge.cli.filters import moment_or_age
from wpbridge.cli.output import told
from wpbridge.clock import SystemClock
from wpbridge.errors import InputError
from wpbridge.monitor.ended import EndedRow, ended_by
from wpbridge.store.opened import OpenStore

_ENDINGS: Final = ("complete", "failed", "retried", "canceled")
_DURATIONS: Final = ("duration_p50", "duration_p95", "duration_p99")
_WAITS: Final = ("wait_p50", "wait_p95", "wait_p99")
ENDED_FIELDS: Final = ("name", *_ENDINGS, "per_second", *_DURATIONS, *_WAITS)


def check(by: str, since: str | None, hours: int | None) -> datetime | None:
    """Return the moment that ``--since`` means; None where it is not given.

    Raises:
        InputError: it is no moment, or does not go with the other flags.
    """
    if since is None:
        return None
    if by == "status":
        raise InputError("--since: with --by hour, hook or group")
    if hours is not None:
        raise InputError("--since says where the hours begin: leave out --hours")
    now = SystemClock().now()
    found = moment_or_age(since, now, "--since")
    if found > now:
        raise InputError("--since: this lies ahead")
    return found


def ended_rows(
    store: OpenStore,
    by: Any,
    since: datetime,
    *,
    hooks: Sequence[str],
    groups: Sequence[str],
    zone: tzinfo | None,
) -> list[dict[str, Any]]:
    """Return what ended since then, as rows; with a zone they are for people."""
    now = SystemClock().now()
    found = ended_by(store, by, since, now, hooks=hooks, groups=groups)
    if not found:
        told("nothing was counted in this time: wpbridge counts while one of its runners runs")
    return [_for_people(row, by, zone) if zone else _row(row) for row in found]


def _row(row: EndedRow) -> dict[str, Any]:
    shown = asdict(row)
    for name in ("per_second", *_DURATIONS, *_WAITS):
        if shown[name] is not None:
            shown[name] = round(shown[name], 6)
    return shown


def _for_people(row: EndedRow, by: str, zone: tzinfo) -> dict[str, Any]:
    shown = asdict(row)
    for name in ("per_second", *_DURATIONS, *_WAITS):
        shown[name] = "" if shown[name] is None else f"{shown[name]:.3g}"
    if by == "hour":
        hour = datetime.fromisoformat(row.name).astimezone(zone)
        shown["name"] = hour.isoformat(timespec="minutes").replace("+00:00", "Z")
    return shown
