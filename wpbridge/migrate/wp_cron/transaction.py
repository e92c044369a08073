"""Makes one transaction over the queue and WordPress's options."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final, TypeAlias, TypeVar

from wpbridge.action import ActionId, ClaimId
from wpbridge.codec.wp_cron import Event
from wpbridge.errors import Contention, SiteError
from wpbridge.queue.facade import Queue
from wpbridge.store.bulk.reading import WINDOW_BYTES
from wpbridge.store.database.portions import portions
from wpbridge.store.database.session import Transaction
from wpbridge.store.opened import OpenStore
from wpbridge.store.rows.options import CRON

T = TypeVar("T")
States: TypeAlias = Callable[[Sequence[ActionId]], Mapping[ActionId, tuple[str, ClaimId]]]
"""Looks at actions' statuses and claims, and locks them."""

BATCH: Final = 1000
"""Events a transaction."""
DEADLOCKS: Final = 5
"""How often a transaction that was given up for another's is begun again."""
TRIES: Final = 100
"""How often the option may be written by others before this one gives up."""


def read_option(parts: OpenStore) -> bytes:
    """Read the bytes of the cron option; SiteError where there is none."""
    data = parts.options.read(CRON)
    if data is None:
        raise SiteError("there is no cron option: WordPress has scheduled nothing on this site")
    return data


def in_batches(events: Sequence[Event]) -> Iterator[list[Event]]:
    """Yield events in their order, as many at a time as a transaction takes."""
    return portions(events, most=BATCH, room=WINDOW_BYTES, size_of=lambda one: len(one.value))


class Late(Exception):
    """The option has changed meanwhile, so nothing that this transaction did may stay."""


def transact(
    queue: Queue, work: Callable[[OpenStore], T | None], was_made: Callable[[States, T], bool]
) -> T | None:
    """Make one transaction over queue and options. None, with nothing done, when it came too late.

    Args:
        queue: the site's.
        work: does it, and returns None when it comes too late.
        was_made: whether a transaction whose COMMIT was never answered was made after all, by the
            states of actions, for which that transaction's end is waited for.
    """
    tried: list[T] = []

    def attempt(connection: Transaction) -> T:
        with queue.store.inside(connection) as parts:
            if tried and queue.store.session.in_doubt:
                states = partial(parts.writes.states, connection)
                if was_made(states, tried[0]):
                    return tried[0]
            done = work(parts)
        if done is None:
            raise Late
        tried[:] = [done]
        return done

    for left in reversed(range(DEADLOCKS)):
        try:
            return queue.store.session.transact(attempt)
        except Late:
            return None
        except Contention:
            if not left:
                raise
    return None
