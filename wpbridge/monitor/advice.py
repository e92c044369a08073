"""How many workers a queue needs, with the reason; or the obstacle that more would not remove.

A worker is here a place at which one action runs at a time: a thread, an isolated child or a PHP
worker. Everything in this module is pure: it asks no clock and no database.
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from wpbridge.dataclass import dataclass
from wpbridge.monitor.history import History

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from wpbridge.store.records import Pause

BUSY_SHARE: Final = 0.7
"""Places are to be busy for this share of their time. The rest is the reserve for what comes
faster, or takes longer, than the last minutes show."""
MOST_ADVISED: Final = 10_000
"""No advice is higher."""
IDLE_SECONDS: Final = 15.0
"""Work that has been due for so long was there when idle runners looked, more than once."""
IDLE_SHARE: Final = 0.5
"""Places are called idle when no more than this share of them is busy."""
SLOW_CLAIM_SECONDS: Final = 0.25
"""From here on, claims are what idle places wait for."""
MOST_OF: Final = 0.5
"""More than this share is most of something."""
NEARLY_ALL: Final = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What is advised. A worker is a place at which one action runs at a time."""

    workers_now: int
    workers_advised: int
    reason: str
    """Whole sentences, with the numbers."""
    obstacle: str | None
    """What holds the work up instead, in words; None if more or fewer workers are the answer."""
    arrivals_per_second: float | None
    """None while it is unknown."""
    service_seconds: float | None
    """How long an attempt runs on average; None while it is unknown."""
    due: int
    target_wait_seconds: float


class Seen(Protocol):
    """What advice needs of the tables' present state: readings have it, and a glance has."""

    @property
    def at(self) -> "datetime":
        """Aware UTC."""
        ...

    @property
    def places(self) -> int:
        """Actions that all runners of wpbridge together can run at once."""
        ...

    @property
    def due(self) -> int:
        """Due actions, without the held ones."""
        ...

    @property
    def cap(self) -> int:
        """How far they were counted."""
        ...

    @property
    def oldest_due(self) -> float:
        """For how many seconds the oldest of them has been due."""
        ...

    @property
    def running(self) -> Mapping[str, int]:
        """Running actions by hook."""
        ...

    @property
    def running_longest_seconds(self) -> float:
        """For how long the one has run that runs longest."""
        ...

    @property
    def pauses(self) -> "Sequence[Pause]":
        """Those in force."""
        ...

    @property
    def last_run(self) -> "Mapping[str, datetime]":
        """When a runner of each kind last gave a sign."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DueParts:
    """What is due, by whether it could start if a place were free; counted in a sample."""

    free: Mapping[str, int]
    """By hook: what only waits for a place."""
    claimed: int = 0
    """How many of the free ones a runner has claimed already."""
    paused: int = 0
    limited: int = 0
    limited_by: tuple[str, ...] = ()
    """The hooks and groups that are at their limits, as words such as ``hook mail``."""
    handed: int = 0
    """How many go to Celery, whose workers are no places here."""

    def share(self, part: int) -> float:
        """Return which share of all that was counted this part is."""
        counted = sum(self.free.values()) + self.paused + self.limited + self.handed
        return part / counted if counted else 0.0


class _Need(NamedTuple):
    """What the numbers say, before anybody asks what stands in the way."""

    workers: int
    waiting: float
    """How many of the due actions only wait for a place."""
    sentence: str


def places_needed(
    *,
    arrivals_per_second: float,
    service_seconds: float,
    due: float,
    target_wait_seconds: float,
) -> int:
    """Return how many places keep up with what arrives and finish what is due within the wait.

    What arrives keeps ``arrivals * service`` places busy, and what is due ``due * service / wait``.
    The places are to be busy for :data:`BUSY_SHARE` of their time.
    """
    busy = service_seconds * (arrivals_per_second + due / target_wait_seconds)
    # A load of exactly 7 places is 10, and not 11 for the last bit of a float.
    return min(MOST_ADVISED, math.ceil(busy / BUSY_SHARE - 1e-9))


def advise(
    readings: Seen,
    history: History,
    target_wait_seconds: float,
    *,
    parts: DueParts | None = None,
) -> Advice:
    """Return how many places the queue needs, or what holds the work up instead.

    Args:
        readings: what the tables show now.
        history: of the last five minutes.
        target_wait_seconds: for how long an action may be due before it starts.
        parts: what of the due actions could start; None where nobody has looked, and then all of
            them count as waiting for a place.
    """
    need = _need(readings, history, target_wait_seconds, parts)
    advised, reason, obstacle = need.workers, need.sentence, None
    found = _obstacle(readings, history, target_wait_seconds, parts, need)
    if found is not None:
        obstacle, why = found
        reason = f"{why} {need.sentence}"
        if readings.places:
            # More places would wait for the same.
            advised = min(advised, readings.places)
    return Advice(
        workers_now=readings.places,
        workers_advised=advised,
        reason=reason,
        obstacle=obstacle,
        arrivals_per_second=history.arrivals_per_second,
        service_seconds=history.service_seconds,
        due=readings.due,
        target_wait_seconds=target_wait_seconds,
    )


# How many


def _need(readings: Seen, history: History, target: float, parts: DueParts | None) -> _Need:
    arrivals, service, now = history.arrivals_per_second, history.service_seconds, readings.places
    share = 1.0 if parts is None else parts.share(sum(parts.free.values()))
    waiting = readings.due * share
    due = _due_words(readings)
    if parts is not None and parts.handed:
        due += f", {parts.share(parts.handed):.0%} of it for workers of Celery, who count apart"
    if service is None:
        if not waiting and not arrivals:
            return _Need(0 if arrivals == 0 else now, waiting, _nothing(readings, arrivals, due))
        return _Need(
            max(now, 1),
            waiting,
            f"How long an action takes is not known yet, since none has ended lately. {due}."
            f" Until one has ended, {_places(max(now, 1))} {_are(max(now, 1))} advised.",
        )
    workers = places_needed(
        arrivals_per_second=arrivals or 0.0,
        service_seconds=service,
        due=waiting,
        target_wait_seconds=target,
    )
    if arrivals is None:
        workers = max(workers, now)
        rate = "How many actions arrive is not known yet."
    else:
        rate = f"Actions arrive at a rate of {_number(arrivals)} per second."
    return _Need(
        workers,
        waiting,
        f"{rate} One takes {_number(service)} s on average. {due}. An action shall start within"
        f" {_number(target)} s of its date. That needs {_places(workers)}, with a reserve of"
        f" {1 - BUSY_SHARE:.0%}. {_there_are(now)}",
    )


def _nothing(readings: Seen, arrivals: float | None, due: str) -> str:
    if arrivals is None:
        return (
            f"How many actions arrive is not known yet. {due}. Until it is known, the places stay"
            f" as they are. {_there_are(readings.places)}"
        )
    return f"No action arrives. {due}. No place is needed now. {_there_are(readings.places)}"


# What stands in the way


def _obstacle(
    readings: Seen, history: History, target: float, parts: DueParts | None, need: _Need
) -> tuple[str, str] | None:
    """Return the obstacle and its sentence; None where the number is the answer."""
    if not readings.places:
        return _no_runner(readings, parts, need)
    if not readings.due:
        return None
    return (
        _not_free(readings, history, target, parts, need)
        or _one_hook(readings, parts)
        or _idle(readings, history, parts, need)
    )


def _no_runner(readings: Seen, parts: DueParts | None, need: _Need) -> tuple[str, str] | None:
    is_handed = parts is not None and parts.share(parts.handed) == 1
    if (not readings.due or is_handed) and not need.workers:
        return None
    php = " PHP's runners are at work alone." if "php" in readings.last_run else ""
    return "no runner", f"No runner of wpbridge is alive, so there is no place at all.{php}"


def _not_free(
    readings: Seen, history: History, target: float, parts: DueParts | None, need: _Need
) -> tuple[str, str] | None:
    """Tell that most of what is due is paused or limited, if the rest needs no more places."""
    if parts is None:
        return None
    rest = need.waiting * (history.service_seconds or 0.0) / target
    if parts.share(parts.paused + parts.limited) <= MOST_OF or rest > readings.places:
        return None
    if parts.paused >= parts.limited:
        share = parts.share(parts.paused)
        return (
            "paused",
            f"{share:.0%} of what is due is paused: no place helps until it is resumed.",
        )
    names = ", ".join(parts.limited_by[:3]) + (", …" if len(parts.limited_by) > 3 else "")  # noqa: PLR2004
    why = (
        f"{parts.share(parts.limited):.0%} of what is due belongs to what is at its limit"
        f" ({names}): no place helps, only a higher limit."
    )
    return "limited", why


def _one_hook(readings: Seen, parts: DueParts | None) -> tuple[str, str] | None:
    running = sum(readings.running.values())
    if parts is None or readings.places < 2 or running < readings.places * NEARLY_ALL:  # noqa: PLR2004
        return None
    hook, held = max(readings.running.items(), key=lambda one: (one[1], one[0]))
    waiting = sum(parts.free.values())
    others = waiting - parts.free.get(hook, 0)
    if held < readings.places * NEARLY_ALL or others <= waiting * MOST_OF:
        return None
    why = (
        f"Actions of {hook} hold {held} of {_places(readings.places)}, for up to"
        f" {_number(readings.running_longest_seconds)} s, while others are due: a limit for this"
        " hook helps them."
    )
    return "one hook holds all places", why


def _idle(
    readings: Seen, history: History, parts: DueParts | None, need: _Need
) -> tuple[str, str] | None:
    """Tell why places are idle while work waits: the database, or that nobody takes it."""
    busy = max(sum(readings.running.values()), _busy_on_average(history))
    if readings.oldest_due < IDLE_SECONDS or busy > readings.places * IDLE_SHARE:
        return None
    if need.waiting < 1:
        return None
    idle = (
        f"{_places(readings.places - math.ceil(busy))} of {readings.places} are idle, while work"
        f" has been due for {_number(readings.oldest_due)} s"
    )
    p99 = history.claim_p99_seconds
    if p99 is not None and p99 >= SLOW_CLAIM_SECONDS:
        words = f"the database is the limit: claims p99 {_milliseconds(p99)}"
        return words, f"{idle}: one claim in a hundred takes {_milliseconds(p99)} or longer."
    if parts is None or not _is_left_alone(parts, history):
        return None
    most = max(parts.free, key=lambda hook: (parts.free[hook], hook))
    why = (
        f"{idle}. Either no runner accepts these hooks, such as {most}, or runners cannot reach the"
        " database: `wpbridge hooks` and `wpbridge doctor` tell which."
    )
    return "places are idle", why


def _is_left_alone(parts: DueParts, history: History) -> bool:
    """Return whether nobody takes what is due: none is claimed, and of most hooks none has ended.

    Rows alone do not tell that places are idle. Short actions are never marked as running, and the
    mean of five minutes knows little of a burst that has just begun.
    """
    alone = sum(count for hook, count in parts.free.items() if hook not in history.hooks)
    return not parts.claimed and alone > sum(parts.free.values()) * MOST_OF


def _busy_on_average(history: History) -> float:
    """Return how many places were busy on average: short actions are never seen running."""
    seconds = (history.until - history.since).total_seconds()
    spent = sum(ended.duration_seconds for ended in history.hooks.values())
    return spent / seconds if seconds > 0 else 0.0


# Words


def _due_words(readings: Seen) -> str:
    if not readings.due:
        return "Nothing is due"
    more = " or more" if readings.due >= readings.cap else ""
    return f"{readings.due:,}{more} {_are(readings.due)} due"


def _there_are(count: int) -> str:
    return f"There {_are(count)} {count:,} now."


def _places(count: int) -> str:
    return f"{count:,} place{'' if count == 1 else 's'}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _number(value: float) -> str:
    """Return a number with two digits or more, as people write it."""
    if value >= 10:  # noqa: PLR2004
        return f"{value:,.0f}"
    return "under 0.001" if 0 < value < 0.001 else f"{value:.2g}"  # noqa: PLR2004


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"
