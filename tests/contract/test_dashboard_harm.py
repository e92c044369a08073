"""What others do to harm the dashboard: scripts of other origins, damaged rows, secrets in texts."""

import hashlib
import html
import json
import re
import secrets
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from cli_helpers import Site
from dashboard_site import PASSWORD, dashboard, page_paths
from hostile_queue import hostile_queue
from rows import change
from wpbridge import Queue
from wpbridge.access.tokens import signed
from wpbridge.clock import SystemClock
from wpbridge.doctor import CheckUp, check_up
from wpbridge.site.config import load
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.web.headers import FORWARD
from wpbridge.web.pages import doctor
from wpbridge.web.pages.table import DEEDS, PAGES

ACTIONS = "wp_actionscheduler_actions"
SECRET = "S3cr3t-V4lue"


def test_scripts_of_an_origin_that_may_ask_the_api_read_no_page(lite: Site) -> None:
    """A proxy may know a person by the network alone, so no script has to send a cookie."""
    settings = {
        "web_origins": ("https://shop.example",),
        "web_proxy_header": "X-Remote-User",
        "web_proxy_from": ("127.0.0.1",),
        "web_proxy_role": "admin",
    }
    headers = {"Origin": "https://shop.example", "X-Remote-User": "anna"}
    wish = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "hx-request"}
    with dashboard(lite.dsn, **settings) as site:
        for path in (*(page.path for page in PAGES), "/sign-in", "/enter", "/static/app.js"):
            answer = site.get(path.replace("{action}", "1"), "", headers=headers)
            assert "Access-Control-Allow-Origin" not in answer.headers, path
        for path in (*(deed.path for deed in DEEDS), "/", "/sign-in", "/sign-out"):
            answer = requests.options(f"{site.url}{path}", headers={**headers, **wish}, timeout=60)
            assert answer.status_code == 405, path
            assert "Access-Control-Allow-Origin" not in answer.headers, path
        answer = requests.get(f"{site.url}/v1/stats", headers=headers, timeout=60)
        assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"


def test_a_name_of_the_host_that_is_read_in_two_ways_is_none(lite: Site) -> None:
    with dashboard(lite.dsn) as site:
        for name in ("localhost", "localhost:1", "127.0.0.1", "[::1]:80", "LOCALHOST"):
            assert site.get("/", "", headers={"Host": name}).status_code == 303, name
        for name in (
            "evil.example@localhost",
            "localhost/evil",
            "localhost#@evil.example",
            "localhost?evil",
            "localhost:",
            "localhost:x",
            "localhost,evil.example",
        ):
            assert site.get("/", "", headers={"Host": name}).status_code == 421, name


@pytest.mark.parametrize(
    ("zone", "date"),
    [
        ("Pacific/Kiritimati", "9999-12-31 23:59:59"),
        ("America/Los_Angeles", "0001-01-01 00:00:00"),
    ],
)
def test_the_first_and_the_last_day_that_there_is_break_no_page(
    dsn: str, queue: Queue, store: RunnerStore, zone: str, date: str
) -> None:
    one = queue.schedule_single("+1h", "mail")
    assert one is not None
    dates = "scheduled_date_gmt = :date, last_attempt_gmt = :date"
    change(store, f"UPDATE {ACTIONS} SET {dates}", date=date)
    with dashboard(dsn, tz=zone) as site:
        for path in page_paths(one):
            site.text(path)
        assert f"{date[5:]} UTC" in site.text(f"/actions/{one}")


DAMAGED = [
    ("pauses", "kind", "queue"),
    ("pauses", "until_gmt", "9999-12-31 23:59:59"),
    ("api_keys", "rights", "[" * 3000),
    ("runners", "claims", f"{'9' * 40},1"),
    ("runners", "about", "[" * 3000),
    ("runners", "wish", "<b>"),
    ("audit", "detail", "[" * 3000),
    ("results", "result", "[" * 3000),
    ("results", "progress_text", "\x00"),
    ("alerts", "owed", "[" * 3000),
    ("stats", "durations", "{1;"),
    ("stats", "waits", "9" * 40),
    ("waits", "on_failed", "<b>"),
    ("jobs", "uuid", "none"),
]
"""Table, column and what stands there in every row."""


def test_damaged_rows_of_our_own_tables_break_no_page(tmp_path: Path) -> None:
    dsn = hostile_queue(tmp_path / "queue.db")
    with closing(sqlite3.connect(tmp_path / "queue.db")) as connection, connection:
        for table, column, value in DAMAGED:
            # Where these are a key there can be one such row.
            connection.execute(f"UPDATE OR IGNORE wp_wpbridge_{table} SET {column} = ?", (value,))
    with dashboard(dsn) as site:
        for path in page_paths(1):
            site.text(path)
        assert ">queue <strong>" in site.text("/")


def test_what_is_said_of_an_action_shows_no_secret(
    dsn: str, queue: Queue, store: RunnerStore
) -> None:
    """Why it waits is told with the end of its log, and how far it is with a handler's words."""
    one = queue.schedule_single("2095-01-01T00:00:00Z", "mail")
    assert one is not None
    message = f"action retry via wpbridge: api_key={SECRET}"
    change(
        store,
        "INSERT INTO wp_actionscheduler_logs (action_id, message, log_date_gmt, log_date_local)"
        " VALUES (:id, :message, '2096-01-01 00:00:00', '2096-01-01 00:00:00')",
        id=one,
        message=message + "x" * 10_000,
    )
    change(
        store,
        "INSERT INTO wp_wpbridge_results (action_id, progress, progress_text, updated_gmt)"
        " VALUES (:id, 0.5, :text, '2026-01-01 00:00:00')",
        id=one,
        text=f"token={SECRET}",
    )
    queue.pause(hooks=["mail"], reason=f"password={SECRET}")
    with dashboard(dsn) as site:
        for path in page_paths(one):
            assert SECRET not in site.text(path), path
        queue.resume(hooks=["mail"])
        text = site.text(f"/actions/{one}")
        assert SECRET not in text
        assert "put it off" in text
        assert len(text) < 40_000


def test_a_filter_by_priority_is_not_the_priority_that_is_set(dsn: str, queue: Queue) -> None:
    for priority in (3, 4):
        queue.schedule_single("+1h", "mail", priority=priority)
    with dashboard(dsn) as site:
        form = site.text("/changes/preview?verb=priority&priority=3")
        assert 'name="new_priority"' in form
        assert 'name="pinned"' not in form
        page = site.text("/changes/preview?verb=priority&priority=3&new_priority=7")
        [told] = re.findall(r'name="pinned" value="([^"]*)"', page)
        pinned = json.loads(html.unescape(told))
        assert (pinned["filter"]["priority"], pinned["told"], pinned["count"]) == (
            3,
            {"priority": 7},
            1,
        )


def test_checks_that_take_long_keep_no_page_waiting(
    lite: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end = threading.Event()

    def slow(*given: Any, **told: Any) -> CheckUp:
        may_end.wait(60)
        return check_up(*given, **told)

    monkeypatch.setattr(doctor, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(doctor, "check_up", slow)
    with dashboard(lite.dsn) as site:
        try:
            # More than there are readers for the other pages.
            for _ in range(5):
                assert "take longer than usual" in site.text("/doctor")
            site.text("/actions")
            site.text("/jobs")
        finally:
            may_end.set()
        monkeypatch.setattr(doctor, "PATIENCE_SECONDS", 60.0)
        assert "checks" in site.text("/doctor")


def test_a_check_whose_statement_takes_too_long_says_so(dsn: str, store: RunnerStore) -> None:
    settings = load({"dsn": dsn}, {}, Path.cwd())
    if dsn.startswith("sqlite"):
        # Its statements wait for nobody.
        assert check_up(settings, statement_seconds=5.0).examination.findings
        return
    change(store, f"LOCK TABLES {ACTIONS} WRITE")
    try:
        found = check_up(settings, statement_seconds=0.05)
    finally:
        change(store, "UNLOCK TABLES")
    assert any("took too long" in one.cause for one in found.examination.findings)


def test_a_page_that_refuses_belongs_to_where_the_person_is(
    dsn: str, queue: Queue, store: RunnerStore
) -> None:
    """On the site's own address the dashboard lies elsewhere than where the gateway has it."""
    del queue
    with dashboard(dsn, base_path="/queue", web_on_site=True) as site:
        claims = {
            "sub": "anna",
            "role": "admin",
            "jti": secrets.token_hex(16),
            "method": "POST",
            "path": "/queue/changes/run",
            "query": "",
            "body_sha256": hashlib.sha256(b"{}").hexdigest(),
            "base": "/blog/wpbridge",
            "csrf": "0123456789",
            "checked": True,
        }
        header = signed(store.parts, "forward", claims, 30, SystemClock().now())
        answer = requests.post(
            f"{site.url}/changes/run", "{}", headers={FORWARD: header}, timeout=60
        )
        assert answer.status_code == 415
        assert 'href="/blog/wpbridge/static/app.css' in answer.text
        assert "/queue" not in answer.text


def test_strangers_are_not_told_what_the_database_says(
    dsn: str, queue: Queue, store: RunnerStore
) -> None:
    del queue
    with dashboard(dsn) as site:
        cookies = {name: f"{value}x" for name, value in site.person("admin").cookies.items()}
        for table in ("sessions", "users", "secrets", "api_keys"):
            change(store, f"DROP TABLE wp_wpbridge_{table}")
        form = {"username": "admin", "password": PASSWORD}
        own = {"Origin": site.origin}
        answers = [
            requests.get(f"{site.url}/", cookies=cookies, timeout=60),
            requests.post(f"{site.url}/sign-in", form, headers=own, timeout=60),
            site.gateway.ask("GET", "/v1/stats", key="wpb_x_" + "0" * 64),
        ]
        for answer in answers:
            assert "wp_wpbridge" not in answer.text
            assert answer.status_code in {200, 401, 503}
        assert {answer.status_code for answer in answers} >= {503}
