"""Bring back what was handed over to Celery: stop the relays, and empty the broker's queues.

What a relay had named and no worker has started is free again when the relay has stopped, and its
messages count no more. What only a message holds becomes a row, under the same idempotency key. A
message is acknowledged after that is committed, so a crash in between leaves it in its queue, and
the next drain finds that the row is there.
"""

import contextlib
import time
from collections.abc import Callable, Collection, Sequence
from typing import Final

from wpbridge.action import Action, ActionId
from wpbridge.clock import SystemClock
from wpbridge.dataclass import dataclass
from wpbridge.errors import InputError, StoreError
from wpbridge.executors.celery.broker import BATCH, Broker, TakenMessage
from wpbridge.executors.celery.messages import RUN_TASK, THROUGH_TASK, action_of, whole_of
from wpbridge.queue.through import site_mark
from wpbridge.runner.identity import identity
from wpbridge.runner.liveness import is_gone
from wpbridge.runner.reaper import reap
from wpbridge.site.config import Settings
from wpbridge.store.opened import OpenStore
from wpbridge.store.reading.live_claims import LiveClaims
from wpbridge.store.running.handed import make_rows
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.store.running.seen_runners import SeenRunner, seen_runners
from wpbridge.store.running.wishes import make_wish

PATIENCE_SECONDS: Final = 60.0
"""A relay obeys with its next beat, 15 seconds later at most, and then frees what it holds."""
LOOK_SECONDS: Final = 0.25
_MOST_SHOWN: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """What was brought back."""

    relays: int
    """Relays that were told to stop, and have."""
    dropped: int
    """Messages that named an action of the table, and count no more."""
    rows: int
    """Actions that only a message held, and that are rows now."""
    others: int
    """Messages that are not of this site, or none of wpbridge's, or that the tables cannot hold:
    they were left in their queues."""
    running: int
    """Actions that workers of Celery still run; they end as ever."""


def queues_of(settings: Settings) -> list[str]:
    """Return the broker's queues that the routes name."""
    return list(dict.fromkeys(one.queue for one in settings.routes if one.to == "celery"))


def relays(store: OpenStore) -> list[SeenRunner]:
    """Return the relays of the site that have a row."""
    return [one for one in seen_runners(store.tables) if one.about.kind == "relay"]


def running(store: OpenStore) -> int:
    """Return how many actions workers of Celery have in hand."""
    claims = [
        claim
        for one in seen_runners(store.tables)
        if one.about.kind == "celery"
        for claim in one.runner.claims
    ]
    if not claims:
        return 0
    waiting = store.session.run(lambda c: store.writes.waiting(c, claims))
    return len(waiting) + len(LiveClaims(store.tables).running(claims, _MOST_SHOWN))


def drain(
    settings: Settings, store: OpenStore, broker: Broker, *, tell: Callable[[str], None]
) -> Drained:
    """Stop all relays of the site, and empty the queues of its routes.

    ``tell`` is given a line for people now and then.

    Raises:
        StoreError: a relay has not stopped in time; nothing was taken from the broker then.
        BrokerUnavailable: the broker does not answer. The relays have stopped.
    """
    stopped = _stop_relays(store, tell)
    mark, clock = site_mark(store), SystemClock()
    dropped = rows = others = 0
    try:
        for queue in queues_of(settings):
            while taken := broker.take(queue, BATCH):
                whole = _wholes(taken, mark)
                made = make_rows(store, [action for action, _ in whole.values()], clock.now())
                void = [one for one in taken if _is_void(one, mark)]
                done = [*void, *(whole[key][1] for key in made)]
                for one in done:
                    one.ack()
                rows += sum(one.is_new for one in made.values())
                dropped += len(void)
                others += len(taken) - len(done)
    finally:
        # What is not acknowledged goes back.
        broker.close()
    return Drained(
        relays=stopped, dropped=dropped, rows=rows, others=others, running=running(store)
    )


def _stop_relays(store: OpenStore, tell: Callable[[str], None]) -> int:
    """Have the relays stop, and wait until their rows are gone. Dead ones are put back."""
    mine = RunnerStore(store)
    me, clock = identity(), SystemClock()
    first = relays(store)
    for one in first:
        make_wish(store.tables, one.runner.id, "stop")
    if first:
        tell(f"waiting until {len(first)} relay(s) have stopped, up to {PATIENCE_SECONDS:g} s")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while left := relays(store):
        if dead := {one.runner.id for one in left if is_gone(one.runner, me)}:
            _reap(mine, clock, dead)
        elif time.monotonic() > deadline:
            names = ", ".join(f"{one.runner.host} pid {one.runner.pid}" for one in left)
            raise StoreError(
                f"these relays have not stopped: {names}; end them by hand, then drain again"
            )
        time.sleep(LOOK_SECONDS)
    return len(first)


def _reap(mine: RunnerStore, clock: SystemClock, dead: Collection[int]) -> None:
    """Free what dead relays held. Nothing of it had started."""
    me = identity()
    mine.register(host=me.host, boot=me.boot, pid=me.pid, pid_started=me.pid_started, places=0)
    reap(mine, me, clock, judge=lambda runner, _me: runner.id in dead)
    mine.unregister()


def _wholes(
    taken: Sequence[TakenMessage], mark: str
) -> dict[ActionId, tuple[Action, TakenMessage]]:
    """Return the actions of this site that only messages hold, by ids that lie below 0."""
    found: dict[ActionId, tuple[Action, TakenMessage]] = {}
    for number, one in enumerate(taken, 1):
        if one.task != THROUGH_TASK:
            continue
        with contextlib.suppress(InputError):
            told = whole_of(one.args)
            if told.site == mark:
                found[ActionId(-number)] = action_of(told, -number), one
    return found


def _is_void(one: TakenMessage, mark: str) -> bool:
    return one.task == RUN_TASK and isinstance(one.args, list) and one.args[:1] == [mark]
