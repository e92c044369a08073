"""The panels that boards are made of, and the choices at their top."""

from typing import Final

from dashboards.grafana import Panel, Query, Variable
from dashboards.promql import quantile

SITES: Final = Variable("site", 'label_values({__name__=~"wpbridge_.+"}, site)')
GROUPS: Final = Variable(
    "group", 'label_values({__name__=~"wpbridge_.+", site="$site"}, group)', is_many=True
)
HOOKS: Final = Variable(
    "hook",
    'label_values({__name__=~"wpbridge_actions_.+_total", site="$site", group=~"$group"}, hook)',
    is_many=True,
)
PER_SECOND: Final = "suffix:/s"


def number(
    title: str, about: str, unit: str, expression: str, *, bad_from: float | None = None
) -> Panel:
    """Return a panel with one number. Six of them stand in a line."""
    return Panel(title, about, unit, [Query(expression, "")], "stat", 4, 4, bad_from)


def chart(title: str, about: str, unit: str, *queries: tuple[str, str], width: int = 12) -> Panel:
    """Return a panel with lines: pairs of an expression and the name of its lines."""
    return Panel(title, about, unit, [Query(*query) for query in queries], width=width)


def percentiles(
    title: str, about: str, name: str, where: tuple[str, ...] = (), *, width: int = 12
) -> Panel:
    """Return a panel with the usual percentiles of a histogram."""
    queries = [(quantile(q, name, where=where), f"p{round(q * 100)}") for q in (0.5, 0.95, 0.99)]
    return chart(title, about, "s", *queries, width=width)
