"""Count what a runner does, for two readers: the history in the tables, and the metrics.

A :class:`Counter` is filled by the runner's loop and emptied by both readers, each at its own pace.
:func:`numbers_of` turns what was counted into metrics, and :class:`Numbers` sums metrics up.
See docs/explain/measuring.md.
"""

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from wpbridge.action import CALLBACK_HOOK
from wpbridge.telling.metrics import (
    DURATION_BOUNDS,
    METRICS,
    MOST_COUNTED,
    MOST_DURATIONS,
    MOST_PAIRS,
    OTHER,
    WAIT_BOUNDS,
)

Outcome: TypeAlias = Literal["complete", "failed", "canceled", "retried"]
ENDINGS: Final[tuple[Outcome, ...]] = ("complete", "failed", "canceled", "retried")
"""What an attempt can end with. Other outcomes are samples: docs/explain/measuring.md."""
CLAIM: Final = "claim"
EMPTY: Final = "empty"
DB_ERROR: Final = "db_error"
RESCUED: Final = "rescued"
STARTED: Final = "started"
PHP_RESTART: Final = "php_restart"
PURGED: Final = "purged"
DISPATCH: Final = "dispatch"
PARTS: Final = 200
"""How many numbers one message over the worker's link has at most."""

Labels: TypeAlias = tuple[str, ...]
Key: TypeAlias = tuple[str, Labels]
"""A metric's name, and the values of its labels."""


class What(NamedTuple):
    """What was counted, and when."""

    minute: int
    """Since 1970, in minutes of UTC; 0 for what is no part of the history."""
    hook: str
    group: str
    outcome: str
    runner: str = "wpbridge"
    """Who ran it: ``wpbridge``, or ``php`` for PHP's own runners."""
    reason: str = ""
    """Why it failed, in one word: a class of errors, no message."""


class Tally:
    """How often, and how long: the sums of one :class:`What`."""

    __slots__ = ("actions", "duration_seconds", "durations", "wait_seconds", "waits")

    def __init__(self) -> None:
        self.actions = 0
        self.duration_seconds = 0.0
        self.wait_seconds = 0.0
        self.durations = [0] * (len(DURATION_BOUNDS) + 1)
        self.waits = [0] * (len(WAIT_BOUNDS) + 1)

    def add(self, took: float | None, waited: float | None) -> None:
        """Count one more, which took and waited so many seconds; None where that is not known."""
        self.actions += 1
        if took is not None:
            self.duration_seconds += took
            self.durations[bisect_left(DURATION_BOUNDS, took)] += 1
        if waited is not None:
            self.wait_seconds += waited
            self.waits[bisect_left(WAIT_BOUNDS, waited)] += 1

    def join(self, other: "Tally") -> None:
        """Add what another tally has."""
        self.actions += other.actions
        self.duration_seconds += other.duration_seconds
        self.wait_seconds += other.wait_seconds
        self.durations = [a + b for a, b in zip(self.durations, other.durations, strict=True)]
        self.waits = [a + b for a, b in zip(self.waits, other.waits, strict=True)]


Tallies: TypeAlias = dict[What, Tally]


class Counter:
    """What one runner has done. Any thread may count and read; what a reader takes is gone for it.

    A process that is killed loses what its readers have not taken.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._new: Tallies = {}
        self._starts: dict[tuple[str, str], int] = {}
        """By group and hook. They are counted for each action, so it must be quick."""
        self._read: dict[str, Tallies] = {}

    def reader(self, name: str) -> Callable[[], Tallies]:
        """Return a function that returns what was counted since it was last called."""
        self._read[name] = {}

        def take() -> Tallies:
            with self._lock:
                self._share()
                found, self._read[name] = self._read[name], {}
            return found

        return take

    def metrics(self) -> Callable[[], "Numbers"]:
        """Return a function that returns as metrics what was counted since it was last called."""
        take = self.reader("metrics")
        return lambda: numbers_of(take())

    def give_back(self, name: str, tallies: Tallies) -> None:
        """Put back what a reader has taken and could not hand on."""
        with self._lock:
            _join(self._read[name], tallies)

    def add(self, what: What, took: float | None = None, waited: float | None = None) -> None:
        """Count one thing, with the seconds that it took and waited."""
        with self._lock:
            tally = self._new.get(what)
            if tally is None:
                tally = self._new[what] = Tally()
            tally.add(took, waited)

    def start(self, group: str, hook: str) -> None:
        """Count an attempt that has begun."""
        pair = group, hook
        with self._lock:
            self._starts[pair] = self._starts.get(pair, 0) + 1

    def join(self, tallies: Tallies) -> None:
        """Add what somebody has counted by himself."""
        with self._lock:
            _join(self._new, tallies)

    def add_many(self, what: What, times: int) -> None:
        """Count the same thing so many times."""
        tally = Tally()
        tally.actions = times
        self.join({what: tally})

    def add_all(self, tallies: Tallies, *, reader: str) -> None:
        """Count for one reader alone what the other has already, such as PHP's endings."""
        with self._lock:
            if reader in self._read:
                _join(self._read[reader], tallies)

    def _share(self) -> None:
        for (group, hook), times in self._starts.items():
            tally = Tally()
            tally.actions = times
            _join(self._new, {What(0, hook, group, STARTED): tally})
        self._starts = {}
        for told in self._read.values():
            _join(told, self._new)
        self._new = {}


def _join(told: Tallies, more: Tallies) -> None:
    for what, tally in more.items():
        known = told.get(what)
        if known is None:
            known = told[what] = Tally()
        known.join(tally)


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


def numbers_of(tallies: Tallies) -> Numbers:
    """Return as metrics what a reader of a :class:`Counter` has taken."""
    found = Numbers()
    for what, tally in tallies.items():
        _number(found, what, tally)
        if what.hook == CALLBACK_HOOK and what.outcome in _CALLED_BACK:
            outcome = _CALLED_BACK[what.outcome]
            found.add("wpbridge_callbacks_total", outcome, value=tally.actions)
    return found


_CALLED_BACK: Final[Mapping[str, str]] = {
    "complete": "delivered",
    "retried": "retried",
    "failed": "given_up",
}
_COUNTERS: Final[Mapping[str, tuple[str, Callable[[What], Labels]]]] = {
    STARTED: ("wpbridge_actions_started_total", lambda what: (what.group, what.hook)),
    "complete": (
        "wpbridge_actions_completed_total",
        lambda what: (what.group, what.hook, what.runner),
    ),
    "failed": (
        "wpbridge_actions_failed_total",
        lambda what: (what.group, what.hook, what.runner, what.reason),
    ),
    "retried": ("wpbridge_actions_retried_total", lambda what: (what.group, what.hook)),
    "canceled": ("wpbridge_actions_canceled_total", lambda what: (what.group, what.hook)),
    CLAIM: ("wpbridge_claims_total", lambda _: ("claimed",)),
    EMPTY: ("wpbridge_claims_total", lambda _: ("empty",)),
    DB_ERROR: ("wpbridge_db_errors_total", lambda what: (what.reason,)),
    RESCUED: ("wpbridge_actions_rescued_total", lambda what: (what.reason,)),
    PHP_RESTART: ("wpbridge_php_worker_restarts_total", lambda what: (what.reason,)),
    PURGED: ("wpbridge_purged_rows_total", lambda what: (what.reason,)),
}
"""By outcome: the counter, and its labels."""
_TIMES: Final[Mapping[str, str]] = {
    CLAIM: "wpbridge_claim_duration_seconds",
    DISPATCH: "wpbridge_php_dispatch_seconds",
}


def _number(found: Numbers, what: What, tally: Tally) -> None:
    if what.outcome in _COUNTERS:
        name, labels_of = _COUNTERS[what.outcome]
        found.add(name, *labels_of(what), value=tally.actions)
    if what.outcome in _TIMES:
        _add_durations(found, _TIMES[what.outcome], (), tally)
    if what.outcome in ENDINGS:
        labels = what.hook, what.outcome
        _add_durations(found, "wpbridge_action_duration_seconds", labels, tally)
        if any(tally.waits):
            found.add_buckets(
                "wpbridge_queue_wait_seconds", seconds=tally.wait_seconds, counts=tally.waits
            )


def _add_durations(found: Numbers, name: str, labels: Labels, tally: Tally) -> None:
    if any(tally.durations):
        found.add_buckets(name, *labels, seconds=tally.duration_seconds, counts=tally.durations)


_WORDS: Final[Mapping[str, str]] = {
    "TimedOut": "timeout",
    "WorkerLost": "crash",
    "PhpFatalError": "crash",
    "SystemExit": "crash",
    "CodecError": "unreadable",
    "Unwritten": "unwritten",
    "Unended": "unwritten",
}


def minute_of(at: datetime) -> int:
    """Return the minute of a moment, as a :class:`What` has it."""
    return int(at.timestamp()) // 60


def reason_of(error_type: str) -> str:
    """Return the class of a failure in one word; ``error`` for what a handler raised."""
    return _WORDS.get(error_type, "error")
