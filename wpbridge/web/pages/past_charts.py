"""The charts of what ended within a period, as the pages of metrics and of one hook show them."""

from collections.abc import Callable, Sequence
from datetime import tzinfo
from typing import Final, NamedTuple

from wpbridge.dashboard.past import PERIODS, Past, Percentiles, Period
from wpbridge.telling.metrics import DURATION_BOUNDS
from wpbridge.web.pages import charts, scales
from wpbridge.web.pages.chart_values import Chart
from wpbridge.web.pages.texts import N_, tr

OUTCOMES: Final = {
    "complete": N_("Completed"),
    "failed": N_("Failed"),
    "retried": N_("Retried"),
    "canceled": N_("Canceled"),
}
"""What is written for each outcome, in the order in which bars stand on each other."""
_COLORS: Final = {"complete": "good", "failed": "bad", "retried": "2", "canceled": "mute"}
PERIOD_WORDS: Final = {
    "24h": N_("24 hours"),
    "7d": N_("7 days"),
    "30d": N_("30 days"),
    "90d": N_("90 days"),
}


class PastCharts(NamedTuple):
    """The charts of a period."""

    ended: Chart
    waits: Chart
    durations: Chart
    histogram: Chart
    """How many ran how long."""


def period_of(told: str) -> Period:
    """Return the period that an address names; a day for any other text."""
    return next((period for period in PERIODS if period == told), "24h")


def past_charts(past: Past, zone: tzinfo) -> PastCharts:
    """Return the charts of a period, in the language of the page."""
    dates = [slot.day for slot in past.slots if slot.day is not None]
    slots = scales.days(dates) if dates else scales.hours([s.begin for s in past.slots], zone)
    ended = {
        tr(words): [None if s.endings is None else s.endings[outcome] for s in past.slots]
        for outcome, words in OUTCOMES.items()
    }
    colors = {tr(words): _COLORS[outcome] for outcome, words in OUTCOMES.items()}

    def seconds(*which: tuple[str, Callable[[Percentiles], float | None]]) -> Chart:
        series = {name: [read(slot.took) for slot in past.slots] for name, read in which}
        return charts.lines(series, slots, unit="seconds")

    half, most = tr("Half of them, at most"), tr("95 of 100, at most")
    return PastCharts(
        ended=charts.bars(ended, slots, kinds=colors),
        waits=seconds((half, lambda took: took.wait_p50), (most, lambda took: took.wait_p95)),
        durations=seconds(
            (half, lambda took: took.duration_p50), (most, lambda took: took.duration_p95)
        ),
        histogram=_histogram(past.buckets.durations),
    )


def _histogram(durations: Sequence[int]) -> Chart:
    """Return a bar for each bucket of durations, with the bucket's bound for its name."""
    bounds = [scales.told(bound, "seconds") for bound in DURATION_BOUNDS]
    names = [tr("up to %s") % bound for bound in bounds] + [tr("more than %s") % bounds[-1]]
    marks = {n: bound for n, bound in enumerate(bounds) if n % 2 == 0}
    return charts.bars({tr("Attempts"): durations}, scales.Slots(tuple(names), marks))
