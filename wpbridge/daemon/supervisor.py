"""The daemon's first process: keeps the workers running, and answers to whoever started it.

It runs no action and loads no handler, so that nothing a handler does can end it. One thread, which
waits for signals, for what workers say, and for the next thing that is due.
"""

import json
import os
import selectors
import signal
import time
from collections.abc import Callable
from typing import Any, Final

from wpbridge.daemon import heartbeat, signals
from wpbridge.daemon.changed_files import ChangedFiles
from wpbridge.daemon.fleet import Fleet
from wpbridge.daemon.heartbeat import Beat, HeartbeatWriter, is_live
from wpbridge.daemon.measured import Measured
from wpbridge.daemon.notify import Notifier
from wpbridge.daemon.scaling import Scaler
from wpbridge.daemon.terms import CurrentTerms, Terms
from wpbridge.daemon.wake_listener import WakeListener
from wpbridge.daemon.wakes import Wakes
from wpbridge.daemon.worker_process import Child, Start
from wpbridge.telling.log import tell

BEAT_SECONDS: Final = 1.0
STATUS_SECONDS: Final = 5.0
WATCH_SECONDS: Final = 0.5
DUMP_SECONDS: Final = 2.0
"""A worker that has not told its state by then does not get to it."""


__all__ = ["Supervisor", "Terms"]


class Supervisor:
    """The loop of the daemon's first process."""

    def __init__(
        self,
        terms: Terms,
        start: Start,
        *,
        reload: Callable[[], Terms],
        notifier: Notifier,
        tell: Callable[[str], None],
        listener: WakeListener | None = None,
        measured: Measured | None = None,
    ) -> None:
        """See :class:`Terms`.

        Args:
            terms: as the settings were at the start.
            start: how a worker is started.
            reload: reads the settings anew; what is wrong with them is a WpbridgeError.
            notifier: the service manager's ear.
            tell: prints a line of a state dump.
            listener: hears wakes; None for a daemon that only polls.
            measured: adds up what the processes count; None where nobody reads it.
        """
        self._terms = CurrentTerms(terms, reload)
        self._start = start
        self._notifier = notifier
        self._tell = tell
        self._selector = selectors.DefaultSelector()
        self._measured = measured or Measured()
        self._fleet = Fleet(
            self._launch,
            terms.processes,
            has_gateway=terms.has_gateway,
            opened=self._open,
            closed=self._close,
            counted=self._measured.learn,
        )
        self._wakes = Wakes(listener or WakeListener(), self._selector)
        self._stopped_by: signal.Signals | None = None
        self._deadline: float | None = None
        self._was_ready = False
        self._is_reloading = False
        self._had_database = True
        self._heartbeat = HeartbeatWriter()
        self._due = dict.fromkeys(("beat", "status", "watchdog", "watch"), 0.0)
        self._asked: dict[Child, float] = {}
        self._changed_files = ChangedFiles()
        self._scaler = Scaler()
        self._scaler.take(terms.scaling, self._fleet)

    def run(self) -> int:
        """Until a signal ends it, or the first worker does not start; the exit code."""
        with signals.caught() as arrivals:
            self._selector.register(arrivals, selectors.EVENT_READ, arrivals)
            while True:
                self._fleet.tick()
                if self._fleet.failed is not None:
                    return self._end(self._fleet.failed)
                if self._stopped_by is not None and not any(self._fleet.children()):
                    return self._end(128 + self._stopped_by)
                self._duties()
                self._wakes.tick(self._fleet.workers_of("working"))
                for key, _ in self._selector.select(self._wait_seconds()):
                    if key.data is arrivals:
                        for number in arrivals.take():
                            self._signaled(number)
                    elif key.data is self._wakes:
                        self._wakes.hear()
                    else:
                        self._hear(key.data)

    def _end(self, code: int) -> int:
        totals = {name: n for name, n in sorted(self._fleet.totals().items()) if n}
        self._fleet.kill()
        self._scaler.close()
        self._wakes.close()
        if self._terms.now.heartbeat_file is not None:
            heartbeat.remove(self._terms.now.heartbeat_file)
        if self._fleet.is_seen:
            tell("daemon.stopped", code=code, **totals)
        return code

    def _launch(self, number: int) -> Child:
        return self._start(number, self._terms.handed)

    def _open(self, child: Child) -> None:
        self._selector.register(child, selectors.EVENT_READ, child)

    def _close(self, child: Child) -> None:
        """Its socket is closed already, and the selector knows it by its object."""
        self._asked.pop(child, None)
        for key in [k for k in self._selector.get_map().values() if k.data is child]:
            self._selector.unregister(key.fileobj)

    def _hear(self, child: Child) -> None:
        said, goes_on = child.hear()
        for message in said:
            self._wakes.learn(message)
            self._heed(child, message)
            told = self._fleet.heard(child, message)
            if told is not None:
                self._asked.pop(child, None)
                self._dump(told)
        if not goes_on:
            self._close(child)

    def _heed(self, child: Child, message: dict[str, Any]) -> None:
        """End in order, as on TERM, when people wish that one of the workers stops."""
        is_wished = message.get("event") == "wish" and message["wish"] == "stop"
        if is_wished and self._stopped_by is None:
            tell("daemon.stop_wished", worker_pid=child.pid)
            self._stop(signal.SIGTERM)

    # Signals

    def _signaled(self, number: signal.Signals) -> None:
        self._due["status"] = 0.0
        is_stopping = self._stopped_by is not None
        if number == signals.AT_ONCE or (is_stopping and number in self._terms.now.stops_at_once):
            self._kill(number)
        elif number in signals.STOPS:
            self._stop(number)
        elif number in signals.QUIETS or number == signals.RESUME:
            self._quiet(on=number != signals.RESUME)
        elif number == signals.RELOAD:
            self._reload()
        elif number == signals.DUMP:
            until = time.monotonic() + DUMP_SECONDS
            self._asked = dict.fromkeys(self._fleet.children(), until)
            self._fleet.tell("dump")
        elif number == signals.STACKS:
            self._fleet.tell("stacks")

    def _quiet(self, *, on: bool) -> None:
        if on != self._fleet.is_quiet:
            tell("daemon.quiet" if on else "daemon.resumed")
        self._fleet.tell("quiet" if on else "resume")

    def _stop(self, number: signal.Signals) -> None:
        if self._stopped_by is not None:
            return
        self._stopped_by = number
        self._notifier.stopping("stopping: running actions finish")
        tell("daemon.stopping", signal=number.name)
        if self._terms.now.drain_seconds is not None:
            self._deadline = time.monotonic() + self._terms.now.drain_seconds
        self._fleet.stop()

    def _kill(self, number: signal.Signals) -> None:
        tell("daemon.killing", signal=number.name)
        self._stopped_by = number
        self._notifier.stopping("stopping at once")
        self._fleet.kill()

    def _reload(self) -> None:
        if self._stopped_by is not None:
            return
        self._notifier.reloading()
        self._is_reloading = True
        self._terms.reload(self._fleet)

    # What is due

    def _wait_seconds(self) -> float:
        now = time.monotonic()
        moments = [self._due["beat"], self._due["status"]]
        maybe = (self._deadline, self._fleet.next_due(), self._wakes.due())
        moments += [m for m in maybe if m is not None]
        moments += self._asked.values()
        if self._notifier.watchdog_seconds is not None:
            moments.append(self._due["watchdog"])
        if self._terms.now.watches:
            moments.append(self._due["watch"])
        return max(0.0, min(moments) - now)

    def _is_due(self, name: str, seconds: float) -> bool:
        now = time.monotonic()
        if now < self._due[name]:
            return False
        self._due[name] = now + seconds
        return True

    def _duties(self) -> None:
        fleet, now = self._fleet, time.monotonic()
        if self._deadline is not None and now >= self._deadline:
            self._deadline = None
            left = [c.pid for c in fleet.children()]
            tell("daemon.drain_timeout", killed=left)
            fleet.kill()
        for child in [c for c, until in self._asked.items() if now >= until]:
            del self._asked[child]
            self._dump({"worker": child.number, "pid": child.pid, "state": "no answer"})
        self._terms.decide(fleet)
        self._scaler.take(self._terms.now.scaling, fleet)
        self._scaler.look(fleet)
        is_ready = fleet.is_ready()
        if is_ready and not self._was_ready and self._stopped_by is None:
            self._was_ready = True
            tell("daemon.ready", processes=self._terms.now.processes)
            self._notifier.ready(self._status())
        if self._is_reloading and is_ready and not fleet.rolling.is_on:
            self._is_reloading = False
            self._notifier.ready(self._status())
        if self._is_due("beat", BEAT_SECONDS):
            self._beat()
        if self._is_due("status", STATUS_SECONDS):
            self._tell_status()
        self._watchdog()
        if self._terms.now.watches and self._is_due("watch", WATCH_SECONDS):
            self._look_at_files()

    def _tell_status(self) -> None:
        if self._was_ready:
            self._notifier.status(self._status())
        elif not self._fleet.has_database():
            self._notifier.waiting(self._status())

    def _watchdog(self) -> None:
        seconds = self._notifier.watchdog_seconds
        if seconds is None or not self._is_due("watchdog", seconds / 3):
            return
        if self._fleet.silent_seconds() < seconds:
            self._notifier.alive()

    def _look_at_files(self) -> None:
        changed = self._changed_files.look(self._fleet.files())
        if changed:
            tell("daemon.changed", files=changed)
            self._reload()

    def _beat(self) -> None:
        fleet = self._fleet
        if fleet.has_database() != self._had_database:
            self._had_database = not self._had_database
            self._due["status"] = 0.0
        silent = fleet.silent_seconds()
        beat = Beat(
            pid=os.getpid(),
            at=time.monotonic(),
            state=self._state(),
            live=is_live(silent),
            ready=fleet.is_ready(),
            database=fleet.has_database(),
            workers=fleet.workers(),
        )
        self._measured.look(fleet.places(), fleet.deaths)
        self._heartbeat.beat(self._terms.now.heartbeat_file, beat, silent_seconds=silent)

    # Telling

    def _state(self) -> str:
        if self._stopped_by is not None:
            return "stopping"
        if not self._was_ready:
            return "starting"
        return "quiet" if self._fleet.is_quiet else "working"

    def _status(self) -> str:
        fleet = self._fleet
        totals = fleet.totals()
        in_hand = sum(int(c.totals.get("in_hand", 0)) for c in fleet.children())
        away = "" if fleet.has_database() else "; the database does not answer"
        return (
            f"{self._state()}, {len(list(fleet.children()))} workers: {in_hand} in hand,"
            f" {totals['complete']} complete, {totals['failed']} failed{away}"
        )

    def _dump(self, told: dict[str, Any]) -> None:
        self._tell(json.dumps(told))
