"""The people who were known of late, so that not every request asks the database."""

import hashlib
import threading
from collections import OrderedDict
from typing import Final, NamedTuple

from wpbridge.access.person import Person
from wpbridge.clock import Clock

KEPT_SECONDS: Final = 5.0
"""Who was known counts as known for so long, so a revocation counts after this time."""
_MOST_KEPT: Final = 1000


class _Kept(NamedTuple):
    person: Person
    until: float
    """By the clock that never goes back."""
    ends: float
    """When the session ends, in Unix seconds."""


class KnownPeople:
    """Remembers people by the hash of what they have shown. It may be called from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._guard = threading.Lock()
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()

    def get(self, kind: str, shown: str) -> Person | None:
        """Return who has shown this within the last seconds; None otherwise."""
        with self._guard:
            kept = self._kept.get(_digest(kind, shown))
        if kept is None or kept.until <= self._clock.monotonic():
            return None
        return kept.person if kept.ends > self._clock.now().timestamp() else None

    def keep(self, kind: str, shown: str, person: Person, ends: float = float("inf")) -> Person:
        """Remember a person, until ``ends`` at the latest."""
        digest = _digest(kind, shown)
        with self._guard:
            self._kept.pop(digest, None)
            self._kept[digest] = _Kept(person, self._clock.monotonic() + KEPT_SECONDS, ends)
            if len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return person

    def forget(self) -> None:
        """Forget all of them."""
        with self._guard:
            self._kept.clear()


def _digest(kind: str, shown: str) -> bytes:
    return hashlib.sha256(f"{kind} {shown}".encode(errors="surrogatepass")).digest()
