"""Metrics: what ended when, when in the week, how the tables grow, and what will be deleted."""

from collections.abc import Iterable
from datetime import datetime, tzinfo
from typing import Final

from starlette.responses import Response

from wpbridge.dashboard.measures import CAP, Measures, measures_of
from wpbridge.dashboard.past import DAY_HOURS, PERIODS
from wpbridge.store.rows.sizes import Size
from wpbridge.web.pages import charts, scales
from wpbridge.web.pages.chart_values import Chart, Heat
from wpbridge.web.pages.past_charts import PERIOD_WORDS, past_charts, period_of
from wpbridge.web.pages.texts import N_, tr
from wpbridge.web.pages.visit import Visit

WEEKDAYS: Final = (N_("Mon"), N_("Tue"), N_("Wed"), N_("Thu"), N_("Fri"), N_("Sat"), N_("Sun"))
_MOST_LINES: Final = 3
"""The growth of so many of the largest tables is drawn."""


async def show(visit: Visit) -> Response:
    """Show the page of metrics."""
    period = period_of(visit.query("period"))
    settings = visit.settings
    seen = await visit.shared(
        f"measures {period}",
        lambda queue: measures_of(
            queue.store,
            visit.now(),
            period=period,
            zone=visit.zone,
            retention=settings.retention,
            cleans=settings.owns_site and settings.upkeep,
        ),
    )
    value = seen.value
    return visit.render(
        "measures.html",
        seen=value,
        age=seen.age_seconds,
        cap=CAP,
        charts=past_charts(value.past, visit.zone),
        heat_chart=_heat(value),
        growth_chart=_growth(value, visit.zone),
        periods=[(name, PERIOD_WORDS[name]) for name in PERIODS],
    )


def _heat(seen: Measures) -> Heat:
    rows = {tr(name): row for name, row in zip(WEEKDAYS, seen.heat, strict=True)}
    return charts.heat(rows, [f"{hour:02}" for hour in range(DAY_HOURS)])


def _growth(seen: Measures, zone: tzinfo) -> Chart:
    """Return the sizes of the largest tables, hour by hour; an hour without a note is a gap."""
    begins = sorted({size.at for size in seen.sizes})
    names = [one.table for one in seen.tables][:_MOST_LINES]
    series = {name: _line(seen.sizes, name, begins) for name in names}
    return charts.lines(series, scales.hours(begins, zone), unit="bytes")


def _line(sizes: Iterable[Size], table: str, begins: list[datetime]) -> list[float | None]:
    known = {size.at: size.bytes for size in sizes if size.table == table}
    return [known.get(begin) for begin in begins]
