"""Each change that there is, made by clicking in a browser, with JavaScript and without."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from browser import SIGNED_IN, Tab, chromium, missing_browser, tab
from conftest import needs
from daemons import until
from databases import empty_queue
from factories import insert, make_new
from gateway import serving
from rows import change, set_status
from stores import open_store
from wpbridge.clock import SystemClock, to_text
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import Queue
from wpbridge.runner.identity import identity
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.web.pages.table import DEEDS


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    needs(missing_browser())
    with chromium() as it:
        yield it


class Person:
    """Somebody who clicks, and the queue as it is afterwards."""

    def __init__(self, it: Tab, store: RunnerStore) -> None:
        self.it, self.page = it, it.page
        self.store = store
        self.queue = Queue(store.parts, close_store=False)
        self.sent: set[str] = set()
        it.page.on("request", self._hear)

    def _hear(self, request: object) -> None:
        if getattr(request, "method", "") == "POST":
            self.sent.add(urlsplit(str(getattr(request, "url", ""))).path)

    def add(self, hook: str = "mail", **more: object) -> int:
        return self.queue.enqueue(Enqueue(hook=hook, at="+1h", **more)) or 0  # type: ignore[arg-type]

    def action(self, number: int) -> Page:
        return self.it.go(f"actions/{number}")

    def unfold(self, words: str) -> None:
        """Open the part of a page that asks for more about a change."""
        self.page.locator("summary", has_text=words).first.click()

    def press(self, words: str) -> None:
        """Press the button with these words that is to be seen."""
        self.page.locator("main").get_by_role("button", name=words, exact=True).locator(
            "visible=true"
        ).first.click()
        self.it.check()

    def done(self, words: str) -> None:
        expect(self.page.locator(".notice.good")).to_contain_text(words)


def of_one_action(a: Person) -> None:
    one = a.add()
    a.action(one)
    a.unfold("Run now")
    a.press("Run now")
    a.done("Made due now: 1")
    assert a.queue.get(one).scheduled_at is not None
    assert a.queue.count(statuses=("pending",), until=SystemClock().now()) == 1

    a.unfold("Reschedule")
    a.page.get_by_label("Date", exact=True).locator("visible=true").fill("2031-05-06 07:08")
    a.press("Reschedule")
    a.done("Rescheduled: 1")
    assert str(a.queue.get(one).scheduled_at).startswith("2031-05-06 07:08")

    a.unfold("Set priority")
    a.page.get_by_label("Priority", exact=True).locator("visible=true").fill("3")
    a.press("Set priority")
    a.done("Priority set: 1")
    assert a.queue.get(one).priority == 3

    a.unfold("Cancel")
    a.page.get_by_label("Reason", exact=True).locator("visible=true").fill("too late")
    a.press("Cancel")
    a.done("Canceled: 1")
    assert "too late" in a.queue.logs(one)[-1].message

    a.unfold("Requeue")
    a.press("Requeue")
    a.done("Requeued: 1")
    assert a.queue.count(hooks=("mail",), statuses=("pending",)) == 1

    a.unfold("Delete")
    a.press("Delete")
    a.page.get_by_label("I am sure").check()
    a.press("Delete")
    assert a.queue.find(ids=(one,)) == []


def of_a_chain(a: Person) -> None:
    chain = a.queue.enqueue(Enqueue(hook="report", cron="0 3 * * *")) or 0
    a.action(chain)
    a.unfold("Edit schedule")
    a.page.get_by_label("Interval", exact=True).locator("visible=true").fill("2h")
    a.press("Edit schedule")
    a.page.get_by_label("I am sure").check()
    a.press("Edit schedule")
    expect(a.page.locator("main")).to_contain_text("every 2 hours")
    a.it.go("recurring")
    expect(a.page.locator("main")).to_contain_text("report")
    a.unfold("More")
    a.press("Pause the hook")
    a.done("Paused")
    assert [pause.name for pause in a.queue.pauses()] == ["report"]
    a.unfold("More")
    a.press("Resume the hook")
    a.done("Resumed")
    assert a.queue.pauses() == []


def of_a_hook(a: Person) -> None:
    a.add("loud")
    a.it.go("hooks?hook=loud")
    if a.page.get_by_label("How long").locator("visible=true").count() == 0:
        a.unfold("Pause")
    a.page.get_by_label("How long").select_option(label="for two hours")
    a.press("Pause")
    [pause] = a.queue.pauses()
    assert pause.until is not None
    assert timedelta(hours=1) < pause.until - SystemClock().now() <= timedelta(hours=2)
    a.press("Resume")
    assert a.queue.pauses() == []


def of_a_new_action(a: Person) -> None:
    a.it.go("actions")
    a.page.get_by_role("link", name="Enqueue an action").click()
    a.page.get_by_label("Hook", exact=True).fill("brand_new")
    a.page.get_by_label("Args", exact=True).fill('{"order": 17}')
    a.page.get_by_label("Date", exact=True).fill("+1h")
    a.press("Enqueue")
    a.done("Enqueued")
    assert a.queue.count(hooks=("brand_new",)) == 1


def of_a_selection(a: Person) -> None:
    ids = [a.add("chosen", args=[n]) for n in range(3)]
    a.it.go("actions?hook=chosen")
    for one in ids[:2]:
        a.page.locator(f'input[name=id][value="{one}"]').check()
    a.press("Cancel")
    a.done("Canceled: 2")
    assert [a.queue.get(one).status for one in ids] == ["canceled", "canceled", "pending"]


def of_everything_that_matches(a: Person) -> None:
    for n in range(5):
        a.add("bulky", args=[n])
    a.it.go("actions?hook=bulky")
    a.unfold("With everything that matches")
    a.page.get_by_role("link", name="Cancel", exact=True).locator("visible=true").click()
    expect(a.page.locator("main")).to_contain_text("5 actions match")
    a.page.get_by_label("Type 5").fill("5")
    a.press("Cancel")
    a.done("has begun")
    until(lambda: a.queue.count(hooks=("bulky",), statuses=("canceled",)) == 5, "the bulk")


def of_workers(a: Person) -> None:
    me = identity()
    a.store.register(host=me.host, boot=me.boot, pid=me.pid, pid_started=me.pid_started)
    a.it.go("workers")
    a.press("Quiet")
    a.done("take nothing more")
    a.press("Wake")
    a.done("takes work again")
    a.press("Stop")
    if a.page.get_by_label("I am sure").count():
        a.page.get_by_label("I am sure").check()
        a.press("Stop")
    a.done("will stop")


def of_callbacks(a: Person) -> None:
    [one] = insert(a.store, make_new("wpbridge_callback", args={"job": "x"}, group="wpbridge"))
    set_status(a.store, one, "failed")
    a.it.go("jobs")
    a.press("Send again")
    a.done("sent again")
    assert a.queue.count(hooks=("wpbridge_callback",)) == 2


def of_the_doctor(a: Person) -> None:
    change(
        a.store,
        "INSERT INTO wp_actionscheduler_claims (date_created_gmt) VALUES (:at)",
        at=to_text(SystemClock().now() - timedelta(days=2)),
    )
    a.it.go("doctor")
    a.page.locator("section", has_text="orphan-claims").get_by_role(
        "button", name="Mend this"
    ).click()
    a.done("Mended")


STEPS: tuple[Callable[[Person], None], ...] = (
    of_one_action,
    of_a_chain,
    of_a_hook,
    of_a_new_action,
    of_a_selection,
    of_everything_that_matches,
    of_workers,
    of_callbacks,
    of_the_doctor,
)


@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_each_change_can_be_made_by_clicking(
    browser: Browser, tmp_path: Path, *, javascript: bool
) -> None:
    dsn = empty_queue(tmp_path / "queue.db")
    store = open_store(DatabaseAddress.from_dsn(dsn), "wp_")
    try:
        with (
            serving(dsn, keys={}, runs_own=True, **SIGNED_IN) as gateway,
            tab(browser, gateway.url, javascript=javascript) as it,
        ):
            a = Person(it, store)
            for step in STEPS:
                step(a)
            # Other ways to the same changes are forms of the same kind.
            assert {deed.path for deed in DEEDS} - a.sent <= set()
    finally:
        store.close()
