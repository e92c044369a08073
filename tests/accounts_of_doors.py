"""What the account of a gateway or of a dashboard does, each thing on an empty queue."""

import base64
import html
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import accounts_of_runners as runners
from accounts import ACTIONS, Account, by_name
from dashboard_site import PASSWORD, Dashboard, page_paths
from factories import insert, make_new
from gateway import EVERYTHING, Gateway, serving
from rows import change, query, set_status
from wordpress_people import BLAKE_PASSWORD
from wpbridge.access import changing, user_changes
from wpbridge.codec.keys import new_uuid
from wpbridge.runner.identity import identity
from wpbridge.site.rules import ROLES
from wpbridge.store.opened import OpenStore

if TYPE_CHECKING:
    from receiver import Receiver


def parts(account: Account) -> OpenStore:
    return account.store.parts


def new_key(account: Account, name: str = "shop") -> str:
    """Add a key that allows everything; its text."""
    return changing.add(parts(account), name, EVERYTHING, expires=None, who="cli:test").text


@contextmanager
def gateway(account: Account, **settings: Any) -> Iterator[Gateway]:
    """The gateway with the account's address, and a client with a new key."""
    with serving(account.dsn, keys={}, **settings) as found:
        name = f"k{secrets.token_hex(4)}"
        found.keys, found.key = {name: new_key(account, name)}, name
        yield found


@contextmanager
def pages(account: Account, **settings: Any) -> Iterator[Dashboard]:
    """The dashboard with the account's address, and a user for each role."""
    for role in ROLES:
        if parts(account).users.find(role) is None:
            user_changes.add(parts(account), role, PASSWORD, role=role, who="cli:test")
    with serving(account.dsn, keys={}, **settings) as found:
        dashboard = Dashboard(found)
        try:
            yield dashboard
        finally:
            dashboard.close()


def ask(it: Gateway, method: str, path: str, body: Any = None, **more: Any) -> Any:
    answer = it.ask(method, path, body, **more)
    assert answer.status_code < 300, (path, answer.status_code, answer.text)
    return answer


# What clients do


def add_jobs(account: Account) -> None:
    with gateway(account) as it:
        first = it.add("h", key="one", group="new")
        assert it.add("h", key="one", group="new")["job"] == first["job"]
        it.add("h", after=[first["job"]])
        lines = b'{"hook": "other", "unique": true, "args": [1]}\n{"hook": "h", "args": [2]}\n'
        headers = {"Content-Type": "application/x-ndjson"}
        ask(it, "POST", "/v1/jobs:batch", data=lines, headers=headers)
        assert ask(it, "GET", "/v1/jobs").json()["jobs"]
        [link] = [first["links"]["self"]]
        ask(it, "GET", link)
        ask(it, "DELETE", link)
        for name in ("livez", "readyz", "openapi.json", "docs", "metrics"):
            ask(it, "GET", f"/{name}")


def follow_jobs(account: Account) -> None:
    with gateway(account) as it:
        job = it.add("h")
        names = account.store.names
        change(
            account.store,
            f"INSERT INTO {names.results} (action_id, result, updated_gmt)"
            f" VALUES ({job['action_id']}, '17', UTC_TIMESTAMP())",
        )
        set_status(account.store, job["action_id"], "complete")
        assert ask(it, "GET", job["links"]["result"]).json() == 17
        answer = ask(it, "GET", f"{job['links']['self']}/events")
        assert "complete" in answer.text


def change_actions(account: Account) -> None:
    with gateway(account) as it:
        one = it.add("h", at="2036-01-01")["action_id"]
        path = f"/v1/actions/{one}"
        for verb, body in (
            ("reschedule", {"at": "2036-02-01"}),
            ("priority", {"priority": 3}),
            ("run", None),
            ("cancel", {"reason": "why"}),
            ("requeue", {}),
            ("delete", None),
        ):
            ask(it, "POST", f"{path}/{verb}", body)
        cron = runners.queue_of(account).schedule_cron(None, "0 3 * * *", "h", tz="Europe/Rome")
        body = {"cron": "0 4 * * *", "tz": "Europe/Paris"}
        ask(it, "POST", f"/v1/actions/{cron}/edit-schedule", body)


def hand_jobs_on(account: Account) -> None:
    """A requeue makes jobs, traces and what waits follow the new action."""
    names = account.store.names
    with gateway(account) as it:
        job = it.add("h")
        it.add("h", after=[job["job"]])
        change(account.store, f"INSERT INTO {names.traces} VALUES ({job['action_id']}, 'told')")
        set_status(account.store, job["action_id"], "failed")
        ask(it, "POST", f"/v1/actions/{job['action_id']}/requeue", {})
        assert ask(it, "GET", job["links"]["self"]).json()["status"] == "pending"


def look_at_actions(account: Account) -> None:
    with gateway(account) as it:
        one = it.add("h")["action_id"]
        for path in (
            "",
            f"/{one}",
            f"/{one}/logs",
            f"/{one}/explain",
        ):
            ask(it, "GET", f"/v1/actions{path}")
        for path in ("stats", "stats?since=-1h", "stats?by=hook", "pauses", "scale"):
            ask(it, "GET", f"/v1/{path}")
        ask(it, "GET", "/v1/scale?of=workers")


def pause_and_resume(account: Account) -> None:
    with gateway(account) as it:
        ask(it, "POST", "/v1/pauses", {"hook": "h", "for": "2h"})
        assert len(ask(it, "GET", "/v1/pauses").json()) == 1
        ask(it, "DELETE", "/v1/pauses?hook=h")


def start_bulks(account: Account) -> None:
    with gateway(account) as it:
        it.add("h", at="2036-01-01")
        told = {"verb": "cancel", "filter": {"hook": ["h"]}}
        seen = ask(it, "POST", "/v1/actions:bulk", {**told, "dry_run": True}).json()
        ask(it, "POST", "/v1/actions:bulk", {**told, "count": 1, "up_to_id": seen["up_to_id"]})


def note_the_use_of_keys(account: Account) -> None:
    """Whoever may not write the date lets the client in all the same."""
    with gateway(account) as it:
        ask(it, "GET", "/v1/pauses")
        [[used]] = query(account.store, f"SELECT used_gmt FROM {account.store.names.api_keys}")
        assert used is not None


def know_users_of_wordpress(account: Account) -> None:
    login = base64.b64encode(f"anna:{BLAKE_PASSWORD}".encode()).decode()
    with gateway(account, web_wordpress_login=True) as it:
        ask(it, "GET", "/v1/pauses", headers={"Authorization": f"Basic {login}"})


def run_own_hooks(account: Account) -> None:
    """Callbacks and bulks, as the runner beside the gateway does."""
    runners.change_in_bulk(account)
    account.empty()
    runners.tell_clients(account)


# What people do


def look_at_pages(account: Account) -> None:
    """Each page, with something on it."""
    names = account.store.names
    ids = insert(account.store, *(make_new(h, group="g") for h in ("h", "bad")))
    set_status(account.store, ids[1], "failed")
    runners.queue_of(account).schedule_cron(None, "0 3 * * *", "h", tz="Europe/Rome")
    for statement in (
        f"INSERT INTO {names.held} VALUES ('php', UTC_TIMESTAMP())",
        f"INSERT INTO {names.waits} VALUES ({ids[0]}, {ids[1]}, 'hold')",
        f"INSERT INTO {names.keys} VALUES ('{'x' * 64}', {ids[0]}, UTC_TIMESTAMP())",
        (
            f"INSERT INTO {names.jobs} (uuid, action_id, key_name, fingerprint, created_gmt)"
            f" VALUES ('{new_uuid()}', {ids[0]}, 'shop', '', UTC_TIMESTAMP())"
        ),
        (
            f"INSERT INTO {names.results} (action_id, result, updated_gmt)"
            f" VALUES ({ids[0]}, '17', UTC_TIMESTAMP())"
        ),
        f"INSERT INTO {names.traces} VALUES ({ids[0]}, 'told')",
    ):
        change(account.store, statement)
    with pages(account) as it:
        for path in page_paths(ids[0]):
            answer = it.get(path)
            text = re.sub(r"<[^>]+>", " ", answer.text)
            assert answer.status_code == 200, (path, answer.status_code, text)
            assert "denied" not in text, (path, text)


def sign_in_and_out(account: Account) -> None:
    with pages(account) as it:
        it.text("/")
        sessions = account.store.names.sessions
        change(
            account.store,
            f"UPDATE {sessions} SET expires_gmt = '2020-01-01', id_hash = 'old'",
        )
        it.sessions.clear()
        it.text("/")
        assert query(account.store, f"SELECT id_hash FROM {sessions}") != [("old",)]
        assert it.post("/sign-out").status_code == 303
        assert it.get("/").status_code == 303


def sign_in_from_wordpress(account: Account) -> None:
    with pages(account) as it:
        answer = it.person("").post(
            f"{it.url}/sign-in",
            {"username": "anna", "password": BLAKE_PASSWORD},
            headers={"Origin": it.origin},
            allow_redirects=False,
        )
        assert answer.status_code == 303, answer.text


def use_nonces_once(account: Account) -> None:
    """What wp-admin and the companion plugin hand on counts once."""
    table = account.store.names.nonces
    change(account.store, f"INSERT INTO {table} VALUES ('old', '2020-01-01')")
    with runners.opened(account) as store:
        assert store.nonces.use("a" * 64)
        assert not store.nonces.use("a" * 64)
    assert len(query(account.store, f"SELECT * FROM {table}")) == 1


def tell_workers(account: Account) -> None:
    me = identity()
    runner = account.store
    runner.register(host=me.host, boot=me.boot, pid=me.pid, pid_started=me.pid_started)
    try:
        [[number]] = query(runner, f"SELECT runner_id FROM {runner.names.runners}")
        with pages(account) as it:
            it.text("/workers")
            answer = it.post("/changes/quiet-worker", {"runner": str(number)})
            assert answer.status_code == 303, answer.text
    finally:
        runner.unregister()


def change_by_forms(account: Account) -> None:
    with pages(account) as it:
        form = {"hook": "h", "args": "[1]", "at": "+1h", "group": "post", "unique": "yes"}
        assert it.post("/changes/enqueue", form).status_code == 303
        [one] = account.ids("h")
        assert it.post("/changes/cancel", {"id": [one]}).status_code == 303
        assert "user:admin" in it.text("/audit")


def change_by_other_forms(account: Account) -> None:
    """The buttons of hooks, of a bulk, of callbacks, and of the doctor."""
    insert(account.store, make_new("h", due_in=1e9), make_new("wpbridge_callback"))
    set_status(account.store, account.ids("wpbridge_callback")[0], "failed")
    change(account.store, "INSERT INTO wp_actionscheduler_claims VALUES (9, '2020-01-01')")
    with pages(account) as it:
        for path, form in (
            ("/hooks/pause", {"kind": "hook", "name": "h"}),
            ("/hooks/resume", {"kind": "hook", "name": "h"}),
            ("/jobs/replay", {"id": account.ids("wpbridge_callback")[0]}),
            ("/doctor/fix", {"check": "orphan-claims"}),
        ):
            answer = it.post(path, form)
            assert answer.status_code == 303, (path, answer.text)
        text = it.text("/changes/preview?verb=cancel&hook=h")
        pinned = html.unescape(re.findall(r'name="pinned" value="([^"]+)"', text)[0])
        answer = it.post("/changes/start", {"pinned": pinned, "count": "1"})
        assert answer.status_code == 303, answer.text
    assert query(account.store, "SELECT * FROM wp_actionscheduler_claims") == []


# What only looks


LOOKS: Final = (
    ("status",),
    ("status", "--format", "json"),
    ("list",),
    ("get", "1"),
    ("logs", "1"),
    ("next", "h"),
    ("stats", "--since", "-1h"),
    ("failures",),
    ("claims",),
    ("workers", "list"),
    ("advise",),
    ("hooks",),
    ("explain", "1"),
    ("pause",),
    ("keys", "list"),
    ("users", "list"),
    ("users", "sessions"),
    ("doctor", "-v"),
)


def look_by_commands(account: Account) -> None:
    """The commands end as they do for root."""
    insert(account.store, make_new("h", group="g"), make_new("bad"))
    set_status(account.store, account.ids("bad")[0], "failed")
    one = str(account.ids("h")[0])
    for words in LOOKS:
        command = [one if word == "1" else word for word in words]
        told, wanted = account.site(*command), account.root(*command)
        assert told.code == wanted.code, (words, told, wanted)
        assert "denied" not in told.err, told
        assert "Traceback" not in told.err, told


def watch(account: Account) -> None:
    """An alert fires, is told, and is over."""
    receiver: Receiver = account.more["receiver"]
    to = {"WPBRIDGE_ALERTS_TO": f"json://127.0.0.1:{receiver.server_port}/"}
    alerts = f"SELECT state FROM {account.store.names.alerts}"
    for clock in ("2026-01-01", "2026-01-01"):
        insert(account.store, make_new("h"))
        change(account.store, f"UPDATE {ACTIONS} SET scheduled_date_gmt = '{clock}'")
        told = account.site("watch", "--once", env=to)
        assert "denied" not in told.err, told
        assert query(account.store, alerts) != [], told
    change(account.store, f"UPDATE {account.store.names.alerts} SET state = 'firing'")
    change(account.store, f"DELETE FROM {ACTIONS}")
    for _ in range(3):
        told = account.site("watch", "--once", env=to)
        assert "denied" not in told.err, told
    assert query(account.store, alerts) == [], told


def check_for_nagios(account: Account) -> None:
    told = account.site("check", "--nagios")
    assert "UNKNOWN" not in told.out, told


PEOPLE: Final = (
    look_at_pages,
    sign_in_and_out,
    sign_in_from_wordpress,
    use_nonces_once,
)
GATEWAY: Final = by_name(
    runners.know_the_zone,
    add_jobs,
    follow_jobs,
    change_actions,
    hand_jobs_on,
    look_at_actions,
    pause_and_resume,
    start_bulks,
    note_the_use_of_keys,
    know_users_of_wordpress,
    run_own_hooks,
    runners.rescue,
    runners.count_what_ended,
    runners.delete_what_is_old_in_own_tables,
    *PEOPLE,
    tell_workers,
    change_by_forms,
    change_by_other_forms,
)
DASHBOARD: Final = by_name(
    runners.know_the_zone, *PEOPLE, look_by_commands, watch, check_for_nagios
)
