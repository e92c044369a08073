"""Boards for Grafana: a description in Python becomes the JSON that Grafana imports.

Only panels that Grafana has itself are used. The data source is a variable of each board, and so is
the site. Identifiers are made of the board's name, so that links last.
"""

import json
from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias

Json: TypeAlias = dict[str, Any]
Kind: TypeAlias = Literal["stat", "timeseries", "table", "heatmap"]

COLUMNS: Final = 24
"""How wide Grafana's grid is."""
DATASOURCE: Final[Json] = {"type": "prometheus", "uid": "${datasource}"}
SCHEMA_VERSION: Final = 39
"""Of the JSON; Grafana 10.4 and newer read it."""


class Query(NamedTuple):
    """What a panel asks Prometheus, and how it names each answer."""

    expression: str
    legend: str


class Panel(NamedTuple):
    """One panel of a board."""

    title: str
    about: str
    """What it shows, in a sentence; Grafana shows it beside the title."""
    unit: str
    queries: Sequence[Query]
    kind: Kind = "timeseries"
    width: int = 12
    height: int = 8
    bad_from: float | None = None
    """A value from which on a stat is red."""
    words: Sequence[tuple[str, str, str]] = ()
    """For values of a stat: the value, the word that stands for it, and its colour."""
    is_stacked: bool = False


class Variable(NamedTuple):
    """A choice at the top of a board, of the values of a label."""

    name: str
    query: str
    is_many: bool = False
    """Several can be chosen, and all of them are at the beginning."""


class Board(NamedTuple):
    """One board: its parts, each with a title, below each other."""

    name: str
    """Of the file; ``wpbridge-NAME`` is its identifier."""
    title: str
    about: str
    variables: Sequence[Variable]
    parts: Sequence[tuple[str, Sequence[Panel]]]


def text_of(board: Board) -> str:
    """Return the board as Grafana's JSON."""
    told = {
        "uid": f"wpbridge-{board.name}",
        "title": board.title,
        "description": board.about,
        "tags": ["wpbridge"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "links": [_LINKS],
        "annotations": {"list": []},
        "templating": {"list": [_SOURCES, *(_variable(one) for one in board.variables)]},
        "panels": _placed(board),
    }
    return json.dumps(told, indent=1) + "\n"


_LINKS: Final[Json] = {
    "type": "dashboards",
    "title": "wpbridge",
    "tags": ["wpbridge"],
    "asDropdown": True,
    "includeVars": True,
    "keepTime": True,
}
_SOURCES: Final[Json] = {
    "type": "datasource",
    "name": "datasource",
    "label": "Data source",
    "query": "prometheus",
    "refresh": 1,
}


def _variable(variable: Variable) -> Json:
    many = {"multi": True, "includeAll": True, "allValue": ".*"} if variable.is_many else {}
    chosen = {"text": ["All"], "value": ["$__all"]} if variable.is_many else {}
    return {
        "type": "query",
        "name": variable.name,
        "label": variable.name.capitalize(),
        "datasource": DATASOURCE,
        "query": {"query": variable.query, "refId": variable.name},
        "refresh": 2,
        "sort": 1,
        "current": chosen,
        **many,
    }


def _placed(board: Board) -> list[Json]:
    """Return the panels, from left to right and downwards."""
    found: list[Json] = []
    y = 0
    for title, panels in board.parts:
        found.append(
            {
                "type": "row",
                "title": title,
                "collapsed": False,
                "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1},
                "panels": [],
            }
        )
        x, y, height = 0, y + 1, 0
        for panel in panels:
            if x + panel.width > COLUMNS:
                x, y, height = 0, y + height, 0
            place = {"x": x, "y": y, "w": panel.width, "h": panel.height}
            found.append(_panel(panel, place))
            x, height = x + panel.width, max(height, panel.height)
        y += height
    return [{"id": number, **panel} for number, panel in enumerate(found, 1)]


def _panel(panel: Panel, place: Json) -> Json:
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": DATASOURCE,
        "gridPos": place,
        "targets": [_target(panel, query, place) for place, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _OPTIONS[panel.kind],
        **({"transformations": _columns(panel)} if panel.kind == "table" else {}),
    }


def _target(panel: Panel, query: Query, place: int) -> Json:
    is_instant = panel.kind == "table"
    formats = {"table": "table", "heatmap": "heatmap"}
    return {
        "refId": chr(ord("A") + place),
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": query.expression,
        "legendFormat": query.legend,
        "format": formats.get(panel.kind, "time_series"),
        "instant": is_instant,
        "range": not is_instant,
    }


def _defaults(panel: Panel) -> Json:
    steps: list[Json] = [{"color": "green", "value": None}]
    if panel.bad_from is not None:
        steps.append({"color": "red", "value": panel.bad_from})
    told: Json = {"unit": panel.unit, "noValue": "no number"}
    if panel.kind == "stat":
        told["thresholds"] = {"mode": "absolute", "steps": steps}
        told["mappings"] = [
            {"type": "value", "options": {value: {"text": word, "color": color}}}
            for value, word, color in panel.words
        ]
    if panel.kind == "timeseries":
        stacking = {"mode": "normal" if panel.is_stacked else "none"}
        told["custom"] = {
            "axisSoftMin": 0,
            "fillOpacity": 10,
            "showPoints": "never",
            "stacking": stacking,
        }
    return told


_OPTIONS: Final[dict[Kind, Json]] = {
    "stat": {
        "colorMode": "value",
        "graphMode": "area",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    },
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "table": {"showHeader": True},
    "heatmap": {
        "calculate": False,
        "yAxis": {"unit": "s"},
        "color": {"mode": "scheme", "scheme": "Oranges"},
    },
}


def _columns(panel: Panel) -> list[Json]:
    """Return what makes one table of the queries: a row for each label, a column for each query."""
    letters = [chr(ord("A") + place) for place in range(len(panel.queries))]
    values = [f"Value #{letter}" for letter in letters] if letters[1:] else ["Value"]
    names = dict(zip(values, (query.legend for query in panel.queries), strict=True))
    return [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"excludeByName": {"Time": True}, "renameByName": names}},
    ]
