"""A worker's end of the link to its supervisor: it obeys, tells how it does, and dies with it.

Two threads beside the runner's loop. One hears commands and wake-ups; the other says once a second
when the loop last gave a sign, and ends the worker when it is old or large. The loop gives signs by
asking the clock, as it does at every step, and while it waits for a server that is away.
"""

import contextlib
import faulthandler
import json
import os
import queue
import random
import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

from wpbridge.clock import SystemClock
from wpbridge.dataclass import dataclass
from wpbridge.queue.wake import Listener
from wpbridge.runner.loop import Runner
from wpbridge.system import processes
from wpbridge.system.links import LinkReader
from wpbridge.telling.numbers import Numbers

TICK_SECONDS: Final = 1.0
NUDGE_SECONDS: Final = 10.0
"""An idle loop that sleeps longer than this is made to look: so it gives its signs."""
SAY_SECONDS: Final = 5.0
"""At most so long the loop waits until the supervisor has been told that it is ready."""
CALM_SECONDS: Final = 0.005
"""Between two pokes that are heard: many enqueues are one reason to look."""


class SignClock(SystemClock):
    """The host's clock; remembers when the thread that made it last asked.

    A sign is dated by a clock that stands still while the host is suspended, since no loop can give
    one then.
    """

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self.signed = time.monotonic()

    def monotonic(self) -> float:
        """Return the monotonic time; a call by the loop's thread is a sign of life."""
        if threading.get_ident() == self._thread:
            self.sign()
        return super().monotonic()

    def sign(self) -> None:
        """Give a sign of life for the loop, while it waits for another thread."""
        self.signed = time.monotonic()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetime:
    """When a worker has lived long enough."""

    age_seconds: float | None = None
    memory_bytes: int = 0
    """0: no limit. Counts once it has claimed something: a limit below what an idle worker needs
    must not end in a circle of starts."""
    actions: int = 0
    """0: no limit; the runner itself counts them."""

    def scattered(self) -> "Lifetime":
        """Up to a tenth sooner, so that workers started together do not end together."""
        share = random.uniform(0.9, 1.0)  # noqa: S311 - jitter
        return Lifetime(
            age_seconds=None if self.age_seconds is None else self.age_seconds * share,
            memory_bytes=self.memory_bytes,
            actions=max(1, round(self.actions * share)) if self.actions else 0,
        )

    def is_over(self, *, age_seconds: float, memory_bytes: int, claimed: int) -> str | None:
        """Return why it is over; None while it is not."""
        if self.age_seconds is not None and age_seconds >= self.age_seconds:
            return "max-age"
        if self.memory_bytes and claimed and memory_bytes > self.memory_bytes:
            return "max-memory"
        return None


class WorkerLink:
    """The link. Commands may come before there is a runner; they are kept for it."""

    def __init__(self, link: socket.socket, clock: SignClock, lifetime: Lifetime) -> None:
        self.why = ""
        """Why the worker ends; empty while it does not."""
        self.deaths = 0
        """How many workers have died in the place of this one before it was started."""
        self._link, self._reader = link, LinkReader(link)
        self._clock = clock
        self._lifetime = lifetime
        self._born = time.monotonic()
        self._runner: Runner | None = None
        self._wake_keys: Callable[[], dict[str, Any]] = dict
        self._numbers: Callable[[], Numbers] = Numbers
        self._resize: Callable[[int], None] = lambda _concurrency: None
        self._concurrency: int | None = None
        self._is_quiet = False
        self._wish = ""
        """What people wished of the worker before this one."""
        self._is_away = False
        self._is_ready_said = threading.Event()
        # No SimpleQueue, as in executors/base.py. No signal handler puts anything in here.
        self._outbox: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._speaker = threading.Thread(target=self._speak, name="wpbridge-beat", daemon=True)
        self._ears = selectors.DefaultSelector()
        self._ears.register(link, selectors.EVENT_READ, self._obey)

    def open(self) -> None:
        """Begin to listen and to speak."""
        threading.Thread(target=self._listen, name="wpbridge-link", daemon=True).start()
        self._speaker.start()

    def listen(self, ear: Listener) -> None:
        """Let pokes wake the runner."""

        def woken() -> None:
            if ear.drain() and self._runner is not None:
                self._runner.wake()
                time.sleep(CALM_SECONDS)

        self._ears.register(ear, selectors.EVENT_READ, woken)

    def attach(
        self,
        runner: Runner,
        *,
        files: Callable[[], list[str]],
        wake_keys: Callable[[], dict[str, Any]] = dict,
        numbers: Callable[[], Numbers] = Numbers,
        resize: Callable[[int], None] = lambda _concurrency: None,
    ) -> None:
        """The runner is about to run; the supervisor hears it when it is registered.

        ``files`` and ``wake_keys`` are called by the runner's loop, between two of its steps.
        ``numbers`` returns what was counted since it was last called; it is called each second.
        ``resize`` has the runner run so many Python handlers at once; any thread may call it.
        """
        self._wake_keys, self._numbers, self._resize = wake_keys, numbers, resize
        self._runner = runner
        if self._concurrency is not None:
            resize(self._concurrency)
        runner.quiet(on=self._is_quiet)
        runner.when_wished(lambda wish: self._outbox.put({"event": "wish", "wish": wish}))
        if self._wish:
            runner.carry(self._wish)
        if self.why:
            runner.stop()

        def ready(_told: dict[str, Any]) -> None:
            self._outbox.put({"event": "ready", "files": files(), "wakes": wake_keys()})
            # An action of the first claim may kill this process. A daemon whose first worker ends
            # before it was ready ends as well.
            self._is_ready_said.wait(SAY_SECONDS)

        runner.ask(ready)

    def stop(self, why: str) -> None:
        """Claim no more, finish what runs; from any thread, or a signal handler."""
        self.why = self.why or why
        if self._runner is not None:
            self._runner.stop()

    def close(self, totals: dict[str, Any]) -> None:
        """Say good-bye, with what was done."""
        self._outbox.put({"event": "numbers"})
        self._outbox.put({"event": "left", "totals": totals})
        self._outbox.put(None)
        self._speaker.join(timeout=2)

    # The database, as the session tells

    def lost(self) -> None:
        """Note that the database does not answer."""
        self._is_away = True

    def back(self) -> None:
        """Note that the database answers again."""
        self._is_away = False

    def pause(self, seconds: float) -> None:
        """Sleep, giving signs; ends a worker that is to stop and has nothing in hand."""
        end = self._clock.monotonic() + seconds
        while (left := end - self._clock.monotonic()) > 0:
            self._clock.sign()
            if self._is_away and self.why and not self._in_hand():
                raise SystemExit(0)
            time.sleep(min(left, 0.5))

    def _in_hand(self) -> int:
        if self._runner is None:
            return 0
        t = self._runner.totals
        ended = t.complete + t.failed + t.retried + t.canceled + t.released + t.held + t.lost
        return t.claimed - ended

    # Hearing

    def _listen(self) -> None:
        while True:
            for key, _ in self._ears.select():
                key.data()

    def _obey(self) -> None:
        words, goes_on = self._reader.lines()
        if not goes_on:
            # The supervisor is gone. What is in hand is put back by the next runner, at once, since
            # it sees that this process is gone; what handlers have started must not run on.
            os.killpg(0, signal.SIGKILL)
        for word in words:
            self._do(word.decode())

    def _do(self, word: str) -> None:
        runner = self._runner
        match word:
            case "stop":
                self.stop("told to")
            case "quiet" | "resume":
                self._is_quiet = word == "quiet"
                if runner is not None:
                    runner.quiet(on=self._is_quiet)
            case "dump" if runner is not None:
                runner.ask(lambda told: self._outbox.put({"event": "state", "told": told}))
            case "wake" if runner is not None:
                runner.wake()
            case "wake-keys" if runner is not None:
                runner.ask(
                    lambda _: self._outbox.put({"event": "wakes", "wakes": self._wake_keys()})
                )
            case "stacks":
                faulthandler.dump_traceback(all_threads=True)
            case _:
                self._learn(*word.partition(" ")[::2])

    def _learn(self, name: str, value: str) -> None:
        """Take in what the supervisor says beside its commands."""
        match name:
            case "carry":
                self._wish = value
                if self._runner is not None:
                    self._runner.carry(value)
            case "deaths":
                self.deaths = int(value)
            case "concurrency":
                self._concurrency = int(value)
                self._resize(self._concurrency)
            case _:
                pass

    # Speaking

    def _speak(self) -> None:
        due = time.monotonic()
        while True:
            try:
                told = self._outbox.get(timeout=max(0.0, due - time.monotonic()))
            except queue.Empty:
                due = time.monotonic() + TICK_SECONDS
                self._say_numbers()
                told = self._tick(time.monotonic())
            if told is None:
                return
            if told["event"] == "numbers":
                self._say_numbers()
                continue
            self._say(told)
            if told["event"] == "ready":
                self._is_ready_said.set()

    def _say(self, told: dict[str, Any]) -> None:
        # When the link is broken the other thread ends us.
        with contextlib.suppress(OSError):
            self._link.sendall(json.dumps(told).encode() + b"\n")

    def _say_numbers(self) -> None:
        for part in self._numbers().packed():
            self._say({"event": "numbers", "numbers": part})

    def _tick(self, now: float) -> dict[str, Any]:
        runner, silent = self._runner, now - self._clock.signed
        totals: dict[str, Any] = {}
        if runner is not None:
            in_hand = self._in_hand()
            totals = {**asdict(runner.totals), "in_hand": in_hand, "places": runner.places}
            totals["cpu"] = time.process_time()
            if silent >= NUDGE_SECONDS:
                # Its word again: it wakes the loop, and changes nothing.
                runner.quiet(on=self._is_quiet)
            over = self._lifetime.is_over(
                age_seconds=now - self._born,
                memory_bytes=processes.memory_bytes(),
                claimed=runner.totals.claimed,
            )
            if over and not self.why:
                self.stop(over)
        return {
            "event": "beat",
            "silent": round(silent, 3),
            "database": not self._is_away,
            "leaving": self.why if self.why.startswith("max-") else "",
            "totals": totals,
        }
