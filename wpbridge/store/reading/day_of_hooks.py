"""Tell which hooks fail most and which are slowest, by the statistics of a day.

On a busy site a day has some hundred thousand rows of minutes, and what they show together changes
little from one look to the next. So it is read once a minute, and kept meanwhile.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from wpbridge.clock import bound_text
from wpbridge.store.database.connection import text
from wpbridge.store.database.texts import as_bytes
from wpbridge.store.reading.summed_stats import NameSum, SummedStats, exact_bytes
from wpbridge.store.schema.charsets import to_text as from_bytes
from wpbridge.store.structure.tables import Tables
from wpbridge.telling.counting import ENDINGS
from wpbridge.telling.metrics import DURATION_BOUNDS

MOST: Final = 5
"""So many hooks are told of each kind."""
KEPT: Final = timedelta(minutes=1)
_DAY: Final = timedelta(days=1)
_SIZE: Final = len(DURATION_BOUNDS) + 1


class SlowHook(NamedTuple):
    """A hook, and how many of its endings lie in each bucket of durations."""

    ended: NameSum
    durations: tuple[int, ...]


class HooksOfDay(NamedTuple):
    """What a day shows of hooks."""

    failing: Sequence[NameSum]
    """Those with the most failures, the most first."""
    slowest: Sequence[SlowHook]
    """Those whose mean duration is longest, the longest first."""


class DayOfHooks:
    """The last 24 hours of one site's hooks."""

    def __init__(self, tables: Tables, summed: SummedStats) -> None:
        self._session = tables.session
        self._summed = summed
        self._kept: tuple[datetime, HooksOfDay] | None = None
        outcomes = ", ".join(f"'{outcome}'" for outcome in ENDINGS)
        self._durations = text(
            f"SELECT {tables.dialect.as_bytes('hook')}, durations FROM {tables.names.stats}"
            " WHERE span IN ('minute', 'hour') AND begin_gmt >= :since AND begin_gmt < :until"
            f" AND outcome IN ({outcomes}) AND {tables.dialect.as_bytes('hook')} IN :hooks"
        )

    def read(self, now: datetime) -> HooksOfDay:
        """Return what the last 24 hours show, or what they showed less than a minute ago."""
        if self._kept is None or not timedelta(0) <= now - self._kept[0] < KEPT:
            self._kept = now, self._read((now - _DAY).replace(minute=0, second=0), now)
        return self._kept[1]

    def _read(self, since: datetime, until: datetime) -> HooksOfDay:
        hooks = self._summed.hooks(since, until)
        failing = sorted(
            (one for one in hooks if one.endings["failed"]),
            key=lambda one: (-one.endings["failed"], one.name),
        )
        timed = sorted(
            (one for one in hooks if one.duration_seconds > 0),
            key=lambda one: (-one.duration_seconds / one.actions, one.name),
        )[:MOST]
        found = self._durations_of([one.name for one in timed], since, until)
        return HooksOfDay(failing[:MOST], [SlowHook(one, tuple(found[one.name])) for one in timed])

    def _durations_of(
        self, hooks: Sequence[str], since: datetime, until: datetime
    ) -> dict[str, list[int]]:
        found = {hook: [0] * _SIZE for hook in hooks}
        if not hooks:
            return found
        values = {
            "hooks": [exact_bytes(hook) for hook in hooks],
            "since": bound_text(since),
            "until": bound_text(until),
        }
        rows = self._session.run(lambda c: c.execute(self._durations, values).fetchall())
        for told, durations in rows:
            counts = str(durations).split(",")
            sums = found.get(from_bytes(as_bytes(told)))
            # A damaged row counts as empty.
            if sums is not None and len(counts) == _SIZE and all(map(str.isdigit, counts)):
                for place, count in enumerate(counts):
                    sums[place] += int(count)
        return found
