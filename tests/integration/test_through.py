"""Actions that are enqueued through the broker: by a queue from Python, and by the gateway."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import kombu
import pytest

from brokers import Redis, missing_redis, private_redis
from conftest import needs
from gateway import Gateway, serving
from rows import change, column, log_of, query
from wpbridge import Enqueue, Queue
from wpbridge.errors import ConfigError, InputError
from wpbridge.executors.celery.messages import THROUGH_TASK, WholeAction, whole_of
from wpbridge.queue.through import site_mark
from wpbridge.store.running.runner_store import RunnerStore

ROUTES = [{"hook": "crm_*", "to": "celery", "queue": "crm", "priority": 9}]


@pytest.fixture
def broker(redis: Redis) -> Iterator[Redis]:
    yield redis
    if not redis.processes():
        redis.start()
    redis.flush()


@pytest.fixture
def queue(broker: Redis, dsn: str, store: RunnerStore) -> Iterator[Queue]:
    with Queue.open(dsn=dsn, env={}, celery_broker=broker.url, routes=ROUTES) as found:
        yield found


def messages(broker: Redis) -> list[tuple[dict[str, Any], WholeAction]]:
    """What waits in the queue: the headers, and what the bodies say."""
    found = []
    with kombu.Connection(broker.url) as connection, closing(connection.SimpleQueue("crm")) as crm:
        for _ in range(broker.depth("crm")):
            message = crm.get(block=False)
            message.ack()
            assert message.content_type == "application/json"
            found.append((dict(message.headers), whole_of(json.loads(message.body)[0])))
    return found


def rows(store: RunnerStore) -> int:
    return len(query(store, "SELECT 1 FROM wp_actionscheduler_actions"))


def test_the_whole_action_is_in_its_message(
    broker: Redis, queue: Queue, store: RunnerStore
) -> None:
    new = Enqueue(hook="crm_sync", args={"order": 17, "name": "Zoë"}, group="crm", priority=3)
    sent = queue.enqueue(new, through="celery")
    assert sent.action_id is None
    assert rows(store) == 0
    [(headers, told)] = messages(broker)
    assert headers["task"] == THROUGH_TASK
    assert headers["shadow"] == "crm_sync"
    assert headers["eta"] is None
    assert (told.key, told.hook, told.group, told.priority) == (sent.key, "crm_sync", "crm", 3)
    assert told.args == '{"order":17,"name":"Zo\\u00eb"}'


def test_a_site_that_no_runner_has_seen_yet_is_named_as_its_workers_will(
    broker: Redis, queue: Queue, store: RunnerStore
) -> None:
    store.parts.own.drop()
    queue.enqueue(Enqueue(hook="crm_sync"), through="celery")
    store.register(host="worker", boot="b", pid=2, pid_started="2")
    queue.enqueue(Enqueue(hook="crm_sync"), through="celery")
    assert [told.site for _, told in messages(broker)] == [site_mark(store.parts)] * 2


def test_many_are_sent_in_their_order(broker: Redis, queue: Queue, store: RunnerStore) -> None:
    sent = queue.enqueue_many(
        (Enqueue(hook="crm_sync", args=[n]) for n in range(1200)), through="celery"
    )
    assert len({one.key for one in sent}) == 1200
    assert [told.args for _, told in messages(broker)] == [f"[{n}]" for n in range(1200)]
    assert rows(store) == 0


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"unique": True}, "unique"),
        ({"key": "k"}, "key"),
        ({"after": [1]}, "after"),
        ({"at": "+1h"}, "at"),
        ({"cron": "* * * * *"}, "cron"),
        ({"interval": 60}, "interval"),
        ({"hook": "other"}, "no route hands it to Celery"),
        ({"args": "text"}, "args"),
        ({"hook": "crm_\ud800"}, "surrogate"),
    ],
)
def test_what_the_broker_cannot_do_is_refused(
    broker: Redis, queue: Queue, store: RunnerStore, more: dict[str, Any], word: str
) -> None:
    new = Enqueue(**{"hook": "crm_sync", **more})
    with pytest.raises(InputError, match=word):
        queue.enqueue(new, through="celery")
    with pytest.raises(InputError, match=word):
        queue.enqueue_many([Enqueue(hook="crm_sync"), new], through="celery")
    assert broker.depth("crm") == 0
    assert rows(store) == 0


def test_what_the_tables_could_not_hold_is_refused(
    broker: Redis, queue: Queue, store: RunnerStore
) -> None:
    """A failure would become a row, and so would what is paused."""
    change(store, "ALTER TABLE wp_actionscheduler_actions DROP COLUMN extended_args")
    new = Enqueue(hook="crm_sync", args=["x" * 200])
    with pytest.raises(InputError, match="need the column extended_args"):
        queue.enqueue(new, through="celery")
    with pytest.raises(InputError, match="need the column extended_args"):
        queue.enqueue_many([Enqueue(hook="crm_sync"), new], through="celery")
    with pytest.raises(InputError, match="need the column extended_args"):
        queue.check_through(new)
    assert broker.depth("crm") == 0


def test_while_the_broker_is_away_actions_become_rows(
    broker: Redis, queue: Queue, store: RunnerStore
) -> None:
    queue.enqueue(Enqueue(hook="crm_sync"), through="celery")
    broker.stop()
    sent = queue.enqueue(Enqueue(hook="crm_sync", args=[1]), through="celery")
    assert sent.action_id is not None
    assert column(store, "status", sent.action_id) == "pending"
    assert log_of(store, sent.action_id) == ["action created"]
    assert store.parts.keys.made([f"celery:{sent.key}"]) == {f"celery:{sent.key}": sent.action_id}
    more = queue.enqueue_many([Enqueue(hook="crm_sync")] * 3, through="celery")
    assert [one.action_id is not None for one in more] == [True] * 3
    assert rows(store) == 4


def test_a_redis_that_forgets_is_refused_unless_that_is_allowed(
    tmp_path: Path, dsn: str, store: RunnerStore
) -> None:
    needs(missing_redis())
    with private_redis(tmp_path) as forgetful:
        told = {"dsn": dsn, "env": {}, "celery_broker": forgetful.url, "routes": ROUTES}
        with Queue.open(**told) as queue:  # type: ignore[arg-type]
            with pytest.raises(ConfigError, match=r"appendonly, or allow that with \[celery\]"):
                queue.enqueue(Enqueue(hook="crm_sync"), through="celery")
            assert rows(store) == 0
        with Queue.open(**told, celery_volatile=True) as queue:  # type: ignore[arg-type]
            assert queue.enqueue(Enqueue(hook="crm_sync"), through="celery").action_id is None
        assert forgetful.depth("crm") == 1


def test_without_a_broker_it_is_refused(dsn: str, store: RunnerStore) -> None:
    with (
        Queue.open(dsn=dsn, env={}, routes=ROUTES) as queue,
        pytest.raises(ConfigError, match="no message broker"),
    ):
        queue.enqueue(Enqueue(hook="crm_sync"), through="celery")
    assert rows(store) == 0


# The gateway


@pytest.fixture
def gateway(broker: Redis, dsn: str, store: RunnerStore) -> Iterator[Gateway]:
    with serving(dsn, celery_broker=broker.url, routes=ROUTES) as found:
        yield found


def post(gateway: Gateway, **body: Any) -> Any:
    return gateway.ask("POST", "/v1/jobs", {"hook": "crm_sync", "through": "celery", **body})


def test_the_gateway_sends_it_too(broker: Redis, gateway: Gateway, store: RunnerStore) -> None:
    answer = post(gateway, args=[4], group="crm")
    assert answer.status_code == 202
    told = answer.json()
    key = told.pop("key")
    assert told == {"through": "celery", "hook": "crm_sync", "group": "crm", "action_id": None}
    [(_, whole)] = messages(broker)
    assert (whole.key, whole.args) == (key, "[4]")
    assert rows(store) == 0


def test_many_requests_at_once_are_all_confirmed(broker: Redis, gateway: Gateway) -> None:
    codes: list[int] = []

    def ask() -> None:
        with gateway.another() as mine:
            codes.extend(post(mine, args=[n]).status_code for n in range(20))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [202] * 160
    assert broker.depth("crm") == 160


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"unique": True}, "unique"),
        ({"in": 60}, "at"),
        ({"callback": {"hook": "done"}}, "callback"),
        ({"hook": "other"}, ""),
        ({"through": "kafka"}, "through"),
    ],
)
def test_the_gateway_refuses_what_the_broker_cannot_do(
    broker: Redis, gateway: Gateway, more: dict[str, Any], field: str
) -> None:
    answer = post(gateway, **more)
    assert (answer.status_code, answer.json().get("field", "")) == (422, field)
    assert broker.depth("crm") == 0


def test_the_gateway_refuses_an_idempotency_key_and_a_batch(gateway: Gateway) -> None:
    body = {"hook": "crm_sync", "through": "celery"}
    answer = gateway.ask("POST", "/v1/jobs", body, headers={"Idempotency-Key": "k"})
    assert (answer.status_code, answer.json()["field"]) == (422, "Idempotency-Key")
    answer = gateway.ask(
        "POST",
        "/v1/jobs:batch",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/x-ndjson"},
    )
    assert (answer.status_code, answer.json()["field"]) == (422, "through")


def test_the_gateway_makes_a_row_while_the_broker_is_away(
    broker: Redis, gateway: Gateway, store: RunnerStore
) -> None:
    broker.stop()
    answer = post(gateway)
    assert answer.status_code == 202
    assert column(store, "status", answer.json()["action_id"]) == "pending"


def test_a_gateway_without_a_broker_says_so(dsn: str, store: RunnerStore) -> None:
    with serving(dsn) as gateway:
        answer = post(gateway)
    assert (answer.status_code, answer.json()["field"]) == (409, "through")
    assert "broker" in answer.json()["detail"]
