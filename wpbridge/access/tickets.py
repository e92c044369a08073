"""A ticket: the right to enqueue one action, once; pure.

A ticket names a hook, a group and a hash of the args. Its id is the idempotency key of the job, so
a ticket that is used twice gives the same job, and nobody has to remember which ones were used.
"""

import hashlib
import hmac
from typing import Any

from wpbridge.codec import args as args_codec
from wpbridge.dataclass import dataclass
from wpbridge.errors import CodecError, InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What a ticket allows."""

    hook: str
    group: str
    args_hash: str
    """As :func:`args_hash` returns it."""
    id: str
    """The idempotency key."""

    def fits(self, hook: str, group: str, args: Any) -> bool:
        """Tell whether it was made for this action."""
        try:
            found = args_hash(args)
        except InputError:
            return False
        is_same = hmac.compare_digest(found, self.args_hash)
        return is_same and (hook, group) == (self.hook, self.group)


def args_hash(args: Any) -> str:
    """Return the SHA-256 of args as PHP writes them after it has read them, in hexadecimal digits.

    The order of names counts, since a PHP callback gets the values by their place. ``{}`` is the
    same as ``[]``, as in PHP. The companion plugin makes the same hash (``wpbridge_ticket()``).

    Raises:
        InputError: they are no args that the tables can hold.
    """
    if not isinstance(args, list | tuple | dict):
        raise InputError(f"args: a list or a dict, not {type(args).__name__}")
    try:
        stored = args_codec.encode_new(args)
        args_codec.columns(stored)
        written = args_codec.canonical(args_codec.decode(stored.encode()).mapping)
    except CodecError as error:
        raise InputError(f"args: {str(error).removeprefix('args: ')}") from error
    return hashlib.sha256(written.encode()).hexdigest()
