"""This runner's row in the table of runners: its beat, and whether others still wait for us."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from wpbridge.errors import RunnerGone
from wpbridge.runner.about import about
from wpbridge.runner.identity import is_same_process
from wpbridge.runner.liveness import BEAT_SECONDS, IDLE_BEAT_SECONDS, RUNNER_STALE_SECONDS
from wpbridge.runner.shared import Run
from wpbridge.store.base import RunnerRecord
from wpbridge.telling.log import tell

WAIT_SECONDS: Final = 1.0
"""How long a run that would end waits at a time, while it is told to be quiet."""


class Presence:
    """The row of one run."""

    def __init__(self, run: Run) -> None:
        self.is_entered = False
        """Without a row nothing may be claimed."""
        self._run = run
        self._rows: list[int] = []
        """The ids of our rows; the last is the one that counts."""
        self._confirmed = self._moment()
        """When the database last confirmed that we live."""
        self._places = 0
        """How many actions our row says that we can run at once."""
        self._about = ""
        """What our row says of our process."""
        self.when_wished(lambda _wish: None)

    def enter(self) -> None:
        """Write our row; it is a new one after the last has gone."""
        me = self._run.me
        self._confirmed = self._moment()
        row = self._run.store.register(
            host=me.host,
            boot=me.boot,
            pid=me.pid,
            pid_started=me.pid_started,
            wake_address=me.wake_address,
            places=self._run.limits.places,
        )
        self._places = self._run.limits.places
        self._rows.append(row)
        if self._run.wish:
            # It was made of our last row, and is not taken back because that is gone.
            self._run.store.carry_wish(self._run.wish)
        self._tell_about()

    def was_ours(self, runner: RunnerRecord) -> bool:
        """Return whether a row is a former one of this runner, which has begun anew since."""
        return runner.id in self._rows[:-1] and is_same_process(runner, self._run.me)

    def is_trusted(self) -> bool:
        """Return whether others still wait for us; later, what is in hand may be theirs.

        It may be asked from any thread.
        """
        return self._silence_seconds(self._moment()) < RUNNER_STALE_SECONDS

    def beat_when_due(self, drop_canceled: Callable[[], None] = lambda: None) -> None:
        """Keep our row and the rows in hand fresh. Raises RunnerGone when our row is gone.

        After a beat, calls may start that could not while this runner stood still.
        ``drop_canceled`` is called before such a beat.
        """
        calls = self._run.in_hand.calls
        # The moment is taken before the question: others count from when the database answered.
        moment = self._moment()
        silence = self._silence_seconds(moment)
        if silence < (BEAT_SECONDS if calls else IDLE_BEAT_SECONDS):
            return
        if silence >= RUNNER_STALE_SECONDS:
            drop_canceled()
        ids = sorted(call.action.id for call in calls)
        if not self._run.store.heartbeat(ids, now=self._run.clock.now()):
            raise RunnerGone
        self._confirmed = moment
        if self._places != self._run.limits.places:
            self._places = self._run.limits.places
            self._run.store.tell_places(self._places)
        self._hear()

    def when_wished(self, obey: Callable[[str], None]) -> None:
        """Call this when people wish something else of us."""
        self._obey = obey

    def carry(self, wish: str) -> None:
        """Take over a wish that was made of the runner before us, unless there is one of us."""
        self._run.store.carry_wish(wish)
        self._hear()

    def wait(self) -> None:
        """Wait a moment, with nothing in hand and nothing to claim."""
        self._run.executor.reports(WAIT_SECONDS)
        self.beat_when_due()

    def _hear(self) -> None:
        """Read what people wish of us, and write what we are and do."""
        run = self._run
        wish = run.store.wish()
        if wish != run.wish:
            run.wish = wish
            tell("runner.wish", pid=run.me.pid, wish=wish or "none")
            self._obey(wish)
        self._tell_about()

    def _tell_about(self) -> None:
        told = about(self._run)
        if told != self._about:
            self._about = told
            self._run.store.tell_about(told)

    def _moment(self) -> tuple[float, datetime]:
        return self._run.clock.monotonic(), self._run.clock.now()

    def _silence_seconds(self, moment: tuple[float, datetime]) -> float:
        """Return how long before a moment the database last confirmed that we live.

        Two clocks are asked, and the later one counts. A host that is suspended, or a virtual
        machine that is paused, may stop either of them.
        """
        (counted, at), (counted_then, at_then) = moment, self._confirmed
        return max(counted - counted_then, (at - at_then).total_seconds())
