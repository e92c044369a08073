"""The page of failures: what failed, when and why, and how to run those again."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Final, NamedTuple

from starlette.responses import Response

from wpbridge.dashboard.failures import FailureWish, failures_of
from wpbridge.dashboard.shown_text import shown_text
from wpbridge.queue.failure_groups import mark_of
from wpbridge.site.moments import iso, parse_moment
from wpbridge.web.pages.charts import sparkline
from wpbridge.web.pages.texts import N_
from wpbridge.web.pages.visit import Visit

NO_GROUP: Final = "-"
"""What addresses have for actions without a group."""
FIELDS: Final = ("hook", "group", "since", "until", "fingerprint")
"""The parameters of the address that narrow the failures."""
EVENING: Final = 18
MORNING: Final = 8
"""The night lasts from this hour to that one, by the clock of the site."""


class Span(NamedTuple):
    """A span of time that a link offers."""

    words: str
    since: str
    until: str = ""


async def show(visit: Visit) -> Response:
    """Show the failures by what they have in common."""
    now = visit.now()
    told = {name: visit.query(name).strip() for name in FIELDS if visit.query(name).strip()}
    wish = wish_of(told, now, visit.zone)
    remembered = await asyncio.to_thread(
        visit.pages.failures.keep_up, visit.pages.board.opened, visit.now
    )
    seen = await visit.shared(
        f"failures {remembered.at} {remembered.read} {wish}",
        lambda queue: failures_of(queue.store, remembered, now, wish),
    )
    mask = visit.settings.web_mask
    return visit.render(
        "failures.html",
        seen=seen.value,
        told=told,
        meant=_meant(told, wish),
        names=[name_in_address(one.fingerprint, mask) for one in seen.value.groups],
        sparks=[sparkline(group.when.counts, width=240, height=32) for group in seen.value.groups],
        spans=spans(now, visit.zone),
        is_reading=remembered.at is None,
    )


def wish_of(told: dict[str, str], now: datetime, zone: tzinfo) -> FailureWish:
    """Return which failures parameters mean.

    Raises:
        InputError: a date cannot be read; the message names it.
    """
    dates = {
        name: parse_moment(told[name], now, zone, name=name)
        for name in ("since", "until")
        if name in told
    }
    # To the minute, so that readers of the same span share one answer.
    since = dates.get("since")
    group = told.get("group")
    return FailureWish(
        hook=told.get("hook", ""),
        group="" if group == NO_GROUP else group,
        since=None if since is None else since.replace(second=0, microsecond=0),
        until=dates.get("until"),
        fingerprint=told.get("fingerprint", ""),
    )


def spans(now: datetime, zone: tzinfo) -> list[Span]:
    """Return the spans of time that links offer; the last night by the clock of the site."""
    local = now.astimezone(zone)
    morning = local.replace(hour=MORNING, minute=0, second=0, microsecond=0)
    evening = (morning - timedelta(days=1)).replace(hour=EVENING)
    return [
        Span(N_("Last hour"), "-1h"),
        Span(N_("Last night"), by_the_clock(evening), by_the_clock(morning)),
        Span(N_("24 hours"), "-24h"),
        Span(N_("7 days"), "-7d"),
        Span(N_("All"), ""),
    ]


def by_the_clock(local: datetime) -> str:
    """Return a moment as people type it: to the minute, by the clock of the site."""
    return local.strftime("%Y-%m-%d %H:%M")


def name_in_address(fingerprint: str, mask: Sequence[str]) -> str:
    """Return a fingerprint as links have it: its mark where some of its text must not be shown."""
    shown = shown_text(fingerprint, mask)
    is_open = shown.text == fingerprint and not shown.is_masked
    return fingerprint if is_open else mark_of(fingerprint)


def _meant(told: dict[str, str], wish: FailureWish) -> dict[str, str]:
    """Return the filter as other pages have it: the list of actions, and changes of many."""
    found = {"status": "failed", "hook": wish.hook, "group": told.get("group", "")}
    # Spans such as -24h become dates, so that what a preview counts stays what is meant.
    found["ended_since"] = iso(wish.since) or ""
    found["ended_until"] = iso(wish.until) or ""
    return {name: value for name, value in found.items() if value}
