"""The HTTP gateway: what it answers, and what is in the tables then."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from daemons import until
from factories import bucketed
from gateway import Gateway, serving
from receiver import Receiver
from rows import change, query, set_status
from wpbridge import Queue
from wpbridge.action import ActionId
from wpbridge.clock import SystemClock
from wpbridge.codec.keys import new_uuid
from wpbridge.errors import StoreUnavailable
from wpbridge.executors.handlers import describe
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.monitor import gauges
from wpbridge.runner import catch_up
from wpbridge.runner.identity import identity
from wpbridge.runner.loop import Limits, Runner
from wpbridge.store.base import ClaimFilter
from wpbridge.store.rows.stats import Count
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.telling.metrics import DURATION_BOUNDS

PREFIX = "urn:wpbridge:problem:"


@pytest.fixture
def gateway(dsn: str, store: RunnerStore) -> Iterator[Gateway]:
    with serving(dsn) as found:
        yield found


def actions(store: RunnerStore) -> int:
    return len(query(store, "SELECT 1 FROM wp_actionscheduler_actions"))


def end(
    store: RunnerStore, action_id: int, result: object = None, status: str = "complete"
) -> None:
    """End an action as a runner does."""
    now = SystemClock().now()
    if result is not None:
        told = [(ActionId(action_id), json.dumps(result))]
        store.session.transact(lambda c: store.parts.results.write(c, told, now))
    set_status(store, action_id, status)


def problem(answer: Any) -> tuple[int, str, str]:
    """The status, type and field of a problem document."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    told = answer.json()
    assert told["status"] == answer.status_code
    assert told["type"].startswith(PREFIX)
    assert told["detail"]
    return answer.status_code, told["type"].removeprefix(PREFIX), told.get("field", "")


def test_202_means_committed(gateway: Gateway, store: RunnerStore) -> None:
    answer = gateway.ask(
        "POST", "/v1/jobs", {"hook": "send_mail", "args": {"order": 17}, "group": "mail"}
    )
    assert answer.status_code == 202, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert int(answer.headers["Retry-After"]) >= 1
    job = answer.json()
    assert answer.headers["Location"] == job["links"]["self"] == f"/v1/jobs/{job['job']}"
    assert query(store, "SELECT action_id, hook, status, args FROM wp_actionscheduler_actions") == [
        (job["action_id"], "send_mail", "pending", '{"order":17}')
    ]
    assert gateway.ask("GET", answer.headers["Location"]).json() == job
    assert (job["status"], job["args"], job["group"]) == ("pending", {"order": 17}, "mail")
    assert (job["started_at"], job["ended_at"], job["attempts"]) == (None, None, 0)


def test_a_job_is_followed_to_its_result(gateway: Gateway, store: RunnerStore) -> None:
    job = gateway.add()
    result = job["links"]["result"]
    assert problem(gateway.ask("GET", result))[:2] == (404, "no-result")
    end(store, job["action_id"], {"mails": 3})
    seen = gateway.ask("GET", job["links"]["self"]).json()
    assert seen["status"] == "complete"
    answer = gateway.ask("GET", result)
    assert (answer.status_code, answer.json()) == (200, {"mails": 3})


def test_one_idempotency_key_makes_one_job(gateway: Gateway, store: RunnerStore) -> None:
    def ask(key: str, **body: Any) -> Any:
        headers = {"Idempotency-Key": key}
        return gateway.ask("POST", "/v1/jobs", {"hook": "h", **body}, headers=headers)

    first, again, quoted = ask("k-1"), ask("k-1"), ask('"k-1"')
    assert "Idempotency-Replayed" not in first.headers
    for answer in (again, quoted):
        assert answer.status_code == 202, answer.text
        assert answer.headers["Idempotency-Replayed"] == "true"
        assert answer.headers["Location"] == first.headers["Location"]
        assert answer.json() == first.json()
    assert problem(ask("k-1", args=[1])) == (422, "key-reused", "Idempotency-Key")
    assert ask('"k 2"').status_code == 202
    # Another caller's key is another key.
    headers = {"Idempotency-Key": "k-1"}
    other = gateway.ask("POST", "/v1/jobs", {"hook": "h"}, key="other", headers=headers)
    assert other.headers["Location"] != first.headers["Location"]
    assert actions(store) == 3


@pytest.mark.parametrize("key", ["", '"', '"a', 'a"b', "ü", "a b", "x" * 256, '"\\a"'])
def test_a_bad_idempotency_key_is_refused(gateway: Gateway, store: RunnerStore, key: str) -> None:
    headers = {"Idempotency-Key": key.encode("latin-1")}
    answer = gateway.ask("POST", "/v1/jobs", {"hook": "h"}, headers=headers)
    assert problem(answer) == (400, "bad-request", "Idempotency-Key")
    assert actions(store) == 0


def test_many_at_once_with_one_key_get_one_job(gateway: Gateway, store: RunnerStore) -> None:
    locations: list[str] = []
    start = threading.Barrier(16)

    def ask() -> None:
        start.wait()
        headers = {"Idempotency-Key": "one"}
        with gateway.another() as client:
            answer = client.ask("POST", "/v1/jobs", {"hook": "h"}, headers=headers)
        locations.append(answer.headers.get("Location", answer.text))

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(locations) == 16
    assert len(set(locations)) == 1
    assert actions(store) == 1


BAD_BODIES: list[tuple[Any, tuple[int, str, str]]] = [
    (b"", (400, "bad-json", "")),
    (b"{", (400, "bad-json", "")),
    (b"\xff{}", (400, "bad-json", "")),
    (b'{"hook":"h","hook":"i"}', (400, "bad-json", "")),
    (b'{"hook":"h","args":[NaN]}', (400, "bad-json", "")),
    (b'{"hook":"h","args":[1e999]}', (400, "bad-json", "")),
    (b'{"hook":"h","args":[' + b"9" * 5000 + b"]}", (400, "bad-json", "")),
    (b'{"hook":"h","args":' + b"[" * 5000 + b"]" * 5000 + b"}", (400, "bad-json", "")),
    (b'{"hook":"h","args":' + b"[" * 99 + b"]" * 99 + b"}", (400, "bad-json", "")),
    (b"[]", (422, "invalid", "")),
    (b'"h"', (422, "invalid", "")),
    (b"null", (422, "invalid", "")),
    ({}, (422, "invalid", "hook")),
    ({"hook": ""}, (422, "invalid", "hook")),
    ({"hook": 7}, (422, "invalid", "hook")),
    ({"hook": None}, (422, "invalid", "hook")),
    ({"hook": "x" * 192}, (422, "invalid", "hook")),
    ({"hook": "a\0b"}, (422, "invalid", "hook")),
    ({"hook": "\ud800"}, (422, "invalid", "hook")),
    ({"hook": "h", "hok": 1}, (422, "invalid", "hok")),
    ({"hook": "h", "args": "[1]"}, (422, "invalid", "args")),
    ({"hook": "h", "args": ["x" * 8001]}, (422, "invalid", "args")),
    ({"hook": "h", "args": ["\ud800"]}, (422, "invalid", "args")),
    ({"hook": "h", "at": "tomorrowish"}, (422, "invalid", "at")),
    ({"hook": "h", "at": -1}, (422, "invalid", "at")),
    ({"hook": "h", "at": 1e300}, (422, "invalid", "at")),
    ({"hook": "h", "at": True}, (422, "invalid", "at")),
    ({"hook": "h", "in": "soon"}, (422, "invalid", "in")),
    ({"hook": "h", "in": -1}, (422, "invalid", "in")),
    ({"hook": "h", "in": 1e300}, (422, "invalid", "in")),
    ({"hook": "h", "at": 1, "in": 1}, (422, "invalid", "in")),
    ({"hook": "h", "cron": "* * *"}, (422, "invalid", "cron")),
    ({"hook": "h", "cron": "* * * * *", "interval": 60}, (422, "invalid", "")),
    ({"hook": "h", "interval": -5}, (422, "invalid", "interval")),
    ({"hook": "h", "interval": "1.5s"}, (422, "invalid", "interval")),
    ({"hook": "h", "tz": "Europe/Berlin"}, (422, "invalid", "tz")),
    ({"hook": "h", "cron": "* * * * *", "tz": "Mars/Base"}, (422, "invalid", "cron")),
    ({"hook": "h", "group": "x" * 256}, (422, "invalid", "group")),
    ({"hook": "h", "group": 5}, (422, "invalid", "group")),
    ({"hook": "h", "priority": 256}, (422, "invalid", "priority")),
    ({"hook": "h", "priority": 1.5}, (422, "invalid", "priority")),
    ({"hook": "h", "priority": "10"}, (422, "invalid", "priority")),
    ({"hook": "h", "unique": "yes"}, (422, "invalid", "unique")),
    ({"hook": "h", "after": ["x"]}, (422, "invalid", "after.0")),
    ({"hook": "h", "after": [new_uuid()]}, (422, "invalid", "after")),
    ({"hook": "h", "after": "x"}, (422, "invalid", "after")),
]


def test_a_bad_body_is_a_problem_and_writes_nothing(gateway: Gateway, store: RunnerStore) -> None:
    for body, wanted in BAD_BODIES:
        given = {"data": body} if isinstance(body, bytes) else {"body": body}
        found = problem(gateway.ask("POST", "/v1/jobs", **given))
        assert found == wanted, (body if isinstance(body, dict) else body[:60], found)
    assert actions(store) == 0
    assert query(store, "SELECT 1 FROM wp_wpbridge_jobs") == []


def test_size_media_type_and_method_are_checked(gateway: Gateway, store: RunnerStore) -> None:
    large = json.dumps({"hook": "h", "args": ["x" * 70_000]}).encode()
    assert problem(gateway.ask("POST", "/v1/jobs", data=large))[:2] == (413, "too-large")
    chunked = gateway.session.post(
        f"{gateway.url}/v1/jobs",
        data=iter([large]),
        headers={**gateway.authorization(), "Content-Type": "application/json"},
    )
    assert problem(chunked)[:2] == (413, "too-large")
    for media in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=x"):
        answer = gateway.ask("POST", "/v1/jobs", {"hook": "h"}, headers={"Content-Type": media})
        assert problem(answer)[:2] == (415, "wrong-media-type")
    for method, path in (("PUT", "/v1/jobs"), ("DELETE", "/livez"), ("POST", "/v1/stats")):
        answer = gateway.ask(method, path)
        assert problem(answer)[:2] == (405, "wrong-method")
        assert answer.headers["Allow"]
    assert problem(gateway.ask("GET", "/v2/jobs"))[:2] == (404, "not-found")
    assert actions(store) == 0


def test_a_unique_job_is_refused_while_its_like_waits(gateway: Gateway) -> None:
    gateway.add(unique=True)
    answer = gateway.ask("POST", "/v1/jobs", {"hook": "h", "unique": True})
    assert problem(answer)[:2] == (409, "not-unique")


def test_a_job_waits_for_another(gateway: Gateway, store: RunnerStore) -> None:
    first = gateway.add()
    second = gateway.add("behind", after=[first["job"]])
    assert second["status"] == "waiting"
    assert second["due_at"] is None
    assert gateway.ask("GET", second["links"]["self"]).json() == second


def test_a_batch_is_added_whole_or_not_at_all(gateway: Gateway, store: RunnerStore) -> None:
    def ask(*lines: bytes, **headers: str) -> Any:
        told = {"Content-Type": "application/x-ndjson", **headers}
        return gateway.ask("POST", "/v1/jobs:batch", data=b"\n".join(lines), headers=told)

    answer = ask(b'{"hook":"a"}', b"", b'{"hook":"b","in":60}', **{"Idempotency-Key": "k"})
    assert answer.status_code == 202, answer.text
    assert [job["hook"] for job in answer.json()["jobs"]] == ["a", "b"]
    again = ask(b'{"hook":"a"}', b'{"hook":"b","in":60}', **{"Idempotency-Key": "k"})
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == answer.json()
    assert actions(store) == 2
    bad = ask(b'{"hook":"c"}', b'{"hook":7}')
    assert problem(bad) == (422, "invalid", "hook")
    assert bad.json()["line"] == 2
    assert problem(ask())[:2] == (422, "invalid")
    assert problem(ask(*[b'{"hook":"d"}'] * 1001))[:2] == (422, "invalid")
    assert actions(store) == 2


def test_nothing_is_left_of_a_batch_of_which_one_line_is_refused(
    gateway: Gateway, store: RunnerStore
) -> None:
    def ask(*bodies: dict[str, Any], **headers: str) -> Any:
        told = {"Content-Type": "application/x-ndjson", **headers}
        lines = b"\n".join(json.dumps(body).encode() for body in bodies)
        return gateway.ask("POST", "/v1/jobs:batch", data=lines, headers=told)

    gateway.add("taken", unique=True)
    refused = ask({"hook": "a"}, {"hook": "taken", "unique": True}, {"hook": "b"})
    assert problem(refused)[:2] == (409, "not-unique")
    assert refused.json()["line"] == 2
    twice = ask({"hook": "x", "unique": True}, {"hook": "x", "unique": True})
    assert (problem(twice)[1], twice.json()["line"]) == ("not-unique", 2)
    key = {"Idempotency-Key": "k"}
    assert ask({"hook": "c"}, {"hook": "d"}, **key).status_code == 202
    reused = ask({"hook": "c"}, {"hook": "other"}, {"hook": "new"}, **key)
    # The key stands for the whole body, so no line is named.
    assert problem(reused)[:2] == (422, "key-reused")
    assert "line" not in reused.json()
    misfit = ask({"hook": "e"}, {"hook": "f", "args": ["x" * 8001]})
    assert problem(misfit) == (422, "invalid", "args")
    assert misfit.json()["line"] == 2
    hooks = query(store, "SELECT hook FROM wp_actionscheduler_actions ORDER BY action_id")
    assert [hook for (hook,) in hooks] == ["taken", "c", "d"]
    assert len(query(store, "SELECT 1 FROM wp_wpbridge_jobs")) == 3


def test_a_job_is_canceled(gateway: Gateway, store: RunnerStore) -> None:
    job = gateway.add()
    for _ in range(2):
        answer = gateway.ask("DELETE", job["links"]["self"])
        assert (answer.status_code, answer.json()["status"]) == (200, "canceled")
    running = gateway.add()
    set_status(store, running["action_id"], "in-progress")
    assert problem(gateway.ask("DELETE", running["links"]["self"]))[:2] == (409, "conflict")


def test_only_its_own_caller_sees_a_job_that_is_gone_or_there(
    gateway: Gateway, store: RunnerStore
) -> None:
    job = gateway.add()
    assert problem(gateway.ask("GET", f"/v1/jobs/{new_uuid()}"))[:2] == (404, "not-found")
    Queue(store.parts, close_store=False).delete([job["action_id"]])
    assert problem(gateway.ask("GET", job["links"]["self"]))[:2] == (410, "gone")


def test_own_jobs_come_page_by_page(gateway: Gateway) -> None:
    made = [gateway.add()["job"] for _ in range(5)]
    first = gateway.ask("GET", "/v1/jobs?limit=3").json()
    second = gateway.ask("GET", f"/v1/jobs?limit=3&before={first['next']}").json()
    seen = [job["job"] for page in (first, second) for job in page["jobs"]]
    assert seen == sorted(made, reverse=True)
    assert second["next"] is None
    for wrong in ("limit=0", "limit=x", "limit=1&limit=2", "unknown=1"):
        assert problem(gateway.ask("GET", f"/v1/jobs?{wrong}"))[:2] == (422, "invalid")


@contextlib.contextmanager
def waited_for(gateway: Gateway, job: dict[str, Any]) -> Iterator[list[Any]]:
    """Within the block another client waits for the end of a job; then its answer is there."""
    answers: list[Any] = []

    def wait() -> None:
        with gateway.another() as client:
            answers.append(client.ask("GET", f"{job['links']['self']}?wait=30"))

    thread = threading.Thread(target=wait)
    thread.start()
    until(gateway.waiting, "a client that waits")
    yield answers
    thread.join()


def test_a_client_that_waits_gets_the_end(gateway: Gateway, store: RunnerStore) -> None:
    job = gateway.add()
    with waited_for(gateway, job) as answers:
        end(store, job["action_id"], [1])
    assert answers[0].json()["status"] == "complete"
    assert gateway.ask("GET", f"{gateway.add()['links']['self']}?wait=0").json()["status"] == (
        "pending"
    )
    assert problem(gateway.ask("GET", f"{job['links']['self']}?wait=31"))[:2] == (422, "invalid")


def test_prefer_wait_answers_200_with_the_result(gateway: Gateway, store: RunnerStore) -> None:
    def finish() -> None:
        until(gateway.waiting, "a client that waits")
        rows = query(store, "SELECT action_id FROM wp_actionscheduler_actions")
        end(store, int(str(rows[0][0])), {"ok": True})

    thread = threading.Thread(target=finish)
    thread.start()
    headers = {"Prefer": "respond-async, wait=30"}
    answer = gateway.ask("POST", "/v1/jobs", {"hook": "h"}, headers=headers)
    thread.join()
    assert answer.status_code == 200
    assert answer.headers["Preference-Applied"] == "wait=30"
    assert answer.json()["result"] == {"ok": True}
    later = gateway.ask("POST", "/v1/jobs", {"hook": "h"}, headers={"Prefer": "wait=0.0"})
    assert later.status_code == 202


def events_of(gateway: Gateway, path: str, last: str = "") -> Iterator[tuple[str, str, Any]]:
    """The events of a stream: id, kind and data."""
    headers = {**gateway.authorization(), **({"Last-Event-ID": last} if last else {})}
    with gateway.session.get(f"{gateway.url}{path}", headers=headers, stream=True) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        told: dict[str, str] = {}
        for line in answer.iter_lines(chunk_size=1, decode_unicode=True):
            name, _, value = line.partition(": ")
            if line:
                told[name] = value
            elif "data" in told:
                yield told.get("id", ""), told["event"], json.loads(told["data"])
                told = {}


def test_events_tell_each_change_and_end_with_the_job(gateway: Gateway, store: RunnerStore) -> None:
    job = gateway.add()
    path, action = job["links"]["events"], job["action_id"]
    seen: list[tuple[str, str, Any]] = []
    for event in events_of(gateway, path):
        seen.append(event)
        if event[1] == "pending":
            set_status(store, action, "in-progress")
        elif event[1] == "running":
            end(store, action, "done")
    assert [kind for _, kind, _ in seen] == ["pending", "running", "complete"]
    assert seen[-1][2]["result"] == "done"
    # Who comes back with the last id gets nothing twice.
    assert list(events_of(gateway, path, seen[-1][0])) == []
    assert [kind for _, kind, _ in events_of(gateway, path, seen[0][0])] == ["complete"]


def test_operators_list_and_change_actions(gateway: Gateway, store: RunnerStore) -> None:
    jobs = [gateway.add(f"h{n}", group="g", args=[n]) for n in range(3)]
    found = gateway.ask("GET", "/v1/actions?hook=h1&hook=h2&status=pending").json()["actions"]
    assert [one["hook"] for one in found] == ["h1", "h2"]
    page = gateway.ask("GET", "/v1/actions?limit=2").json()
    rest = gateway.ask("GET", f"/v1/actions?limit=2&after_id={page['next']}").json()
    assert [one["id"] for one in (*page["actions"], *rest["actions"])] == [
        job["action_id"] for job in jobs
    ]
    exact = gateway.ask("GET", "/v1/actions?args=[2]").json()["actions"]
    assert [one["hook"] for one in exact] == ["h2"]
    for wrong in ("status=gone", "since=never", "args=[", "order=args", "search="):
        assert problem(gateway.ask("GET", f"/v1/actions?{wrong}"))[0] == 422, wrong
    first, second, _ = (f"/v1/actions/{job['action_id']}" for job in jobs)
    assert gateway.ask("GET", first).json()["args"] == [0]
    assert gateway.ask("GET", f"{first}/logs").json()["logs"][0]["message"] == "action created"
    assert gateway.ask("GET", f"{first}/explain").json()["id"] == jobs[0]["action_id"]
    canceled = gateway.ask("POST", f"{first}/cancel", {"reason": "not now"})
    assert canceled.json()["ids"] == [jobs[0]["action_id"]]
    assert problem(gateway.ask("POST", f"{first}/cancel", {}))[:2] == (409, "conflict")
    again = gateway.ask("POST", f"{first}/requeue", {})
    assert list(again.json()["made"]) == [str(jobs[0]["action_id"])]
    assert gateway.ask("POST", f"{second}/reschedule", {"at": "+1h"}).status_code == 200
    assert gateway.ask("GET", f"/v1/jobs/{jobs[1]['job']}").json()["status"] == "scheduled"
    assert gateway.ask("POST", f"{second}/run").status_code == 200
    assert gateway.ask("GET", f"/v1/jobs/{jobs[1]['job']}").json()["status"] == "pending"
    for path in ("/v1/actions/0", "/v1/actions/x", "/v1/actions/99999999999999999999"):
        assert problem(gateway.ask("GET", path))[:2] == (404, "not-found")
    for of in ("", "?of=due"):
        told = gateway.ask("GET", f"/v1/scale{of}")
        # A scaler may leave its connections open.
        assert (told.json(), told.headers["Connection"]) == ({"value": 3}, "close")
    assert problem(gateway.ask("GET", "/v1/scale?of=pods"))[:2] == (422, "invalid")
    assert gateway.ask("GET", "/v1/stats?by=hook").json()["by"] == "hook"


def test_a_scaler_asks_how_many_workers_are_advised(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tables are read for all who ask together."""
    asked: list[str] = []

    def measure(*told: Any, **more: Any) -> gauges.Measured:
        asked.append("once")
        return real(*told, **more)

    real = gauges.measure
    monkeypatch.setattr(gauges, "measure", measure)
    gateway.add("h")
    for _ in range(20):
        told = gateway.ask("GET", "/v1/scale?of=workers")
        assert (told.json(), told.headers["Connection"]) == ({"value": 1}, "close")
    assert 1 <= len(asked) < 20


def test_a_scaler_hears_that_nobody_knows(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It then keeps what it has, which a number would not let it."""

    def measure(*_told: Any, **_more: Any) -> gauges.Measured:
        raise StoreUnavailable("away")

    monkeypatch.setattr(gauges, "measure", measure)
    told = gateway.ask("GET", "/v1/scale?of=workers")
    assert problem(told)[:2] == (503, "unavailable")
    assert int(told.headers["Retry-After"]) >= 1


def test_operators_ask_what_ended_since_a_date(gateway: Gateway, store: RunnerStore) -> None:
    store.parts.own.ensure(store.names.stats)
    begin = SystemClock().now().replace(second=0, microsecond=0)
    one = bucketed(2.0, DURATION_BOUNDS)
    store.parts.stats.add(
        [Count(begin=begin, hook="h", group_id=0, outcome="complete", durations=one)]
    )
    told = gateway.ask("GET", "/v1/stats?since=-1d").json()
    assert told["by"] == "hour"
    # The next hour may have begun meanwhile.
    assert [one["complete"] for one in told["stats"]] in ([1], [1, 0])
    [row] = gateway.ask("GET", "/v1/stats?since=-1d&by=hook").json()["stats"]
    assert (row["name"], row["duration_p50"], row["wait_p99"]) == ("h", 1.75, None)
    for wrong in ("since=-1d&by=status", "since=%2B1d", "since=soon"):
        assert problem(gateway.ask("GET", f"/v1/stats?{wrong}"))[:2] == (422, "invalid"), wrong


def test_operators_pause_and_resume(gateway: Gateway, store: RunnerStore) -> None:
    paused = gateway.ask("POST", "/v1/pauses", {"hook": "h", "reason": "mail is down"})
    assert [one["name"] for one in paused.json()["pauses"]] == ["h"]
    assert problem(gateway.ask("POST", "/v1/pauses", {}))[:2] == (422, "invalid")
    assert problem(gateway.ask("DELETE", "/v1/pauses"))[:2] == (422, "invalid")
    assert gateway.ask("DELETE", "/v1/pauses?hook=h").json() == {"pauses": []}


def test_readiness_asks_the_database_and_liveness_does_not(
    gateway: Gateway, store: RunnerStore
) -> None:
    assert gateway.ask("GET", "/readyz", key="").json() == {"status": "ready"}
    change(store, "DROP TABLE wp_actionscheduler_actions")
    assert gateway.ask("GET", "/livez", key="").json() == {"status": "alive"}
    answer = gateway.ask("GET", "/readyz", key="")
    assert problem(answer)[:2] == (503, "unavailable")
    assert answer.headers["Retry-After"]


def test_a_base_path_stands_before_every_address(dsn: str, store: RunnerStore) -> None:
    with serving(dsn, base_path="/queue") as gateway:
        answer = gateway.ask("POST", "/v1/jobs", {"hook": "h"})
        location = answer.headers["Location"]
        assert location.startswith("/queue/v1/jobs/")
        assert gateway.ask("GET", location.removeprefix("/queue")).status_code == 200
        assert gateway.ask("GET", "/openapi.json").json()["servers"] == [{"url": "/queue"}]
        bare = gateway.session.get(gateway.url.removesuffix("/queue") + "/v1/jobs")
        assert bare.status_code == 404


def run_here(store: RunnerStore, hook: str, handler: Callable[[], object]) -> None:
    """Run what is due of a hook, as a run from cron does."""
    clock = SystemClock()
    executor = ThreadExecutor({hook: describe(hook, handler)}, concurrency=1, clock=clock, site="s")
    only = ClaimFilter(hooks=frozenset({hook}))
    Runner(store, executor, clock, identity(), only=only, limits=Limits()).run()


def test_a_callback_goes_out_once_whoever_ends_the_job(
    dsn: str, store: RunnerStore, receiver: Receiver
) -> None:
    """The gateway runs its callbacks itself. Its receiver can verify them."""
    got = threading.Event()
    receiver.met = got.set
    url = f"http://127.0.0.1:{receiver.server_address[1]}/ended"
    with serving(dsn, runs_own=True, poll_interval="0.05s") as gateway:
        for _ in range(2):
            job = gateway.add("h", key="one", callback={"url": url})
        run_here(store, "h", lambda: {"mails": 3})
        assert got.wait(60)
        [secret] = store.parts.signing.callback_secrets("shop")
        seen = gateway.ask("GET", job["links"]["self"]).json()
    [(headers, body)] = receiver.posts
    told = Webhook(secret).verify(body, headers)
    assert headers["webhook-id"] == f"cb_{job['job']}"
    assert told["status"] == seen["status"] == "complete"
    assert told["result"] == {"mails": 3}


def test_callbacks_are_refused_where_php_would_fail_them(dsn: str, store: RunnerStore) -> None:
    change(
        store,
        "CREATE TABLE wp_options (option_id INTEGER PRIMARY KEY, option_name VARCHAR(191),"
        " option_value TEXT, autoload VARCHAR(20))",
    )
    with serving(dsn) as gateway:
        body = {"hook": "h", "callback": {"url": "http://127.0.0.1/"}}
        answer = gateway.ask("POST", "/v1/jobs", body)
    assert problem(answer) == (409, "conflict", "callback")
    assert "wpbridge wp install-plugin" in answer.json()["detail"]
    assert actions(store) == 0


def test_a_batch_with_a_used_key_and_another_body_is_refused(
    gateway: Gateway, store: RunnerStore
) -> None:
    def ask(*hooks: str) -> Any:
        told = {"Content-Type": "application/x-ndjson", "Idempotency-Key": "k"}
        lines = b"\n".join(json.dumps({"hook": hook}).encode() for hook in hooks)
        return gateway.ask("POST", "/v1/jobs:batch", data=lines, headers=told)

    assert ask("a", "b").status_code == 202
    for other in (("a", "b", "c"), ("a",), ("b", "a")):
        assert problem(ask(*other))[:2] == (422, "key-reused"), other
    assert ask("a", "b").headers["Idempotency-Replayed"] == "true"
    assert actions(store) == 2


def test_pages_go_on_where_an_action_was_deleted(gateway: Gateway, store: RunnerStore) -> None:
    made = [gateway.add(args=[n]) for n in range(6)]
    Queue(store.parts, close_store=False).delete([made[4]["action_id"]])
    seen: list[int] = []
    path = "/v1/jobs?limit=2"
    while path:
        page = gateway.ask("GET", path).json()
        seen += [job["args"][0] for job in page["jobs"]]
        path = f"/v1/jobs?limit=2&before={page['next']}" if page["next"] else ""
    # Those of one millisecond have no order.
    assert sorted(seen) == [0, 1, 2, 3, 5]


def test_a_job_that_is_deleted_while_somebody_waits_is_gone(
    gateway: Gateway, store: RunnerStore
) -> None:
    job = gateway.add()
    with waited_for(gateway, job) as answers:
        Queue(store.parts, close_store=False).delete([job["action_id"]])
    assert problem(answers[0])[:2] == (410, "gone")
    other = gateway.ask("GET", job["links"]["self"], key="another key")
    assert other.status_code == 401


@pytest.mark.parametrize(
    "told", ["await=30", "xwait=30", "foo; wait=30", "wait=1.5", "wait=\u0661"]
)
def test_a_preference_of_another_name_is_not_one_to_wait(gateway: Gateway, told: str) -> None:
    headers = {"Prefer": told.encode("utf-8").decode("latin-1")}
    answer = gateway.ask("POST", "/v1/jobs", {"hook": "h"}, headers=headers)
    assert answer.status_code == 202
    assert "Preference-Applied" not in answer.headers


def test_allow_names_all_methods_of_an_address(gateway: Gateway) -> None:
    job = gateway.add()["links"]["self"]
    assert gateway.ask("PUT", "/v1/jobs").headers["Allow"] == "GET, HEAD, POST"
    assert gateway.ask("PATCH", job).headers["Allow"] == "DELETE, GET, HEAD"


def test_deep_args_in_a_query_are_refused(gateway: Gateway) -> None:
    answer = gateway.ask("GET", f"/v1/actions?args={'%5B' * 5000}")
    assert problem(answer) == (422, "invalid", "args")


def test_what_waits_for_others_is_not_run_at_once(gateway: Gateway) -> None:
    first = gateway.add()
    second = gateway.add(after=[first["job"]])
    answer = gateway.ask("POST", f"/v1/actions/{second['action_id']}/run")
    assert problem(answer)[:2] == (409, "conflict")


def test_a_base_path_alone_leads_nowhere_else(dsn: str, store: RunnerStore) -> None:
    headers = {"Host": "evil.example"}
    with serving(dsn, base_path="/queue") as gateway:
        answer = gateway.session.get(gateway.url, headers=headers, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/queue/")
    with serving(dsn, base_path="/queue", web_ui=False) as gateway:
        answer = gateway.session.get(gateway.url, headers=headers, allow_redirects=False)
    assert answer.status_code == 404


def test_a_callback_waits_for_nothing_of_others(
    dsn: str, store: RunnerStore, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something of others is due all the time, and nobody runs it."""
    monkeypatch.setattr(catch_up, "IDLE_CATCH_UP_SECONDS", 0.05)
    got = threading.Event()
    receiver.met = got.set
    url = f"http://127.0.0.1:{receiver.server_address[1]}/"
    with serving(dsn, runs_own=True, poll_interval="0.05s") as gateway:
        gateway.add("of others")
        job = gateway.add("later", callback={"url": url}, at="+1h")
        assert gateway.ask("DELETE", job["links"]["self"]).status_code == 200
        assert got.wait(60)


def test_metrics_tell_of_the_queue_and_of_the_requests(gateway: Gateway) -> None:
    gateway.ask("GET", "/livez")
    assert gateway.ask("GET", "/nowhere").status_code == 404
    answer = gateway.ask("GET", "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    text = answer.text
    for line in (
        'wpbridge_http_requests_total{code="200",method="GET",route="/livez"',
        'wpbridge_http_requests_total{code="404",method="GET",route="other"',
        "wpbridge_scrape_success",
        "wpbridge_actions{",
        "wpbridge_build_info",
    ):
        assert line in text
