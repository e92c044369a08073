"""Run a bulk: an action of ``wpbridge_bulk`` changes everything that its filter matches.

It takes turns: after some seconds it goes back into the queue, so that a runner with one place runs
other actions too. So a pause of its hook or its group stops it within such a turn.
"""

import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from wpbridge.errors import (
    ConfigError,
    Contention,
    ExecutionError,
    InputError,
    StoreUnavailable,
)
from wpbridge.executors.handlers import Context
from wpbridge.outcome import Snooze
from wpbridge.queue.bulk import Bulk
from wpbridge.queue.bulk_pages import BulkPages
from wpbridge.queue.facade import Queue
from wpbridge.queue.jobs import JobQueue

TURN_SECONDS: Final = 20.0
LATER: Final = timedelta(minutes=1)
"""When the database does not answer in time, it goes on so much later."""


def run_with_room(context: Context, places: threading.Semaphore) -> dict[str, Any]:
    """Run one action of ``wpbridge_bulk`` as :func:`run` does, if one of the places is free.

    Raises:
        Snooze: all are taken by other bulks. It comes again after their turn.
    """
    if not places.acquire(blocking=False):
        raise Snooze(timedelta(seconds=TURN_SECONDS), "other bulks have their turn")
    try:
        return run(context)
    finally:
        places.release()


def run(context: Context, *, monotonic: Callable[[], float] = time.monotonic) -> dict[str, Any]:
    """Run one action of ``wpbridge_bulk``; return how many actions were changed and left.

    Raises:
        Snooze: the runner ends, or others shall have their turn. It goes on from there.
        ExecutionError: it has failed, and is not tried again. A requeue of it goes on.
    """
    queue = context.queue
    if not isinstance(queue, Queue):
        raise ConfigError("a bulk needs the queue of its site")
    args = context.args if isinstance(context.args, Mapping) else {}
    try:
        bulk = Bulk.of(args)
        pages = BulkPages(JobQueue.beside(queue), context.id, bulk)
    except InputError as error:
        raise ExecutionError(f"the args of this action are none that can be run: {error}") from None
    over = monotonic() + TURN_SECONDS
    try:
        while pages.step():
            _tell(context, pages, bulk)
            if context.is_stopping():
                raise Snooze(timedelta(0), f"{_words(pages)}; the runner ends, another one goes on")
            if monotonic() >= over:
                raise Snooze(timedelta(0), f"{_words(pages)}; others have their turn")
    except (StoreUnavailable, Contention) as error:
        raise Snooze(LATER, f"{_words(pages)}; {error}") from error
    _tell(context, pages, bulk)
    return {"changed": pages.progress.changed, "skipped": dict(pages.progress.skipped)}


def _tell(context: Context, pages: BulkPages, bulk: Bulk) -> None:
    context.progress(pages.progress.seen / max(1, bulk.count), _words(pages))


def _words(pages: BulkPages) -> str:
    done = pages.progress
    return f"{done.changed:,} changed, {done.skipped.total():,} left as they are"
