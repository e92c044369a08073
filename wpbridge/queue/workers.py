"""Wish something of a runner on whatever host: that it is quiet, works again, or stops.

A wish is a word in the runner's row. The runner reads it with its next beat, 15 seconds later at
most, and obeys. So a runner of an older release, or a dead one, does not obey: its row says so.
"""

from wpbridge.errors import InputError
from wpbridge.queue.connection import QueueConnection
from wpbridge.store.running.seen_runners import seen_runners
from wpbridge.store.running.wishes import Wish, make_wish


def set_wish(queue: QueueConnection, runner_id: int, wish: Wish) -> bool:
    """Wish something of a runner; return whether that is new.

    ``quiet``: it claims nothing more, and what runs goes on. An empty wish takes that back.
    ``stop``: it ends in order, and a worker of a daemon ends the whole daemon. That cannot be taken
    back. Whatever is wished, no action is lost or run twice for it.

    Raises:
        InputError: there is no such runner, it was told to stop, or it belongs to the gateway,
            which its own service manager stops.
        SchemaError: the account cannot bring wpbridge's own tables forward.
    """
    check_wish(queue, runner_id, wish)
    return make_wish(queue.store.tables, runner_id, wish)


def check_wish(queue: QueueConnection, runner_id: int, wish: Wish) -> bool:
    """Check a wish, and return whether :func:`set_wish` would change anything; change nothing.

    Raises:
        InputError: as :func:`set_wish` raises it.
    """
    found = seen_runners(queue.store.tables)
    seen = next((one for one in found if one.runner.id == runner_id), None)
    if seen is None:
        raise InputError(f"there is no runner {runner_id}: it may have ended")
    if seen.wish == "stop" and wish != "stop":
        raise InputError(f"runner {runner_id} was told to stop, which cannot be taken back")
    if wish == "stop" and seen.about.kind == "serve":
        raise InputError(
            f"runner {runner_id} belongs to the gateway, which `wpbridge serve` started: stop that"
        )
    return seen.wish != wish
