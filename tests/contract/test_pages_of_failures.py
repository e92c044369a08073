"""The pages of failures and of recurring chains over HTTP."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from html import unescape
from typing import Any

import pytest
import requests

from gateway import serving
from rows import change
from wpbridge import Queue
from wpbridge.clock import to_text
from wpbridge.dashboard.failure_index import FailureIndex
from wpbridge.outcome import LogLine
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.web.pages.failures import spans, wish_of

HOSTILE = "a<script>alert(1)</script>\u202e'\"&amp; b\x1b[2J"
HOUR = timedelta(hours=1)
ACTIONS = "wp_actionscheduler_actions"


class Reader:
    """Somebody's browser, signed in by a proxy."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.session = requests.Session()
        self.session.headers["X-Person"] = "anna"

    def failures(self, query: str = "") -> str:
        """The page of failures, once they are read."""
        while "The failures are being read" in (page := self.get(f"/failures{query}")):
            pass
        return page

    def send(self, page: str, path: str, **more: str) -> str:
        """Send the first form of a page that leads there; return the text of what follows."""
        form = re.search(
            rf'<form[^>]*action="({re.escape(path)})"[^>]*>(.*?)</form>', page, re.DOTALL
        )
        assert form is not None
        inputs = re.findall(r'<input[^>]*\sname="([^"]*)"[^>]*\svalue="([^"]*)"', form[2])
        data = {name: unescape(value) for name, value in inputs} | more
        headers = {"Sec-Fetch-Site": "same-origin"}
        answer = self.session.post(f"{self.base}{form[1]}", data=data, headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.text

    def get(self, path: str, status: int = 200) -> str:
        answer = self.session.get(f"{self.base}{path}", timeout=60)
        assert answer.status_code == status, answer.text
        assert "'unsafe" not in answer.headers["Content-Security-Policy"]
        assert "<script>alert" not in answer.text
        # A field that is sent back must be the very text.
        shown = re.sub(r'<input[^>]*\svalue="[^"]*"', "", answer.text)
        assert "\u202e" not in shown
        assert "\x1b" not in shown
        assert not re.search(r"<[^>]*\s(style|on[a-z]+)=", answer.text)
        assert answer.text.count("<h1>") == 1
        ids = re.findall(r'\sid="([^"]+)"', answer.text)
        assert len(ids) == len(set(ids))
        return answer.text


@contextmanager
def reading(dsn: str, role: str = "operator") -> Iterator[Reader]:
    proxy: dict[str, Any] = {
        "web_proxy_header": "X-Person",
        "web_proxy_from": "127.0.0.1",
        "web_proxy_role": role,
    }
    with serving(dsn, keys={}, **proxy) as gateway:
        reader = Reader(gateway.url)
        with reader.session:
            yield reader


def words(page: str) -> str:
    """The text of a page, without its markup."""
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)))


def links(page: str) -> list[str]:
    return [unescape(link) for link in re.findall(r'href="([^"]+)"', page)]


def failed(
    store: RunnerStore, message: str, hook: str = "mail", *, hours: float = 1, group: str = ""
) -> int:
    """An action that failed so many hours ago."""
    at = datetime.now(UTC) - hours * HOUR
    made = Queue(store.parts, close_store=False).schedule_single(at, hook, [1], group=group)
    assert made is not None
    change(
        store,
        f"UPDATE {ACTIONS} SET status = 'failed', last_attempt_gmt = :at WHERE action_id = :i",
        at=to_text(at),
        i=made,
    )
    store.log([(made, LogLine(message=message, at=at))])
    return made


def test_what_failed_and_why(dsn: str, store: RunnerStore) -> None:
    ids = [failed(store, f"action failed via wpbridge: HTTP 503 of order {n}") for n in range(3)]
    failed(store, "action failed via wpbridge: HTTP 404 of order 7", "sync", hours=30, group="shop")
    with reading(dsn) as reader:
        page = reader.failures()
        text = words(page)
        assert "4 failures stand" in text
        assert "HTTP 503 of order <n>" in text
        assert "likely to pass" in text
        assert "mend it first" in text
        assert f"/actions/{ids[2]}" in page
        requeue = [link for link in links(page) if "changes/preview" in link]
        assert "Requeue these 3" in text
        assert requeue[0].endswith(
            "/changes/preview?verb=requeue&status=failed&fingerprint=HTTP+503+of+order+%3Cn%3E"
        )
        assert any("/actions?status=failed&fingerprint=HTTP" in link for link in links(page))

        assert "1 failure stands" in words(reader.failures("?hook=sync"))
        assert "1 failure stands" in words(reader.failures("?group=shop"))
        assert "3 failures stand" in words(reader.failures("?group=-"))
        lately = reader.failures("?since=-2h")
        assert "3 failures stand" in words(lately)
        assert any("ended_since=20" in link for link in links(lately) if "preview" in link)
        assert "No failure matches" in words(reader.failures("?hook=nobody"))
        assert "since:" in words(reader.get("/failures?since=yesterday", status=422))

        Queue(store.parts, close_store=False).requeue(ids)
        later = reader.failures("?since=-2h&until=now")
        while "No failure matches" not in words(later):
            # What is two seconds old may be shown once more.
            later = reader.failures("?since=-2h&until=now")
        assert "3 more were requeued" in words(later)


def test_empty_pages_say_what_to_do(dsn: str, store: RunnerStore) -> None:
    with reading(dsn) as reader:
        assert "Nothing has failed" in words(reader.failures())
        assert "Nothing recurs yet" in words(reader.get("/recurring"))
        assert "No recurring action matches" in words(reader.get("/recurring?hook=x"))
        assert "No chain has stopped" in words(reader.get("/recurring?state=stopped"))


def test_a_page_does_not_wait_for_the_first_reading(
    dsn: str, store: RunnerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed(store, "action failed: boom")
    monkeypatch.setattr(FailureIndex, "catch_up", lambda *_: None)
    with reading(dsn) as reader:
        page = reader.get("/failures")
        assert "The failures are being read" in words(page)
        assert 'data-live="2"' in page


def test_hostile_failures(dsn: str, store: RunnerStore) -> None:
    failed(store, f"action failed: {HOSTILE} password=hunter2", HOSTILE, group="<b>\u202e")
    failed(store, "")
    with reading(dsn) as reader:
        page = reader.failures()
        assert "alert(1)" in page
        assert "hunter2" not in page
        assert "(no message)" in words(page)
        found = [link for link in links(page) if "/failures?hook=a" in link]
        assert "2 failures stand" in words(page)
        assert "1 failure stands" in words(reader.failures(found[0].removeprefix("/failures")))


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
def test_recurring_chains_and_their_buttons(dsn: str, store: RunnerStore, role: str) -> None:
    queue = Queue(store.parts, close_store=False)
    now = datetime.now(UTC)
    sync = queue.schedule_recurring(now + HOUR, 900, "sync", [1], group="shop")
    twin = queue.schedule_recurring(now + HOUR, 900, "sync", [1], group="shop")
    queue.schedule_cron(now, "0 9 * * 1", "report", tz="Europe/Rome")
    queue.schedule_recurring(now + HOUR, 60, HOSTILE, [HOSTILE])
    stopped = queue.schedule_recurring(now - HOUR, 3600, "stopped")
    change(
        store,
        f"UPDATE {ACTIONS} SET status = 'failed', last_attempt_gmt = :at WHERE action_id = :i",
        at=to_text(now - HOUR),
        i=stopped,
    )
    queue.pause(hooks=["report"], until="+2h")
    with reading(dsn, role) as reader:
        page = reader.get("/recurring")
        text = words(page)
        assert "every 15 minutes" in text
        assert "at 09:00, only on Monday, in Europe/Rome" in text
        assert "1 pending action too many" in text
        assert "hook paused" in text
        assert "Stopped" in text
        deeds = set(re.findall(r'action="[^"]*/(changes/[a-z-]+)"', page))
        expected = {
            "viewer": set(),
            "operator": {
                "changes/run",
                "changes/cancel",
                "changes/pause",
                "changes/resume",
                "changes/requeue",
            },
        }
        expected["admin"] = {*expected["operator"], "changes/edit-schedule"}
        assert deeds == expected[role]
        assert f'name="id" value="{stopped}"' in page or role == "viewer"
        only = reader.get("/recurring?hook=sync")
        assert str(min(sync or 0, twin or 0)) in only
        assert "Europe/Rome" not in only
        assert "stopped" in reader.get("/recurring?state=stopped")


def test_the_last_night_is_by_the_clock_of_the_site() -> None:
    zone = timezone(2 * HOUR)
    now = datetime(2026, 11, 24, 12, tzinfo=UTC)
    night = next(span for span in spans(now, zone) if span.words == "Last night")
    wish = wish_of({"since": night.since, "until": night.until}, now, zone)
    assert wish.since == datetime(2026, 11, 23, 16, tzinfo=UTC)
    assert wish.until == datetime(2026, 11, 24, 6, tzinfo=UTC)


def test_buttons_change_chains_and_lead_back(dsn: str, store: RunnerStore) -> None:
    queue = Queue(store.parts, close_store=False)
    made = queue.schedule_recurring(datetime.now(UTC) + HOUR, 900, HOSTILE, [1])
    assert made is not None
    with reading(dsn, "admin") as reader:
        page = reader.get("/recurring")
        page = reader.send(page, "/changes/pause")
        assert "hook paused" in words(page)
        assert [pause.name for pause in queue.pauses()] == [HOSTILE]
        page = reader.send(page, "/changes/resume")
        assert queue.pauses() == []
        sure = reader.send(
            page, "/changes/edit-schedule", interval="", cron="0 9 * * 1", tz="Europe/Rome"
        )
        assert queue.get(made).scheduled_at is not None
        page = reader.send(sure, "/changes/edit-schedule")
        assert "at 09:00, only on Monday, in Europe/Rome" in words(page)
        page = reader.send(page, "/changes/run")
        at = queue.get(made).scheduled_at
        assert at is not None
        assert at <= datetime.now(UTC)
        page = reader.send(page, "/changes/cancel")
        assert queue.get(made).status == "canceled"
        assert "Ended" in words(page)


def test_the_failures_of_a_group_are_requeued_by_its_button(dsn: str, store: RunnerStore) -> None:
    ids = [failed(store, f"action failed: password=hunter2 HTTP 503 of {n}") for n in range(3)]
    failed(store, "action failed: HTTP 404 for order 12")
    with reading(dsn) as reader:
        [link] = [
            link
            for link in links(reader.failures())
            if "preview" in link and "fingerprint=~" in link
        ]
        preview = reader.get(link)
        assert ids
        assert "3" in words(preview)
        listed = [
            one for one in links(reader.failures()) if "/actions?" in one and "fingerprint=~" in one
        ]
        page = reader.get(listed[0])
        assert [one for one in ids if f"/actions/{one}" not in page] == []
