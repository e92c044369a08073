"""Bringing back what was handed over; the relay of the daemon; priorities; and Flower."""

import json
import signal
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import invariants
from brokers import Redis, missing_rabbitmq, private_rabbitmq
from conftest import needs
from daemons import until
from factories import make_new
from handover import Handover, handing_over
from ports import free_port
from rows import column, query
from wpbridge import Enqueue, Queue
from wpbridge.clock import SystemClock
from wpbridge.executors.celery.messages import task
from wpbridge.executors.celery.opening import open_broker
from wpbridge.site.config import load
from wpbridge.store.running.runner_store import RunnerStore

ACTS = """
from wpbridge import Context, hook

@hook("low")
@hook("high")
@hook("quick")
def quick(number, *, context: Context):
    with open("record", "ab", buffering=0) as stream:
        stream.write(f"{context.hook} {number} {context.idempotency_key}\\n".encode())
"""


def celery(it: Handover) -> str:
    """The route of this test: messages of other tests may be in other queues still."""
    return f'[[routes]]\nhook = "quick"\nto = "celery"\nqueue = "{it.queue}"\n'


@pytest.fixture
def store(mysql_dsn: str, open_queue: Callable[[str], RunnerStore]) -> RunnerStore:
    return open_queue(mysql_dsn)


@pytest.fixture
def it(redis: Redis, tmp_path: Path, mysql_dsn: str, store: RunnerStore) -> Iterator[Handover]:
    (tmp_path / "acts.py").write_text(ACTS, encoding="utf-8")
    with handing_over(tmp_path, mysql_dsn, redis) as found:
        found.queue = f"q{uuid.uuid4().hex}"
        # No copies: what is counted here are messages.
        found.settings(handlers="acts", routes=celery(found), resend_after="1h")
        yield found
    redis.flush()


def add(store: RunnerStore, count: int, hook: str = "quick") -> list[int]:
    now = SystemClock().now()
    return list(store.insert([make_new(hook, args=(n,), now=now) for n in range(count)], now=now))


def send(it: Handover, count: int) -> list[str]:
    settings: dict[str, Any] = {"dsn": it.dsn, "celery_broker": it.url}
    routes = [{"hook": "quick", "to": "celery", "queue": it.queue}]
    with Queue.open(env={}, routes=routes, **settings) as queue:
        new = [Enqueue(hook="quick", args=[n]) for n in range(count)]
        return [one.key for one in queue.enqueue_many(new, through="celery")]


def free(store: RunnerStore) -> int:
    """How many actions are pending and claimed by nobody."""
    found = query(
        store,
        "SELECT 1 FROM wp_actionscheduler_actions WHERE status = 'pending' AND claim_id = 0",
    )
    return len(found)


def drain(it: Handover, *flags: str) -> dict[str, int]:
    done = it.wpbridge("relay", "--drain", "--format", "json", *flags)
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads(done.stdout)
    return found


def record(it: Handover) -> list[list[str]]:
    file = it.folder / "record"
    return [line.split() for line in file.read_text().splitlines()] if file.exists() else []


def local(it: Handover) -> None:
    """Switch the route back, and run what is due here."""
    it.settings(handlers="acts", routes="")
    assert it.wpbridge("claim-and-run", "--quiet").returncode == 0


def foreign(it: Handover) -> None:
    """A task of somebody else, and one of wpbridge for another site, in the same queue."""
    broker = open_broker(load({"dsn": it.dsn, "celery_broker": it.url}, {}, it.folder))
    broker.publish(
        [
            task("shop.report", [1], queue=it.queue, hook="shop.report", priority=None),
            task("wpbridge.run", ["other", 1, 1, "1.a"], queue=it.queue, hook="h", priority=None),
        ]
    )
    broker.close()


def test_what_was_handed_over_comes_back(it: Handover, store: RunnerStore) -> None:
    add(store, 5)
    it.relay()
    until(lambda: it.broker.depth(it.queue) == 5, "messages")
    keys = send(it, 3)
    foreign(it)
    assert drain(it, "--dry-run") == {"relays": 1, "messages": 10, "running": 0}
    assert free(store) == 0
    assert it.broker.depth(it.queue) == 10
    assert drain(it) == {"relays": 1, "dropped": 5, "rows": 3, "others": 2, "running": 0}
    assert free(store) == 8
    assert it.broker.depth(it.queue) == 2
    assert it.runners("relay") == {}
    assert drain(it) == {"relays": 0, "dropped": 0, "rows": 0, "others": 2, "running": 0}
    local(it)
    assert it.statuses() == {"complete": 8}
    ran = record(it)
    assert sorted(number for _, number, _ in ran) == sorted("01234" + "012")
    invariants.check(store)
    assert {key for _, _, key in ran} >= set(keys)


def test_what_a_dead_relay_held_comes_back_at_once(it: Handover, store: RunnerStore) -> None:
    add(store, 5)
    relay = it.relay()
    until(lambda: it.broker.depth(it.queue) == 5, "messages")
    relay.kill()
    assert drain(it) == {"relays": 1, "dropped": 5, "rows": 0, "others": 0, "running": 0}
    assert free(store) == 5
    local(it)
    assert it.statuses() == {"complete": 5}
    invariants.check(store)


def test_a_route_that_is_switched_back_runs_everything_once(
    it: Handover, store: RunnerStore
) -> None:
    """No drain: the old messages are there when the route is local again."""
    add(store, 20)
    relay = it.relay()
    until(lambda: it.broker.depth(it.queue) == 20, "messages")
    worker = it.worker(concurrency=1)
    until(lambda: len(record(it)) >= 3, "the first ones")
    relay.end()
    local(it)
    it.drained()
    until(lambda: it.broker.depth(it.queue) == 0, "all messages read")
    assert worker.end() == 0
    assert it.statuses() == {"complete": 20}
    assert len(record(it)) == 20
    invariants.check(store)


def test_drain_without_a_route_or_a_broker_is_refused(it: Handover) -> None:
    it.settings(handlers="acts", routes="")
    done = it.wpbridge("relay", "--drain")
    assert done.returncode == 78
    assert "nothing to relay" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_daemon_hands_over_too(it: Handover, store: RunnerStore) -> None:
    add(store, 5)
    (here,) = add(store, 1, "low")
    daemon = it.start(["-m", "wpbridge", "work", "-v", "--processes", "2"], "work")
    until(lambda: it.broker.depth(it.queue) == 5, lambda: f"messages: {it.logs()}")
    assert len(it.runners("relay")) == 1
    until(lambda: column(store, "status", here) == "complete", "what is local")
    it.worker(concurrency=1)
    it.drained()
    add(store, 3)
    it.drained()
    assert it.statuses() == {"complete": 9}
    assert daemon.end() == 128 + signal.SIGTERM
    assert it.runners("relay") == {}
    assert len(record(it)) == 9


def test_a_daemon_that_ends_frees_what_it_has_handed_over(it: Handover, store: RunnerStore) -> None:
    add(store, 5)
    daemon = it.start(["-m", "wpbridge", "work", "-v"], "work")
    until(lambda: it.broker.depth(it.queue) == 5, lambda: f"messages: {it.logs()}")
    assert daemon.end() == 128 + signal.SIGTERM
    assert free(store) == 5
    invariants.check(store)


@pytest.mark.parametrize("kind", ["redis", "rabbitmq"])
def test_urgent_messages_come_first(
    kind: str, redis: Redis, tmp_path: Path, mysql_dsn: str, store: RunnerStore
) -> None:
    queue = f"q{uuid.uuid4().hex}"
    routes = "".join(
        f'[[routes]]\nhook = "{hook}"\nto = "celery"\nqueue = "{queue}"\npriority = {priority}\n'
        for hook, priority in (("low", 1), ("high", 9))
    )
    (tmp_path / "acts.py").write_text(ACTS, encoding="utf-8")

    def run(broker: Any) -> None:
        with handing_over(tmp_path, mysql_dsn, broker) as it:
            it.queue = queue
            it.settings(handlers="acts", routes=routes)
            add(store, 10, "low")
            add(store, 10, "high")
            it.relay()
            until(lambda: broker.depth(it.queue) == 20, "messages")
            it.worker(pool="solo", concurrency=1)
            it.drained()
            hooks = [one[0] for one in record(it)]
            assert len(hooks) == 20
            # One may have been on its way to the worker already.
            assert hooks[1:11].count("high") >= 9, hooks

    if kind == "redis":
        run(redis)
        return
    needs(missing_rabbitmq())
    with private_rabbitmq(tmp_path) as rabbitmq:
        run(rabbitmq)


def test_flower_sees_the_workers_and_what_they_run(it: Handover, store: RunnerStore) -> None:
    pytest.importorskip("flower")
    it.worker("-E", concurrency=1)
    port = free_port()
    words = ["-m", "celery", "-A", "wpbridge.celery_app", "flower", "--address=127.0.0.1"]
    it.start([*words, f"--port={port}"], "flower", FLOWER_UNAUTHENTICATED_API="true")

    def asked(path: str) -> Any:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                return json.load(answer)
        except OSError:
            return None

    until(lambda: asked("/api/workers?refresh=1"), lambda: f"a worker: {it.logs()}")
    assert list(asked("/api/workers")) == ["worker@localhost"]
    it.relay()
    add(store, 3)
    it.drained()

    def seen() -> list[dict[str, Any]]:
        return list((asked("/api/tasks") or {}).values())

    until(lambda: [one["state"] for one in seen()] == ["SUCCESS"] * 3, "tasks")
    assert {one["name"] for one in seen()} == {"quick"}
    assert {one["result"] for one in seen()} == {"'complete'"}


def test_passwords_of_brokers_are_shown_nowhere(it: Handover, store: RunnerStore) -> None:
    """Neither by what is printed, nor by what is logged."""
    url = "redis://:s3cret-word@127.0.0.1:1/0"
    env = {"WPBRIDGE_CELERY_BROKER": url}
    shown = []
    for words in (["relay", "--dry-run"], ["config", "show"], ["doctor", "--only", "broker"]):
        process = it.start(["-m", "wpbridge", *words], f"shown-{words[0]}", **env)
        process.process.wait(timeout=60)
        shown.append(process.log())
    add(store, 1)
    relay = it.start(["-m", "wpbridge", "relay", "-vv"], "shown", **env)
    relay.logged("celery.away")
    relay.end()
    worker = it.start(
        ["-m", "celery", "-A", "wpbridge.celery_app", "worker", "-P", "solo", "-l", "DEBUG"],
        "shown-worker",
        **env,
    )
    worker.logged("Cannot connect")
    worker.kill()
    for text in (*shown, relay.log(), worker.log()):
        assert "s3cret-word" not in text
        assert text
