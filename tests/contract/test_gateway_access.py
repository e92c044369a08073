"""Who may what over HTTP: each route asked by each kind of caller, and what tokens allow."""

import http.client
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from databases import empty_queue
from gateway import EVERYTHING, Gateway, serving
from wpbridge import Queue
from wpbridge.access.keys import Allowed
from wpbridge.codec.keys import new_uuid
from wpbridge.errors import ConfigError
from wpbridge.site.rules import Rate
from wpbridge.web.routes import ROUTES

PREFIX = "urn:wpbridge:problem:"
NOT_ALLOWED = 403
KEYS = {
    "all": EVERYTHING,
    "enqueues": Allowed(rights=("enqueue",), hooks=("mail_*",), groups=("mail",)),
    "reads": Allowed(rights=("read",)),
    "operates": Allowed(rights=("operate",)),
    "administers": Allowed(rights=("administer",)),
    "measures": Allowed(rights=("metrics",)),
    "nothing": Allowed(),
}
ALLOWED_BY = {
    "enqueues": "enqueue",
    "reads": "read",
    "operates": "operate",
    "administers": "administer",
    "measures": "metrics",
}


@pytest.fixture(scope="module")
def dsn(tmp_path_factory: pytest.TempPathFactory) -> str:
    return empty_queue(tmp_path_factory.mktemp("access") / "queue.db")


@pytest.fixture(scope="module")
def gateway(dsn: str) -> Iterator[Gateway]:
    with serving(dsn, keys=KEYS) as found:
        yield found


@pytest.fixture
def queue(dsn: str) -> Iterator[Queue]:
    with Queue.open(dsn=dsn, env={}, cwd=Path("/")) as found:
        yield found


def kind(answer: Any) -> str:
    """The type of a problem; empty for another answer."""
    is_problem = answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["type"]).removeprefix(PREFIX) if is_problem else ""


def body_of(route: Any) -> bytes | None:
    """A body that passes nothing but the gate: what is behind it finds a fault in it."""
    return None if route.body is None else b"{"


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_each_route_is_open_to_its_rights_and_to_nobody_else(gateway: Gateway, route: Any) -> None:
    path = route.path.replace("{job}", new_uuid()).replace("{action}", "4711")
    headers = {"Content-Type": route.body.media_type} if route.body else {}

    def ask(key: str) -> Any:
        return gateway.ask(route.method, path, data=body_of(route), key=key, headers=headers)

    everybody = not route.rights
    for name in ("", "wpb_all_" + "0" * 64, "wpb_nobody_" + "0" * 64, "x.y.z", "Bearer"):
        told = ask(name)
        assert (told.status_code == 401) != everybody, (name, told.text)
        if not everybody:
            assert kind(told) == "not-known"
            assert told.headers["WWW-Authenticate"]
    for name, right in ALLOWED_BY.items():
        is_allowed = everybody or right in route.rights
        assert (ask(name).status_code != NOT_ALLOWED) == is_allowed, (name, ask(name).text)
    assert (ask("nothing").status_code == NOT_ALLOWED) != everybody
    assert ask("all").status_code not in (401, NOT_ALLOWED)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_tokens_open_what_they_were_made_for_alone(
    gateway: Gateway, queue: Queue, route: Any
) -> None:
    job = gateway.add("mail_out", group="mail")
    path = route.path.replace("{job}", job["job"]).replace("{action}", str(job["action_id"]))
    headers = {"Content-Type": route.body.media_type} if route.body else {}
    reads, ticket = queue.job_token(job["job"]), queue.ticket("mail_out", [1], group="mail")

    def ask(key: str, path: str = path) -> int:
        # Nobody waits here for the end of a job that nobody runs.
        if path.endswith("/events"):
            return 0
        answer = gateway.ask(route.method, path, data=body_of(route), key=key, headers=headers)
        return int(answer.status_code)

    if not route.rights or path.endswith("/events"):
        return
    opens_to_reader = route.takes_tokens and "read" in route.rights
    assert (ask(reads) != NOT_ALLOWED) == opens_to_reader
    opens_to_ticket = route.takes_tokens and "enqueue" in route.rights
    assert (ask(ticket) != NOT_ALLOWED) == opens_to_ticket
    if "{job}" in route.path and opens_to_reader:
        other = gateway.add("mail_out", group="mail")["job"]
        assert ask(reads, route.path.replace("{job}", other)) == 404


@pytest.mark.parametrize(
    ("hook", "group", "status"),
    [
        ("mail_out", "mail", 202),
        ("mail_out", "", 202),
        ("mail_", "mail", 202),
        ("Mail_out", "mail", 403),
        ("mail", "mail", 403),
        ("xmail_out", "mail", 403),
        ("mail_out", "other", 403),
        ("mail_out", "Mail", 403),
        ("wpbridge_callback", "", 403),
    ],
)
def test_a_key_adds_what_its_patterns_name(
    gateway: Gateway, hook: str, group: str, status: int
) -> None:
    answer = gateway.ask("POST", "/v1/jobs", {"hook": hook, "group": group}, key="enqueues")
    assert answer.status_code == status, answer.text


def test_nobody_adds_hooks_of_wpbridge_itself(gateway: Gateway) -> None:
    answer = gateway.ask("POST", "/v1/jobs", {"hook": "wpbridge_callback", "args": {"job": "x"}})
    assert (answer.status_code, kind(answer)) == (403, "not-allowed")
    line = b'{"hook":"wpbridge_callback"}'
    batch = {"Content-Type": "application/x-ndjson"}
    assert gateway.ask("POST", "/v1/jobs:batch", data=line, headers=batch).status_code == 403


def test_a_key_sees_its_own_jobs_and_an_operator_who_reads_sees_all(gateway: Gateway) -> None:
    own = gateway.add("mail_out", group="mail")["links"]["self"]
    assert gateway.ask("GET", own, key="reads").status_code == 404
    assert gateway.ask("DELETE", own, key="enqueues").status_code == 404
    theirs = gateway.ask("POST", "/v1/jobs", {"hook": "mail_x"}, key="enqueues").json()
    assert gateway.ask("GET", theirs["links"]["self"]).status_code == 200
    assert gateway.ask("DELETE", theirs["links"]["self"], key="enqueues").status_code == 200


def test_a_key_that_only_adds_learns_no_result_by_waiting(gateway: Gateway) -> None:
    headers = {"Prefer": "wait=30"}
    answer = gateway.ask("POST", "/v1/jobs", {"hook": "mail_x"}, key="enqueues", headers=headers)
    assert answer.status_code == 202
    assert "Preference-Applied" not in answer.headers


def test_a_ticket_adds_its_action_once_and_is_followed_by_a_token(
    gateway: Gateway, queue: Queue
) -> None:
    ticket = queue.ticket("mail_out", {"order": 17}, group="mail")
    body = {"hook": "mail_out", "args": {"order": 17}, "group": "mail"}
    first = gateway.ask("POST", "/v1/jobs", body, key=ticket)
    again = gateway.ask("POST", "/v1/jobs", body, key=ticket)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json()["job"] == first.json()["job"]
    token = first.json()["token"]
    seen = gateway.ask("GET", first.headers["Location"], key=token)
    assert seen.json()["args"] == {"order": 17}


@pytest.mark.parametrize(
    "changed",
    [
        {"args": {"order": 18}},
        {"args": [17]},
        {"hook": "mail_in"},
        {"group": ""},
        {"at": "+1h"},
        {"cron": "* * * * *"},
        {"priority": 1},
        {"unique": True},
        {"after": []},
        {"callback": {"url": "https://example.com/"}},
    ],
    ids=json.dumps,
)
def test_a_ticket_allows_no_other_action(
    gateway: Gateway, queue: Queue, changed: dict[str, Any]
) -> None:
    ticket = queue.ticket("mail_out", {"order": 17}, group="mail")
    body = {"hook": "mail_out", "args": {"order": 17}, "group": "mail", **changed}
    answer = gateway.ask("POST", "/v1/jobs", body, key=ticket)
    assert (answer.status_code, kind(answer)) == (403, "not-allowed"), answer.text


def test_a_ticket_is_its_own_idempotency_key(gateway: Gateway, queue: Queue) -> None:
    ticket = queue.ticket("mail_out")
    headers = {"Idempotency-Key": "mine"}
    answer = gateway.ask("POST", "/v1/jobs", {"hook": "mail_out"}, key=ticket, headers=headers)
    assert (answer.status_code, kind(answer)) == (422, "invalid")


def test_too_many_requests_are_told_when_to_come_again(dsn: str) -> None:
    slow = Allowed(rights=("read",), rate=Rate(count=2, per=timedelta(hours=1)))
    with serving(dsn, keys={"slow": slow}) as gateway:
        statuses = [gateway.ask("GET", "/v1/jobs").status_code for _ in range(3)]
        assert statuses == [200, 200, 429]
        answer = gateway.ask("GET", "/v1/jobs")
        assert kind(answer) == "too-many"
        assert int(answer.headers["Retry-After"]) >= 1


def test_two_authorizations_are_refused(gateway: Gateway) -> None:
    place = urlsplit(gateway.url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port)
    connection.putrequest("GET", "/v1/jobs")
    for _ in range(2):
        connection.putheader("Authorization", f"Bearer {gateway.key}")
    connection.endheaders()
    assert connection.getresponse().status == 400
    connection.close()


def test_a_callback_goes_only_where_the_key_may_send_it(gateway: Gateway) -> None:
    def ask(url: str, key: str | None = None) -> Any:
        body = {"hook": "mail_out", "callback": {"url": url}}
        return gateway.ask("POST", "/v1/jobs", body, key=key)

    assert ask("http://127.0.0.1:9/hook").status_code == 202
    for url in ("http://127.0.0.2/", "https://example.com/", "http://localhost/"):
        told = ask(url)
        assert (told.status_code, told.json()["field"]) == (403, "callback.url"), told.text
    bad = ask("ftp://127.0.0.1/")
    assert (bad.status_code, bad.json()["field"]) == (422, "callback.url")
    assert ask("http://127.0.0.1:9/", key="enqueues").status_code == 403
    recurring = {"hook": "h", "cron": "* * * * *", "callback": {"url": "http://127.0.0.1/"}}
    assert gateway.ask("POST", "/v1/jobs", recurring).status_code == 422


def asked_by_a_page(gateway: Gateway, origin: str, **more: str) -> Any:
    """What a browser asks before it lets a page send a key."""
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST", **more}
    return gateway.session.options(f"{gateway.url}/v1/jobs", headers=headers, timeout=60)


def test_no_page_may_call_unless_its_origin_is_named(gateway: Gateway, dsn: str) -> None:
    wanted = {"Access-Control-Request-Headers": "authorization, idempotency-key, content-type"}
    told = asked_by_a_page(gateway, "https://shop.example", **wanted)
    assert "Access-Control-Allow-Origin" not in told.headers
    with serving(dsn, keys=KEYS, web_origins="https://shop.example") as open_gateway:
        allowed = asked_by_a_page(open_gateway, "https://shop.example", **wanted)
        assert allowed.status_code == 200
        assert allowed.headers["Access-Control-Allow-Origin"] == "https://shop.example"
        for origin in ("https://evil.example", "https://shop.example.evil", "null"):
            refused = asked_by_a_page(open_gateway, origin, **wanted)
            assert "Access-Control-Allow-Origin" not in refused.headers
        headers = {"Origin": "https://shop.example"}
        answer = open_gateway.ask("POST", "/v1/jobs", {"hook": "h"}, headers=headers)
        assert "Location" in answer.headers["Access-Control-Expose-Headers"]
        assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin", ["*", "shop.example", "https://shop.example/", "null", "https://*.example"]
)
def test_origins_are_named_exactly(dsn: str, origin: str) -> None:
    with pytest.raises(ConfigError, match="origins"), serving(dsn, web_origins=origin):
        pass


def test_a_token_may_come_in_the_address_and_a_key_may_not(gateway: Gateway, queue: Queue) -> None:
    job = gateway.add("mail_out", group="mail")
    token = queue.job_token(job["job"])
    path = job["links"]["self"]
    assert gateway.ask("GET", f"{path}?token={token}", key="").status_code == 200
    assert gateway.ask("GET", f"{path}?token={gateway.key}", key="").status_code == 401
    assert gateway.ask("GET", f"/v1/stats?token={token}", key="").status_code == 401


def test_a_key_that_only_adds_may_wait_for_its_own_jobs(gateway: Gateway) -> None:
    first = gateway.ask("POST", "/v1/jobs", {"hook": "mail_a"}, key="enqueues").json()["job"]
    body = {"hook": "mail_b", "after": [first]}
    assert gateway.ask("POST", "/v1/jobs", body, key="enqueues").status_code == 202


def test_each_job_of_a_batch_counts_for_the_rate(dsn: str) -> None:
    slow = Allowed(rights=("enqueue",), hooks=("*",), rate=Rate(count=5, per=timedelta(hours=1)))
    lines, told = b'{"hook":"h"}\n' * 5, {"Content-Type": "application/x-ndjson"}
    with serving(dsn, keys={"batches": slow}) as gateway:
        statuses = [
            gateway.ask("POST", "/v1/jobs:batch", data=lines, headers=told).status_code
            for _ in range(2)
        ]
    assert statuses == [202, 429]


def test_the_api_is_not_reached_through_the_site(gateway: Gateway) -> None:
    """What the companion plugin hands on may see pages, whatever key it holds."""
    for path in ("/v1/actions", "/metrics", "/docs", "/openapi.json", "/livez"):
        answer = gateway.ask("GET", path, headers={"X-Wpbridge-Forward": "a.b.c"})
        assert answer.status_code == 404, path
