"""What expressions of Prometheus ask for, compared with the table of metrics.

It reads as much of the language as boards and rules use. Whether an expression is one at all,
``promtool`` knows.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from wpbridge.telling.metrics import METRICS, Metric

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[\w:$]+|[^\s\w]')
_GROWN = re.compile(
    r"\((\w+(?:\{[^{}]*\})?|\{[^{}]*\}) unless \1 offset (\S+)\)"
    r" and \(count_over_time\(\1\[\2\]\) < on \(job, instance\) group_left"
    r" sum_over_time\(up\[\2\]\)\) or increase\(\1\[\2\]\)"
)
"""How much a counter has grown, with the first value of a series that is new."""
_PARTS = ("_bucket", "_sum", "_count")
_RATES = frozenset({"rate", "increase", "irate"})
_SLOPES = frozenset({"predict_linear", "deriv", "delta"})
_AGGREGATORS = frozenset({"sum", "max", "min", "avg", "count", "topk"})


@dataclass(frozen=True)
class Call:
    """A function or aggregation around a selector."""

    name: str
    by: tuple[str, ...]


@dataclass(frozen=True)
class Use:
    """A selector, with what is around it, from the inside out."""

    name: str
    matchers: tuple[tuple[str, str], ...]
    """Labels, and what they must be."""
    around: tuple[Call, ...]

    @property
    def metrics(self) -> dict[str, Metric]:
        """The metrics that it selects, by the name without the ending of a histogram's part."""
        pattern = dict(self.matchers).get("__name__", self.name)
        names = [*METRICS]
        names += [
            f"{n}{part}" for n, m in METRICS.items() if m.kind == "histogram" for part in _PARTS
        ]
        found = [name for name in names if re.fullmatch(pattern, name)]
        return {
            name: METRICS[name] if name in METRICS else METRICS[name.rpartition("_")[0]]
            for name in found
        }

    @property
    def aggregations(self) -> list[Call]:
        return [call for call in self.around if call.name in _AGGREGATORS]


def uses(expression: str) -> Iterator[Use]:
    """Every selector of an expression."""
    tokens = _TOKEN.findall(_GROWN.sub(r"increase(\1[\2])", expression))
    stack: list[Call] = []
    name = ""
    by: tuple[str, ...] = ()
    place = 0
    while place < len(tokens):
        token, after = tokens[place], tokens[place + 1 : place + 2]
        if token == "by":
            by, place = _list(tokens, place + 1)
            continue
        if token == "(":
            stack.append(Call(name, by))
            name, by = "", ()
        elif token == ")":
            stack.pop()
        elif token == "{" or (token.startswith("wpbridge_") and after != ["{"]):
            selected = token if token != "{" else name
            matchers, place = _matchers(tokens, place) if token == "{" else ((), place)
            yield Use(selected, matchers, tuple(reversed(stack)))
            name = ""
        else:
            name = token
        place += 1


def _list(tokens: list[str], place: int) -> tuple[tuple[str, ...], int]:
    end = tokens.index(")", place)
    return tuple(token for token in tokens[place + 1 : end] if token != ","), end + 1


def _matchers(tokens: list[str], place: int) -> tuple[tuple[tuple[str, str], ...], int]:
    end = tokens.index("}", place)
    inside = tokens[place + 1 : end]
    labels = [at for at, token in enumerate(inside) if at == 0 or inside[at - 1] == ","]
    values = [next(t for t in inside[at:] if t.startswith('"')) for at in labels]
    told = ((inside[at], value[1:-1]) for at, value in zip(labels, values, strict=True))
    return tuple(told), end


def faults(expression: str, *, is_heatmap: bool = False) -> list[str]:
    """What an expression does that the metrics' table does not allow, in words."""
    found = [fault for use in uses(expression) for fault in _faults(use, is_heatmap=is_heatmap)]
    return found if [*uses(expression)] else ["it asks for no metric"]


def _faults(use: Use, *, is_heatmap: bool) -> Iterator[str]:
    if not use.metrics:
        yield f"there is no metric {use.name or use.matchers}"
        return
    for name, metric in use.metrics.items():
        if metric.kind == "histogram" and name in METRICS:
            yield f"{name} is a histogram: take its buckets, sum or count"
            continue
        yield from _label_faults(use, name, metric)
        if metric.kind == "gauge":
            yield from _gauge_faults(use, name, metric)
        else:
            yield from _counter_faults(use, name, is_heatmap=is_heatmap)


def _label_faults(use: Use, name: str, metric: Metric) -> Iterator[str]:
    known = {"site", *metric.labels}
    if name.endswith("_bucket"):
        known.add("le")
    is_own = metric.kind == "counter" or metric.source == "supervisor"
    for label, _ in use.matchers:
        if label not in {*known, "__name__"}:
            yield f"{name} has no label {label}"
    for call in use.around:
        for label in call.by:
            if label not in known and not (label == "instance" and is_own and call.name == "max"):
                yield f"{name} has no label {label} by which {call.name} could tell it apart"


def _gauge_faults(use: Use, name: str, metric: Metric) -> Iterator[str]:
    if any(call.name in _RATES for call in use.around):
        yield f"{name} is a gauge, and no counter"
    calls = use.aggregations
    if metric.source == "supervisor":
        yield from _own_faults(calls, name)
    elif not calls or calls[0].name != "max":
        yield f"{name} may be scraped twice: take the max"
    inner = use.around[0].name if use.around else ""
    if inner and inner not in {*_SLOPES, *_AGGREGATORS}:
        yield f"{inner} is taken of the single series of {name}"


def _own_faults(calls: list[Call], name: str) -> Iterator[str]:
    names = [call.name for call in calls[:2]]
    if names != ["max", "sum"] or "instance" not in calls[0].by:
        yield f"{name} is of one daemon: take the max by instance, and the sum of that"


def _counter_faults(use: Use, name: str, *, is_heatmap: bool) -> Iterator[str]:
    inner = use.around[0].name if use.around else ""
    calls = use.aggregations
    if inner not in _RATES:
        yield from _own_faults(calls, name)
    elif not calls or calls[0].name != "sum":
        yield f"{name} is a counter: take the sum of its rates"
    elif name.endswith("_bucket"):
        if "le" not in calls[0].by:
            yield f"{name} has no buckets without le"
        if not is_heatmap and not any(call.name == "histogram_quantile" for call in use.around):
            yield f"{name} is not read by histogram_quantile"
