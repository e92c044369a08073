"""Numbers in Prometheus's text format. This is the one module that knows prometheus-client."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from wpbridge.telling.metrics import METRICS
from wpbridge.telling.numbers import Key, Numbers

__all__ = ["CONTENT_TYPE_LATEST", "numbers_in", "sites_in", "text_of", "text_of_sites"]


def text_of(numbers: Numbers, *, site: str) -> bytes:
    """Return numbers in the text format, each series with the site's name."""
    return text_of_sites({site: numbers})


def text_of_sites(numbers: Mapping[str, Numbers]) -> bytes:
    """Return the numbers of many sites, by their names, in one text."""
    registry = CollectorRegistry()
    registry.register(_Numbers(numbers))
    return generate_latest(registry)


class _Numbers(Collector):
    """See :class:`prometheus_client.registry.Collector`."""

    def __init__(self, numbers: Mapping[str, Numbers]) -> None:
        self._sites = [
            (site, _by_name(one.values), _by_name(one.histograms)) for site, one in numbers.items()
        ]

    def collect(self) -> Iterable[Metric]:
        """Yield each metric that has a value, in the order of the table."""
        for name, metric in METRICS.items():
            labels = ["site", *metric.labels]
            family: Any
            if any(name in values for _, values, _ in self._sites):
                kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
                family = kind(name, metric.help, labels=labels)
                for site, values, _ in self._sites:
                    for given, value in sorted(values.get(name, ())):
                        family.add_metric([site, *given], value)
                yield family
            elif any(name in histograms for _, _, histograms in self._sites):
                family = HistogramMetricFamily(name, metric.help, labels=labels)
                for site, _, histograms in self._sites:
                    for given, (seconds, *counts) in sorted(histograms.get(name, ())):
                        buckets = _buckets(metric.bounds, counts)
                        family.add_metric([site, *given], buckets=buckets, sum_value=seconds)
                yield family


def _by_name(told: dict[Key, Any]) -> dict[str, list[tuple[tuple[str, ...], Any]]]:
    found = defaultdict(list)
    for (name, labels), value in told.items():
        found[name].append((labels, value))
    return found


def _buckets(bounds: Iterable[float], counts: Iterable[float]) -> list[tuple[str, float]]:
    names = [*(f"{bound:g}" for bound in bounds), "+Inf"]
    return list(zip(names, accumulate(counts), strict=True))


def sites_in(text: str) -> set[str]:
    """Return the sites that a text of ours tells of.

    Raises:
        ValueError: it is no such text.
    """
    families = list(text_string_to_metric_families(text))
    return {sample.labels.get("site", "") for family in families for sample in family.samples}


def numbers_in(text: str) -> Numbers:
    """Return the counters and histograms of a text that :func:`text_of` has made.

    Raises:
        ValueError: it is no such text.
    """
    found = Numbers()
    for family in text_string_to_metric_families(text):
        metric = METRICS.get(family.name) or METRICS.get(f"{family.name}_total")
        if metric is None or metric.kind == "gauge":
            continue
        if metric.kind == "counter":
            for sample in family.samples:
                if sample.name.endswith("_total"):
                    labels = tuple(sample.labels[label] for label in metric.labels)
                    found.add(sample.name, *labels, value=sample.value)
        else:
            for labels, values in _histograms(family, metric.labels):
                found.add_buckets(family.name, *labels, seconds=values[0], counts=values[1:])
    return found


def _histograms(
    family: Any, names: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], list[float]]]:
    """Yield the labels of each histogram of a family, with its sum and its buckets."""
    sums: dict[tuple[str, ...], float] = {}
    counts: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for sample in family.samples:
        labels = tuple(sample.labels[name] for name in names)
        if sample.name.endswith("_bucket"):
            counts[labels].append(sample.value)
        elif sample.name.endswith("_sum"):
            sums[labels] = sample.value
    for labels, cumulated in counts.items():
        before = [0.0, *cumulated[:-1]]
        single = [b - a for a, b in zip(before, cumulated, strict=True)]
        yield labels, [sums.get(labels, 0.0), *single]
