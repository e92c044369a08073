"""What handlers wrote down of their attempts, and what was done to them: the storms' evidence.

The record is a file of lines, appended to by every process: each attempt's start, and its end
unless its process died. Times are of CLOCK_MONOTONIC, which all processes of a host share.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

FATAL: Final[Mapping[str, float]] = {
    "iso_exit": 0.0,
    "iso_crash": 0.0,
    "iso_hang": 1.0,
    "iso_deaf": 1.0,
}
"""Hooks whose attempts may have no end though nobody killed them, and how long they last then."""


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One call of a handler."""

    action_id: int
    hook: str
    number: int
    pid: int
    parent: int
    mark: str
    """Of the daemon or run."""
    started: float
    wall: float
    """When it started, in unix time."""
    ended: float | None = None
    is_success: bool = False

    @property
    def processes(self) -> tuple[int | str, ...]:
        """What has to be killed to end it: its process, that one's parent, or all of the mark."""
        return self.pid, self.parent, self.mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """A process, or all of a mark, was killed."""

    whom: int | str
    at: float
    """Before the signal was sent."""
    gone: float
    """After it was seen to be gone, and what it had started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lapse:
    """A worker was stopped for longer than others trust it."""

    whom: int
    at: float
    """Before it was stopped."""
    knew: float
    """After it was seen to know: registered anew, or gone. What was handed to its threads before
    it was stopped may start until then."""
    most_starts: int | None = None
    """So many of them at most; None where its own clock cannot tell it that it was for long."""


FORGOTTEN_SECONDS: Final = 5.0
"""A server that flushes its log once a second forgets less than that, on a machine under load too.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blackout:
    """The server was killed and forgot its last commits."""

    at: float
    """Before it was killed."""
    knew: float
    """After every runner was seen to know, or to be gone."""


@dataclass(slots=True, kw_only=True)
class Harm:
    """All that was done to a round's processes and to its server."""

    kills: list[Kill] = field(default_factory=list)
    lapses: list[Lapse] = field(default_factory=list)
    blackouts: list[Blackout] = field(default_factory=list)

    def blackout_of(self, attempt: Attempt) -> Blackout | None:
        """The blackout that may have undone what the tables told of an attempt."""
        for blackout in self.blackouts:
            ended = blackout.knew if attempt.ended is None else attempt.ended
            if attempt.started <= blackout.knew and ended >= blackout.at - FORGOTTEN_SECONDS:
                return blackout
        return None

    def kill_of(self, attempt: Attempt) -> Kill | None:
        """The kill that its process was alive to see; None when it lived on."""
        found = (
            kill
            for kill in self.kills
            if kill.whom in attempt.processes and kill.gone >= attempt.started
        )
        return min(found, key=lambda kill: kill.at, default=None)

    def lapse_of(self, attempt: Attempt) -> Lapse | None:
        """The lapse that it began before, or in."""
        for lapse in self.lapses:
            if lapse.whom in attempt.processes and attempt.started <= lapse.knew:
                return lapse
        return None

    def has_touched(self, attempt: Attempt) -> bool:
        harms = self.kill_of(attempt), self.lapse_of(attempt), self.blackout_of(attempt)
        return any(harm is not None for harm in harms)


def read(record: Path) -> dict[int, list[Attempt]]:
    """The attempts of each action, in the order of their starts."""
    by_key: dict[str, Attempt] = {}
    for line in record.read_text("ascii").splitlines() if record.exists() else ():
        word, key, action_id, hook, number, pid, parent, mark, moment, wall = line.split()
        if word == "start":
            assert key not in by_key, f"a process id came twice in one round: {key}"
            by_key[key] = Attempt(
                action_id=int(action_id),
                hook=hook,
                number=int(number),
                pid=int(pid),
                parent=int(parent),
                mark=mark,
                started=int(moment) / 1e9,
                wall=int(wall) / 1e9,
            )
        else:
            by_key[key].ended = int(moment) / 1e9
            by_key[key].is_success = word == "end"
    found: defaultdict[int, list[Attempt]] = defaultdict(list)
    for attempt in sorted(by_key.values(), key=lambda attempt: attempt.started):
        found[attempt.action_id].append(attempt)
    return dict(found)


def wrongs(
    attempts: Mapping[int, Sequence[Attempt]], harm: Harm, once: Collection[str]
) -> Iterable[str]:
    """Where an action's attempts break a promise, in words.

    ``once``: hooks of which no action may start twice, whatever happens.
    """
    for action_id, several in attempts.items():
        told = f"action {action_id} ({several[0].hook})"
        if several[0].hook in once and len(several) > 1:
            yield f"{told} must start once and started {len(several)} times: {several}"
        for place, one in enumerate(several):
            later = several[place + 1 :]
            yield from (f"{told} {wrong}" for wrong in _wrongs_of(one, later, harm))


def starts_in_lapses(attempts: Mapping[int, Sequence[Attempt]], harm: Harm) -> Iterable[str]:
    """Where a stopped worker went on with more than its threads had fetched, in words.

    Counted are starts of actions that others had started in the meantime.
    """
    for lapse in harm.lapses:
        late = [
            one
            for several in attempts.values()
            for one in several
            if lapse.whom in one.processes
            and lapse.at <= one.started <= lapse.knew
            and any(
                lapse.whom not in other.processes and lapse.at <= other.started < one.started
                for other in several
            )
        ]
        if lapse.most_starts is not None and len(late) > lapse.most_starts:
            yield f"worker {lapse.whom} went on with {len(late)} that others had started: {late}"


def _wrongs_of(one: Attempt, later: Sequence[Attempt], harm: Harm) -> Iterable[str]:
    kill = harm.kill_of(one)
    is_fatal = one.ended is None and one.hook in FATAL
    if one.ended is None and not is_fatal and kill is None:
        yield f"has an attempt without an end that nobody killed: {one}"
    for other in later:
        if _is_excused(one, other, harm):
            continue
        if other.started < _end(one, kill):
            yield f"was started twice at once: {one} and {other}"
        if one.is_success and kill is None and harm.lapse_of(one) is None:
            yield f"was run again after it had succeeded: {one} and {other}"


def _end(one: Attempt, kill: Kill | None) -> float:
    """The earliest moment at which others may have taken an attempt for over."""
    if one.ended is not None:
        return one.ended
    by_itself = [one.started + FATAL[one.hook]] if one.hook in FATAL else []
    killed = [] if kill is None else [kill.at]
    # One without any such end is told of as such.
    return min([*by_itself, *killed], default=one.started)


def _is_excused(one: Attempt, other: Attempt, harm: Harm) -> bool:
    """What a stopped runner had in hand goes on beside the attempts of those who took it over.

    So does what ran when the server forgot that it had been started.
    """
    if harm.blackout_of(one) is not None:
        return True
    lapses = [lapse for lapse in (harm.lapse_of(one), harm.lapse_of(other)) if lapse]
    return any(lapse.at <= other.started for lapse in lapses)
