"""The pages of hooks, metrics, jobs and sites over HTTP: what they show, and what they change."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
import requests

from cli_helpers import Site
from factories import bucketed
from gateway import serving
from remembered import remember
from rows import change, query
from wpbridge import Queue
from wpbridge.action import CALLBACK_HOOK
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.jobs import JobQueue, JobRequest
from wpbridge.store.rows.stats import Count
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.telling.metrics import WAIT_BOUNDS

ACTIONS = "wp_actionscheduler_actions"
HOSTILE = "a<script>alert(1)</script>\u202e'\"&amp; b"
LIMITS = [{"hook": "mail", "max_concurrency": 3, "rate": "30/min", "pause_after": 5}]
RETRY = [{"hook": "mail", "max_attempts": 4}]


class Browser:
    """A person's browser, signed in by a proxy."""

    def __init__(self, base: str, role: str) -> None:
        self.base = base
        self.session = requests.Session()
        self.session.headers["X-Person"] = role

    def get(self, path: str, status: int = 200) -> str:
        answer = self.session.get(f"{self.base}{path}", timeout=60)
        assert answer.status_code == status, answer.text
        assert "'unsafe" not in answer.headers["Content-Security-Policy"]
        assert "<script>" not in answer.text
        assert not re.search(r"<[^>]*\s(style|on[a-z]+)=", answer.text)
        return answer.text

    def post(self, path: str, status: int = 303, **form: Any) -> str:
        """Send a form, as a page of ours does; return where it leads, or what it says."""
        answer = self.session.post(
            f"{self.base}{path}",
            data={name.rstrip("_"): value for name, value in form.items()},
            headers={"Sec-Fetch-Site": "same-origin"},
            allow_redirects=False,
            timeout=60,
        )
        assert answer.status_code == status, answer.text
        return answer.headers.get("Location", answer.text)


@contextmanager
def browsing(dsn: str, role: str = "operator", **settings: Any) -> Iterator[Browser]:
    proxy: dict[str, Any] = {
        "web_proxy_header": "X-Person",
        "web_proxy_from": "127.0.0.1",
        "web_proxy_role": role,
    }
    with serving(dsn, keys={}, **proxy, **settings) as gateway:
        browser = Browser(gateway.url, role)
        with browser.session:
            yield browser


@pytest.fixture
def add(store: RunnerStore) -> Callable[..., int]:
    queue = Queue(store.parts, close_store=False)

    def add(hook: str, group: str = "", *, minutes: float = -5, status: str = "") -> int:
        at = datetime.now(UTC) + timedelta(minutes=minutes)
        action = queue.schedule_single(at, hook, [minutes], group=group)
        assert action is not None
        if status:
            change(
                store,
                f"UPDATE {ACTIONS} SET status = :status, last_attempt_gmt = scheduled_date_gmt WHERE action_id = :id",
                status=status,
                id=action,
            )
        return action

    return add


def words(page: str) -> str:
    """The text of a page, without its markup."""
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)))


def test_every_page_says_what_to_do_on_an_empty_site(dsn: str, store: RunnerStore) -> None:
    with browsing(dsn, "viewer") as browser:
        for path, told in (
            ("/hooks", "There is nothing here yet"),
            ("/hooks?kind=group&search=x", "No name has this text"),
            ("/hooks?hook=nobody", "Not enough history yet"),
            ("/hooks?group=-", "Actions without a group"),
            ("/measures", "Not enough history yet"),
            ("/measures?period=90d", "Nothing is old enough yet"),
            ("/jobs", "No program has added a job yet"),
            ("/jobs?before=x&key=none&callbacks=complete", "There are no more jobs here"),
            ("/sites", "This is a single site"),
            ("/sites?after=9", "This is a single site"),
        ):
            assert told in words(browser.get(path)), path


def test_hooks_are_listed_sorted_and_searched(
    dsn: str, store: RunnerStore, add: Callable[..., int]
) -> None:
    for hook, count in (("mail", 3), ("pay", 1), (HOSTILE, 2)):
        for number in range(count):
            add(hook, "eu", minutes=-number - 1)
    now = datetime.now(UTC)
    # All six minutes lie in one hour, which has one row.
    lately = now if now.minute >= 7 else now - timedelta(minutes=now.minute + 1)
    remember(store, lately, a_minute=6, seconds=2.0, hook="pay")
    Queue(store.parts, close_store=False).pause(hooks=["mail"], reason=HOSTILE)
    with browsing(dsn, "viewer", limits=LIMITS, retry=RETRY) as browser:
        page = browser.get("/hooks")
        names = re.findall(r'<td data-label="Name"><a[^>]*>([^<]*)<', page)
        assert [unescape(name)[:4] for name in names] == ["mail", "a<sc", "pay"]
        assert "3 at once, 30/min at most, paused after 5 failures in a row" in words(page)
        assert "Resume" not in words(page), "who only looks has no buttons"
        sorted_by = browser.get("/hooks?sort=rate&search=A")
        assert re.findall(r'<td data-label="Name"><a[^>]*>([^<]*)<', sorted_by)[0] == "pay"
        assert 'aria-sort="descending"' in sorted_by
        assert "mail" in browser.get("/hooks?sort=name&page=99999999999")
        groups = browser.get("/hooks?kind=group")
        assert re.findall(r'<td data-label="Name"><a[^>]*href="([^"]*)"', groups)[0].endswith(
            "group=eu"
        )
        one = browser.get("/hooks?hook=mail&period=7d")
        assert "up to 4 attempts, after 30 s at first and 6 h at most" in words(one)
        assert "paused until somebody resumes it" in words(one)
        link = unescape(re.findall(r'href="([^"]*hook=a%3C[^"]*)"', page)[0])
        assert "2" in words(browser.get(link.removeprefix(browser.base)))
        busy = browser.get("/hooks?hook=pay&period=24h")
        assert "up to 2.5 s 36" in words(busy)
        assert "Completed 36" in words(busy).replace("  ", " ")


def test_a_pause_is_made_and_ended_by_buttons_and_audited(
    dsn: str, store: RunnerStore, add: Callable[..., int]
) -> None:
    add("mail")
    add("pay", "eu")
    with browsing(dsn) as browser:
        there = browser.post(
            "/hooks/pause", kind="hook", name="mail", for_="2h", reason="moving", back="one"
        )
        assert "hook=mail" in there
        page = words(browser.get(there))
        assert "Paused" in page
        assert "(moving)" in page
        [pause] = store.parts.pauses.stored()
        assert pause.until is not None
        assert timedelta(minutes=119) < pause.until - datetime.now(UTC) <= timedelta(hours=2)
        browser.post("/hooks/pause", kind="group", name="", for_="", reason=" ")
        assert "kind=group" in browser.post("/hooks/pause", kind="group", name="eu")
        assert "Everything is paused" in words(
            browser.get(browser.post("/hooks/pause", kind="all", reason="x"))
        )
        assert len(store.parts.pauses.stored()) == 4
        browser.post("/hooks/resume", kind="hook", name="mail")
        browser.post("/hooks/resume", kind="group", name="")
        assert sorted((p.kind, p.name) for p in store.parts.pauses.stored()) == [
            ("all", ""),
            ("group", "eu"),
        ]
        browser.post("/hooks/resume", kind="all")
        assert not store.parts.pauses.stored()
        for wrong in (
            {"kind": "x"},
            {"kind": "hook", "name": ""},
            {"kind": "hook", "name": "m", "for_": "soon"},
        ):
            browser.post("/hooks/pause", 422, **wrong)
    told = query(store, "SELECT verb, who, object FROM wp_wpbridge_audit ORDER BY audit_id")
    assert [row[0] for row in told] == ["pause"] * 4 + ["resume"] * 3
    assert {row[1] for row in told} == {"proxy:operator"}
    assert told[0][2] == "hook mail"


def test_who_only_looks_changes_nothing(dsn: str, store: RunnerStore) -> None:
    with browsing(dsn, "viewer") as browser:
        for path in ("/hooks/pause", "/hooks/resume", "/jobs/replay"):
            browser.post(path, 403, kind="all", id=1)
            answer = browser.session.post(
                f"{browser.base}{path}",
                data={"kind": "all"},
                headers={"Sec-Fetch-Site": "cross-site"},
                timeout=60,
            )
            assert answer.status_code == 403
    assert not store.parts.pauses.stored()


def test_the_page_of_metrics_has_charts_with_their_numbers(dsn: str, store: RunnerStore) -> None:
    now = datetime.now(UTC)
    remember(store, now, a_minute=6, seconds=2.0, hook=HOSTILE)
    waits = tuple(bucketed(40.0, WAIT_BOUNDS))
    then = (now - timedelta(hours=5)).replace(second=0, microsecond=0)
    store.parts.stats.add(
        [Count(begin=then, hook="mail", group_id=0, outcome="failed", waits=waits)]
    )
    table = next(iter(store.parts.gauges.sizes()))
    for hours in range(30):
        store.parts.sizes.note(now - timedelta(hours=30 - hours), {table: 10**9 + hours * 10**6})
    with browsing(dsn, "viewer") as browser:
        for period in ("24h", "7d", "30d", "90d", "no such"):
            page = browser.get(f"/measures?period={period}")
            assert page.count('role="img"') == 5, period
            ids = re.findall(r'\bid="([^"]+)"', page)
            assert len(ids) == len(set(ids))
            assert "Slowest hooks" in page
        told = words(page)
        assert "Actions that ended per hour" in told
        assert "Growth in a week" in told
        assert table in told
        assert browser.get("/measures?period=30d").count("<rect") > 30 + 168


def add_job(store: RunnerStore, url: str = "https://receiver.example/T0K3N?x=S3CR3T") -> int:
    jobs = JobQueue(store.parts, close_store=False)
    asked = JobRequest(new=Enqueue(hook=HOSTILE), key_name="shop")
    told = Enqueue(hook=CALLBACK_HOOK, args={"job": asked.uuid, "url": url}, group="wpbridge")
    asked = JobRequest(new=asked.new, key_name="shop", uuid=asked.uuid, callback=told)
    [done] = jobs.submit([jobs.prepared(asked)])
    assert done.job is not None
    [[found]] = query(store, f"SELECT MAX(action_id) FROM {ACTIONS}")
    return int(str(found))


def test_a_failed_callback_is_sent_again_by_a_button(dsn: str, store: RunnerStore) -> None:
    action = add_job(store)
    change(
        store,
        "INSERT INTO wp_actionscheduler_logs (action_id, message, log_date_gmt, log_date_local) VALUES"
        " (:id, 'action failed via wpbridge: HTTP 500; given up after 10 tries', '2026-01-01 00:00:00', '2026-01-01 00:00:00')",
        id=action,
    )
    with browsing(dsn) as browser:
        waiting = words(browser.get("/jobs?callbacks=waiting"))
        assert "its job has not ended yet" in waiting
        assert "shop" in waiting
        browser.post("/jobs/replay", 422, id=action)
        statement = f"UPDATE {ACTIONS} SET status = 'failed', scheduled_date_gmt = '2026-01-01 00:00:00' WHERE action_id = :id"
        change(store, statement, id=action)
        assert browser.post("/jobs/replay", 404, id="x")
        assert browser.post("/jobs/replay", 422, id=action - 1), "it is no callback"
        page = browser.get("/jobs")
        assert "HTTP 500; given up after 10 tries" in words(page)
        assert "https://receiver.example" in words(page)
        assert "T0K3N" not in page
        assert "S3CR3T" not in page
        there = browser.post("/jobs/replay", id=action)
        assert "The callback will be sent again" in words(browser.get(there))
    rows = query(
        store,
        f"SELECT status, args FROM {ACTIONS} WHERE hook = :hook ORDER BY action_id",
        hook=CALLBACK_HOOK,
    )
    assert [row[0] for row in rows] == ["failed", "pending"]
    assert rows[0][1] == rows[1][1]
    [[verb, who]] = query(store, "SELECT verb, who FROM wp_wpbridge_audit")
    assert (verb, who) == ("requeue", "proxy:operator")


def test_the_sites_of_a_network_are_compared(
    dsn: str, store: RunnerStore, add: Callable[..., int]
) -> None:
    change(
        store,
        "CREATE TABLE wp_blogs (blog_id bigint NOT NULL PRIMARY KEY, domain varchar(200), path varchar(100))",
    )
    for blog in (1, 2):
        change(
            store,
            "INSERT INTO wp_blogs VALUES (:id, :domain, '/')",
            id=blog,
            domain=f"{blog}<b>.example",
        )
    add("mail")
    with browsing(dsn, "viewer") as browser:
        page = words(browser.get("/sites"))
        assert "1<b>.example/ served here 1 100%" in re.sub(r"\s+", " ", page)
        assert "It has no queue" in page
        assert "There are no more sites" in words(browser.get("/sites?after=2"))


def test_no_name_of_a_row_breaks_a_page(lite: Site) -> None:
    """SQLite takes what is no text at all."""
    store = lite.store
    queue = Queue(store.parts, close_store=False)
    names = ["x" * 191, HOSTILE, "\x00\x1b[31m", "a\u2028b\u202e", "🐘" * 90]
    for name in names:
        queue.schedule_single(datetime.now(UTC) - timedelta(hours=1), "here", [1], group="eu")
        [[action]] = query(store, f"SELECT MAX(action_id) FROM {ACTIONS}")
        change(
            store, f"UPDATE {ACTIONS} SET hook = :name WHERE action_id = :id", name=name, id=action
        )
    queue.schedule_single(datetime.now(UTC) - timedelta(hours=1), "here", [1])
    change(store, f"UPDATE {ACTIONS} SET hook = CAST(x'61ff62' AS TEXT) WHERE hook = 'here'")
    change(
        store,
        f"UPDATE {ACTIONS} SET status = 'failed', last_attempt_gmt = '2026-01-01 00:00:00' WHERE action_id = 1",
    )
    with browsing(lite.dsn, "operator") as browser:
        page = browser.get("/hooks")
        assert not re.search("[\x00\x1b\u2028\u202e]", page)
        links = re.findall(r'<td data-label="Name"><a[^>]*href="([^"]*)"', page)
        # The first has failed, and nothing of its hook waits any more.
        assert len(links) == len(names)
        assert sum("%FF" in link for link in links) == 1
        browser.get(f"/hooks?hook={names[0]}")
        for link in links:
            assert "Its actions" in browser.get(unescape(link).removeprefix(browser.base))
