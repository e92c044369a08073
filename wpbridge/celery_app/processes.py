"""The processes of a Celery worker: each that runs tasks has one runner.

Of the prefork pool, each child has its own. A runner opens its connections after the fork. The
pools of threads and ``solo`` have one runner in the only process there is. Greenlets are refused:
handlers run on threads of their own, which greenlets would block.
"""

import logging
import os
import signal
from typing import Any, Final, NoReturn

import celery.bootsteps
import celery.signals

from wpbridge.app.handed_worker import HandedWorker
from wpbridge.errors import WpbridgeError
from wpbridge.site.config import load, working_folder
from wpbridge.telling import lines
from wpbridge.telling.log import tell

HANDLERS: Final = "WPBRIDGE_HANDLERS"
EX_CONFIG: Final = 78


class Processes:
    """The runner of this process, made when it is known which process runs tasks."""

    def __init__(self) -> None:
        self._worker: HandedWorker | None = None
        self._main = os.getpid()

    def connect(self) -> None:
        """Follow Celery's own moments."""
        strong = {"weak": False}
        celery.signals.worker_process_init.connect(lambda **_: self._begin(1), **strong)
        celery.signals.worker_process_shutdown.connect(lambda **_: self._end(), **strong)
        celery.signals.worker_ready.connect(self._when_ready, **strong)
        celery.signals.worker_shutting_down.connect(lambda **_: self._announce_end(), **strong)
        celery.signals.worker_shutdown.connect(lambda **_: self._end(), **strong)
        celery.signals.setup_logging.connect(_set_up_log, **strong)

    def here(self) -> HandedWorker:
        """Return the runner of this process; it begins with the first task at the latest."""
        return self._worker or self._begin(1)

    def _when_ready(self, sender: Any, **_: Any) -> None:
        self._main = os.getpid()
        pool = sender.controller.pool
        if _pool_name(type(pool)) != "prefork":
            self._begin(max(1, int(pool.limit or 1)))

    def _begin(self, concurrency: int) -> HandedWorker:
        if self._worker is not None:
            return self._worker
        try:
            settings = load({}, os.environ, working_folder())
        except WpbridgeError as error:
            self._end_process(str(error))
            raise
        worker = HandedWorker(settings, concurrency, end_process=self._end_process)
        self._worker = worker
        worker.start()
        return worker

    def _announce_end(self) -> None:
        if self._worker is not None:
            self._worker.announce_stop()

    def _end(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()

    def _end_process(self, reason: str) -> None:
        """Have Celery's worker end after what runs."""
        tell("celery.stopping", reason=reason)
        is_child = os.getpid() != self._main
        os.kill(os.getppid() if is_child else os.getpid(), signal.SIGTERM)


def refuse(reason: str) -> NoReturn:
    """End the process with one line on its standard error."""
    os.write(2, f"wpbridge: {reason}\n".encode())
    raise SystemExit(EX_CONFIG)


def _pool_name(kind: type[Any]) -> str:
    return kind.__module__.rpartition(".")[2]


class OptionCheck(celery.bootsteps.Step):  # type: ignore[misc]
    """Looks at the worker's options before anything starts."""

    def __init__(self, parent: Any, handlers: str | None = None, **options: Any) -> None:
        super().__init__(parent, **options)
        if handlers:
            # Children read the settings anew.
            os.environ[HANDLERS] = handlers
        name = _pool_name(parent.pool_cls)
        if name in {"gevent", "eventlet"}:
            refuse(
                f"the pool {name} cannot run handlers: they run on threads, with time limits and"
                " drivers that would block all greenlets; use --pool prefork or --pool threads"
            )
        try:
            load({}, os.environ, working_folder())
        except WpbridgeError as error:
            refuse(str(error))


def _set_up_log(loglevel: int, **_: object) -> None:
    """Write all lines as wpbridge does, and those of Celery from the level that it was given."""
    settings = load({}, os.environ, working_folder())
    lines.set_up(settings.verbose, settings.log_format)
    logging.getLogger("celery").setLevel(loglevel)
