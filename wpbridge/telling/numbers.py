"""Metrics and their values, added up: for one site, with so many series and no more."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

from wpbridge.telling.metrics import METRICS, MOST_COUNTED, MOST_DURATIONS, MOST_PAIRS, OTHER

Labels: TypeAlias = tuple[str, ...]
Key: TypeAlias = tuple[str, Labels]
"""A metric's name, and the values of its labels."""
PARTS: Final = 200
"""How many numbers one message over the worker's link has at most."""


class Numbers:
    """Metrics and their values: of a counter or gauge a number, of a histogram its buckets.

    A histogram's values are its sum and then the count of each bucket, which are not cumulated.
    """

    def __init__(self) -> None:
        self.values: dict[Key, float] = {}
        self.histograms: dict[Key, list[float]] = {}

    def add(self, name: str, *labels: str, value: float = 1) -> None:
        """Add to a counter."""
        key = name, labels
        self.values[key] = self.values.get(key, 0) + value

    def set(self, name: str, *labels: str, value: float) -> None:
        """Set a gauge."""
        self.values[name, labels] = value

    def observe(self, name: str, *labels: str, seconds: float) -> None:
        """Add one observation to a histogram."""
        bounds = METRICS[name].bounds
        counts = [0.0] * (len(bounds) + 1)
        counts[bisect_left(bounds, seconds)] = 1
        self.add_buckets(name, *labels, seconds=seconds, counts=counts)

    def add_buckets(self, name: str, *labels: str, seconds: float, counts: Sequence[float]) -> None:
        """Add many observations to a histogram."""
        self._join((name, labels), [seconds, *counts])

    def join(self, other: "Numbers") -> None:
        """Add what others have counted. A gauge takes the other's value."""
        for (name, labels), value in other.values.items():
            if METRICS[name].kind == "gauge":
                self.set(name, *labels, value=value)
            else:
                self.add(name, *labels, value=value)
        for key, values in other.histograms.items():
            self._join(key, values)

    def _join(self, key: Key, values: Sequence[float]) -> None:
        known = self.histograms.get(key)
        if known is None:
            self.histograms[key] = list(values)
        else:
            for place, value in enumerate(values):
                known[place] += value

    def packed(self) -> list[list[Any]]:
        """Return the numbers as JSON has them, in parts that are no long lines."""
        told = [[name, *labels, value] for (name, labels), value in self.values.items()]
        told += [[name, *labels, values] for (name, labels), values in self.histograms.items()]
        return [told[start : start + PARTS] for start in range(0, len(told), PARTS)]

    @classmethod
    def unpacked(cls, told: Iterable[Sequence[Any]]) -> "Numbers":
        """Return the numbers of one part. What is no number of ours is passed over."""
        found = cls()
        for name, *labels, value in told:
            metric = METRICS.get(name)
            if metric is None or len(labels) != len(metric.labels):
                continue
            key = name, tuple(map(str, labels))
            if metric.kind != "histogram":
                found.values[key] = float(value)
            elif len(value) == len(metric.bounds) + 2:
                found.histograms[key] = [float(one) for one in value]
        return found


class Totals:
    """Sums of numbers for one site, with so many series and no more."""

    def __init__(self) -> None:
        self.numbers = Numbers()
        self._pairs: set[Labels] = set()
        self._counted: set[Labels] = set()
        self._durations: set[Labels] = set()
        self._dropped: set[Labels] = set()

    def add(self, numbers: Numbers) -> None:
        """Add numbers. Hooks beyond the first so many become ``other``."""
        for (name, labels), value in numbers.values.items():
            self.numbers.add(name, *self._bounded(name, labels), value=value)
        for (name, labels), values in numbers.histograms.items():
            bounded = self._bounded(name, labels)
            self.numbers.add_buckets(name, *bounded, seconds=values[0], counts=values[1:])
        self.numbers.set("wpbridge_series_dropped_total", value=len(self._dropped))

    def _bounded(self, name: str, labels: Labels) -> Labels:
        kinds = METRICS[name].labels
        if kinds[:2] == ("group", "hook"):
            pair, rest = labels[:2], labels[2:]
            is_told = _fits(pair, self._pairs, MOST_PAIRS)
            if not (is_told and _fits((name, *labels), self._counted, MOST_COUNTED)):
                self._note_dropped(pair)
                pair = OTHER, OTHER
            return *pair, *rest
        if kinds == ("hook", "outcome") and not _fits(labels, self._durations, MOST_DURATIONS):
            return OTHER, labels[1]
        return labels

    def _note_dropped(self, pair: Labels) -> None:
        """Remember which pairs are counted as other, as long as that needs no endless memory."""
        if len(self._dropped) < 100 * MOST_PAIRS:
            self._dropped.add(pair)


def _fits(labels: Labels, known: set[Labels], most: int) -> bool:
    if labels in known:
        return True
    if len(known) >= most:
        return False
    known.add(labels)
    return True
