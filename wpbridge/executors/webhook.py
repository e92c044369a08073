"""Hooks answered by a URL: a JSON POST, signed, with the receiver's wish to wait honoured.

The signature is that of Standard Webhooks: HMAC-SHA256 over ``id.timestamp.body``, base64, in
``webhook-signature: v1,…``. The id is the action's idempotency key, so a receiver can drop repeats.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from wpbridge import __version__, jsontext
from wpbridge.errors import ExecutionError
from wpbridge.handlers import Context, Handler, describe
from wpbridge.outcome import Retry
from wpbridge.rules import Webhook

WAIT_STATUSES = frozenset({429, 503})
DEFAULT_WAIT = timedelta(seconds=60)
LONGEST_WAIT = timedelta(days=1)


def webhook_handler(hook: str, webhook: Webhook) -> Handler:
    """A handler that posts the action to the webhook's URL.

    2xx completes the action; 429 and 503 put it back for as long as Retry-After says (60 seconds
    when it says nothing, a day at most); anything else, redirects included, fails it.
    """

    def post(*values: Any, context: Context) -> None:
        _post(webhook, list(values), context)

    return describe(hook, post)


def _post(webhook: Webhook, values: list[Any], context: Context) -> None:
    import requests  # noqa: PLC0415 - loads only where a webhook is used

    body = jsontext.dumps({
        "id": context.id,
        "hook": context.hook,
        "group": context.group,
        "attempt": context.attempt,
        "scheduled_at": context.scheduled_at and context.scheduled_at.isoformat(),
        "args": context.args,
        "values": values,
    }).encode()  # fmt: skip
    try:
        answer = requests.post(
            webhook.url,
            data=body,
            headers=_headers(webhook.secret, context.idempotency_key, body),
            timeout=webhook.timeout_seconds,
            allow_redirects=False,
        )
    except requests.Timeout:
        raise ExecutionError(f"no answer within {webhook.timeout_seconds:g} s") from None
    except requests.RequestException as error:
        # The error's text may hold the URL, and with it a token.
        raise ExecutionError(f"could not be reached: {type(error).__name__}") from None
    if answer.status_code in WAIT_STATUSES:
        raise Retry(_wait(answer.headers.get("Retry-After")), f"HTTP {answer.status_code}")
    if not answer.ok or answer.is_redirect:
        start = " ".join(answer.text[:200].split())
        raise ExecutionError(f"HTTP {answer.status_code}: {start}")


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


def _wait(told: str | None, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> timedelta:
    """Retry-After: seconds, or an HTTP date."""
    wait = DEFAULT_WAIT
    if told and told.strip().isdigit():
        wait = timedelta(seconds=int(told))
    elif told:
        try:
            wait = parsedate_to_datetime(told) - now()
        except (TypeError, ValueError):
            wait = DEFAULT_WAIT
    return min(max(wait, timedelta(seconds=1)), LONGEST_WAIT)
