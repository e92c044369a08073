"""The executor of a relay whose broker is away: it puts back, and asks less and less often."""

import time
from collections.abc import Sequence
from typing import Any

from factories import stored
from wpbridge.clock import SystemClock
from wpbridge.errors import BrokerUnavailable
from wpbridge.executors.base import Call, Mailbox, Report
from wpbridge.executors.celery.executor import CeleryExecutor
from wpbridge.executors.celery.messages import Message
from wpbridge.site.rules import Route


class Away:
    """A broker that takes nothing, and counts how often it is asked."""

    address = "amqp://mq"

    def __init__(self) -> None:
        self.checks = 0

    def publish(self, _messages: Sequence[Message]) -> None:
        raise BrokerUnavailable("away")

    def depth(self, _queue: str) -> int:
        raise BrokerUnavailable("away")

    def check(self) -> None:
        self.checks += 1
        raise BrokerUnavailable("away")

    def close(self) -> None:
        pass


def test_a_broker_that_is_away_is_not_asked_once_for_each_action() -> None:
    broker: Any = Away()
    mailbox = Mailbox()
    executor = CeleryExecutor(
        broker,
        hooks=["h"],
        route_of=lambda hook, _group: Route(to="celery", hook=hook),
        site=lambda: "s",
        relay=lambda: "1.a",
        window=2000,
        resend_after_seconds=60.0,
        clock=SystemClock(),
        mailbox=mailbox,
    )
    # More than one batch: the rest waits in the queue when the first fails.
    for number in range(1, 1501):
        executor.submit(Call(action=stored(id=number), values=(), mapping=None))
    reports: list[Report] = []
    end = time.monotonic() + 10.0
    while len(reports) < 1500 and time.monotonic() < end:
        reports += executor.reports(0.1)
    assert len(reports) == 1500
    assert not executor.has_room()
    time.sleep(0.5)
    assert broker.checks < 10
    executor.close()
