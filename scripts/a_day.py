"""A day of a daemon's loop in some seconds: chains, failures, retries, and runners that die.

Runner, store and threads are the real ones; only time is not. Where the loop would wait for
something, the clock is moved on; while a handler runs it stands still. What has to be in the tables
at the end is told beforehand, to the row.
"""

import gc
import random
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from stores import open_store
from wpbridge.executors.base import Call, Report
from wpbridge.executors.handlers import describe
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.queue.facade import Queue
from wpbridge.runner import log_texts
from wpbridge.runner.identity import Identity, identity
from wpbridge.runner.in_hand import Totals
from wpbridge.runner.loop import Limits, Runner
from wpbridge.site.database import DatabaseAddress
from wpbridge.site.rules import RetryRule
from wpbridge.store.base import ClaimFilter
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.system.processes import memory_bytes

START = datetime(2026, 11, 24, tzinfo=UTC)
MINUTES = 24 * 60
END = START + timedelta(minutes=MINUTES)
WITHIN = timedelta(seconds=0.5)
"""So long after the full minute something arrives: a run is never early, and no chain drifts."""
INTERVALS = {"each_minute": 60, "each_5_minutes": 300, "hourly": 3600}
CRONS = {"each_quarter": "*/15 * * * *", "at_three": "0 3 * * *"}
OFTEN = {
    "each_minute": 1440,
    "each_5_minutes": 288,
    "hourly": 24,
    "each_quarter": 96,
    "at_three": 1,
}
"""How many runs of a chain a day holds."""
EACH_SEVENTH = "each_5_minutes"
"""This chain's hook fails in every seventh run, and the chain goes on."""
RULE = RetryRule(hook="flaky", max_attempts=4, base=timedelta(seconds=30), cap=timedelta(minutes=2))
LAST_ARRIVAL = MINUTES - 30
"""Later ones could still have a retry before them when the day ends."""
DEATH_MINUTE = 30
"""Of each hour: a runner dies."""
WAITING, STARTED = 3, 2
"""Of what it holds then."""
RESCUED = 24 * (WAITING + STARTED)
SLOW_SECONDS = 60.0
"""A handler here does nothing: one that has not ended by then hangs."""


@dataclass(frozen=True, slots=True)
class Line:
    """A hook's rows at the end of the day."""

    complete: int = 0
    failed: int = 0
    pending: int = 0
    attempts: int = 0
    """All of them together."""


def failures(seed: int) -> list[int]:
    """How often each minute's flaky action fails before it succeeds; 9: more than it may."""
    chance = random.Random(seed)  # noqa: S311 - the same each time is what is wanted
    return chance.choices((0, 1, 2, 3, 9), weights=(12, 4, 2, 1, 1), k=LAST_ARRIVAL)


def expected(seed: int) -> dict[str, Line]:
    """What must be in the tables when the day is over."""
    sevenths = OFTEN[EACH_SEVENTH] // 7
    found = {hook: Line(complete=times, pending=1, attempts=times) for hook, times in OFTEN.items()}
    found[EACH_SEVENTH] = Line(
        complete=OFTEN[EACH_SEVENTH] - sevenths,
        failed=sevenths,
        pending=1,
        attempts=OFTEN[EACH_SEVENTH],
    )
    fails = failures(seed)
    hopeless = sum(n >= RULE.max_attempts for n in fails)
    found["flaky"] = Line(
        complete=len(fails) - hopeless,
        failed=hopeless,
        attempts=sum(min(n + 1, RULE.max_attempts) for n in fails),
    )
    # What had started is started once more.
    found["orphan"] = Line(complete=RESCUED, attempts=RESCUED + 24 * STARTED)
    return found


def retries(seed: int) -> int:
    """Failures that are no endings."""
    return sum(min(n, RULE.max_attempts - 1) for n in failures(seed))


class MovedClock:
    """Stands still until it is moved."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        """See :class:`wpbridge.clock.Clock`."""
        return self.at

    def monotonic(self) -> float:
        """See :class:`wpbridge.clock.Clock`."""
        return (self.at - START).total_seconds()


class Threads(ThreadExecutor):
    """Real threads; a wait for nothing moves the clock, at most to the next full minute."""

    def __init__(self, day: "Day") -> None:
        handlers = {hook: describe(hook, partial(day.handle, hook)) for hook in expected(day.seed)}
        super().__init__(handlers, concurrency=4, clock=day.clock, site="a day")
        self._day = day
        self._out = 0
        """Submitted, and not reported yet."""

    def submit(self, call: Call) -> None:
        """See :class:`ThreadExecutor`."""
        self._out += 1
        super().submit(call)

    def recall(self, only: Collection[Call] | None = None) -> list[Call]:
        """See :class:`ThreadExecutor`."""
        calls = super().recall(only)
        self._out -= len(calls)
        return calls

    def reports(self, timeout_seconds: float) -> list[Report]:
        """See :class:`ThreadExecutor`."""
        if not self._out:
            self._day.go_on(timeout_seconds)
            return super().reports(0)
        found: list[Report] = []
        while not found:
            found = super().reports(SLOW_SECONDS)
        self._out -= len(found)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How the day went."""

    lines: dict[str, Line]
    handled: dict[str, int]
    """Calls of each hook's handler."""
    totals: Totals
    looks: int
    """Times that the loop waited for nothing."""
    memory: dict[int, int]
    """Bytes at the hours that were asked for."""


class Day:
    """One daemon's loop over one queue, from midnight to midnight."""

    def __init__(
        self,
        dsn: str,
        *,
        poll: timedelta,
        seed: int = 1,
        hours: tuple[int, ...] = (),
        measured: Callable[[], int] = memory_bytes,
    ) -> None:
        """Fills the queue.

        Args:
            dsn: of a database whose tables are there.
            poll: as ``--poll-interval``.
            seed: of the failures.
            hours: after which memory is looked at.
            measured: tells how much of it is in use, in bytes; all of the process by default.
        """
        self.seed = seed
        self.clock = MovedClock(START + WITHIN)
        self.handled: Counter[str] = Counter()
        self._address = DatabaseAddress.from_dsn(dsn)
        self._hours, self._measured = hours, measured
        self._memory: dict[int, int] = {}
        self._fails = failures(seed)
        self._failed: Counter[int] = Counter()
        self._minute = 0
        self._looks = 0
        self._me = identity()
        self._store = self._open()
        self._queue = Queue(self._open().parts, clock=self.clock)
        for hook, seconds in INTERVALS.items():
            self._queue.schedule_recurring(START, seconds, hook)
        for hook, expression in CRONS.items():
            self._queue.schedule_cron(START, expression, hook)
        self.runner = Runner(
            self._store,
            Threads(self),
            self.clock,
            self._me,
            only=ClaimFilter(),
            limits=Limits(poll=poll),
            retry=[RULE],
        )

    def run(self) -> Told:
        """The whole day; both connections are closed at its end."""
        self._arrive()
        totals = self.runner.run()
        lines = lines_of(self._store)
        self._queue.close()
        self._store.close()
        return Told(
            lines=lines,
            handled=dict(self.handled),
            totals=totals,
            looks=self._looks,
            memory=self._memory,
        )

    def handle(self, hook: str, number: int = 0) -> None:
        """Every hook's handler: counts, and fails where it shall."""
        self.handled[hook] += 1
        if hook == EACH_SEVENTH and not self.handled[hook] % 7:
            raise RuntimeError("the seventh")
        if hook == "flaky" and self._failed[number] < self._fails[number]:
            self._failed[number] += 1
            raise ConnectionError("not yet")

    def go_on(self, seconds: float) -> None:
        """Let time pass: so much, or until something happens."""
        self._looks += 1
        # A microsecond more, or rounding could stop the clock short of what is waited for.
        then = self.clock.at + timedelta(seconds=max(0.0, seconds), microseconds=1)
        mark = min(START + timedelta(minutes=self._minute + 1) + WITHIN, END)
        if then < mark:
            self.clock.at = then
            return
        self.clock.at = mark
        self._minute += 1
        if self._minute % 60 == 0 and self._minute // 60 in self._hours:
            gc.collect()
            self._memory[self._minute // 60] = self._measured()
        if self._minute == MINUTES:
            self.runner.stop()
            return
        self._arrive()
        self.runner.wake()

    def _arrive(self) -> None:
        """What each minute brings, and each hour."""
        if self._minute < LAST_ARRIVAL:
            self._queue.enqueue_async("flaky", [self._minute])
        if self._minute % 60 == DEATH_MINUTE:
            for number in range(WAITING + STARTED):
                self._queue.enqueue_async("orphan", [number])
            self._die(is_near=self._minute // 60 % 2 == 0)

    def _die(self, *, is_near: bool) -> None:
        """Another runner claims, starts, and is gone: on this host, or silently on another."""
        me = Identity(host="elsewhere", boot="another", pid=1, pid_started="1")
        if is_near:
            me = self._me
        store = self._open()
        number = store.register(host=me.host, boot=me.boot, pid=me.pid, pid_started="long ago")
        now = self.clock.now()
        only = ClaimFilter(hooks=frozenset({"orphan"}))
        claim = store.claim_due(now=now, limit=WAITING + STARTED, only=only)
        assert claim is not None
        assert len(claim.actions) == WAITING + STARTED
        started = [(action, [log_texts.started(now)]) for action in claim.actions[:STARTED]]
        store.start(started, now=now, once=False)
        if not is_near:
            beat = text(
                "UPDATE wp_wpbridge_runners SET beat_gmt = '2026-01-01 00:00:00'"
                " WHERE runner_id = :id"
            )
            store.session.run(lambda c: c.execute(beat, {"id": number}).rowcount)
        store.close()

    def _open(self) -> RunnerStore:
        store = open_store(self._address, "wp_")
        store.session.run(_be_careless)
        return store


def _be_careless(connection: Connection) -> None:
    """SQLite need not wait for the disk: a day has thousands of commits, and no power cut."""
    if connection.driver.mark == "?":
        connection.execute(text("PRAGMA synchronous = OFF"))
        connection.execute(text("PRAGMA journal_mode = MEMORY"))


def lines_of(store: RunnerStore) -> dict[str, Line]:
    """What is in the tables, by hook."""
    statement = text(
        "SELECT hook, SUM(status = 'complete'), SUM(status = 'failed'), SUM(status = 'pending'),"
        " SUM(attempts) FROM wp_actionscheduler_actions GROUP BY hook"
    )
    rows = store.session.run(lambda c: c.execute(statement).fetchall())
    return {str(hook): Line(*map(int, numbers)) for hook, *numbers in rows}
