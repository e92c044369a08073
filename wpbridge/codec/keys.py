"""The idempotency key of an action: what it is made of. Pure.

A receiver drops what comes under a key that it has seen before. So one action must have one key,
however the runner was told where the site is, and other work must never have the key of this one.
"""

import hashlib
import uuid
from typing import Final

_OF_0_1: Final = uuid.UUID("6c0a5b0e-0d0c-5d5e-9d0a-2f1c6a2f7b11")
_SPACE: Final = uuid.UUID("0b1d3c9e-5c0f-5a52-8f0e-7d2c1b9a6e44")


def key_of(*, site_id: str, blog: str, action_id: int, hook: str, args: bytes) -> str:
    """The key of an action.

    Args:
        site_id: the random id that the site keeps in a table of ours.
        blog: what tells the blogs of one database apart: the prefix of the blog's tables.
        action_id: of the action.
        hook: of the action.
        args: the action's JSON text, as its row holds it.
    """
    work = work_hash(action_id, hook, args)
    return str(uuid.uuid5(_SPACE, _joined(site_id, blog, work).hex()))


def key_of_0_1(site_name: str, action_id: int) -> str:
    """The key that wpbridge 0.1 gave: of the site's name, as the runner knew it, and the id."""
    return str(uuid.uuid5(_OF_0_1, f"{site_name}/{action_id}"))


def work_hash(action_id: int, hook: str, args: bytes) -> str:
    """What an action's id and its work come to, in 64 hexadecimal digits.

    A server may hand an id out twice. This is the same only if the hook and the args are, too.
    """
    told = _joined(str(action_id), hook) + args
    return hashlib.sha256(told).hexdigest()


def _joined(*texts: str) -> bytes:
    """Texts as bytes that tell where each of them ends."""
    several = [text.encode("utf-8", "surrogatepass") for text in texts]
    return b"".join(b"%d:%s" % (len(one), one) for one in several)
