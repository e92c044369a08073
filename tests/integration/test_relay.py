"""Actions handed over to Celery by real relays, brokers and workers end as in a local run."""

import json
import re
import signal
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import invariants
from brokers import BROKERS, Broker
from conftest import needs
from daemons import DEADLINE_SECONDS, until
from databases import Databases
from factories import make_new
from handover import Handover, Process, handing_over
from proxy import Proxy
from receiver import Receiver, receiving
from rows import change, column, log_of, query
from servers import MariaDB
from stores import open_store
from wpbridge.action import NewAction
from wpbridge.clock import SystemClock
from wpbridge.errors import BrokerUnavailable
from wpbridge.executors.celery.messages import Wake, wake
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.running.runner_store import RunnerStore

ACTS = """
import asyncio, os, time
from datetime import timedelta
from wpbridge import Cancel, Context, Retry, Snooze, hook, middleware, on
from wpbridge.events import ActionCompleted

@middleware
def around(context: Context):
    context.log("before the handler")
    yield
    context.log("after the handler")

@on(ActionCompleted)
def told(event):
    record("told", event.hook)

def record(*words):
    with open("record", "ab", buffering=0) as stream:
        stream.write((" ".join(map(str, words)) + "\\n").encode())

@hook("quick")
def quick(number):
    record("quick", number, os.getpid())
    return {"number": number}

@hook("fails")
def fails(number):
    raise ValueError(f"no {number}")

@hook("flaky")
def flaky(number, context: Context):
    if context.attempt == 1:
        raise ValueError("flaky")

@hook("snoozes")
def snoozes(number, context: Context):
    if context.attempt == 1:
        raise Snooze(timedelta(seconds=1), "later")

@hook("again")
def again(number, context: Context):
    if context.attempt == 1:
        raise Retry(1, "once more")

@hook("cancels")
def cancels(number):
    raise Cancel("not wanted")

@hook("chain")
def chain(number):
    pass

@hook("tells")
def tells(number, context: Context):
    print("printed")
    context.log(f"{context.hook} {context.group} {context.attempt} {list(context.args)}")
    context.enqueue("quick", [number + 100], key="child")
    return list(context.args)

@hook("alone", isolate=True)
def alone(number):
    return os.getpid() != os.getppid()

@hook("awaited")
async def awaited(number):
    await asyncio.sleep(0)
    return number

@hook("once", at_most_once=True)
def once(number):
    pass

@hook("hangs", timeout=1)
def hangs(number):
    time.sleep(1.4)

@hook("alone_hangs", isolate=True, timeout=1)
def alone_hangs(number):
    time.sleep(60)

@hook("held")
def held(number, context: Context):
    context.progress(0.5, "half")
    while not os.path.exists("go"):
        time.sleep(0.01)

@hook("slow")
def slow(number):
    record("start", number, os.getpid())
    time.sleep(0.6)
    record("end", number, os.getpid())
"""
RETRY = """
[[retry]]
hook = "f*"
max_attempts = 2
base = "1s"
cap = "1s"
"""
HOOKS = (
    *("quick", "fails", "flaky", "snoozes", "again", "cancels", "chain", "tells", "alone"),
    *("awaited", "once", "hangs", "alone_hangs", "posted", "nobody"),
)
LONG_REDIS = pytest.param("redis", marks=pytest.mark.long)


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Broker]]:
    """Each kind of broker is started once."""
    started: dict[str, Broker] = {}
    with ExitStack() as stack:

        def broker(name: str) -> Broker:
            if name not in started:
                missing, private = BROKERS[name]
                needs(missing())
                started[name] = stack.enter_context(private(tmp_path_factory.mktemp(name)))
            return started[name]

        yield broker


Begin = Callable[..., Handover]


@pytest.fixture
def begin(
    brokers: Callable[[str], Broker], tmp_path: Path, mysql_dsn: str, store: RunnerStore
) -> Iterator[Begin]:
    """Begin to hand over in the test's folder, through a queue of the test's own."""
    with ExitStack() as stack:

        def begin_it(broker: str = "redis", *, more: str = "", **celery: Any) -> Handover:
            (tmp_path / "acts.py").write_text(ACTS, encoding="utf-8")
            it = stack.enter_context(handing_over(tmp_path, mysql_dsn, brokers(broker)))
            it.queue = f"q{uuid.uuid4().hex}"
            routes = f'[[routes]]\nhook = "*"\nto = "celery"\nqueue = "{it.queue}"'
            it.settings(handlers="acts", routes=routes, more=RETRY + more, **celery)
            return it

        yield begin_it


@pytest.fixture
def store(mysql_dsn: str, open_queue: Callable[[str], RunnerStore]) -> RunnerStore:
    return open_queue(mysql_dsn)


def news(*hooks: str, group: str = "g") -> list[NewAction]:
    """Actions due now; a chain is due once an hour."""
    now = SystemClock().now()
    return [
        make_new(
            hook,
            args=(number,),
            due_in=-1,
            group=group,
            interval=3600 if hook == "chain" else None,
            now=now,
        )
        for number, hook in enumerate(hooks, 1)
    ]


def added(store: RunnerStore, *hooks: str, group: str = "g") -> list[int]:
    """The ids of new actions that are due."""
    return list(store.insert(news(*hooks, group=group), now=SystemClock().now()))


def claimed(store: RunnerStore) -> list[int]:
    rows = query(
        store,
        "SELECT action_id FROM wp_actionscheduler_actions"
        " WHERE claim_id <> 0 AND status IN ('pending', 'in-progress')",
    )
    return [int(str(row[0])) for row in rows]


def status(store: RunnerStore, action_id: int) -> str:
    return str(column(store, "status", action_id))


def records(folder: Path, word: str) -> list[list[str]]:
    file = folder / "record"
    lines = file.read_text().splitlines() if file.exists() else []
    return [line.split()[1:] for line in lines if line.startswith(f"{word} ")]


# The same as a local run


def left(store: RunnerStore, folder: Path) -> dict[str, Sequence[Any]]:
    """What a run has left in the tables and told, without what every run makes anew."""

    def plain(value: object) -> object:
        text = re.sub(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?", "<date>", str(value))
        return re.sub(r"\d{10}|\b\d+\.\d+ s\b", "<n>", text)

    def rows(statement: str) -> list[tuple[object, ...]]:
        return [tuple(map(plain, row)) for row in query(store, statement)]

    names = (
        "hook, status, args, attempts, priority, schedule, group_id, extended_args, claim_id > 0"
    )
    return {
        # By hook and args: what is enqueued meanwhile has another id each time.
        "actions": sorted(rows(f"SELECT {names} FROM wp_actionscheduler_actions"), key=str),
        "logs": sorted(
            rows(
                "SELECT a.hook, a.args, a.status, GROUP_CONCAT(l.message ORDER BY l.log_id"
                " SEPARATOR '\n') FROM wp_actionscheduler_actions a"
                " JOIN wp_actionscheduler_logs l USING (action_id) GROUP BY a.action_id"
            ),
            key=str,
        ),
        "results": sorted(
            rows(
                "SELECT a.hook, a.args, r.result FROM wp_actionscheduler_actions a"
                " JOIN wp_wpbridge_results r USING (action_id)"
            ),
            key=str,
        ),
        "claims": rows("SELECT claim_id FROM wp_actionscheduler_claims"),
        "told": sorted(records(folder, "told")),
        "moments": sorted(
            rows(
                "SELECT hook, args, status, last_attempt_gmt = '0000-00-00 00:00:00',"
                " scheduled_date_gmt > UTC_TIMESTAMP() FROM wp_actionscheduler_actions"
            ),
            key=str,
        ),
    }


@pytest.fixture(scope="module")
def local(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Sequence[Any]]]:
    """What a local run leaves of the same actions."""
    folder = tmp_path_factory.mktemp("local")
    (folder / "acts.py").write_text(ACTS, encoding="utf-8")
    with databases.with_tables() as dsn, receiving() as posts:
        store = open_store(DatabaseAddress.from_dsn(dsn), "wp_")
        store.insert(news(*HOOKS), now=SystemClock().now())
        more = f'\n[webhooks]\nposted = "http://127.0.0.1:{posts.server_address[1]}/"\n'
        (folder / "wpbridge.toml").write_text(
            f'[run]\nhandlers = ["acts"]\n{RETRY}{more}', encoding="utf-8"
        )
        it = Handover.__new__(Handover)
        it.folder, it.dsn, it.env, it._store = folder, dsn, {}, store

        def has_run() -> bool:
            done = it.wpbridge("claim-and-run", "--concurrency", "4")
            assert done.returncode in (0, 1), done.stderr
            return not [row for row in it.pending() if row != "nobody"]

        until(has_run, "the end of a local run", pause=0.1)
        found = left(store, folder)
        assert ["quick"] in found["told"]
        assert "before the handler" in str(found["logs"])
        yield found
        store.close()


@pytest.mark.parametrize(
    ("broker", "pool", "concurrency"),
    [
        ("redis", "prefork", 3),
        ("rabbitmq", "threads", 4),
        ("sqs", "solo", 1),
    ],
)
def test_the_tables_are_as_a_local_run_leaves_them(  # noqa: PLR0917 - parameters and fixtures
    broker: str,
    pool: str,
    concurrency: int,
    begin: Begin,
    store: RunnerStore,
    receiver: Receiver,
    local: dict[str, Sequence[Any]],
) -> None:
    it = begin(broker, more=f'\n[webhooks]\nposted = "http://127.0.0.1:{receiver.server_port}/"\n')
    store.insert(news(*HOOKS), now=SystemClock().now())
    worker = it.worker(pool=pool, concurrency=concurrency)
    relay = it.relay()
    until(
        lambda: [row for row in it.pending() if row != "nobody"] == [],
        lambda: f"the end of {it.pending()}: {it.logs()}",
    )
    assert relay.end() == 128 + signal.SIGTERM
    assert worker.end() == 0
    assert left(store, it.folder) == local
    assert len(receiver.posts) == 1
    assert it.runners("relay") == it.runners("celery") == {}
    invariants.check(store)


# Refusals


def test_greenlets_are_refused_with_one_line(begin: Begin) -> None:
    it = begin()
    worker = it.worker(pool="gevent", is_awaited=False)
    assert worker.process.wait(60) == 78, worker.log()
    assert "the pool gevent cannot run handlers" in worker.log()
    assert "Traceback" not in worker.log()


def test_a_worker_without_a_broker_ends_with_one_line(begin: Begin) -> None:
    it = begin()
    (it.folder / "wpbridge.toml").write_text('[run]\nhandlers = ["acts"]\n', encoding="utf-8")
    worker = it.worker(is_awaited=False)
    assert worker.process.wait(60) == 78, worker.log()
    assert worker.log() == (
        "wpbridge: there is no message broker: set [celery] broker, or WPBRIDGE_CELERY_BROKER\n"
    )


def test_handlers_may_be_named_on_the_command_line(begin: Begin, store: RunnerStore) -> None:
    it = begin()
    settings = it.folder / "wpbridge.toml"
    settings.write_text(settings.read_text().replace('["acts"]', "[]"), encoding="utf-8")
    (one,) = added(store, "quick")
    it.worker("--handlers", "acts", concurrency=1)
    it.relay("--handlers", "acts")
    it.drained()
    assert status(store, one) == "complete"


def send(it: Handover, body: Any, **more: Any) -> None:
    """Send a message of any kind into the queue, as a stranger could."""
    from kombu import Connection  # noqa: PLC0415 - it may be missing

    with Connection(it.url, transport_options=it.broker.transport_options) as connection:
        connection.Producer().publish(body, exchange="", routing_key=it.queue, **more)


@pytest.mark.parametrize("broker", [LONG_REDIS, "rabbitmq"])
def test_messages_that_are_none_of_ours_are_refused_and_harm_nothing(
    broker: str, begin: Begin, store: RunnerStore
) -> None:
    it = begin(broker, resend_after="1h")
    relay = it.relay()
    first, second = added(store, "quick", "quick")
    until(lambda: it.broker.depth(it.queue) == 2, lambda: f"messages: {relay.log()}")
    claim = int(str(column(store, "claim_id", first)))
    site = open_site_mark(store)
    name = name_of_relay(store)
    relay.process.send_signal(signal.SIGSTOP)
    worker = it.worker(concurrency=1)
    good = wake(Wake(site, first, claim, name), queue=it.queue, hook="quick")
    until(lambda: status(store, second) == "complete", "the end of the second")

    def ours(args: Any) -> None:
        body = json.dumps([args, {}, {}]).encode()
        send(it, body, headers=dict(good.headers), content_type="application/json", **UTF8)

    UTF8 = {"content_encoding": "utf-8", "correlation_id": "c"}  # noqa: N806
    (third,) = added(store, "quick")
    pickled = b"\x80\x04cos\nsystem\n(S'touch harmed'\ntR."
    headers = dict(good.headers)
    pickle = {"content_type": "application/x-python-serialize", "content_encoding": "binary"}
    send(it, pickled, headers=headers, correlation_id="c", **pickle)
    send(it, b"{no json", headers=headers, content_type="application/json", **UTF8)
    send(it, b"", content_type="text/plain", **UTF8)
    strange = {**headers, "task": "os.system"}
    send(it, b"[[], {}, {}]", headers=strange, content_type="application/json", **UTF8)
    for args in (
        [],
        [site, "1", claim, name],
        [site, -1, claim, name],
        [site, True, claim, name],
        [site, third, 1 << 70, name],
        [site, third, claim],
        [site, third, claim, name, 5],
        [[site], third, claim, name],
        "text",
        None,
        {"site": site},
    ):
        ours(args)
    ours(["another.wp_", third, claim, name])
    ours([site, third, claim, name])
    ours([site, third, claim, "0.nobody"])
    ours([site, first, claim, name])
    worker.logged("message is for the site another.wp_")
    relay.process.send_signal(signal.SIGCONT)
    until(lambda: status(store, third) == "complete", lambda: f"the third: {it.logs()}")
    it.drained()
    assert not (it.folder / "harmed").exists()
    assert len(records(it.folder, "quick")) == len(query(store, ALL_ACTIONS))
    assert worker.process.poll() is None
    invariants_when_left(it, store)


@pytest.mark.parametrize("broker", [LONG_REDIS, "rabbitmq"])
def test_messages_that_celery_cannot_read_stop_no_worker(
    broker: str, begin: Begin, store: RunnerStore
) -> None:
    it = begin(broker)
    worker = it.worker(concurrency=1)
    told = {"content_type": "application/json", "content_encoding": "utf-8"}
    # Of the older protocol, and without an id.
    send(it, {"task": "somebody.else", "args": []})
    send(it, {"task": ["a", "list"], "id": "1"})
    send(it, b"[[], {}, {}]", headers={"task": "somebody.else"}, **told)
    send(it, b"[[], {}, {}]", headers={"task": "wpbridge.run"}, **told)
    send(it, b"[[], {}, {}]", headers={"task": "wpbridge.run", "id": "1", "eta": "soon"}, **told)
    send(it, b"7", headers={"task": "wpbridge.run", "id": "2"}, correlation_id="2", **told)
    (one,) = added(store, "quick")
    it.relay()
    it.drained()
    assert status(store, one) == "complete"
    assert "Frequent restarts" not in worker.log()
    assert "Connection to broker lost" not in worker.log()


ALL_ACTIONS = "SELECT action_id FROM wp_actionscheduler_actions"


def open_site_mark(store: RunnerStore) -> str:
    from wpbridge.queue.through import site_mark  # noqa: PLC0415 - loads kombu

    return site_mark(store.parts)


def name_of_relay(store: RunnerStore) -> str:
    """The only runner, as fences name it."""
    from wpbridge.store.running.fences import runner_name  # noqa: PLC0415
    from wpbridge.store.running.ownership import runners  # noqa: PLC0415

    (one,) = [row for row in runners(store.parts.tables) if row.claims]
    return runner_name(one)


def invariants_when_left(it: Handover, store: RunnerStore) -> None:
    """End all processes in order, and look at what they leave."""
    for one in it.started:
        if one.process.poll() is None:
            one.end()
    assert query(store, "SELECT * FROM wp_wpbridge_runners") == []
    invariants.check(store)


# The ends of relays and workers


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)]
)
def test_a_relay_that_ends_frees_what_no_worker_has_started(
    number: signal.Signals, begin: Begin, store: RunnerStore
) -> None:
    it = begin()
    ids = added(store, *["quick"] * 50)
    relay = it.relay()
    until(lambda: len(claimed(store)) == 50 and it.broker.depth(it.queue) == 50, "50 named")
    assert relay.end(number) == 128 + number
    assert claimed(store) == []
    assert query(store, "SELECT * FROM wp_wpbridge_runners") == []
    # Old messages start nothing.
    it.worker(concurrency=1)
    until(lambda: it.broker.depth(it.queue) == 0, "all messages read")
    it.relay()
    it.drained()
    assert Counter(status(store, one) for one in ids) == {"complete": 50}
    assert len(records(it.folder, "quick")) == 50
    invariants_when_left(it, store)


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_a_worker_that_ends_writes_all_endings(pool: str, begin: Begin, store: RunnerStore) -> None:
    it = begin("redis", resend_after="1h")
    added(store, *["slow"] * 6)
    worker = it.worker(pool=pool, concurrency=2)
    relay = it.relay()
    until(lambda: records(it.folder, "start"), lambda: f"a start: {it.logs()}")
    assert worker.end() == 0
    started = {one[0] for one in records(it.folder, "start")}
    assert {one[0] for one in records(it.folder, "end")} == started
    assert it.runners("celery") == {}
    done = query(store, "SELECT args FROM wp_actionscheduler_actions WHERE status = 'complete'")
    assert {str(row[0]).strip("[]") for row in done} == started
    assert relay.end() == 128 + signal.SIGTERM
    assert claimed(store) == []
    invariants.check(store)


def test_children_that_end_after_each_task_lose_nothing(begin: Begin, store: RunnerStore) -> None:
    it = begin("rabbitmq")
    added(store, *["quick"] * 8)
    it.worker("--max-tasks-per-child", "1", concurrency=2)
    it.relay()
    it.drained()
    found = records(it.folder, "quick")
    assert len(found) == 8
    assert len({pid for _, pid in found}) == 8
    assert it.statuses() == {"complete": 8}
    invariants_when_left(it, store)


# What people do meanwhile


def named(it: Handover, store: RunnerStore, *hooks: str, group: str = "g") -> list[int]:
    """Actions that a relay has named, with no worker there yet."""
    ids = added(store, *hooks, group=group)
    it.relay()
    until(lambda: it.broker.depth(it.queue) >= len(hooks), "messages")
    return ids


def test_what_is_paused_or_canceled_meanwhile_is_not_started(
    begin: Begin, store: RunnerStore
) -> None:
    it = begin("redis", resend_after="1h")
    (calm,) = added(store, "quick", group="calm")
    canceled, other = named(it, store, "quick", "quick")
    assert it.wpbridge("pause", "--group", "calm").returncode == 0
    assert it.wpbridge("cancel", str(canceled)).returncode == 0
    it.worker(concurrency=1)
    until(lambda: status(store, other) == "complete", "the other one")
    until(lambda: claimed(store) == [], "the end of all claims")
    assert status(store, canceled) == "canceled"
    assert status(store, calm) == "pending"
    assert len(records(it.folder, "quick")) == 1
    assert it.wpbridge("resume", "--group", "calm").returncode == 0
    it.drained()
    assert status(store, calm) == "complete"
    invariants_when_left(it, store)


@pytest.mark.parametrize("broker", [LONG_REDIS, "rabbitmq"])
def test_celery_looks_at_its_workers_and_hears_their_events(
    broker: str, begin: Begin, store: RunnerStore
) -> None:
    import celery  # noqa: PLC0415 - it may be missing

    it = begin(broker)
    it.worker("-E", concurrency=1)
    it.relay()
    app = celery.Celery(broker=it.url, set_as_current=False)
    heard: list[str] = []

    def hear(event: dict[str, Any]) -> None:
        heard.append(event["type"])
        if event["type"] == "worker-heartbeat" and heard.count("worker-heartbeat") == 1:
            added(store, "slow")
        receiver.should_stop = event["type"] == "task-succeeded"

    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": hear})
        receiver.capture(limit=None, timeout=120.0, wakeup=False)
    assert {"task-received", "task-started", "task-succeeded"} <= set(heard), it.logs()
    assert app.control.ping(timeout=60.0, limit=1) == [{"worker@localhost": {"ok": "pong"}}]
    added(store, "held")
    inspect = app.control.inspect(timeout=2.0, limit=1)
    active = until(lambda: (inspect.active() or {}).get("worker@localhost"), "something active")
    assert active[0]["name"] == "held"
    told = "SELECT progress, progress_text FROM wp_wpbridge_results WHERE progress IS NOT NULL"
    until(lambda: query(store, told) == [(0.5, "half")], "how far it is")
    done = it.celery("inspect", "ping", "-d", "worker@localhost", "--timeout", "60")
    assert "pong" in done.stdout
    (it.folder / "go").touch()
    it.drained()
    app.close()


# The broker is away


def test_a_relay_waits_for_its_broker_and_holds_nothing_meanwhile(
    brokers: Callable[[str], Broker], begin: Begin, store: RunnerStore
) -> None:
    broker = brokers("redis")
    it = begin("redis")
    added(store, *["quick"] * 5)
    broker.stop()
    try:
        relay = it.relay()
        relay.logged("celery.away")
        until(lambda: claimed(store) == [], "no claims")
        assert it.statuses() == {"pending": 5}
        assert "probably" not in relay.log()
    finally:
        broker.start()
    it.worker(concurrency=1)
    it.drained()
    assert it.statuses() == {"complete": 5}
    broker.stop()
    try:
        added(store, *["quick"] * 5)
        relay.logged("celery.away", 2)
        until(lambda: claimed(store) == [], "no claims")
    finally:
        broker.start()
    relay.logged("celery.back", 2)
    it.drained()
    assert it.statuses() == {"complete": 10}
    assert len(records(it.folder, "quick")) == 10
    invariants_when_left(it, store)


@pytest.mark.parametrize(
    ("broker", "pool"),
    [("rabbitmq", "threads"), pytest.param("redis", "prefork", marks=pytest.mark.long)],
)
def test_a_worker_whose_connection_was_cut_goes_on(
    broker: str, pool: str, begin: Begin, store: RunnerStore
) -> None:
    it = begin(broker)
    with Proxy(("127.0.0.1", it.broker.port)) as proxy:
        settings = (it.folder / "wpbridge.toml").read_text(encoding="utf-8")
        settings = settings.replace(f":{it.broker.port}", f":{proxy.port}")
        (it.folder / "wpbridge.toml").write_text(settings, encoding="utf-8")
        worker = it.worker(pool=pool, concurrency=4)
        it.relay()
        added(store, *["slow"] * 12)
        for number in (1, 5):
            until(lambda: len(records(it.folder, "start")) >= number, "starts")  # noqa: B023
            proxy.cut()
        it.drained()
        assert it.statuses() == {"complete": 12}
        assert worker.end() == 0
    invariants_when_left(it, store)


@pytest.mark.parametrize("name", ["redis", "rabbitmq"])
def test_a_broker_that_hangs_is_away(name: str, brokers: Callable[[str], Broker]) -> None:
    """It takes connections and bytes, and answers nothing: a relay may not wait for ever."""
    from wpbridge.executors.celery import broker as module  # noqa: PLC0415 - loads kombu

    broker, queue = brokers(name), f"q{uuid.uuid4().hex}"
    message = wake(Wake("s", 1, 1, "1.a"), queue=queue, hook="h")
    with Proxy(("127.0.0.1", broker.port)) as proxy:
        url = broker.url.replace(f":{broker.port}", f":{proxy.port}")
        asks: list[Callable[[module.Broker], object]] = [
            lambda one: one.publish([message]),
            lambda one: one.depth(queue),
        ]
        for ask in asks:
            ours = module.Broker(url, {}, connect_seconds=5.0, confirm_seconds=5.0)
            ours.publish([message])
            proxy.stall()
            with pytest.raises(BrokerUnavailable):
                ask(ours)
            proxy.flow()
            # It is connected anew, and works again.
            ours.publish([message])
            assert ours.depth(queue) >= 1
            ours.close()


BROKEN = """
from wpbridge.store.running.claiming import Claiming

def claim_handed(*_, **__):
    raise RuntimeError("broken")

Claiming.claim_handed = claim_handed
"""


@pytest.mark.parametrize("pool", ["prefork", pytest.param("threads", marks=pytest.mark.long)])
def test_a_worker_whose_runner_dies_ends_and_loses_nothing(
    pool: str, begin: Begin, store: RunnerStore
) -> None:
    it = begin()
    acts = it.folder / "acts.py"
    acts.write_text(ACTS + BROKEN, encoding="utf-8")
    added(store, *["quick"] * 4)
    broken = it.worker(pool=pool, concurrency=2)
    it.relay()
    broken.logged("RuntimeError: broken")
    broken.process.wait(DEADLINE_SECONDS)
    assert "celery.stopping" in broken.log()
    acts.write_text(ACTS, encoding="utf-8")
    it.worker(concurrency=1, name="sound")
    it.drained()
    assert it.statuses() == {"complete": 4}
    assert len(records(it.folder, "quick")) == 4
    invariants_when_left(it, store)


@pytest.mark.long
@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_worker_that_is_told_to_end_without_a_database_ends(
    pool: str, begin: Begin, store: RunnerStore, mariadb: MariaDB
) -> None:
    it = begin()
    added(store, *["slow"] * 6)
    with Proxy(mariadb.socket) as proxy:
        dsn, it.dsn = it.dsn, proxy.url(database_of(it.dsn))
        worker = it.worker(pool=pool, concurrency=2)
        it.dsn = dsn
        it.relay()
        until(lambda: records(it.folder, "start"), lambda: f"a start: {it.logs()}")
        proxy.refuse()
        proxy.cut()
        worker.process.terminate()
        worker.process.wait(DEADLINE_SECONDS)
    it.worker(concurrency=1, name="sound")
    it.drained()
    assert it.statuses() == {"complete": 6}
    # Only what had ended and was not written runs again.
    assert len(records(it.folder, "start")) <= 6 + 4
    invariants_when_left(it, store)


def database_of(dsn: str) -> str:
    return dsn.partition("?")[0].rpartition("/")[2]


@pytest.mark.long
def test_a_worker_that_is_told_to_stop_by_people_ends(begin: Begin, store: RunnerStore) -> None:
    it = begin()
    worker: Process = it.worker(pool="threads", concurrency=1)
    change(store, "UPDATE wp_wpbridge_runners SET wish = 'stop'")
    it.relay()
    added(store, "quick")
    assert worker.process.wait(60) == 0
    assert "it is wished that this worker stops" in worker.log()
    assert log_of(store, 1)
