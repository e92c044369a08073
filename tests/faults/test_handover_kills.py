"""A worker of Celery killed at each statement of taking over and settling, and a relay at each step
of handing over: nothing is lost, and only what was in hand runs again."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import invariants
from brokers import Broker
from daemons import DEADLINE_SECONDS, until
from factories import make_new
from handover import Handover, handing_over
from rows import query
from wpbridge.clock import SystemClock
from wpbridge.store.running.runner_store import RunnerStore

ACTS = """
import os, sys
from pathlib import Path

from wpbridge import hook
from wpbridge.executors.celery import broker
from wpbridge.executors.celery.broker import Broker
from wpbridge.store.database.connection import Connection
from wpbridge.store.database.session import Session
from wpbridge.store.running.claiming import Claiming

FD = os.open("record", os.O_WRONLY | os.O_APPEND | os.O_CREAT)


@hook("count")
@hook("once", at_most_once=True)
def count(number):
    os.write(FD, f"{number}\\n".encode())


def step():
    return Path("step").read_text()


def die():
    try:
        os.close(os.open(f"died-{step()}", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os.kill(os.getpid(), 9)


# The worker: each process takes a number, and dies at its n-th moment. A moment is before each
# statement, and before and after each commit, from its first claim on.

number = moments = 0


def moment():
    global moments
    if number:
        moments += 1
        if moments == number:
            os.kill(os.getpid(), 9)


def begins(real):
    def call(*given, **more):
        global number
        while not number:
            for one in range(1, int(os.environ["MOST"]) + 2):
                try:
                    os.close(os.open(f"taken-{one}", os.O_CREAT | os.O_EXCL))
                except FileExistsError:
                    continue
                number = one
                break
            else:
                number = 1 << 40
        moment()
        return real(*given, **more)

    return call


def counted(real, *, after=False):
    def call(*given, **more):
        moment()
        told = real(*given, **more)
        if after:
            moment()
        return told

    return call


if "MOST" in os.environ:
    Claiming.claim_handed = begins(Claiming.claim_handed)
    Connection._send = counted(Connection._send)
    Session._commit = counted(Session._commit, after=True)


# The relay.


def dies(owner, name, word, *, after=False, times=1):
    real, left = getattr(owner, name), [times]

    def call(*given, **more):
        is_now = step() == word
        left[0] -= is_now
        if is_now and not left[0] and not after:
            die()
        told = real(*given, **more)
        if is_now and not left[0] and after:
            die()
        return told

    setattr(owner, name, call)


if "relay" in sys.argv:
    dies(Broker, "publish", "relay before it publishes")
    dies(broker._Confirms, "wait", "relay before the confirmation")
    dies(Broker, "publish", "relay after it has published", after=True)
    dies(Broker, "depth", "relay before it resends", after=True)
    dies(broker._Confirms, "wait", "relay while it resends", times=2)
    dies(Broker, "publish", "relay after it has resent", after=True, times=2)
"""
MOMENTS = 40
"""So many processes die, each a moment later than the one before: over three actions and more."""
DIED = re.compile(r"its runners died \d+ times|its runner .* died while it ran")
RELAY_STEPS = (
    "before it publishes",
    "before the confirmation",
    "after it has published",
    "before it resends",
    "while it resends",
    "after it has resent",
)


@pytest.fixture
def store(mysql_dsn: str, open_queue: Callable[[str], RunnerStore]) -> RunnerStore:
    return open_queue(mysql_dsn)


@pytest.fixture
def it(rabbitmq: Broker, tmp_path: Path, mysql_dsn: str, store: RunnerStore) -> Iterator[Handover]:
    (tmp_path / "acts.py").write_text(ACTS, encoding="utf-8")
    (tmp_path / "step").write_text("none", encoding="utf-8")
    with handing_over(tmp_path, mysql_dsn, rabbitmq) as found:
        found.queue = f"q{tmp_path.name}"
        found.settings(
            handlers="acts",
            routes=f'[[routes]]\nhook = "*"\nto = "celery"\nqueue = "{found.queue}"',
        )
        yield found


def add(store: RunnerStore, first: int, *hooks: str) -> None:
    now = SystemClock().now()
    actions = [make_new(h, args=(first + n,), due_in=-1, now=now) for n, h in enumerate(hooks)]
    store.insert(actions, now=now)


def runs(folder: Path) -> Counter[int]:
    file = folder / "record"
    return Counter(map(int, file.read_text("ascii").split()) if file.exists() else ())


def test_a_worker_killed_at_any_statement_loses_nothing(it: Handover, store: RunnerStore) -> None:
    it.env["MOST"] = str(MOMENTS)
    hooks = ["count", "once", "count"] * 100
    add(store, 0, *hooks)
    it.worker(concurrency=4)
    it.relay()
    it.drained()
    assert len(list(it.folder.glob("taken-*"))) > MOMENTS
    for one in it.started:
        one.end()
    invariants.check(store)
    found = runs(it.folder)
    rows = query(
        store,
        "SELECT a.args, a.hook, a.status, GROUP_CONCAT(l.message) FROM wp_actionscheduler_actions a"
        " JOIN wp_actionscheduler_logs l USING (action_id) GROUP BY a.action_id",
    )
    assert len(rows) == len(hooks)
    for args, hook, status, log in rows:
        times = found[int(str(args).strip("[]"))]
        assert times <= (1 if hook == "once" else 3), (args, hook, times)
        assert status == "complete" or DIED.search(str(log)), (args, hook, status, log)
        assert status != "complete" or times, (args, hook, log)
    # A process has one action in hand, and perhaps another whose ending is not written.
    assert sum(found.values()) <= len(hooks) + 2 * MOMENTS


@pytest.mark.parametrize("step", RELAY_STEPS)
def test_a_relay_killed_at_any_step_loses_and_doubles_nothing(
    step: str, it: Handover, store: RunnerStore
) -> None:
    (it.folder / "step").write_text(f"relay {step}", encoding="utf-8")
    add(store, 0, *["count"] * 9, "once")
    relay = it.start(["-m", "wpbridge", "relay"], "doomed")
    if "resen" in step:
        until(lambda: it.broker.depth(it.queue) == 10, "messages")
        it.broker.flush()
    assert relay.process.wait(DEADLINE_SECONDS) == -9, relay.log()
    assert it.statuses() == {"pending": 10}
    it.relay()
    it.worker(concurrency=2)
    it.drained()
    assert runs(it.folder) == Counter(range(10))
    assert it.statuses() == {"complete": 10}
    for one in it.started[1:]:
        one.end()
    invariants.check(store)
