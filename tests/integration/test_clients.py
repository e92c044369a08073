"""What both clients of the gateway do, in Python and in TypeScript, against a real gateway.

A server between them loses answers, refuses and cuts. Each case is written once.
"""

import json
import re
import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from client_drivers import FOLDER, Driver, InPython, build, in_node, missing_node
from client_site import Clients, Site
from conftest import needs
from databases import empty_queue
from flaky import Answer, Seen, Step, before
from gateway import serving
from wpbridge import Queue, __version__

AT_ONCE = {"Retry-After": "0"}
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    file = tmp_path_factory.mktemp("clients") / "queue.db"
    with serving(empty_queue(file)) as gateway, before(gateway.url) as front:
        yield Site(file, gateway, front)


@pytest.fixture(scope="module", params=["python", "typescript"])
def driver(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Driver]:
    if request.param == "python":
        yield InPython()
        return
    needs(missing_node())
    folder = tmp_path_factory.mktemp("built")
    build(folder)
    with in_node(folder) as found:
        yield found


@pytest.fixture
def clients(driver: Driver, site: Site, request: pytest.FixtureRequest) -> Clients:
    site.front.reset()
    return Clients(driver, site, re.sub(r"\W", "_", request.node.name))


# Adding


def test_a_job_is_added_and_looked_at(clients: Clients) -> None:
    job = clients.enqueue({"order": 17}, group="mail", priority=3, **{"in": "10m"})
    assert (job["hook"], job["args"], job["group"]) == (clients.hook, {"order": 17}, "mail")
    assert job["status"] == "scheduled"
    assert clients.ask("get", job["job"]) == job
    behind = clients.enqueue(after=[job["job"]])
    assert behind["status"] == "waiting"
    assert clients.told("Authorization") == [f"Bearer {clients.site.gateway.key}"] * 3


@pytest.mark.parametrize(
    "steps",
    [
        ("lose",),
        ("half",),
        ("drop", "lose", "drop"),
        (Answer(503, AT_ONCE), Answer(429, AT_ONCE), Answer(408, AT_ONCE)),
        (Answer(502, {"Content-Type": "text/html"}, b"<h1>no</h1>"), Answer(504)),
    ],
    ids=["its answer is lost", "half an answer", "cut", "refused", "away"],
)
def test_a_job_is_added_once_whatever_happens_on_the_way(
    clients: Clients, steps: tuple[Step, ...]
) -> None:
    clients.site.front.reset(*steps)
    job = clients.enqueue([1])
    assert clients.site.actions(clients.hook) == 1
    assert len(clients.site.front.seen) == len(steps) + 1
    [key] = set(clients.told("Idempotency-Key"))
    assert key is not None
    assert re.fullmatch(r'"[0-9a-f-]{32,36}"', key)
    assert len({seen.body for seen in clients.site.front.seen}) == 1
    assert clients.ask("get", job["job"]) == job
    clients.enqueue([1])
    assert clients.told("Idempotency-Key")[-1] != key


def test_an_answer_that_does_not_come_in_time_is_asked_for_again(clients: Clients) -> None:
    clients.site.front.reset("stall")
    job = clients.ask("enqueue", clients.hook, [], {}, timeoutSeconds=0.5)
    assert job["status"] == "pending"
    assert len(set(clients.told("Idempotency-Key"))) == 1


def test_a_key_of_the_callers_own_makes_one_job(clients: Clients) -> None:
    key = f'order "17" \\ {clients.hook}'
    first, again = clients.enqueue(key=key), clients.enqueue(key=key)
    assert first == again
    failed = clients.fails("enqueue", clients.hook, [2], {"key": key})
    assert (failed.name, failed.status, failed.kind) == ("Problem", 422, "key-reused")
    assert failed.type == "urn:wpbridge:problem:key-reused"
    assert failed.field == "Idempotency-Key"


def test_a_batch_is_added_whole_or_not_at_all(clients: Clients) -> None:
    clients.site.front.reset("lose")
    hook = clients.hook
    made = clients.ask("enqueueMany", [{"hook": hook, "args": [n], "in": 60} for n in range(3)])
    assert [job["args"] for job in made] == [[0], [1], [2]]
    assert clients.site.actions(hook) == 3
    failed = clients.fails("enqueueMany", [{"hook": hook}, {"hook": hook, "priority": 999}])
    assert (failed.status, failed.field, failed.more) == (422, "priority", {"line": 2})
    assert clients.site.actions(hook) == 3
    assert clients.ask("enqueueMany", []) == []
    assert clients.fails("enqueueMany", [{"hook": hook}] * 1001).name == "InputError"


def test_a_ticket_is_the_idempotency_key_itself(clients: Clients) -> None:
    with Queue.open(dsn=f"sqlite:///{clients.site.file}") as queue:
        ticket = queue.ticket(clients.hook, {"order": 17}, seconds=600)
    clients.site.front.reset("lose")
    job = clients.ask("enqueue", clients.hook, {"order": 17}, {}, key=ticket)
    assert clients.ask("enqueue", clients.hook, {"order": 17}, {}, key=ticket)["job"] == job["job"]
    assert clients.told("Idempotency-Key") == [None] * 3
    # The answer has a token by which this job can be followed, and no other.
    token = job.pop("token")
    assert clients.ask("get", job["job"], key=token) == job
    assert clients.fails("get", clients.enqueue()["job"], key=token).status == 404
    failed = clients.fails("enqueue", clients.hook, {"order": 17}, {"key": "k"}, key=ticket)
    assert failed.name == "InputError"
    assert clients.site.actions(clients.hook) == 2


# What goes wrong


def test_patience_ends(clients: Clients) -> None:
    clients.site.front.reset(Answer(503, {"Retry-After": "120"}))
    failed = clients.fails("enqueue", "h", [], {}, patienceSeconds=100)
    assert (failed.name, failed.status, failed.retry_after) == ("Problem", 503, 120)
    assert len(clients.site.front.seen) == 1
    clients.site.front.reset("drop")
    assert clients.fails("enqueue", "h", [], {}, patienceSeconds=0).name == "Unreachable"
    assert len(clients.site.front.seen) == 1


def test_nobody_listens(clients: Clients) -> None:
    with before(clients.site.gateway.url) as gone:
        url = gone.url
    failed = clients.fails("get", clients.enqueue()["job"], url=url, patienceSeconds=0)
    assert failed.name == "Unreachable"


def test_a_certificate_that_nobody_vouches_for_is_refused(clients: Clients, tmp_path: Path) -> None:
    needs(None if shutil.which("openssl") else "openssl is not installed (apt-get install openssl)")
    file = tmp_path / "both.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
        " -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    )
    made = [*command.split(), "-keyout", str(file), "-out", str(file)]
    subprocess.run(made, capture_output=True, check=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(file)
    job = clients.enqueue()["job"]
    with before(clients.site.gateway.url, tls=tls) as front:
        failed = clients.fails("get", job, url=front.url)
    assert failed.name == "BadAnswer"
    assert "certificate" in str(failed)
    assert front.seen == []


def test_problems_say_what_is_wrong(clients: Clients) -> None:
    job = clients.enqueue(unique=True)
    unknown = "00000000-0000-7000-8000-000000000000"
    cases: list[tuple[tuple[Any, ...], tuple[int, str, str]]] = [
        (("enqueue", "", [], {}), (422, "invalid", "hook")),
        (("enqueue", "h", [], {"at": "soonish"}), (422, "invalid", "at")),
        (("enqueue", "h", [], {"cron": "* *"}), (422, "invalid", "cron")),
        (("enqueue", clients.hook, [], {"unique": True}), (409, "not-unique", "")),
        (("get", unknown), (404, "not-found", "")),
        (("result", job["job"]), (404, "no-result", "")),
    ]
    for command, wanted in cases:
        failed = clients.fails(*command)
        assert (failed.name, failed.status, failed.kind, failed.field) == ("Problem", *wanted)
        assert failed.detail
    assert len(clients.site.front.seen) == len(cases) + 1


def test_a_key_that_nobody_knows_or_that_may_not_is_refused(clients: Clients) -> None:
    job = clients.enqueue()
    unknown = f"wpb_shop_{'0' * 64}"
    commands: list[tuple[Any, ...]] = [
        ("enqueue", "h", [], {}),
        ("get", job["job"]),
        ("events", job["job"]),
    ]
    for command in commands:
        failed = clients.fails(*command, key=unknown)
        assert (failed.name, failed.status, failed.kind) == ("Problem", 401, "not-known")
    failed = clients.fails("enqueue", "wpbridge_own", [], {})
    assert (failed.name, failed.status, failed.kind) == ("Problem", 403, "not-allowed")


def test_what_is_no_gateway_is_told_apart(clients: Clients) -> None:
    html = {"Content-Type": "text/html"}
    elsewhere = {"Location": f"{clients.site.front.url}/v1/stolen"}
    problem = {"Content-Type": "application/problem+json"}
    job = "00000000-0000-7000-8000-000000000000"
    for step, wanted in (
        (Answer(200, html, b"<h1>welcome</h1>"), ("BadAnswer", 0)),
        (Answer(200, JSON, b"{}"), ("BadAnswer", 0)),
        (Answer(200, JSON, b"[1"), ("BadAnswer", 0)),
        (Answer(200, JSON, b"null"), ("BadAnswer", 0)),
        (Answer(307, elsewhere), ("BadAnswer", 0)),
        (Answer(404, html, b"<h1>404</h1>"), ("Problem", 404)),
        (Answer(401, problem, b'"a text"'), ("Problem", 401)),
        (Answer(400, JSON, b'{"detail": "not ours"}'), ("Problem", 400)),
    ):
        for command in (("get", job), ("events", job)):
            clients.site.front.reset(step)
            failed = clients.fails(*command)
            assert (failed.name, failed.status) == wanted, (step, failed)
            assert (failed.type, failed.detail) in (("", ""), ("about:blank", ""))
            assert len(clients.site.front.seen) == 1


def test_what_cannot_be_sent_is_refused_here(clients: Clients) -> None:
    cases: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        (("enqueue", "h", ["$NaN"], {}), {}),
        (("enqueue", "h", [], {"key": ""}), {}),
        (("enqueue", "h", [], {"key": "a\r\nX-Other: b"}), {}),
        (("enqueue", "h", [], {"key": "ü"}), {}),
        (("enqueue", "h", [], {"after": ["../../actions"]}), {}),
        (("get", "../actions/1"), {}),
        (("get", ""), {}),
        (("get", "00000000-0000-7000-8000-000000000000\n"), {}),
        (("jobs", 1), {"url": "ftp://127.0.0.1"}),
        (("jobs", 1), {"url": "127.0.0.1:8787"}),
        (("jobs", 1), {"url": "http://anna:secret@127.0.0.1"}),
        (("jobs", 1), {"url": "http://127.0.0.1/?a=b"}),
        (("jobs", 1), {"key": ""}),
        (("jobs", 1), {"key": "wpb_shop_x\n"}),
        (("jobs", 1), {"key": "Bearer wpb_shop_x"}),
        (("jobs", 1), {"timeoutSeconds": 0}),
    ]
    for command, options in cases:
        assert clients.fails(*command, **options).name == "InputError", (command, options)
    assert clients.site.front.seen == []


# Following


def test_a_job_is_waited_for_and_its_result_read(clients: Clients) -> None:
    job = clients.enqueue()
    assert clients.ask("wait", job["job"], 0)["status"] == "pending"
    # The first poll is cut; the second comes before the end.
    clients.site.front.reset("drop")
    clients.site.front.on_request = lambda _: clients.site.end(job, {"mails": [1, "ü"]})
    assert clients.ask("wait", job["job"], 60)["status"] == "complete"
    waits = [float(seen.path.partition("?wait=")[2]) for seen in clients.site.front.seen]
    assert all(0 < wait <= 30 for wait in waits)
    clients.site.front.reset()
    assert clients.ask("result", job["job"]) == {"mails": [1, "ü"]}


def test_events_are_taken_up_where_they_were_cut(clients: Clients) -> None:
    job = clients.enqueue()
    go_on: dict[str, Callable[[], object]] = {
        "pending": lambda: clients.site.set_status(job, "in-progress"),
        "running": lambda: clients.site.end(job, "done"),
        "complete": lambda: None,
    }

    def on_event(told: Any) -> bool:
        go_on[told["status"]]()
        return bool(told["status"] == "pending")

    clients.site.front.reset("drop", Answer(503, AT_ONCE))
    clients.site.front.on_event = on_event
    events = clients.ask("events", job["job"])
    assert [event["kind"] for event in events] == ["pending", "running", "complete"]
    assert [event["job"]["status"] for event in events] == ["pending", "running", "complete"]
    assert [event["result"] for event in events] == [None, None, "done"]
    assert clients.told("Last-Event-ID") == [None, None, None, events[0]["id"]]


def test_a_restart_of_the_gateway_is_not_noticed(clients: Clients) -> None:
    job = clients.enqueue()
    dsn = f"sqlite:///{clients.site.file}"
    with serving(dsn, keys={}) as new, ExitStack() as stop:
        old = stop.enter_context(serving(dsn, keys={}))
        with before(old.url) as front:

            def on_event(told: Any) -> bool:
                if told["status"] == "pending":
                    front.lead_to(new.url)
                    stop.close()
                return False

            def on_request(seen: Seen) -> None:
                if "Last-Event-ID" in seen.headers:
                    clients.site.end(job, "done")

            front.on_event, front.on_request = on_event, on_request
            events = clients.ask("events", job["job"], url=front.url)
            assert [event["kind"] for event in events] == ["pending", "complete"]
            assert len(front.seen) == 2


def test_streams_are_read_as_the_standard_has_them(clients: Clients) -> None:
    job = clients.enqueue()
    first, second = json.dumps(job | {"status": "running"}), json.dumps(job | {"status": "failed"})
    head, tail = second[: second.index(", ") + 1], second[second.index(", ") + 1 :]
    body = (
        "\ufeff: hello\r\n\r\nretry: 10\r\n\r\n"
        f"id: 1\r\nevent: running\r\nunknown: x\r\ndata:{first}\r\n\r\n"
        "event: nothing\r\n\r\n"
        f"id: 2\ndata: {head}\ndata: {tail}\n\n"
        "data: after the end\n\n"
    )
    stream = {"Content-Type": "text/event-stream; charset=utf-8"}
    clients.site.front.reset(Answer(200, stream, body.encode()))
    events = clients.ask("events", job["job"])
    assert [(one["id"], one["kind"]) for one in events] == [("1", "running"), ("2", "failed")]


def test_a_job_that_is_gone_says_so(clients: Clients) -> None:
    job = clients.enqueue()

    def delete(_: Any) -> bool:
        clients.site.delete(job)
        return False

    clients.site.front.on_event = delete
    for command in (("events", job["job"]), ("get", job["job"]), ("events", job["job"])):
        failed = clients.fails(*command)
        assert (failed.name, failed.status, failed.kind) == ("Problem", 410, "gone")


def test_a_job_is_canceled(clients: Clients) -> None:
    job = clients.enqueue()
    clients.site.front.reset("lose")
    assert clients.ask("cancel", job["job"])["status"] == "canceled"
    running = clients.enqueue()
    clients.site.set_status(running, "in-progress")
    failed = clients.fails("cancel", running["job"])
    assert (failed.status, failed.kind) == (409, "conflict")


def test_own_jobs_come_page_by_page(clients: Clients) -> None:
    made = [clients.enqueue()["job"] for _ in range(5)]
    clients.site.front.reset("drop")
    seen = [job["job"] for job in clients.ask("jobs", 2)]
    assert seen[:5] == sorted(made, reverse=True)
    assert len(seen) == len(set(seen))


# When it is tried again


def test_pauses_grow_are_spread_and_obey_the_server(clients: Clients) -> None:
    for given, wanted in (
        ((1, None, 0), 0.25),
        ((1, None, 1), 0.5),
        ((2, None, 0), 0.5),
        ((5, None, 1), 8),
        ((999, None, 1), 8),
        ((1, 30, 0), 30),
        ((1, 30, 1), 30.25),
        ((1, 0, 0), 0),
    ):
        assert clients.ask("pause", *given) == pytest.approx(wanted), given
    now = "2026-11-29T12:00:00+00:00"
    for told, seconds in (
        ("7", 7),
        (" 7 ", 7),
        ("Sun, 29 Nov 2026 12:00:09 GMT", 9),
        ("Sun, 29 Nov 2026 11:00:00 GMT", 0),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
    ):
        assert clients.ask("retryAfterOf", told, now) == seconds, told


# Of one of them alone


@pytest.mark.parametrize("driver", ["python"], indirect=True)
def test_a_netrc_file_does_not_take_the_place_of_the_key(
    clients: Clients, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "netrc"
    file.write_text("machine 127.0.0.1 login anna password elsewhere\n")
    monkeypatch.setenv("NETRC", str(file))
    clients.enqueue()
    assert clients.told("Authorization") == [f"Bearer {clients.site.gateway.key}"]


@pytest.mark.parametrize("driver", ["typescript"], indirect=True)
def test_a_signal_ends_a_call(clients: Clients) -> None:
    job = clients.enqueue()["job"]
    commands: list[tuple[Any, ...]] = [
        ("enqueue", "never", []),
        ("wait", job, 30),
        ("events", job),
    ]
    for command in commands:
        clients.site.front.reset("stall")
        assert clients.fails("aborted", *command).name == "AbortError"
    assert clients.site.actions("never") == 0


def test_the_package_has_the_version_of_wpbridge_and_names_no_host() -> None:
    package = json.loads((FOLDER / "package.json").read_text("utf-8"))
    lock = (FOLDER / "package-lock.json").read_text("utf-8")
    told = json.loads(lock)
    assert package["version"] == told["version"] == told["packages"][""]["version"] == __version__
    assert "dependencies" not in package
    assert "://" not in lock
