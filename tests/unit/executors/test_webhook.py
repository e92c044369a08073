"""What a webhook sends and how its answers end the action."""

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest

from factories import context
from receiver import Receiver
from wpbridge.executors.threads import outcome_of
from wpbridge.executors.webhook import webhook_handler
from wpbridge.outcome import Completed, Failed, Outcome, Retried
from wpbridge.site.rules import Webhook


def post(receiver: Receiver, **settings: Any) -> Outcome:
    webhook = Webhook(url=f"http://127.0.0.1:{receiver.server_port}/x", **settings)
    handler = webhook_handler("h", webhook)
    return outcome_of(lambda: handler.call([42], context(args={"post_id": 42})))


def test_it_posts_the_action_as_json(receiver: Receiver) -> None:
    assert post(receiver) == Completed()
    headers, body = receiver.posts[0]
    told = json.loads(body)
    assert (told["hook"], told["args"], told["values"]) == ("h", {"post_id": 42}, [42])
    assert headers["idempotency-key"] == context().idempotency_key
    assert "webhook-signature" not in headers


def test_numbers_that_json_cannot_hold_are_posted_as_texts(receiver: Receiver) -> None:
    webhook = Webhook(url=f"http://127.0.0.1:{receiver.server_port}/x")
    handler = webhook_handler("h", webhook)
    args: list[Any] = [float("inf"), {"n": [float("-inf"), 1e300]}]
    assert outcome_of(lambda: handler.call(args, context(args=args))) == Completed()
    told = strict(receiver.posts[0][1])
    assert told["args"] == told["values"] == ["INF", {"n": ["-INF", 1e300]}]


def strict(text: bytes) -> Any:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} in {text!r}")

    return json.loads(text, parse_constant=refuse)


def test_the_signature_is_that_of_standard_webhooks(receiver: Receiver) -> None:
    post(receiver, secret="s3cret")
    headers, body = receiver.posts[0]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.new(b"s3cret", signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [(429, {"Retry-After": "7"}, 7), (503, {}, 60), (503, {"Retry-After": "nonsense"}, 60)],
)
def test_busy_receivers_are_asked_again(
    receiver: Receiver, status: int, headers: dict[str, str], seconds: int
) -> None:
    receiver.status, receiver.headers = status, headers
    assert post(receiver) == Retried(after=timedelta(seconds=seconds), reason=f"HTTP {status}")


@pytest.mark.parametrize("status", [301, 400, 404, 500])
def test_anything_else_fails_the_action(receiver: Receiver, status: int) -> None:
    receiver.status, receiver.headers = status, {"Location": "http://127.0.0.1:9/"}
    outcome = post(receiver)
    assert isinstance(outcome, Failed)
    assert outcome.reason.startswith(f"HTTP {status}")
    assert len(receiver.posts) == 1


def test_an_absent_receiver_fails_without_showing_the_url() -> None:
    handler = webhook_handler("h", Webhook(url="http://127.0.0.1:9/?token=abc"))
    outcome = outcome_of(lambda: handler.call([1], context()))
    assert isinstance(outcome, Failed)
    assert "token" not in outcome.reason
