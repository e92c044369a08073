"""What only messages hold survives the deaths of workers and of the broker, and ends as one row."""

import os
import signal
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import invariants
from brokers import RabbitMQ
from daemons import until
from handover import Handover, handing_over
from rows import query
from wpbridge import Enqueue, Queue
from wpbridge.store.running.runner_store import RunnerStore

ACTS = """
import time
from wpbridge import Context, hook

@hook("quick")
@hook("fails")
def quick(number, *, context: Context):
    with open("record", "ab", buffering=0) as stream:
        stream.write(f"{context.idempotency_key} {context.attempt}\\n".encode())
    time.sleep(0.01)
    if context.hook == "fails":
        raise ValueError("no")
"""


@pytest.fixture
def store(mysql_dsn: str, open_queue: Callable[[str], RunnerStore]) -> RunnerStore:
    return open_queue(mysql_dsn)


@pytest.fixture
def it(
    rabbitmq: RabbitMQ, tmp_path: Path, mysql_dsn: str, store: RunnerStore
) -> Iterator[Handover]:
    (tmp_path / "acts.py").write_text(ACTS, encoding="utf-8")
    with handing_over(tmp_path, mysql_dsn, rabbitmq) as found:
        found.queue = f"q{uuid.uuid4().hex}"
        yield found


def begin(it: Handover, **celery: Any) -> None:
    it.settings(
        handlers="acts",
        routes=f'[[routes]]\nhook = "*"\nto = "celery"\nqueue = "{it.queue}"\n',
        **celery,
    )


def send(it: Handover, count: int, hook: str = "quick") -> list[str]:
    settings: dict[str, Any] = {"dsn": it.dsn, "celery_broker": it.url}
    routes = [{"hook": "*", "to": "celery", "queue": it.queue}]
    with Queue.open(env={}, routes=routes, **settings) as queue:
        new = [Enqueue(hook=hook, args=[n], group="g") for n in range(count)]
        sent = queue.enqueue_many(new, through="celery")
    assert all(one.action_id is None for one in sent)
    return [one.key for one in sent]


def runs(it: Handover) -> Counter[str]:
    """How often each key was run."""
    file = it.folder / "record"
    lines = file.read_text().splitlines() if file.exists() else []
    return Counter(line.split()[0] for line in lines)


def until_run(it: Handover, count: int, what: str) -> None:
    until(lambda: len(runs(it)) >= count, lambda: f"{what}: {it.logs()}")


def keys_of_rows(store: RunnerStore, status: str) -> list[str]:
    rows = query(
        store,
        "SELECT k.key_hash FROM wp_wpbridge_keys k JOIN wp_actionscheduler_actions a"
        " ON a.action_id = k.action_id WHERE a.status = :status",
        status=status,
    )
    return [str(row[0]).removeprefix("celery:") for row in rows]


def test_nothing_is_lost_when_workers_and_broker_are_killed(
    it: Handover, rabbitmq: RabbitMQ, store: RunnerStore
) -> None:
    begin(it)
    keys = send(it, 400)
    worker = it.worker(concurrency=2)
    until_run(it, 30, "the first ones")
    for number in range(3):
        # A child, whose message goes back to the broker.
        wanted = len(runs(it)) + 20
        os.kill(worker.children()[0], signal.SIGKILL)
        until_run(it, wanted, f"more after {number}")
    worker.kill()
    until(lambda: rabbitmq.depth(it.queue) > 0, "what it had goes back")
    worker = it.worker(concurrency=2, name="second")
    until_run(it, len(runs(it)) + 20, "more")
    rabbitmq.restart()
    until(lambda: set(runs(it)) == set(keys), lambda: f"all: {it.logs()}")
    until(lambda: rabbitmq.depth(it.queue) == 0, "an empty queue")
    assert worker.end() == 0
    # At least once, each a few times at most, and no key has two rows.
    assert sum(runs(it).values()) <= len(keys) + 100
    written = keys_of_rows(store, "complete")
    assert len(written) == len(set(written))
    assert set(written) <= set(keys)
    invariants.check(store)


def test_a_failure_is_a_row_before_its_message_is_gone(
    it: Handover, rabbitmq: RabbitMQ, store: RunnerStore
) -> None:
    begin(it, completions="drop")
    keys = send(it, 60, "fails") + send(it, 60)
    worker = it.worker(concurrency=2)
    until(lambda: len(runs(it)) >= 20, lambda: f"the first ones: {it.logs()}")
    worker.kill()
    worker = it.worker(concurrency=2, name="second")
    until(lambda: set(runs(it)) == set(keys), lambda: f"all: {it.logs()}")
    until(lambda: rabbitmq.depth(it.queue) == 0, "an empty queue")
    assert worker.end() == 0
    assert sorted(keys_of_rows(store, "failed")) == sorted(keys[:60])
    assert keys_of_rows(store, "complete") == []
    invariants.check(store)
