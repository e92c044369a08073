"""What the pages of actions show, and what their forms change, without a browser."""

import html
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlencode

import pytest

from daemons import until
from dashboard_site import Dashboard, dashboard, page_paths
from rows import change
from wpbridge import Queue
from wpbridge.clock import SystemClock, to_text
from wpbridge.dashboard import listing
from wpbridge.queue.enqueue import Enqueue
from wpbridge.store.records import Query

ROWS = re.compile(r'href="/actions/(\d+)"[^>]*>\1</a>')
NEXT = re.compile(r'rel="next" href="([^"]+)"')


pytestmark = pytest.mark.usefixtures("quick_hashes")


@pytest.fixture
def site(dsn: str, queue: Queue) -> Iterator[Dashboard]:
    del queue
    with dashboard(dsn) as found:
        yield found


def listed(site: Dashboard, **told: object) -> list[int]:
    """All actions that a list shows, page by page."""
    found: list[int] = []
    address: str | None = f"/actions?{urlencode(told)}"
    while address:
        text = site.text(address)
        found += [int(one) for one in dict.fromkeys(ROWS.findall(text))]
        following = NEXT.search(text)
        address = html.unescape(following[1]) if following else None
    return found


def make_many(queue: Queue) -> None:
    """130 actions of two hooks with every status, equal dates, zero dates and no dates."""
    now = SystemClock().now()
    queue.enqueue_many(
        Enqueue(
            hook=f"hook_{n % 2}",
            at=now + timedelta(hours=n % 7 - 3),
            group="mail" if n % 3 else "",
            args={"order": n},
            priority=n % 4,
        )
        for n in range(130)
    )
    rows = queue.find(limit=0, order="id")
    names = queue.store.names.actions
    statuses = ("pending", "complete", "failed", "canceled", "in-progress")
    for n, row in enumerate(rows):
        attempt = "0000-00-00 00:00:00" if n % 5 == 3 else to_text(now - timedelta(minutes=n % 11))
        change(
            queue.store,
            f"UPDATE {names} SET status = :status, last_attempt_gmt = :attempt WHERE action_id = :id",
            status=statuses[n % 5],
            attempt=attempt,
            id=row.id,
        )
    change(queue.store, f"UPDATE {names} SET scheduled_date_gmt = NULL WHERE action_id % 26 = 0")
    change(
        queue.store,
        f"UPDATE {names} SET scheduled_date_gmt = '0000-00-00 00:00:00' WHERE action_id % 26 = 1",
    )


def test_each_action_is_on_one_page_of_a_list(site: Dashboard, queue: Queue) -> None:
    make_many(queue)
    for filters, query in (
        ({}, Query()),
        ({"status": "failed"}, Query(statuses=("failed",))),
        ({"status": "canceled"}, Query(statuses=("canceled",))),
        ({"status": "pending"}, Query(statuses=("pending",))),
        ({"hook": "hook_1"}, Query(hooks=("hook_1",))),
        ({"group": "-"}, Query(groups=("",))),
        ({"group": "mail", "status": "complete"}, Query(groups=("mail",), statuses=("complete",))),
        ({"search": "order", "priority": "2"}, Query(search="order", priority=2)),
        ({"args": '{"order": 17}'}, Query(args='{"order":17}')),
    ):
        expected = sorted(row.id for row in queue.find(query, limit=0, order="id"))
        for order in ("", "newest", "latest", "date", "soonest"):
            found = listed(site, **filters, order=order)
            assert sorted(found) == expected, (filters, order)
    assert listed(site, since="2000-01-01", until="2000-01-02") == []


def test_a_search_goes_on_where_its_time_was_over(
    site: Dashboard, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_many(queue)
    monkeypatch.setattr(listing, "WINDOW", 10)
    monkeypatch.setattr(listing, "SEARCH_SECONDS", 0.0)
    # There is no time for any window, and the page says so.
    assert "Searched back as far as" in site.text("/actions?search=order")
    expected = [row.id for row in queue.find(limit=0, order="id", descending=True)]
    monkeypatch.setattr(listing, "SEARCH_SECONDS", 60.0)
    assert listed(site, search="order") == expected
    assert listed(site, search="no such words") == []


def test_many_of_one_hook_are_found_without_sorting_them(
    site: Dashboard, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_many(queue)
    monkeypatch.setattr(listing, "MANY", 5)
    for filters in ({"hook": "hook_1"}, {"group": "mail"}, {"hook": "hook_1", "status": "failed"}):
        found = listed(site, **filters)
        monkeypatch.setattr(listing, "MANY", 1_000_000)
        assert found == listed(site, **filters), filters
        monkeypatch.setattr(listing, "MANY", 5)


def test_who_may_only_look_finds_no_masked_value_by_searching(
    site: Dashboard, queue: Queue
) -> None:
    one = queue.schedule_single("+1h", "mail", {"password": "s3cret"})
    assert ROWS.findall(site.text("/actions?search=s3c", "operator")) == [str(one)]
    assert ROWS.findall(site.text("/actions?search=s3c", "viewer")) == []
    assert ROWS.findall(site.text("/actions?search=mai", "viewer")) == [str(one)]
    exact = urlencode({"args": '{"password": "s3cret"}'})
    assert ROWS.findall(site.text(f"/actions?{exact}", "operator")) == [str(one)]
    assert site.get(f"/actions?{exact}", "viewer").status_code == 422


def test_what_cannot_be_read_is_refused(site: Dashboard, queue: Queue) -> None:
    queue.enqueue_async("mail")
    for query in (
        "since=never",
        "claim=x",
        "priority=-1",
        "args={",
        "after=x",
        "after=x_y&hook=mail",
    ):
        assert site.get(f"/actions?{query}").status_code == 422, query
    for path in ("/actions/99", "/actions/0", "/actions/x", "/actions/99999999999999999999"):
        assert site.get(path).status_code == 404, path


def test_an_id_that_is_searched_leads_to_its_action(site: Dashboard, queue: Queue) -> None:
    one = queue.enqueue_async("mail")
    assert site.get(f"/actions?search={one}").headers["Location"] == f"/actions/{one}"


def test_one_action_shows_what_is_known_of_it(site: Dashboard, queue: Queue) -> None:
    first = queue.enqueue_async("mail", {"to": "anna", "password": "s3cret"}, group="post")
    second = queue.enqueue(Enqueue(hook="late", after=[first or 0], cron="*/15 * * * *"))
    text = site.text(f"/actions/{first}")
    assert "s3cret" not in text
    for word in (
        "mail",
        "anna",
        "post",
        "action created",
        "as soon as possible",
        f"/actions/{second}",
    ):
        assert word in text, word
    text = site.text(f"/actions/{second}")
    assert "every 15 minutes" in text
    assert f"/actions/{first}" in text
    assert "wpbridge explain" in text


def test_forms_change_what_is_selected_and_say_who_it_was(site: Dashboard, queue: Queue) -> None:
    ids = [queue.schedule_single("+1h", "mail", {"n": n}) or 0 for n in range(4)]
    answer = site.post("/changes/cancel", {"id": ids[:2], "back": "actions?hook=mail"}, "operator")
    assert (answer.status_code, answer.headers["Location"]) == (
        303,
        "/actions?hook=mail&done=cancel&n=2",
    )
    assert "Canceled: 2" in site.text(answer.headers["Location"])
    assert [queue.get(one).status for one in ids] == ["canceled", "canceled", "pending", "pending"]
    # What cannot be changed is named with the reason.
    answer = site.post("/changes/cancel", {"id": ids[:3]}, "operator")
    assert answer.status_code == 200
    assert "it is canceled" in answer.text
    assert queue.get(ids[2]).status == "canceled"
    assert site.post("/changes/cancel", {"id": ids[0]}, "operator").status_code == 409
    # A change that asks for something shows a form first.
    answer = site.post("/changes/reschedule", {"id": ids[3]}, "operator")
    assert 'name="at"' in answer.text
    site.post("/changes/reschedule", {"id": ids[3], "at": "2031-05-06 07:08"}, "operator")
    assert str(queue.get(ids[3]).scheduled_at).startswith("2031-05-06 07:08")
    # What cannot be undone asks once more.
    answer = site.post("/changes/delete", {"id": ids[3]})
    assert 'name="sure"' in answer.text
    assert queue.get(ids[3]).status == "pending"
    site.post("/changes/delete", {"id": ids[3], "sure": "yes"})
    assert [row.id for row in queue.find(limit=0, order="id")] == ids[:3]
    audit = site.text("/audit")
    for word in ("user:operator", "user:admin", "cancel", "delete", "127.0.0.1"):
        assert word in audit, word
    assert "user:admin" not in site.text("/audit?who=operator", "viewer")
    rows = queue.store.audit.page(verb="cancel")
    assert [json.loads(row.detail)["changed"] for row in rows] == [1, 2]


def test_a_form_cannot_lead_elsewhere(site: Dashboard, queue: Queue) -> None:
    for back in (
        "//evil.example",
        "https://evil.example",
        "/evil",
        "javascript:x",
        "a\nb",
        "@evil",
        "../evil",
        "actions/../../evil",
        "actions//evil",
        "a/.evil",
    ):
        one = queue.schedule_single("+1h", "mail")
        location = site.post("/changes/cancel", {"id": one, "back": back}).headers["Location"]
        assert location.startswith("/?done=cancel"), back


def test_a_notice_shows_no_words_of_the_address(site: Dashboard) -> None:
    assert "evil words" not in site.text("/?done=evil words&n=1")
    assert "evil words" not in site.text("/?done=cancel&n=evil words")


def test_a_new_action_and_a_pause(site: Dashboard, queue: Queue) -> None:
    form = {"hook": "mail", "args": '{"to": "anna"}', "at": "+1h", "group": "post"}
    answer = site.post("/changes/enqueue", form, "operator")
    [made] = queue.find()
    assert answer.headers["Location"] == f"/actions/{made.id}?done=enqueue&n={made.id}"
    assert json.loads(made.args) == {"to": "anna"}
    site.post("/changes/pause", {"hook": "mail", "for": "2h", "reason": "too loud"}, "operator")
    [pause] = queue.pauses()
    assert (pause.kind, pause.name, pause.reason) == ("hook", "mail", "too loud")
    assert "too loud" in site.text("/")
    site.post("/changes/resume", {"hook": "mail"}, "operator")
    assert queue.pauses() == []
    answer = site.post("/changes/enqueue", {"hook": "mail", "args": "{"}, "operator")
    assert answer.status_code == 422
    assert len(queue.find()) == 1


def test_everything_that_matches_is_changed_once_its_count_was_typed(
    dsn: str, queue: Queue
) -> None:
    with dashboard(dsn, runs_own=True) as site:
        change_everything(site, queue)


def change_everything(site: Dashboard, queue: Queue) -> None:
    queue.enqueue_many(Enqueue(hook="mail", at="+1h", args=[n]) for n in range(60))
    queue.schedule_single("+1h", "other")
    text = site.text("/changes/preview?verb=cancel&hook=mail&reason=too+many", "operator")
    assert "60 actions match" in text
    pinned = html.unescape(re.search(r'name="pinned" value="([^"]+)"', text)[1])  # type: ignore[index]
    later = queue.schedule_single("+1h", "mail")
    for typed in ("", "59", "61", "all"):
        answer = site.post("/changes/start", {"pinned": pinned, "count": typed}, "operator")
        assert answer.status_code == 422, typed
    answer = site.post("/changes/start", {"pinned": pinned, "count": "60"}, "operator")
    assert answer.status_code == 303
    until(lambda: queue.count(hooks=("mail",), statuses=("pending",)) == 1, "the bulk")
    pending = queue.find(hooks=("mail", "other"), statuses=("pending",), limit=0, order="id")
    assert [row.hook for row in pending] == ["other", "mail"]
    assert pending[-1].id == later
    page = answer.headers["Location"].partition("?")[0]
    until(lambda: "60 of 60 were canceled." in site.text(page), "its ending")
    assert "/audit?thing=bulk+" in site.text(page)


def test_an_action_of_the_hook_of_changes_that_nobody_has_pinned_is_shown(
    site: Dashboard, queue: Queue
) -> None:
    good = {"verb": "run", "up_to_id": 9, "count": 7, "filter": {}}
    for args in (
        [],
        [1],
        {},
        {**good, "verb": "x"},
        {**good, "filter": [1]},
        {**good, "count": "7"},
    ):
        made = queue.schedule_single("+1h", "wpbridge_bulk", args)
        assert "everything that matches" not in site.text(f"/actions/{made}"), args
    made = queue.schedule_single("+1h", "wpbridge_bulk", good)
    page = site.text(f"/actions/{made}")
    assert "Run now: everything that matches" in page
    assert "Look again" in page
    assert made is not None
    queue.cancel([made])
    assert "It has not come to its end." in site.text(f"/actions/{made}")


def test_what_keeps_an_action_waiting_is_ended_on_its_page(site: Dashboard, queue: Queue) -> None:
    made = queue.schedule_single("-1m", "mail", group="shop")
    queue.pause(hooks=["mail", "other"], groups=["shop"], everything=True)
    for what, kind, name in (
        ("everything", "all", ""),
        ("group shop", "group", "shop"),
        ("hook mail", "hook", "mail"),
    ):
        path = f"/actions/{made}"
        assert f"Resume {what}" in site.text(path, "operator")
        assert f"Resume {what}" not in site.text(path, "viewer")
        form = {"kind": kind, "name": name, "back": path.lstrip("/")}
        answer = site.post("/hooks/resume", form, "operator")
        assert answer.headers["Location"] == f"{path}?done=resume&n=1"
        if kind == "all":
            # It has ended the others, too.
            assert "is paused" not in site.text(path)
            queue.pause(hooks=["mail", "other"], groups=["shop"])
    assert [one.name for one in queue.pauses()] == ["other"]


def test_a_preview_needs_the_role_of_its_change(site: Dashboard, queue: Queue) -> None:
    queue.schedule_single("+1h", "mail")
    assert site.get("/changes/preview?verb=delete&hook=mail", "operator").status_code == 403
    text = site.text("/changes/preview?verb=delete&hook=mail")
    pinned = html.unescape(re.search(r'name="pinned" value="([^"]+)"', text)[1])  # type: ignore[index]
    answer = site.post("/changes/start", {"pinned": pinned, "count": "1"}, "operator")
    assert answer.status_code == 403
    assert len(queue.find()) == 1
    for pinned in ("", "{}", "[]", '{"verb": "enqueue"}', "{" * 100, '{"verb": ["x"]}'):
        answer = site.post("/changes/start", {"pinned": pinned, "count": "1"})
        assert answer.status_code == 422, pinned


def test_every_page_is_linked_from_the_overview(site: Dashboard, queue: Queue) -> None:
    one = queue.schedule_single("+1h", "mail") or 0
    seen: set[tuple[str, str]] = set()
    waiting = ["/"]
    while waiting:
        path = waiting.pop()
        place, _, query = path.partition("?")
        # One of each page, and of each kind of filter.
        kind = place, " ".join(sorted(re.findall(r"(\w+)=", query)))
        if kind in seen or place.startswith("/static") or len(kind[1]) > 20:
            continue
        seen.add(kind)
        links = re.findall(r'(?:href|action)="(/[^"]*)"', site.get(path).text)
        waiting += [html.unescape(link) for link in links]
    missing = {path.partition("?")[0] for path in page_paths(one)} - {place for place, _ in seen}
    assert missing == set()


def test_the_first_page_is_shared_by_the_tabs_of_one_person_alone(site: Dashboard) -> None:
    for _ in range(2):
        for role in ("viewer", "operator", "admin"):
            assert f"Your role: {role}" in site.text("/", role)
    assert "Canceled: 2" in site.text("/?done=cancel&n=2")
    assert "Canceled: 2" not in site.text("/")
