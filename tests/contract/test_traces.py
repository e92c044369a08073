"""Spans from adding an action to its last attempt, as a collector on loopback gets them.

Whoever adds an action makes a producer span. Each attempt is a trace of its own that links to it.
"""

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from gateway import serving
from receiver import Receiver
from reported import Runs
from rows import change, column, query
from sinks import Collector, collecting
from wpbridge import Context, Queue, Retry
from wpbridge.executors.webhook import webhook_handler
from wpbridge.queue.enqueue import Enqueue
from wpbridge.runner import action_events
from wpbridge.site.rules import RetryRule, Webhook
from wpbridge.store.rows import traces
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.telling import bus

if TYPE_CHECKING:
    from wpbridge.executors.handlers import Handler

CLIENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SECRET = "Maria.Wagner@example.com"
ORDER = 471_147_114_711
"""Longer than what random hexadecimal digits hold by chance."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


@pytest.fixture
def run(store: RunnerStore, dsn: str) -> Runs:
    return Runs(store, dsn, telemetry_traces=True)


def test_a_job_is_followed_from_its_request_to_its_callback(
    store: RunnerStore, dsn: str, run: Runs, collector: Collector, receiver: Receiver
) -> None:
    tries: list[int] = []
    tracer = collector.provider.get_tracer("a handler")

    def flaky(order: int, email: str) -> str:
        with tracer.start_as_current_span("inside"):
            tries.append(order)
        if len(tries) == 1:
            raise ValueError(f"no stock for {email}")
        return "done"

    with serving(dsn) as gateway:
        answer = gateway.ask(
            "POST",
            "/v1/jobs",
            {
                "hook": "flaky",
                "args": [ORDER, SECRET],
                "group": "mail",
                "callback": {"url": f"http://127.0.0.1:{receiver.server_port}/done?token=t0k3n"},
            },
            headers={"traceparent": CLIENT},
        )
    assert answer.status_code == 202, answer.text
    rules = (RetryRule(max_attempts=3),)
    for ahead in (60, 120, 180):
        run({"flaky": flaky}, ahead=ahead, retry=rules)
    assert tries == [ORDER, ORDER]

    [made] = collector.spans("enqueue flaky")
    assert (made.kind, made.trace_id, made.parent) == ("PRODUCER", CLIENT[3:35], CLIENT[36:52])
    assert made.attributes["wpbridge.added"] == 1
    first, second = collector.spans("run flaky")
    for span, attempt, outcome in ((first, 1, "retried"), (second, 2, "complete")):
        assert (span.kind, span.parent, span.links) == ("CONSUMER", "", [made.traceparent])
        assert span.trace_id != made.trace_id
        told = span.attributes
        assert told["messaging.destination.name"] == told["wpbridge.hook"] == "flaky"
        assert told["messaging.message.id"] == made.attributes["messaging.message.id"]
        assert told["wpbridge.group"] == "mail"
        assert told["wpbridge.attempt"] == attempt
        assert told["wpbridge.outcome"] == outcome
        [settled] = [s for s in collector.spans("settle") if s.parent == span.span_id]
        assert settled.attributes["db.operation.batch.size"] == 1
        [inside] = [s for s in collector.spans("inside") if s.parent == span.span_id]
        assert inside.trace_id == settled.trace_id == span.trace_id
    assert (first.is_error, second.is_error) == (True, False)
    assert first.message == "no stock for <arg>"

    [called] = collector.spans("run wpbridge_callback")
    assert called.links == [made.traceparent]
    [posted] = collector.spans("POST")
    assert (posted.kind, posted.parent) == ("CLIENT", called.span_id)
    assert posted.attributes["http.response.status_code"] == 200
    [(headers, _)] = receiver.posts
    assert headers["traceparent"][:52] == posted.traceparent[:52]
    for secret in (SECRET, "Maria", "Wagner", str(ORDER), "t0k3n"):
        assert secret.encode() not in collector.sink.everything


def test_a_batch_is_one_span_to_which_all_its_jobs_link(
    store: RunnerStore, dsn: str, run: Runs, collector: Collector
) -> None:
    with serving(dsn) as gateway:
        data = b'{"hook": "a"}\n{"hook": "b"}\n'
        answer = gateway.ask(
            "POST",
            "/v1/jobs:batch",
            data=data,
            headers={"Content-Type": "application/x-ndjson"},
        )
        assert answer.status_code == 202, answer.text
    run({"a": lambda: None, "b": lambda: None})
    [made] = collector.spans("enqueue")
    assert made.attributes["messaging.batch.message_count"] == 2
    for name in ("run a", "run b"):
        assert [span.links for span in collector.spans(name)] == [[made.traceparent]]


def test_a_queue_makes_a_span_inside_the_one_of_its_caller(
    store: RunnerStore, run: Runs, collector: Collector
) -> None:
    tracer = collector.provider.get_tracer("a program")
    queue = Queue(store.parts, close_store=False)

    async def later() -> None:
        await asyncio.sleep(0)
        seen.append(trace.get_current_span().get_span_context().span_id)

    seen: list[int] = []
    with tracer.start_as_current_span("order") as order:
        assert queue.enqueue_async("later", group="g") is not None
        assert queue.enqueue_async("later", group="g", unique=True) is None
    run({"later": later})
    added, refused = collector.spans("enqueue later")
    assert {added.parent, refused.parent} == {f"{order.get_span_context().span_id:016x}"}
    assert (added.attributes["wpbridge.added"], refused.attributes["wpbridge.added"]) == (1, 0)
    [ran] = collector.spans("run later")
    assert ran.links == [added.traceparent]
    # An async handler has the span of its attempt as the current one, too.
    assert [f"{one:016x}" for one in seen] == [ran.span_id]


def test_what_a_handler_adds_belongs_to_its_attempt(
    store: RunnerStore, run: Runs, collector: Collector
) -> None:
    def first(context: Context) -> None:
        context.enqueue("second", key="k")

    with Queue(store.parts, close_store=False) as queue:
        queue.enqueue_async("first")
    run({"first": first, "second": lambda: None})
    [ran] = collector.spans("run first")
    [added] = collector.spans("enqueue second")
    assert (added.parent, added.trace_id) == (ran.span_id, ran.trace_id)
    assert [span.links for span in collector.spans("run second")] == [[added.traceparent]]


def test_successors_requeues_and_webhooks_keep_the_link(
    store: RunnerStore, run: Runs, collector: Collector, receiver: Receiver
) -> None:
    queue = Queue(store.parts, close_store=False)
    receiver.status = 500
    webhook = Webhook(url=f"http://127.0.0.1:{receiver.server_port}/x")
    handlers: dict[str, Callable[..., Any] | Handler] = {
        "every": lambda _: None,
        "posted": webhook_handler("posted", webhook),
    }
    every = queue.schedule_recurring(None, 3600, "every", ["Sabine"])
    posted = queue.schedule_single(None, "posted", ["Sabine"])
    assert every is not None
    assert posted is not None
    run(handlers)
    receiver.status = 200
    queue.requeue([posted])
    run(handlers, ahead=7200)
    for name, outcomes in (("every", ["complete"] * 2), ("posted", ["failed", "complete"])):
        [made] = collector.spans(f"enqueue {name}")
        found = collector.spans(f"run {name}")
        assert [span.attributes["wpbridge.outcome"] for span in found] == outcomes
        assert [span.links for span in found] == [[made.traceparent]] * 2
    assert [span.is_error for span in collector.spans("POST")] == [True, False]
    assert len({headers["traceparent"] for headers, _ in receiver.posts}) == 2
    assert b"Sabine" not in collector.sink.everything


def test_a_row_goes_with_its_action(store: RunnerStore, run: Runs, collector: Collector) -> None:
    queue = Queue(store.parts, close_store=False)
    deleted, cleaned = queue.enqueue_async("h"), queue.enqueue_async("h")
    assert [row[0] for row in query(store, "SELECT action_id FROM wp_wpbridge_traces")] == [
        deleted,
        cleaned,
    ]
    assert deleted is not None
    queue.delete([deleted])
    assert query(store, "SELECT action_id FROM wp_wpbridge_traces") == [(cleaned,)]
    # The plugin's cleaner deletes actions alone.
    change(store, "DELETE FROM wp_actionscheduler_actions")
    while store.parts.traces.expire():
        pass
    assert query(store, "SELECT action_id FROM wp_wpbridge_traces") == []


def test_rows_without_an_action_are_found_in_all_windows(
    store: RunnerStore, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces, "WINDOW", 2)
    queue = Queue(store.parts, close_store=False)
    ids = queue.enqueue_many(Enqueue(hook="h") for _ in range(7))
    change(store, f"DELETE FROM wp_actionscheduler_actions WHERE action_id <> {ids[3]}")
    rows = traces.Traces(store.parts.tables)
    for _ in range(2):
        windows = 0
        while rows.expire():
            windows += 1
        found = query(store, "SELECT action_id FROM wp_wpbridge_traces")
        assert [row[0] for row in found] == [ids[3]]
    assert windows == 1


def test_what_is_rolled_back_leaves_no_row(
    store: RunnerStore, dsn: str, collector: Collector
) -> None:
    queue = Queue(store.parts, close_store=False)
    queue.enqueue_async("h")
    engine = create_engine(dsn.replace("mysql://", "mysql+pymysql://"), poolclass=NullPool)
    with engine.connect() as connection:
        assert queue.enqueue_async("h", connection=connection) is not None
        connection.rollback()
    assert len(query(store, "SELECT action_id FROM wp_wpbridge_traces")) == 1


def test_without_traces_nothing_is_kept(store: RunnerStore) -> None:
    Queue(store.parts, close_store=False).enqueue_async("h")
    assert query(store, "SELECT action_id FROM wp_wpbridge_traces") == []


def test_a_handler_that_asks_to_run_again_has_not_failed(
    store: RunnerStore, run: Runs, collector: Collector
) -> None:
    def again() -> None:
        raise Retry(timedelta(hours=1), "not yet")

    Queue(store.parts, close_store=False).enqueue_async("again")
    run({"again": again})
    [ran] = collector.spans("run again")
    assert (ran.attributes["wpbridge.outcome"], ran.is_error) == ("retried", False)


def test_without_listeners_no_event_is_made_for_them(
    store: RunnerStore, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    for name in ("settled", "started"):
        monkeypatch.setattr(action_events, name, lambda *given: made.append(given))
    monkeypatch.setattr(bus.Bus, "write_to", lambda *_: None)
    Queue(store.parts, close_store=False).enqueue_async("h")
    Runs(store, dsn)({"h": lambda: None})
    assert column(store, "status", 1) == "complete"
    assert made == []
