"""Relays and workers of Celery as real processes, and what their logs and rows tell.

They read a ``wpbridge.toml`` in their folder. Nothing here waits for a fixed time: the rows of the
table of runners tell who is ready.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import warm
from brokers import Broker
from daemons import DEADLINE_SECONDS, processes, until
from rows import query
from stores import open_store
from wpbridge.site.database import DatabaseAddress

ROOT: Final = Path(__file__).parent.parent
ROUTES: Final = '[[routes]]\nhook = "*"\nto = "celery"\n'
"""Everything goes to Celery."""


class Process:
    """A relay or a worker."""

    def __init__(self, process: "subprocess.Popen[Any]", log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def pid(self) -> int:
        return int(self.process.pid)

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def logged(self, words: str, times: int = 1, *, seconds: float = DEADLINE_SECONDS) -> None:
        """Wait until the log holds these words."""
        until(lambda: self.log().count(words) >= times, lambda: f"{words}: {self.log()}", seconds)

    def kill(self) -> None:
        """Kill it, and wait until it is gone."""
        self.process.kill()
        self.process.wait()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Have it end in order; returns its exit code."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        return int(self.process.wait(timeout=DEADLINE_SECONDS))

    def children(self) -> list[int]:
        """The processes that it has started and that have not ended."""
        try:
            told = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text("ascii")
        except OSError:
            return []
        return [int(pid) for pid in told.split()]


class Handover:
    """A folder, a queue and a broker, between which relays and workers run."""

    def __init__(
        self,
        folder: Path,
        dsn: str,
        broker: Broker,
        *,
        url: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """``url``: of a proxy in front of the broker. ``env``: for all processes."""
        self.folder = folder
        self.dsn = dsn
        self.broker = broker
        self.url = broker.url if url is None else url
        self.env = dict(env or {})
        self.queue = "wpbridge"
        self.started: list[Process] = []
        self._store = open_store(DatabaseAddress.from_dsn(dsn), "wp_")
        self._store.session.patience_seconds = DEADLINE_SECONDS

    def settings(
        self, *, handlers: str, routes: str = ROUTES, more: str = "", **celery: Any
    ) -> str:
        """Write ``wpbridge.toml``; ``celery`` goes into its table, ``more`` to its end."""
        options = ", ".join(f"{k} = {json.dumps(v)}" for k, v in self._options().items())
        values = {"resend_after": "1s", **celery}
        text = "\n".join(
            [
                f"[run]\nhandlers = [{json.dumps(handlers)}]\npoll_interval = 1",
                f"[celery]\nbroker = {json.dumps(self.url)}",
                *([f"transport_options = {{{options}}}"] if options else []),
                *(f"{name} = {json.dumps(value)}" for name, value in values.items()),
                routes,
                more,
            ]
        )
        (self.folder / "wpbridge.toml").write_text(text, encoding="utf-8")
        return text

    def _options(self) -> Mapping[str, Any]:
        return self.broker.transport_options

    def environment(self, **more: str) -> dict[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("WPBRIDGE_")}
        state = os.environ.get("WPBRIDGE_STATE_DIR")
        return {
            **clean,
            **({"WPBRIDGE_STATE_DIR": state} if state else {}),
            "PYTHONPATH": str(ROOT),
            "WPBRIDGE_DSN": self.dsn,
            "WPBRIDGE_DRIVER": "pymysql",
            "MARK": str(self.folder),
            **self.env,
            **more,
        }

    # Processes

    def relay(self, *flags: str, name: str = "relay", **env: str) -> Process:
        """Start a relay, and wait until it has entered the table of runners."""
        relay = self.start(["-m", "wpbridge", "relay", "-v", *flags], name, **env)
        self._until_there(relay, lambda: relay.pid in self.runners("relay"))
        return relay

    def worker(
        self,
        *flags: str,
        pool: str = "prefork",
        concurrency: int = 2,
        name: str = "worker",
        is_awaited: bool = True,
        **env: str,
    ) -> Process:
        """Start a worker of Celery, and wait until each process that runs tasks has entered."""
        words = [
            *("-m", "celery", "-A", "wpbridge.celery_app", "worker", "--loglevel", "INFO"),
            *("--hostname", f"{name}@localhost", "--pool", pool, "--concurrency", str(concurrency)),
            # They would look at each other, and wait for each other in the beginning.
            *("--without-gossip", "--without-mingle", *flags),
        ]
        worker = self.start(words, name, **env)
        if is_awaited:
            self.until_ready(worker, concurrency if pool == "prefork" else 0)
        return worker

    def until_ready(self, worker: Process, children: int) -> None:
        """Wait until each process of a worker that runs tasks has entered."""

        def is_ready() -> bool:
            there = set(worker.children() if children else [worker.pid])
            entered = there.intersection(self.runners("celery"))
            return len(entered) >= max(1, children)

        self._until_there(worker, is_ready)

    def start(self, words: Sequence[str], name: str, **env: str) -> Process:
        """Start a process of Python whose output goes into a log of that name."""
        path = self.folder / f"{name}.log"
        with path.open("ab") as log:
            process = warm.Popen(
                [sys.executable, *words],
                cwd=self.folder,
                env=self.environment(**env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.started.append(Process(process, path))
        return self.started[-1]

    def celery(self, *words: str, seconds: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run a command of Celery's to its end."""
        return subprocess.run(
            [sys.executable, "-m", "celery", "-A", "wpbridge.celery_app", *words],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def wpbridge(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        command = [sys.executable, "-m", "wpbridge", *words]
        return warm.run(command, cwd=self.folder, env=self.environment())

    def _until_there(self, process: Process, is_there: Any) -> None:
        def looked() -> bool:
            code = process.process.poll()
            assert code is None, f"it ended with {code}: {process.log()}"
            return bool(is_there())

        until(looked, lambda: f"the start: {process.log()[-3000:]}")

    # The tables

    def runners(self, kind: str) -> dict[int, int]:
        """The ids of the rows of runners of a kind, by their processes."""
        rows = query(self._store, "SELECT pid, runner_id, about FROM wp_wpbridge_runners")
        return {
            int(str(pid)): int(str(runner))
            for pid, runner, about in rows
            if about and json.loads(str(about)).get("kind") == kind
        }

    def statuses(self) -> dict[str, int]:
        rows = query(
            self._store, "SELECT status, COUNT(*) FROM wp_actionscheduler_actions GROUP BY status"
        )
        return {str(status): int(str(count)) for status, count in rows}

    def unended(self) -> Sequence[Sequence[object]]:
        """Some actions that are due and have not ended, or are held."""
        return query(
            self._store,
            "SELECT action_id, hook, status, claim_id FROM wp_actionscheduler_actions"
            " WHERE status = 'in-progress' OR (status = 'pending'"
            " AND (claim_id <> 0 OR scheduled_date_gmt <= UTC_TIMESTAMP())) LIMIT 5",
        )

    def pending(self) -> list[str]:
        """The hooks of the actions that are due, held or running; not those of a later date."""
        rows = query(
            self._store,
            "SELECT hook FROM wp_actionscheduler_actions WHERE status = 'in-progress'"
            " OR (status = 'pending' AND (claim_id <> 0 OR"
            " scheduled_date_gmt <= UTC_TIMESTAMP() + INTERVAL 1 MINUTE))",
        )
        return [str(row[0]) for row in rows]

    def drained(self, seconds: float = DEADLINE_SECONDS) -> None:
        """Wait until nothing is due, held or running."""
        until(
            lambda: not self.unended(),
            lambda: f"the end of {self.unended()}: {self.logs()}",
            seconds,
            pause=0.02,
        )

    def logs(self) -> str:
        """The ends of all logs."""
        found = sorted(self.folder.glob("*.log"))
        return "".join(f"\n{one.name}:\n{one.read_text(errors='replace')[-2000:]}" for one in found)

    def close(self) -> None:
        """Kill all processes."""
        for one in self.started:
            if one.process.poll() is None:
                one.process.kill()
        for pid in processes(self.folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for one in self.started:
            one.process.wait()
        until(lambda: not processes(self.folder), "the end of all processes")
        self._store.close()


@contextlib.contextmanager
def handing_over(folder: Path, dsn: str, broker: Broker, **more: Any) -> Iterator[Handover]:
    """Hand over between a queue and a broker; no process outlives the block."""
    it = Handover(folder, dsn, broker, **more)
    try:
        yield it
    finally:
        it.close()
