"""The overview: how the whole queue stands."""

import shlex
from datetime import timedelta, tzinfo
from typing import Final

from starlette.responses import Response

from wpbridge.dashboard.overview import Overview
from wpbridge.site.config import Settings
from wpbridge.web.pages import charts
from wpbridge.web.pages.chart_values import Chart
from wpbridge.web.pages.scales import Slots
from wpbridge.web.pages.texts import tr
from wpbridge.web.pages.visit import Visit

_RENEWED_SECONDS: Final = 4.0
"""This page is open in many tabs: its numbers are asked for seldom enough that claims beside them
take no longer."""
_MARK_EVERY: Final = 15
"""The minutes that these divide have their time below the chart."""


async def show(visit: Visit) -> Response:
    """Show the overview."""
    seen = await visit.pages.board.shared(
        "overview",
        lambda queue: visit.pages.overview.read(queue.store, visit.now()),
        least_seconds=_RENEWED_SECONDS,
    )
    value = seen.value

    def context() -> dict[str, object]:
        command = shlex.join(["wpbridge", "claim-and-run", *_site_flags(visit.settings)])
        return {
            "seen": value,
            "age": seen.age_seconds,
            "ended": _ended(value, visit.zone),
            "cron_line": f"* * * * * {command} --quiet",
            "work_line": shlex.join(["wpbridge", "work", *_site_flags(visit.settings)]),
        }

    return visit.pages.renderer.shared_page(visit, "overview.html", value, context)


def _site_flags(settings: Settings) -> list[str]:
    """Return the flags that name the site; a DSN may hold a password, so it is not shown."""
    if settings.path is not None:
        return ["--path", str(settings.path)]
    return ["--dsn", "DSN"] if settings.dsn else []


def _ended(seen: Overview, zone: tzinfo) -> Chart:
    """Return the chart of what ended in each of the last minutes."""
    count = len(seen.complete_minutes)
    begin = seen.at.replace(second=0, microsecond=0) - timedelta(minutes=count - 1)
    times = [(begin + timedelta(minutes=n)).astimezone(zone) for n in range(count)]
    slots = Slots(
        names=tuple(f"{at:%H:%M}" for at in times),
        marks={n: f"{at:%H:%M}" for n, at in enumerate(times) if at.minute % _MARK_EVERY == 0},
    )
    series = {
        tr("Completed"): list(seen.complete_minutes),
        tr("Failed"): list(seen.failed_minutes),
    }
    kinds = {tr("Completed"): "good", tr("Failed"): "bad"}
    return charts.bars(series, slots, kinds=kinds)
