"""The executor of a relay, with a broker that does what the test says."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from daemons import until
from factories import stored
from wpbridge.action import ActionId
from wpbridge.clock import SystemClock
from wpbridge.errors import BrokerUnavailable, ConfigError
from wpbridge.executors.base import Call, Mailbox
from wpbridge.outcome import Unrun
from wpbridge.site.rules import Route

pytest.importorskip("kombu")
from wpbridge.executors.celery.executor import CeleryExecutor


class Broker:
    """A broker that refuses for as long as ``fault`` is set."""

    address = "redis://mq/0"

    def __init__(self) -> None:
        self.fault: Exception | None = None
        self.sent: list[str] = []
        self.checks = 0

    def publish(self, messages: Sequence[Any]) -> None:
        if self.fault is not None:
            raise self.fault
        self.sent += [one.headers["shadow"] for one in messages]

    def check(self) -> None:
        self.checks += 1
        if self.fault is not None:
            raise self.fault

    def depth(self, _queue: str) -> int:
        return 0

    def close(self) -> None:
        """There is nothing to close."""


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def executor(broker: Broker) -> Iterator[CeleryExecutor]:
    found = CeleryExecutor(
        broker,  # type: ignore[arg-type]
        hooks=["h"],
        route_of=lambda _hook, _group: Route(to="celery", hook="*"),
        site=lambda: "site",
        relay=lambda: "1.a",
        window=1000,
        resend_after_seconds=60.0,
        clock=SystemClock(),
        mailbox=Mailbox(),
    )
    yield found
    found.close()


def call(number: int) -> Call:
    action = stored(id=ActionId(number))
    return Call(action=action, values=(), mapping=None, start_mark="by_worker")


def reported(executor: CeleryExecutor, count: int) -> Callable[[], bool]:
    found: list[int] = []

    def is_there() -> bool:
        reports = executor.reports(0.05)
        assert all(isinstance(one.outcome, Unrun) for one in reports)
        found.extend(one.call.action.id for one in reports)
        return len(found) >= count

    return is_there


@pytest.mark.parametrize(
    "fault",
    [
        BrokerUnavailable("the broker does not answer"),
        ConfigError("this broker needs boto3"),
    ],
)
def test_what_cannot_be_sent_is_put_back_until_it_can(
    broker: Broker, executor: CeleryExecutor, fault: Exception
) -> None:
    broker.fault = fault
    executor.submit(call(1))
    until(reported(executor, 1), "what is put back")
    assert executor.trouble() == str(fault)
    assert not executor.has_room()
    broker.fault = None
    until(executor.has_room, "the broker")
    executor.submit(call(2))
    until(lambda: broker.sent == ["h"], "the message")


def test_a_broker_that_is_away_is_asked_now_and_then(
    broker: Broker, executor: CeleryExecutor
) -> None:
    broker.fault = BrokerUnavailable("the broker does not answer")
    for number in range(1, 800):
        executor.submit(call(number))
    until(reported(executor, 799), "what is put back")
    before = time.monotonic()
    while time.monotonic() - before < 0.5:
        time.sleep(0.01)
    assert broker.checks < 10
    assert threading.active_count() < 50
