"""Workers of Celery in trouble lose no action, stop for no message, and end when they are told."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import pytest

from brokers import Redis
from daemons import until
from factories import make_new
from handover import Handover, handing_over
from rows import column, query
from wpbridge import Enqueue, Queue
from wpbridge.clock import SystemClock
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.store.running.wishes import make_wish

ACTS = """
from wpbridge import Context, hook

@hook("quick")
def quick(number):
    pass

@hook("fails")
def fails(number):
    raise ValueError("no")
"""


@pytest.fixture
def store(mysql_dsn: str, open_queue: Callable[[str], RunnerStore]) -> RunnerStore:
    return open_queue(mysql_dsn)


@pytest.fixture
def it(redis: Redis, tmp_path: Path, mysql_dsn: str, store: RunnerStore) -> Iterator[Handover]:
    (tmp_path / "acts.py").write_text(ACTS, encoding="utf-8")
    with handing_over(tmp_path, mysql_dsn, redis) as found:
        found.queue = f"q{uuid.uuid4().hex}"
        found.settings(handlers="acts", routes=routes(found))
        yield found


def routes(it: Handover, to: str = "celery") -> str:
    queue = f'queue = "{it.queue}"' if to == "celery" else ""
    return f'[[routes]]\nhook = "*"\nto = "{to}"\n{queue}'


def sent(it: Handover, *hooks: str, args: Sequence[object] = (1,)) -> None:
    """Enqueue actions through the broker."""
    rules = [{"hook": "*", "to": "celery", "queue": it.queue}]
    with Queue.open(dsn=it.dsn, env={}, celery_broker=it.url, routes=rules) as queue:
        queue.enqueue_many(
            [Enqueue(hook=hook, args=list(args)) for hook in hooks], through="celery"
        )


def completed(store: RunnerStore) -> int:
    return len(query(store, "SELECT 1 FROM wp_actionscheduler_actions WHERE status = 'complete'"))


def test_a_child_that_cannot_read_the_settings_loses_no_message(
    it: Handover, store: RunnerStore
) -> None:
    good = (it.folder / "wpbridge.toml").read_text()
    worker = it.worker("--max-tasks-per-child", "1", concurrency=1)
    (it.folder / "wpbridge.toml").write_text("[celery]\nbroker = 5\n")
    sent(it, "quick", "quick", "quick")
    worker.logged("broker expects")
    # It ends after what it runs, as it would have ended at its start.
    until(lambda: worker.process.poll() is not None, lambda: f"its end: {worker.log()}")
    (it.folder / "wpbridge.toml").write_text(good)
    it.worker(concurrency=1, name="second")
    until(lambda: completed(store) >= 3, lambda: f"all three: {it.logs()}")


def test_the_args_of_an_action_are_in_no_log(it: Handover, store: RunnerStore) -> None:
    worker = it.worker(concurrency=1)
    sent(it, "quick", args=["s3cret"])
    sent(it, "fails", args=["s3cret"])
    until(lambda: completed(store) == 1, lambda: f"the end: {worker.log()}")
    worker.logged("succeeded", times=2)
    assert "s3cret" not in worker.log()


@pytest.mark.parametrize("wish", ["quiet", "stop"])
def test_a_worker_that_shall_claim_no_more_ends_though_a_task_waits(
    it: Handover, store: RunnerStore, wish: Literal["quiet", "stop"]
) -> None:
    worker = it.worker(concurrency=1)
    [runner] = it.runners("celery").values()
    make_wish(store.parts.tables, runner, wish)
    worker.logged(f"wish={wish}", seconds=60.0)
    if wish == "quiet":
        sent(it, "quick")
        it.relay()
        store.insert([make_new("quick", args=(2,), due_in=-1)], now=SystemClock().now())
        until(lambda: it.broker.depth(it.queue) == 0, "what the worker has taken")
        worker.process.terminate()
    until(lambda: worker.process.poll() is not None, lambda: f"its end: {worker.log()}")
    it.worker(concurrency=1, name="second")
    until(lambda: completed(store) >= 2 * (wish == "quiet"), lambda: f"all: {it.logs()}")


def test_a_route_that_leaves_a_hook_stops_no_worker_that_is_named_it(
    it: Handover, store: RunnerStore
) -> None:
    it.relay()
    (one,) = store.insert([make_new("quick", args=(1,), due_in=-1)], now=SystemClock().now())
    until(lambda: it.broker.depth(it.queue) == 1, "the message")
    it.settings(
        handlers="acts",
        routes=f'[[routes]]\nhook = "quick"\nto = "leave"\n{routes(it)}',
    )
    sent(it, "quick")
    worker = it.worker(concurrency=1)
    until(lambda: it.broker.depth(it.queue) == 0, "what the worker has taken")
    sent(it, "fails")
    until(
        lambda: query(store, "SELECT 1 FROM wp_actionscheduler_actions WHERE status = 'failed'"),
        lambda: f"the next: {it.logs()}",
    )
    assert worker.process.poll() is None
    assert column(store, "attempts", one) == 0
