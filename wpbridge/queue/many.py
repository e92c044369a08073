"""Many actions added in transactions of bounded size, and what became of them."""

from collections.abc import Callable, Iterable, Sequence

from wpbridge.action import ActionId
from wpbridge.dataclass import dataclass
from wpbridge.errors import WpbridgeError
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import Queue
from wpbridge.telling.words import plural


@dataclass(slots=True, kw_only=True)
class Added:
    """How many actions were added, and how many were not."""

    added: int = 0
    refused: int = 0
    """Unique ones whose like is pending or running."""
    known: int = 0
    """Their idempotency key was used before."""


def add_batches(
    queue: Queue,
    batches: Iterable[Sequence[Enqueue]],
    tell: Callable[[Sequence[ActionId | None]], None],
) -> Added:
    """Add each batch in a transaction of its own.

    Args:
        queue: the site's.
        batches: of actions.
        tell: is given the ids of each batch, in its order; None for a refused one.

    Raises:
        WpbridgeError: a batch failed. Those before it stay, and the message says how many they are.
    """
    done = Added()
    try:
        for batch in batches:
            before = {queue.refusal(one) for one in batch if one.key}
            ids = queue.enqueue_many(batch)
            new_ids = {*ids} - before - {None}
            done.added += len(new_ids)
            done.refused += ids.count(None)
            done.known += len(ids) - ids.count(None) - len(new_ids)
            tell(ids)
    except WpbridgeError as error:
        if not done.added:
            raise
        actions = plural(done.added, "action")
        raise type(error)(f"{error}; {actions} had been added") from error
    return done
