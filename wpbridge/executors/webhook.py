"""Hooks answered by a URL: a JSON POST, signed, with the receiver's wish to wait honoured.

The signature is that of Standard Webhooks: HMAC-SHA256 over ``id.timestamp.body``, base64, in
``webhook-signature: v1,…``. The id is the action's idempotency key, so a receiver can drop repeats.
"""

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from wpbridge import __version__
from wpbridge.codec import jsontext
from wpbridge.errors import ExecutionError
from wpbridge.executors.handlers import Context, Handler, describe
from wpbridge.outcome import Retry
from wpbridge.site.rules import Webhook

WAIT_STATUSES = frozenset({429, 503})
DEFAULT_WAIT = timedelta(seconds=60)
SHORTEST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(days=1)


def webhook_handler(hook: str, webhook: Webhook) -> Handler:
    """A handler that posts the action to the webhook's URL.

    2xx completes the action. 429 and 503 put it back for as long as Retry-After says, between a
    second and a day; 60 seconds when it says nothing that can be understood. Anything else fails
    it, redirects included.
    """

    def post(*values: Any, context: Context) -> None:
        _post(webhook, list(values), context)

    return describe(hook, post)


def _post(webhook: Webhook, values: list[Any], context: Context) -> None:
    from wpbridge.executors import webhook_call  # noqa: PLC0415 - `requests` is slow to load

    body = jsontext.dumps(
        {
            "id": context.id,
            "hook": context.hook,
            "group": context.group,
            "attempt": context.attempt,
            "scheduled_at": context.scheduled_at and context.scheduled_at.isoformat(),
            "args": context.args,
            "values": values,
        }
    ).encode()
    headers = _headers(webhook.secret, context.idempotency_key, body)
    answer = webhook_call.post(
        webhook.url, body, headers, webhook.timeout_seconds, unread=WAIT_STATUSES
    )
    if answer.status in WAIT_STATUSES:
        raise Retry(wait_told(answer.retry_after), f"HTTP {answer.status}")
    if answer.status not in webhook_call.DONE:
        told = answer.text
        if answer.redirects_to:
            told = f"redirects to {answer.redirects_to} are not followed"
        raise ExecutionError(f"HTTP {answer.status}: {told}".removesuffix(": "))


def _headers(secret: str | None, key: str, body: bytes) -> dict[str, str]:
    moment = str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"wpbridge/{__version__}",
        "Idempotency-Key": key,
        "webhook-id": key,
        "webhook-timestamp": moment,
    }
    if secret:
        headers["webhook-signature"] = sign(secret, key, moment, body)
    return headers


def sign(secret: str, key: str, moment: str, body: bytes) -> str:
    """The value of ``webhook-signature``; a secret that begins with whsec_ is base64."""
    raw = secret.encode()
    if secret.startswith("whsec_"):
        raw = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(raw, f"{key}.{moment}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def wait_told(
    told: Sequence[str], now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> timedelta:
    """The first Retry-After that can be understood, within bounds."""
    for text in told:
        wait = _seconds(text.strip())
        if wait is None:
            wait = _until(text, now())
        if wait is not None:
            return min(max(wait, SHORTEST_WAIT), LONGEST_WAIT)
    return DEFAULT_WAIT


def _seconds(told: str) -> timedelta | None:
    """Read seconds, with a fraction or without; None when it is something else."""
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", told):
        return None
    whole = told.partition(".")[0].lstrip("0")
    if len(whole) > len(str(LONGEST_WAIT.total_seconds())):
        return LONGEST_WAIT
    return timedelta(seconds=float(told))


def _until(told: str, now: datetime) -> timedelta | None:
    """Return the time until an HTTP date; None when it is no date."""
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - few answers name a date

    try:
        at = parsedate_to_datetime(told)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
