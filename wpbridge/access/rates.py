"""How often a caller may ask: a bucket of tokens for each, in this process alone."""

import threading
from collections import OrderedDict
from typing import Final, NamedTuple

from wpbridge.access.caller import Caller, TooMany
from wpbridge.clock import Clock, SystemClock

_MOST: Final = 10_000
"""So many buckets are remembered. One that was not used for longest is full, or nearly so."""


class _Bucket(NamedTuple):
    tokens: float
    at: float


class Rates:
    """The rates of all callers, for any thread. Several processes count each for itself."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, caller: Caller, count: int = 1) -> None:
        """Count so many requests of a caller.

        A caller may ask while it has a token left. A batch of more than it has is let through, and
        the caller waits the longer afterwards.

        Raises:
            TooMany: it has no token left. Nothing was counted.
        """
        rate = caller.rate
        if rate is None:
            return
        per_second = rate.count / rate.per.total_seconds()
        now = self._clock.monotonic()
        with self._lock:
            bucket = self._buckets.pop(caller.name, _Bucket(rate.count, now))
            refilled = bucket.tokens + max(0.0, now - bucket.at) * per_second
            tokens = min(float(rate.count), refilled)
            left = tokens - count if tokens >= 1 else tokens
            self._buckets[caller.name] = _Bucket(left, now)
            if len(self._buckets) > _MOST:
                self._buckets.popitem(last=False)
        if tokens < 1:
            raise TooMany(
                f"more than {rate.count} requests in {rate.per.total_seconds():g} seconds",
                retry_after_seconds=(1 - tokens) / per_second,
            )
