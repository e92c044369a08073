"""Callbacks: clients are told once that their job has ended, whoever ended it, and until they hear.

The receiver is a real one on loopback, and the signatures are checked by the package of Standard
Webhooks.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier

from factories import NOW
from receiver import Receiver
from rows import change, column, log_of, query, set_status
from wpbridge import Queue
from wpbridge.access.keys import Allowed
from wpbridge.action import CALLBACK_HOOK, ActionId
from wpbridge.app import own_handlers
from wpbridge.clock import SystemClock, rounded_up
from wpbridge.codec.keys import new_uuid
from wpbridge.executors.callback import TRIES, WAITS
from wpbridge.executors.handlers import describe
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.queue.callbacks import callback_of
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.jobs import JobQueue, JobRequest
from wpbridge.runner.identity import identity
from wpbridge.runner.loop import Limits, Runner
from wpbridge.site.config import Settings
from wpbridge.site.rules import RetryRule
from wpbridge.store.base import ClaimFilter
from wpbridge.store.running.runner_store import RunnerStore

KEY = "shop"
RESULT: dict[str, Any] = {"total": 17, "ok": True}
ACTIONS = "wp_actionscheduler_actions"


class At(SystemClock):
    """A clock that stands still where it is put."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment


class Side:
    """A client with an API key, and a runner that can be run at any moment."""

    def __init__(self, store: RunnerStore, threads: RunnerStore, receiver: Receiver) -> None:
        self.store = store
        self.url = f"http://127.0.0.1:{receiver.server_port}/done?x=1"
        self.queue = Queue(threads.parts, close_store=False)
        self.jobs = JobQueue(store.parts, clock=At(NOW), close_store=False)
        self.settings = Settings()
        self.allow("127.0.0.1")

    def allow(self, *hosts: str) -> None:
        """Give the key these callback hosts."""
        rights = Allowed(rights=("enqueue",), hooks=("*",), callback_hosts=hosts).as_json()
        if self.store.parts.api_keys.find(KEY) is None:
            keys = self.store.parts.api_keys
            keys.add(KEY, "0" * 64, rights=rights, expires_seconds=None, who="a test")
        change(self.store, "UPDATE wp_wpbridge_api_keys SET rights = :rights", rights=rights)

    def add(self, hook: str = "h", callback: dict[str, str] | None = None, **more: Any) -> str:
        """Add a job with a callback; return its id."""
        uuid = new_uuid()
        told = callback_of(
            callback or {"url": self.url},
            uuid=uuid,
            hosts=["127.0.0.1", "localhost", "receiver.test"],
            allow_private=True,
            may_enqueue=lambda _hook, _group: True,
        )
        new = Enqueue(hook=hook, **more)
        asked = JobRequest(new=new, key_name=KEY, callback=told, uuid=uuid)
        [done] = self.jobs.submit([self.jobs.prepared(asked)])
        assert done.is_new
        return uuid

    def run(self, at: datetime = NOW, *rules: RetryRule) -> None:
        """Run what is due at a moment."""
        clock = At(at)
        handlers = {
            "h": describe("h", lambda: RESULT),
            "bad": describe("bad", _fail),
            **own_handlers(self.settings),
        }
        executor = ThreadExecutor(
            handlers, concurrency=2, clock=clock, site="s", open_queue=lambda: self.queue
        )
        only = ClaimFilter(hooks=frozenset(handlers))
        Runner(
            self.store, executor, clock, identity(), only=only, limits=Limits(), retry=rules
        ).run()

    def callback(self) -> ActionId:
        """The id of the only callback there is."""
        rows = query(
            self.store, f"SELECT action_id FROM {ACTIONS} WHERE hook = :h", h=CALLBACK_HOOK
        )
        [[found]] = rows
        return ActionId(int(str(found)))

    def state(self) -> tuple[object, list[str]]:
        """The status of the callback, and what its log says of tries and failures."""
        found = self.callback()
        lines = [line for line in log_of(self.store, found) if "try" in line or "fail" in line]
        return column(self.store, "status", found), lines


def _fail() -> None:
    raise ValueError("no good")


@pytest.fixture
def side(
    dsn: str, store: RunnerStore, open_queue: Callable[[str], RunnerStore], receiver: Receiver
) -> Side:
    return Side(store, open_queue(dsn), receiver)


def verified(side: Side, post: tuple[dict[str, str], bytes], secret: int = 0) -> Any:
    """The body of a post whose signature is valid by the receiver's own library."""
    headers, body = post
    told = side.store.parts.signing.callback_secrets(KEY)[secret]
    return Verifier(told).verify(body.decode(), headers)


@pytest.mark.parametrize(("hook", "status"), [("h", "complete"), ("bad", "failed")])
def test_a_client_is_told_once_that_its_job_has_ended(
    side: Side, receiver: Receiver, hook: str, status: str
) -> None:
    uuid = side.add(hook, args={"order": 7}, group="shop")
    side.run()
    side.run(NOW + timedelta(days=2))
    [post] = receiver.posts
    body = verified(side, post)
    assert (body["job"], body["status"], body["hook"]) == (uuid, status, hook)
    assert (body["args"], body["group"], body["attempts"]) == ({"order": 7}, "shop", 1)
    assert body.get("result") == (RESULT if hook == "h" else None)
    assert body["ended_at"] is not None
    assert post[0]["webhook-id"] == f"cb_{uuid}"
    assert side.state()[0] == "complete"
    assert KEY not in str(query(side.store, f"SELECT args FROM {ACTIONS}"))


@pytest.mark.parametrize("status", ["complete", "failed", "canceled", "gone"])
def test_whoever_ends_the_job_the_callback_goes_out(
    side: Side, receiver: Receiver, status: str
) -> None:
    """As the plugin ends actions: without a word to the callback, which is released later."""
    side.add("of_php")
    job = int(str(query(side.store, f"SELECT MIN(action_id) FROM {ACTIONS}")[0][0]))
    if status == "gone":
        change(side.store, f"DELETE FROM {ACTIONS} WHERE action_id = :i", i=job)
    else:
        set_status(side.store, job, status)
    side.run(NOW + timedelta(hours=1))
    [post] = receiver.posts
    assert verified(side, post)["status"] == status


def test_a_receiver_that_is_away_is_told_ten_times_with_the_same_id(
    side: Side, receiver: Receiver
) -> None:
    uuid = side.add()
    receiver.status = 500
    moment = NOW
    # A rule for all hooks does not count: the callback has its own tries.
    rule = RetryRule(max_attempts=50, base=timedelta(seconds=1))
    side.run(moment, rule)
    for number, wait in enumerate(WAITS, 1):
        assert len(receiver.posts) == number
        assert side.state()[0] == "pending"
        side.run(moment + wait * 0.7, rule)
        assert len(receiver.posts) == number
        # The longest wait that chance gives, and the rest of the second in which it is over.
        moment = rounded_up(moment + wait * 1.1)
        side.run(moment, rule)
    status, lines = side.state()
    assert (status, len(receiver.posts)) == ("failed", TRIES)
    assert "HTTP 500; given up after 10 tries" in lines[-1]
    assert {headers["webhook-id"] for headers, _ in receiver.posts} == {f"cb_{uuid}"}
    assert timedelta(hours=70) < sum(WAITS, timedelta()) < timedelta(hours=80)


def test_what_a_receiver_answers_decides(side: Side, receiver: Receiver) -> None:
    side.add()
    receiver.status, receiver.headers = 503, {"Retry-After": "7200"}
    side.run()
    side.run(NOW + timedelta(seconds=7100))
    assert len(receiver.posts) == 1
    receiver.status, receiver.headers = 302, {"Location": "http://127.0.0.1:1/elsewhere?token=x"}
    side.run(NOW + timedelta(seconds=7300))
    status, lines = side.state()
    assert (status, len(receiver.posts)) == ("pending", 2)
    assert "redirects to http://127.0.0.1:1 are not followed" in lines[-1]
    receiver.status, receiver.headers = 410, {}
    side.run(NOW + timedelta(hours=5))
    status, lines = side.state()
    assert (status, len(receiver.posts)) == ("failed", 3)
    assert "410 Gone" in lines[-1]


def test_no_answer_is_another_try(side: Side) -> None:
    side.url = "http://127.0.0.1:1/"
    side.add()
    side.run()
    status, lines = side.state()
    assert status == "pending"
    assert "try 1 of 10: could not be reached" in lines[-1]


@pytest.mark.parametrize(
    ("hosts", "reason"),
    [
        ((), "is not among the callback hosts"),
        (("example.com",), "is not among the callback hosts"),
        (("127.0.0.*",), "is a private address"),
    ],
)
def test_the_list_of_the_key_counts_as_it_is_when_the_callback_runs(
    side: Side, receiver: Receiver, hosts: tuple[str, ...], reason: str
) -> None:
    side.add()
    side.allow(*hosts)
    side.run()
    status, lines = side.state()
    assert (status, receiver.posts) == ("failed", [])
    assert f"refused: {'the host ' if 'among' in reason else ''}127.0.0.1 {reason}" in lines[-1]


def test_a_revoked_key_gets_no_callback(side: Side, receiver: Receiver) -> None:
    side.add()
    side.store.parts.api_keys.revoke(KEY, who="a test")
    side.run()
    assert (side.state()[0], receiver.posts) == ("failed", [])


def test_a_name_that_leads_to_loopback_needs_the_setting(side: Side, receiver: Receiver) -> None:
    side.allow("localhost")
    side.url = side.url.replace("127.0.0.1", "localhost")
    side.add()
    side.run()
    assert (side.state()[0], receiver.posts) == ("failed", [])
    change(side.store, f"DELETE FROM {ACTIONS}")
    side.settings = Settings(web_allow_private_callbacks=True)
    side.add()
    side.run()
    assert (side.state()[0], len(receiver.posts)) == ("complete", 1)


def test_proxies_of_the_environment_are_not_used(
    side: Side, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    side.add()
    side.run()
    assert len(receiver.posts) == 1


def test_both_secrets_sign_while_the_signing_secret_is_rotated(
    side: Side, receiver: Receiver
) -> None:
    old = side.store.parts.signing.callback_secrets(KEY)
    signing = side.store.parts.signing
    signing.rotate(expected=signing.stored()[0].fingerprint)
    signing = side.queue.store.signing
    side.add()
    side.run()
    [post] = receiver.posts
    assert old == side.store.parts.signing.callback_secrets(KEY)[1:]
    assert verified(side, post, 0) == verified(side, post, 1)
    assert len(post[0]["webhook-signature"].split()) == 2
    other = side.store.parts.signing.callback_secrets("another-key")
    assert not set(other) & set(side.store.parts.signing.callback_secrets(KEY))


def test_a_job_that_was_requeued_is_not_told_of_before_it_ends(
    side: Side, receiver: Receiver
) -> None:
    side.add("of_php")
    job = int(str(query(side.store, f"SELECT MIN(action_id) FROM {ACTIONS}")[0][0]))
    set_status(side.store, job, "failed")
    change(
        side.store,
        f"UPDATE {ACTIONS} SET scheduled_date_gmt = '2026-11-24 11:00:00',"
        " scheduled_date_local = '2026-11-24 11:00:00' WHERE hook = :h",
        h=CALLBACK_HOOK,
    )
    change(side.store, "DELETE FROM wp_wpbridge_waits")
    Queue(side.store.parts, clock=At(NOW), close_store=False).requeue([job])
    side.run()
    assert (receiver.posts, side.state()[0]) == ([], "pending")
    again = int(str(query(side.store, f"SELECT MAX(action_id) FROM {ACTIONS}")[0][0]))
    set_status(side.store, again, "complete")
    # A handler's request counts by the real clock.
    side.run(datetime.now(UTC) + timedelta(seconds=90))
    [post] = receiver.posts
    assert verified(side, post)["status"] == "complete"


def test_a_hook_gets_the_job_its_status_and_its_result(side: Side) -> None:
    uuid = side.add(callback={"hook": "after_import", "group": "shop"})
    side.run()
    rows = query(side.store, f"SELECT args, status FROM {ACTIONS} WHERE hook = 'after_import'")
    [[args, status]] = rows
    assert (json.loads(str(args)), status) == ([uuid, "complete", RESULT], "pending")
    # The callback is run once more, as after a crash before its ending was committed.
    change(side.store, f"UPDATE {ACTIONS} SET status = 'pending' WHERE hook = :h", h=CALLBACK_HOOK)
    side.run(NOW + timedelta(minutes=1))
    assert len(query(side.store, f"SELECT 1 FROM {ACTIONS} WHERE hook = 'after_import'")) == 1


def test_a_result_that_no_args_can_hold_is_left_out_for_a_hook(side: Side) -> None:
    RESULT["large"] = "x" * 9000
    try:
        uuid = side.add(callback={"hook": "after_import"})
        side.run()
    finally:
        del RESULT["large"]
    [[args]] = query(side.store, f"SELECT args FROM {ACTIONS} WHERE hook = 'after_import'")
    assert json.loads(str(args)) == [uuid, "complete", None]
    lines = log_of(side.store, side.callback())
    assert any(line.startswith("the result is left out: args:") for line in lines)


def test_args_that_wpbridge_has_not_written_are_refused(side: Side, receiver: Receiver) -> None:
    queue = Queue(side.store.parts, clock=At(NOW), close_store=False)
    uuid = new_uuid()
    for args in ([], [uuid], {"job": 7, "url": side.url}, {"url": side.url}, {"job": uuid}):
        queue.enqueue_async(CALLBACK_HOOK, args, group="wpbridge")
    queue.enqueue_async(CALLBACK_HOOK, {"job": uuid, "url": side.url}, group="wpbridge")
    side.run()
    rows = query(side.store, f"SELECT DISTINCT status FROM {ACTIONS}")
    assert ([status for [status] in rows], receiver.posts) == (["failed"], [])
