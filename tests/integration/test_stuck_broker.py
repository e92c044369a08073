"""A broker that answers no more, and does not even refuse, is given up in time."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from brokers import BROKERS, Kinds, missing_redis, private_redis
from conftest import needs
from daemons import until
from ports import HOST
from proxy import Proxy
from wpbridge import Enqueue, Queue
from wpbridge.errors import BrokerUnavailable
from wpbridge.executors.celery import broker as brokers_of
from wpbridge.executors.celery.messages import Wake, wake
from wpbridge.store.running.runner_store import RunnerStore

KINDS: Final[Kinds] = {
    "rabbitmq": BROKERS["rabbitmq"],
    "redis": (missing_redis, partial(private_redis, appendonly=True)),
}
BOUND_SECONDS: Final = 5.0
"""More than a broker that is well takes."""
SOON_SECONDS: Final = 60.0
MESSAGES: Final = [wake(Wake("site", 1, 1, "1.a"), queue="crm", hook="h")]


@pytest.fixture(params=KINDS)
def network(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Proxy, str]]:
    """A network before a broker, and the broker's address there."""
    missing, private = KINDS[request.param]
    needs(missing())
    with private(tmp_path) as broker, Proxy((HOST, broker.port)) as proxy:
        yield proxy, broker.url.replace(f":{broker.port}", f":{proxy.port}")


def opened(url: str) -> brokers_of.Broker:
    return brokers_of.Broker(url, {}, connect_seconds=BOUND_SECONDS, confirm_seconds=BOUND_SECONDS)


def within_time(work: Callable[[], object]) -> str:
    """What BrokerUnavailable says of the work, which must end soon."""
    told: list[str] = []

    def do() -> None:
        try:
            work()
        except BrokerUnavailable as error:
            told.append(str(error))
        else:
            told.append("")

    thread = threading.Thread(target=do, daemon=True)
    thread.start()
    thread.join(SOON_SECONDS)
    assert told, "it still waits"
    return told[0]


def test_each_question_to_a_stuck_broker_ends(network: tuple[Proxy, str]) -> None:
    proxy, url = network
    publishing, counting, closing = opened(url), opened(url), opened(url)
    for one in (publishing, counting, closing):
        one.publish(MESSAGES)
    proxy.stall()
    assert within_time(lambda: publishing.publish(MESSAGES))
    assert within_time(lambda: counting.depth("crm"))
    assert within_time(opened(url).check)
    assert within_time(closing.close) == ""
    proxy.flow()
    publishing.publish(MESSAGES)
    publishing.close()


def test_what_is_enqueued_through_a_stuck_broker_becomes_a_row(
    network: tuple[Proxy, str], dsn: str, store: RunnerStore
) -> None:
    proxy, url = network
    routes = [{"hook": "crm_*", "to": "celery", "queue": "crm"}]
    with Queue.open(dsn=dsn, env={}, celery_broker=url, routes=routes) as queue:
        assert queue.enqueue(Enqueue(hook="crm_a"), through="celery").action_id is None
        proxy.stall()
        before = time.monotonic()
        sent = []
        within_time(lambda: sent.append(queue.enqueue(Enqueue(hook="crm_a"), through="celery")))
        assert sent[0].action_id is not None
        assert time.monotonic() - before < SOON_SECONDS
        proxy.flow()


def test_a_fork_has_a_connection_of_its_own(network: tuple[Proxy, str]) -> None:
    _, url = network
    broker = opened(url)
    broker.publish(MESSAGES)
    child = os.fork()
    if child == 0:
        try:
            for _ in range(50):
                broker.publish(MESSAGES)
            broker.close()
        finally:
            # What the test itself would do at the end is its own.
            os._exit(0 if broker.depth("crm") >= 51 else 1)
    for _ in range(50):
        broker.publish(MESSAGES)
    assert os.waitpid(child, 0)[1] == 0
    broker.publish(MESSAGES)
    assert broker.depth("crm") == 102
    broker.close()


def test_what_a_killed_worker_had_taken_comes_back(tmp_path: Path) -> None:
    needs(missing_redis())
    with private_redis(tmp_path) as redis:

        def another(visibility_timeout: int) -> brokers_of.Broker:
            # It is the timeout of who takes that counts.
            options = {"visibility_timeout": visibility_timeout}
            return brokers_of.Broker(redis.url, options, connect_seconds=5.0, confirm_seconds=5.0)

        dead = another(3600)
        dead.publish(MESSAGES)
        assert len(dead.take("crm", 10)) == 1

        # It never acknowledges, and never gives it back.
        def is_back(visibility_timeout: int = 1) -> bool:
            alive = another(visibility_timeout)
            found = alive.take("crm", 10)
            alive.close()
            return len(found) == 1

        assert not is_back(3600)
        until(is_back, "the message", pause=0.2)
        dead.close()
