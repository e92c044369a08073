"""Post a callback: ten tries over three days, signed, to an address that the client may reach.

The tries and the signature are those of Standard Webhooks. The id stays the same over all tries,
so a receiver that gets one twice can drop it.
"""

import random
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Final

from wpbridge import __version__
from wpbridge.codec.callback_urls import CallbackUrl
from wpbridge.dataclass import dataclass
from wpbridge.errors import ExecutionError
from wpbridge.executors.dialing import AddressRefused, Connect, Resolve, connected, dial, resolved
from wpbridge.executors.webhook import LONGEST_WAIT, sign, wait_told
from wpbridge.outcome import Retry

WAITS: Final = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""How long it is from one try to the next, before chance is added."""
TRIES: Final = len(WAITS) + 1
SECONDS: Final = 20.0
"""For one try, from the look-up of the host to the end of the answer."""
_SPREAD: Final = 0.1
"""Waits are up to so much longer or shorter, so that what failed together is spread out."""
_GONE: Final = 410


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """What is posted, and on which terms."""

    target: CallbackUrl
    id: str
    """The same over all tries."""
    body: bytes
    secrets: Sequence[str]
    """Each signs it, the newest first."""
    attempt: int
    """The number of this try, counted from 1."""
    may_be_private: bool
    """Whether the host may lie in a network of the operator's."""


def deliver(
    asked: Post,
    *,
    resolve: Resolve = resolved,
    connect: Connect = connected,
    chance: Callable[[], float] = random.random,
) -> None:
    """Post it, and return when the receiver has answered 2xx.

    Raises:
        Retry: the receiver did not take it, and there is another try.
        ExecutionError: it is over: this was the last try, the receiver has answered 410 Gone, or
            the host leads to an address to which no callback goes.
    """
    from wpbridge.executors import webhook_call  # noqa: PLC0415 - `requests` is slow to load

    opened = partial(
        dial,
        asked.target,
        SECONDS,
        may_be_private=asked.may_be_private,
        resolve=resolve,
        connect=connect,
    )

    told: Sequence[str] = ()
    try:
        answer = webhook_call.post(
            asked.target.url, asked.body, _headers(asked), SECONDS, connect=opened
        )
    except AddressRefused:
        raise
    except ExecutionError as error:
        reason = str(error)
    else:
        if answer.status in webhook_call.DONE:
            return
        if answer.status == _GONE:
            raise ExecutionError("the receiver answers 410 Gone: it wants no more callbacks")
        reason = f"HTTP {answer.status}"
        if answer.redirects_to:
            reason += f": redirects to {answer.redirects_to} are not followed"
        told = answer.retry_after
    if asked.attempt >= TRIES:
        raise ExecutionError(f"{reason}; given up after {asked.attempt} tries")
    raise Retry(wait(asked.attempt, told, chance()), f"try {asked.attempt} of {TRIES}: {reason}")


def wait(attempt: int, told: Sequence[str], chance: float) -> timedelta:
    """Return how long to wait after a try that failed.

    Args:
        attempt: the number of that try.
        told: the values of Retry-After, as they came. The receiver may ask for a longer wait than
            ours, up to a day, and not for a shorter one.
        chance: from 0 to below 1.
    """
    spread = 1 - _SPREAD + 2 * _SPREAD * chance
    own = WAITS[min(max(attempt, 1), len(WAITS)) - 1] * spread
    if not told:
        return own
    return max(own, min(wait_told(told), LONGEST_WAIT))


def _headers(asked: Post) -> dict[str, str]:
    moment = str(int(time.time()))
    signatures = (sign(secret, asked.id, moment, asked.body) for secret in asked.secrets)
    return {
        "Content-Type": "application/json",
        "User-Agent": f"wpbridge/{__version__}",
        "webhook-id": asked.id,
        "webhook-timestamp": moment,
        "webhook-signature": " ".join(signatures),
    }
