"""Makes the idempotency key of an action, and ids that tell their order.

A receiver ignores a request whose key it has seen before. So an action must always have the same
key, however the runner was given the site's address, and no other action may have that key.
"""

import os
import time
import uuid
from typing import Final

_OF_0_1: Final = uuid.UUID("6c0a5b0e-0d0c-5d5e-9d0a-2f1c6a2f7b11")
_SPACE: Final = uuid.UUID("0b1d3c9e-5c0f-5a52-8f0e-7d2c1b9a6e44")

THROUGH: Final = "celery:"
"""What stands before the key of an action that was enqueued through a broker: it is kept as it is,
since the handler of its row must find it again."""


def key_of(*, site_id: str, blog: str, action_id: int, hook: str, args: bytes) -> str:
    """Return the key of an action.

    Args:
        site_id: the random id that the site keeps in one of wpbridge's own tables.
        blog: the prefix of the blog's tables, which tells the blogs of one database apart.
        action_id: the action's id.
        hook: the action's hook.
        args: the action's JSON text, as its row has it.
    """
    work = work_hash(action_id, hook, args)
    return str(uuid.uuid5(_SPACE, _joined(site_id, blog, work).hex()))


def key_of_0_1(site_name: str, action_id: int) -> str:
    """Return the key that wpbridge 0.1 made, from the site's name as its runner knew it."""
    return str(uuid.uuid5(_OF_0_1, f"{site_name}/{action_id}"))


def work_hash(action_id: int, hook: str, args: bytes) -> str:
    """Return a hash of an action's id, hook and args, in 64 hexadecimal digits.

    A server may give an id to a second action. The hash tells the two apart.
    """
    import hashlib  # noqa: PLC0415 - loads OpenSSL, and only runners ask for keys

    return hashlib.sha256(_joined(str(action_id), hook) + args).hexdigest()


def _joined(*texts: str) -> bytes:
    """Join texts to bytes in which the end of each text can be told."""
    several = [text.encode("utf-8", "surrogatepass") for text in texts]
    return b"".join(b"%d:%s" % (len(one), one) for one in several)


def new_uuid() -> str:
    """Return a UUID of version 7: the time in milliseconds, then 74 random bits (RFC 9562)."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10))
    value &= ~(0xF << 76) & ~(0x3 << 62)
    text = f"{value | 7 << 76 | 2 << 62:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
