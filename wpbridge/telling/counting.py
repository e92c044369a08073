"""Count what a runner does, for two readers: the history in the tables, and the metrics.

A :class:`Counter` is filled by the runner's loop and emptied by both readers, each at its own pace.
:func:`numbers_of` turns what was counted into metrics (:mod:`wpbridge.telling.numbers`).
See docs/explain/measuring.md.
"""

import threading
from bisect import bisect_left
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, Literal, NamedTuple, TypeAlias

from wpbridge.action import CALLBACK_HOOK
from wpbridge.telling.metrics import DURATION_BOUNDS, WAIT_BOUNDS
from wpbridge.telling.numbers import Labels, Numbers

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

    def metrics(self) -> Callable[[], Numbers]:
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
