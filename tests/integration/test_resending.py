"""When a relay names an action again: not because its queue is long, but not never either."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import kombu
import pytest

from brokers import Redis, missing_redis, private_redis
from conftest import needs
from daemons import until
from factories import stored
from wpbridge.clock import SystemClock
from wpbridge.executors.base import Call, Mailbox
from wpbridge.executors.celery.executor import CeleryExecutor
from wpbridge.executors.celery.messages import task
from wpbridge.executors.celery.opening import open_broker
from wpbridge.site.config import load
from wpbridge.site.rules import Route


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    needs(missing_redis())
    with private_redis(tmp_path) as found:
        yield found


@pytest.fixture
def executor(redis: Redis, tmp_path: Path) -> Iterator[CeleryExecutor]:
    settings = load({"dsn": "sqlite:///none", "celery_broker": redis.url}, {}, tmp_path)
    found = CeleryExecutor(
        open_broker(settings),
        hooks=["h"],
        route_of=lambda _hook, _group: Route(to="celery", hook="h", queue="q"),
        site=lambda: "site",
        relay=lambda: "1.a",
        window=10,
        resend_after_seconds=0.2,
        clock=SystemClock(),
        mailbox=Mailbox(),
    )
    yield found
    found.close()


def take(redis: Redis) -> list[str]:
    """Take all messages out of the queue; return their tasks."""
    found = []
    with kombu.Connection(redis.url) as connection, closing(connection.SimpleQueue("q")) as queue:
        for _ in range(redis.depth("q")):
            message = queue.get(block=False)
            message.ack()
            found.append(str(message.headers["task"]))
    return found


def test_a_lost_message_is_sent_again(redis: Redis, executor: CeleryExecutor) -> None:
    executor.submit(Call(action=stored(), values=(), mapping=None))
    until(lambda: redis.depth("q") == 1, "the message")
    assert take(redis) == ["wpbridge.run"]
    until(lambda: redis.depth("q") >= 1, "the message again")


def test_what_was_recalled_is_not_sent_again(redis: Redis, executor: CeleryExecutor) -> None:
    gone = Call(action=stored(), values=(), mapping=None)
    kept = Call(action=stored(id=8), values=(), mapping=None)
    executor.submit(gone)
    executor.submit(kept)
    until(lambda: redis.depth("q") == 2, "both messages")
    assert executor.recall([gone]) == [gone]
    redis.flush()
    until(lambda: redis.depth("q") >= 1, "one message again")
    assert len(take(redis)) == 1


def test_a_queue_that_others_keep_long_only_delays_it(
    redis: Redis, executor: CeleryExecutor, tmp_path: Path
) -> None:
    settings = load({"dsn": "sqlite:///none", "celery_broker": redis.url}, {}, tmp_path)
    with closing(open_broker(settings)) as broker:
        other = task("shop.other", [], queue="q", hook="other", priority=None)
        executor.submit(Call(action=stored(), values=(), mapping=None))
        until(lambda: redis.depth("q") == 1, "the message")
        take(redis)
        broker.publish([other] * 5)
        until(lambda: redis.depth("q") == 6, "the message again")
    assert sorted(take(redis)) == ["shop.other"] * 5 + ["wpbridge.run"]
