"""Brokers of a test's own keep what was confirmed, and leave nothing behind."""

import json
import socket
import subprocess
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from brokers import BROKERS, Broker, Kinds, Private, Redis, missing_redis, private_redis
from conftest import needs
from ports import HOST

KEEPS: Kinds = {
    **BROKERS,
    "redis": (missing_redis, partial(private_redis, appendonly=True)),
}
"""The brokers, with a Redis that keeps what it was told."""
RECEIVES = """
import json, os, sys
from kombu import Connection, Queue
from kombu.asynchronous import Hub, set_event_loop

url, options, queue, count = sys.argv[1:]
found = []

def remember(body, message):
    found.append(body["number"])
    message.ack()

hub = Hub()
set_event_loop(hub)
connection = Connection(url, transport_options=json.loads(options))
connection.register_with_event_loop(hub)
connection.Consumer([Queue(queue)], callbacks=[remember]).consume()
loop = hub.create_loop()
while len(found) < int(count):
    next(loop)
if url.startswith("sqs:"):
    assert "pycurl" in sys.modules
for number in found:
    print(number)
sys.stdout.flush()
# Kombu does not tidy up its loop.
os._exit(0)
"""
"""When it ends, all acknowledgements are sent: kombu waits for none of them, but sends each at once."""


@pytest.fixture(params=KEEPS)
def private(request: pytest.FixtureRequest) -> Private:
    missing, private = KEEPS[request.param]
    needs(missing())
    return private


def send(broker: Broker, queue: str, *numbers: int) -> None:
    """Send messages, each of which the broker has confirmed."""
    from kombu import Connection, Queue  # noqa: PLC0415 - it may be missing

    options = {**broker.transport_options, "confirm_publish": True}
    with Connection(broker.url, transport_options=options) as connection:
        producer = connection.Producer()
        for number in numbers:
            place = Queue(queue, durable=True)
            producer.publish(
                {"number": number}, routing_key=queue, declare=[place], delivery_mode="persistent"
            )


def received(broker: Broker, queue: str, count: int) -> list[int]:
    """Receive messages as a Celery worker does: in a process of its own, with an event loop."""
    told = [broker.url, json.dumps(broker.transport_options), queue, str(count)]
    command = [sys.executable, "-c", RECEIVES, *told]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return [int(line) for line in done.stdout.split()]


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection((HOST, port)):
        return True
    return False


def named(folder: Path) -> list[str]:
    """The processes whose command line, variables or folder name a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            if str(folder).encode() in told or (process / "cwd").readlink().is_relative_to(folder):
                found.append(process.name)
    return found


def test_a_broker_keeps_counts_and_forgets_and_leaves_nothing_behind(
    private: Private, tmp_path: Path
) -> None:
    with private(tmp_path) as broker:
        assert broker.depth("some") == 0
        send(broker, "some", 1, 2)
        send(broker, "other", 3)
        assert (broker.depth("some"), broker.depth("other")) == (2, 1)

        assert received(broker, "some", 2) == [1, 2]
        assert (broker.depth("some"), broker.depth("other")) == (0, 1)

        send(broker, "some", 4)
        broker.flush()
        assert (broker.depth("some"), broker.depth("other")) == (0, 0)
        send(broker, "some", 5)
        broker.flush()
        assert broker.depth("some") == 0

        assert all(map(listens, broker.ports()))
        assert named(tmp_path)

    assert not any(map(listens, broker.ports()))
    assert named(tmp_path) == []


@pytest.mark.parametrize("private", ["rabbitmq", "redis"], indirect=True)
def test_what_was_confirmed_outlives_a_crash_of_the_broker(
    private: Private, tmp_path: Path
) -> None:
    with private(tmp_path) as broker:
        send(broker, "some", 1, 2)

        broker.stop()
        assert not any(map(listens, broker.ports()))
        assert named(tmp_path) == []
        broker.start()

        assert broker.depth("some") == 2
        assert received(broker, "some", 2) == [1, 2]


def test_a_redis_that_appends_nothing_forgets_all_in_a_crash(tmp_path: Path) -> None:
    needs(missing_redis())
    with private_redis(tmp_path) as broker:
        send(broker, "some", 1)
        broker.restart()
        assert broker.depth("some") == 0


def test_a_broker_that_does_not_start_says_why_and_leaves_nothing_behind(
    tmp_path: Path,
) -> None:
    needs(missing_redis())
    broker = Redis(tmp_path)
    with (
        socket.create_server((HOST, broker.port)),
        pytest.raises(AssertionError, match="Address already in use"),
    ):
        broker.start()
    assert named(tmp_path) == []
