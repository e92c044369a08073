"""A runner beside the tasks of a Celery worker's process: each task names one action to it.

The task waits until the action's handler has ended, so that Celery sees how busy its worker is. It
does not wait until the ending is written: the runner writes it with the claim of the next action,
or a moment later. A process that dies before that leaves a started action, as a local run would.
"""

import itertools
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from wpbridge.action import ActionId, ClaimId
from wpbridge.app.parts import Parts, prepared
from wpbridge.app.runners import Named, make_runner, wait_for_database
from wpbridge.dataclass import dataclass
from wpbridge.errors import ConfigError, SiteError
from wpbridge.executors.base import Mailbox, Report
from wpbridge.executors.celery.messages import Wake, WholeAction, action_of
from wpbridge.outcome import Completed, Unrun
from wpbridge.queue.through import site_mark
from wpbridge.runner.loop import Runner
from wpbridge.site.bounds import Bounds
from wpbridge.site.config import Settings
from wpbridge.store.running.fences import Handed
from wpbridge.store.running.handed import Fate, Inbox
from wpbridge.telling.log import tell

LOOK_SECONDS: Final = 1.0
"""How often a task that waits looks whether the runner still has its action."""
STOP_SECONDS: Final = 30.0
"""How long the runner may take to write what has ended, when its process is told to end."""
COMPLETE, NOT_RUN = "complete", "not run"
"""What a task returns whose handler has completed, and one whose action was put back."""
LAST_LOOKS: Final = 8
"""So many looks long a task waits in a runner that is to end, or shall claim no more. A worker of
Celery that ends waits for its tasks, and cannot be told that this one will not start."""
NOT_OURS: Final = "dropped"
"""What a task returns whose action was not to be started: its fence did not count any more."""


@dataclass(slots=True, eq=False)
class _Wait:
    """A task that waits for its action."""

    over: threading.Event
    told: str = NOT_OURS

    def end(self, told: str) -> None:
        """Let the task return this."""
        self.told = told
        self.over.set()


class _Mailbox(Mailbox):
    """Where executors put their reports. The tasks whose actions have ended hear of it."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: dict[int, _Wait] = {}

    def put(self, *reports: Report) -> None:
        """Add reports."""
        super().put(*reports)
        for report in reports:
            action, word = report.call.action, _word(report)
            # What has no row and did not complete becomes one first.
            if action.has_row or word == COMPLETE:
                self.end(action.id, word)

    def end(self, action_id: int, word: str) -> None:
        """Let the task of an action return a word."""
        if wait := self.waits.get(action_id):
            wait.end(word)

    def tell(self, action_id: int, fate: Fate) -> None:
        """Let the task of an action without a row return, since its fate is sealed."""
        self.end(action_id, "not complete" if fate == "written" else fate)

    def give_back(self) -> None:
        """Let the tasks of all actions without a row return: they were forgotten."""
        for action_id in [one for one in list(self.waits) if one < 0]:
            self.end(action_id, NOT_RUN)


def _word(report: Report) -> str:
    if isinstance(report.outcome, Completed):
        return COMPLETE
    return NOT_RUN if isinstance(report.outcome, Unrun) else "not complete"


class HandedWorker:
    """The runner of one process of a Celery worker. Its methods may be called from any thread."""

    def __init__(
        self, settings: Settings, concurrency: int, *, end_process: Callable[[str], None]
    ) -> None:
        """Make it; :meth:`start` starts it.

        Args:
            settings: those of every process of the site.
            concurrency: how many tasks run at once in this process.
            end_process: called with the reason when this process can run nothing, or shall end.
        """
        self._settings = replace(
            settings,
            batches=0,
            max_time=None,
            max_actions=0,
            concurrency=Bounds(concurrency, concurrency),
        )
        self._end_process = end_process
        self._inbox = Inbox()
        self._mailbox = _Mailbox()
        self._runner: Runner | None = None
        self._site = ""
        self._numbers = itertools.count(1)
        self._ready = threading.Event()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._work, name="wpbridge-runner", daemon=True)

    def start(self) -> None:
        """Open the store, load the handlers and run, all in a thread of its own."""
        self._thread.start()

    def run(self, told: Wake) -> str:
        """Run the action that a message names, if it still waits; return what became of it.

        ``complete``, ``not complete`` for any other end of its handler, ``not run`` when it was put
        back, and :data:`NOT_OURS`. Returns when the handler has ended.
        """
        self._ready.wait()
        if (runner := self._runner) is None:
            return NOT_OURS
        if told.site != self._site:
            reason = f"the message is for the site {told.site}, not for {self._site}"
            tell("celery.refused", reason=reason)
            return NOT_OURS
        handed = Handed(
            action_id=ActionId(told.action_id),
            claim_id=ClaimId(told.claim_id),
            relay=told.relay,
        )
        wait = _Wait(threading.Event())
        if self._mailbox.waits.setdefault(handed.action_id, wait) is not wait:
            # Another task of this process has the action already: this message is a copy.
            return NOT_OURS
        try:
            self._inbox.put(handed, refused=wait.over.set)
            runner.wake()
            self._await(
                wait,
                runner,
                withdraw=lambda: self._inbox.withdraw(handed),
                is_there=lambda: self._inbox.has(handed) or runner.has(handed.action_id),
            )
        finally:
            del self._mailbox.waits[handed.action_id]
        return wait.told

    def run_whole(self, told: WholeAction) -> str:
        """Run an action that its message alone holds; return what became of it.

        ``complete``; ``not complete`` for any other end, of which a row tells now; ``row`` when it
        became a pending row instead, since it is paused or cannot run here; and ``not run`` when
        the message must be delivered again.
        """
        self._ready.wait()
        runner = self._runner
        if runner is None or not self._thread.is_alive():
            return NOT_RUN
        if told.site != self._site:
            reason = f"the message is for the site {told.site}, not for {self._site}"
            tell("celery.refused", reason=reason)
            return NOT_RUN
        action = action_of(told, -next(self._numbers))
        wait = self._mailbox.waits[action.id] = _Wait(threading.Event(), NOT_RUN)
        try:
            self._inbox.put_whole(action)
            runner.wake()
            self._await(wait, runner, withdraw=lambda: self._inbox.withdraw_whole(action))
        finally:
            del self._mailbox.waits[action.id]
        return wait.told

    def _await(
        self,
        wait: _Wait,
        runner: Runner,
        *,
        withdraw: Callable[[], bool],
        is_there: Callable[[], bool] = lambda: True,
    ) -> None:
        """Wait until an action has ended, was put back, or will not start any more.

        Args:
            wait: is over when the runner or an executor has told what became of the action.
            runner: the one of this process.
            withdraw: takes the action out of the inbox; returns whether it was there.
            is_there: whether the inbox or the runner has it, for one of which nobody tells when
                the runner has lost it.
        """
        missed = idle = 0
        while not wait.over.wait(LOOK_SECONDS):
            idle = idle + 1 if self._is_stopping or runner.is_quiet else 0
            missed = 0 if is_there() and self._thread.is_alive() else missed + 1
            if missed > 1 or (idle > LAST_LOOKS and withdraw()):
                wait.told = NOT_RUN
                return

    def announce_stop(self) -> None:
        """Have tasks not wait for a database that is away: the pool ends when they have ended.

        The relay names their actions again. It may be called in a signal handler.
        """
        self._is_stopping = True

    def stop(self) -> None:
        """Let what runs end, write it, and end the runner."""
        self._is_stopping = True
        if self._runner is not None:
            self._runner.stop()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def _work(self) -> None:
        try:
            parts = prepared(self._settings, is_daemon=True, prepare=wait_for_database)
        except (ConfigError, SiteError) as error:
            self._end_process(str(error))
            self._ready.set()
            return
        try:
            self._drive(parts)
        except Exception as error:
            self._end_process(f"{type(error).__name__}: {error}")
            raise
        finally:
            self._ready.set()
            parts.close()

    def _drive(self, parts: Parts) -> None:
        runner = make_runner(
            self._settings,
            parts.site,
            parts.store,
            parts.handlers,
            only=parts.only,
            daemon=True,
            kind="celery",
            named=Named(
                inbox=self._inbox,
                mailbox=self._mailbox,
                told=self._mailbox.tell,
                dropped=self._mailbox.give_back,
            ),
        )
        runner.when_wished(self._obey)
        parts.store.own.prepare()
        self._site = site_mark(parts.store)
        self._runner = runner
        self._ready.set()
        if self._is_stopping:
            runner.stop()
        runner.run()

    def _obey(self, wish: str) -> None:
        if wish == "stop":
            self._end_process("it is wished that this worker stops")
