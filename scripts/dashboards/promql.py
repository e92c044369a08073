"""Expressions for the boards, out of the names of metrics.

Gauges of the tables are the same wherever they are scraped: an expression takes their ``max``. What
a daemon says of itself is summed up over daemons, and counters are summed up as rates.
"""

from typing import Final

RATE: Final = "$__rate_interval"
"""Grafana puts a time in its place that has at least four scrapes in it."""
SITE: Final = 'site="$site"'
GROUP: Final = 'group=~"$group"'
HOOK: Final = 'hook=~"$hook"'
COMPLETED: Final = "wpbridge_actions_completed_total"
FAILED: Final = "wpbridge_actions_failed_total"
ENDED: Final = '__name__=~"wpbridge_actions_(completed|failed)_total"'
"""Both together. What has failed has a reason, so no two series differ in their names alone."""


def of(name: str, *where: str) -> str:
    """Return the series of a metric of the chosen site."""
    matchers = ", ".join((SITE, *where))
    return f"{name}{{{matchers}}}"


def _by(*labels: str) -> str:
    return f" by ({', '.join(labels)}) " if labels else ""


def gauge(name: str, *by: str, where: tuple[str, ...] = ()) -> str:
    """Return what the tables show. Several daemons tell the same."""
    return f"max{_by(*by)}({of(name, *where)})"


def of_daemons(name: str, *by: str, where: tuple[str, ...] = ()) -> str:
    """Return the sum of what daemons say of themselves. One that is scraped twice counts once."""
    return f"sum{_by(*by)}(max{_by(*by, 'instance')}({of(name, *where)}))"


def rate(name: str, *by: str, where: tuple[str, ...] = ()) -> str:
    """Return how much a counter grows in a second."""
    return f"sum{_by(*by)}(rate({of(name, *where)}[{RATE}]))"


def increase(name: str, *by: str, within: str, where: tuple[str, ...] = ()) -> str:
    """Return how much a counter has grown within a time."""
    return f"sum{_by(*by)}(increase({of(name, *where)}[{within}]))"


def grown(name: str, *by: str, within: str, where: tuple[str, ...] = ()) -> str:
    """Return the same as :func:`increase`, with the first value of a series that is new.

    A series begins when its first failure is counted, and ``increase`` takes that value for an old
    one. A series is new if its daemon was scraped more often than the series was there.
    """
    series = of(name, *where)
    scrapes = f"on (job, instance) group_left sum_over_time(up[{within}])"
    is_new = f"(count_over_time({series}[{within}]) < {scrapes})"
    new = f"({series} unless {series} offset {within}) and {is_new}"
    return f"sum{_by(*by)}({new} or increase({series}[{within}]))"


def or_zero(expression: str) -> str:
    """Return zero where the tables have nothing to show, but nothing where they cannot be read."""
    return f"{expression} or 0 * ({gauge('wpbridge_scrape_success')} == 1)"


def or_none_counted(expression: str, *, within: str) -> str:
    """Return zero where nothing was counted, but nothing where no runner counts."""
    return f"{expression} or 0 * {increase('wpbridge_claims_total', within=within)}"


def quantile(q: float, name: str, *by: str, where: tuple[str, ...] = ()) -> str:
    """Return a percentile, from the buckets of all daemons together."""
    return f"histogram_quantile({q:g}, {rate(f'{name}_bucket', *by, 'le', where=where)})"


def mean(name: str, *by: str, where: tuple[str, ...] = ()) -> str:
    """Return the average of a histogram. There is none where nothing was observed."""
    seconds, times = (rate(f"{name}_{what}", *by, where=where) for what in ("sum", "count"))
    return f"{seconds} / ({times} > 0)"


def share_that_fails(*by: str, within: str, where: tuple[str, ...] = ()) -> str:
    """Return which share fails of what ends. There is none where nothing ended."""
    failed = grown(FAILED, *by, within=within, where=where)
    ended = grown("", *by, within=within, where=(ENDED, *where))
    return f"({failed} or 0 * {ended}) / ({ended} > 0)"


def with_group(expression: str) -> str:
    """Return the expression with a name for actions without a group: an empty label is none."""
    return f'label_replace({expression}, "group", "no group", "group", "")'
