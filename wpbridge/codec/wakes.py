"""Write and read a wake: the small signed text by which PHP makes an idle daemon look; pure.

A wake says only which site's queue has something due. Its signature proves that somebody with the
site's signing secret sent it within the last minute. A copy of a wake that arrives later does no
harm, since a wake costs one look at the most. The companion plugin writes the same text in PHP.
"""

import hmac
import re
from collections.abc import Iterable
from typing import Final

from wpbridge.dataclass import dataclass

MOST_BYTES: Final = 256
"""No wake is longer."""
WINDOW_SECONDS: Final = 60
"""A wake counts for so long before and after its time, since the clocks of two hosts differ."""
_WAKE: Final = re.compile(
    rb"(wpbridge-wake/1 ([A-Za-z0-9_]{1,64}) ([0-9]{1,12}) [0-9a-f]{16}) ([0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wake:
    """A wake that has the right form. Its signature has not been looked at."""

    prefix: str
    """The table prefix of the site whose queue has something due."""
    sent: int
    """When it was sent, in seconds since 1970."""
    signed: bytes
    """The part of the text that is signed."""
    signature: bytes

    def is_current(self, now: float) -> bool:
        """Tell whether it was sent lately."""
        return abs(now - self.sent) <= WINDOW_SECONDS

    def is_signed(self, keys: Iterable[bytes]) -> bool:
        """Tell whether one of the keys has signed it."""
        return any(
            hmac.compare_digest(_signature(self.signed, key), self.signature) for key in keys
        )


def read(message: bytes) -> Wake | None:
    """Read a message. None if it is no wake."""
    found = _WAKE.fullmatch(message) if len(message) <= MOST_BYTES else None
    if found is None:
        return None
    return Wake(prefix=found[2].decode(), sent=int(found[3]), signed=found[1], signature=found[4])


def write(prefix: str, *, now: float, nonce: bytes, key: bytes) -> bytes:
    """Return a signed wake.

    Args:
        prefix: the table prefix of the site.
        now: seconds since 1970.
        nonce: eight random bytes, so that two wakes of one second differ.
        key: the key that is derived for the use "wake".
    """
    signed = f"wpbridge-wake/1 {prefix} {int(now)} {nonce.hex()}".encode()
    return signed + b" " + _signature(signed, key)


def _signature(signed: bytes, key: bytes) -> bytes:
    return hmac.digest(key, signed, "sha256").hex().encode()
