"""Each page of the dashboard in a browser: hostile data, both themes, 390 px, without JavaScript,
and with the keyboard alone. The pages are those of the table, found by links.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from browser import HUGE, NARROW, SIGNED_IN, Tab, chromium, missing_browser, reached, tab
from conftest import needs
from databases import empty_queue
from gateway import serving
from hostile_queue import hostile_queue
from wpbridge.access import user_changes
from wpbridge.queue.facade import opened
from wpbridge.site.config import load
from wpbridge.web.pages import table

NAMES = [page.name for page in table.PAGES]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    needs(missing_browser())
    with chromium() as it:
        yield it


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a dashboard of a queue that is full of harm."""
    dsn = hostile_queue(tmp_path_factory.mktemp("hostile") / "queue.db")
    with serving(dsn, keys={}, **SIGNED_IN) as gateway:
        yield gateway.url


@pytest.fixture(scope="module")
def places(browser: Browser, hostile: str) -> dict[str, str]:
    """Where each page is."""
    return reached(browser, hostile)


def test_links_lead_from_the_overview_to_every_page(browser: Browser, hostile: str) -> None:
    assert set(reached(browser, hostile, whole=True)) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_shows_harm_as_text(
    browser: Browser, hostile: str, places: dict[str, str], name: str
) -> None:
    with tab(browser, hostile) as it:
        page = it.go(places[name])
        expect(page.locator("h1")).to_have_count(1)
        it.accessible()
        it.dark()
        it.accessible("color-contrast")
        page.set_viewport_size(HUGE)
        it.fits()
        page.set_viewport_size(NARROW)
        it.fits()
        it.accessible("color-contrast", "target-size", "scrollable-region-focusable")
        _by_keyboard(it)
        it.check()


def _by_keyboard(it: Tab) -> None:
    """The first stop leads past the navigation, into what the page is about."""
    it.page.keyboard.press("Tab")
    expect(it.page.locator(":focus")).to_have_class("skip")
    it.page.keyboard.press("Enter")
    expect(it.page.locator("main")).to_be_focused()
    it.page.keyboard.press("?")
    expect(it.page.locator("dialog#keys")).to_be_visible()
    it.page.keyboard.press("Escape")
    expect(it.page.locator("dialog#keys")).to_be_hidden()


def test_pages_work_without_javascript(
    browser: Browser, hostile: str, places: dict[str, str]
) -> None:
    with tab(browser, hostile, javascript=False) as it:
        for name in NAMES:
            page = it.go(places[name])
            expect(page.locator("h1")).to_be_visible()
            # What only the script can do is not offered, and each form leads to ours.
            expect(page.locator(".only-js:visible")).to_have_count(0)
            for form in page.locator("form:not([method=dialog])").all():
                assert (form.get_attribute("action") or "").startswith("/")


def test_pages_of_an_empty_queue_are_accessible_too(browser: Browser, tmp_path: Path) -> None:
    dsn = empty_queue(tmp_path / "queue.db")
    with serving(dsn, keys={}, **SIGNED_IN) as gateway, tab(browser, gateway.url) as it:
        for page in table.NAVIGATION:
            it.go(page.target)
            it.accessible()


def test_somebody_signs_in_and_out_without_javascript(browser: Browser, tmp_path: Path) -> None:
    dsn = empty_queue(tmp_path / "queue.db")
    password = "a mouse in the hay"
    with opened(load({"dsn": dsn}, {}, tmp_path)) as queue:
        user_changes.add(queue.store, "ben", password, role="viewer", who="cli:test")
    with (
        serving(dsn, keys={}) as gateway,
        tab(browser, gateway.url, person="", javascript=False) as it,
    ):
        page = it.go("actions?status=failed")
        expect(page).to_have_url(re.compile("/sign-in"))
        it.may_refuse = True
        for typed in ("a guess", password):
            # The form begins where somebody types.
            page.get_by_label("User").fill("ben")
            page.keyboard.press("Tab")
            page.keyboard.type(typed)
            page.keyboard.press("Enter")
            if typed != password:
                expect(page.get_by_role("alert")).to_contain_text("wrong")
        expect(page).to_have_url(f"{gateway.url}/actions?status=failed")
        it.may_refuse = False
        # A viewer is offered nothing that changes.
        expect(page.locator("main form[method=post]")).to_have_count(0)
        page.locator("details.person summary").click()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("Password")).to_be_visible()
        it.go("")
        expect(page).to_have_url(f"{gateway.url}/sign-in")


def test_pages_that_refuse_are_accessible(browser: Browser, hostile: str) -> None:
    with tab(browser, hostile) as it:
        it.may_refuse = True
        for path in ("actions/999999", "actions?since=%3Cb%3E", "static/none.js"):
            page = it.go(path)
            expect(page.locator("h1")).to_have_count(1)
            it.accessible()


def test_the_form_to_sign_in_is_accessible(browser: Browser, hostile: str) -> None:
    with tab(browser, hostile, person="") as it:
        page = it.go("")
        it.accessible()
        it.dark()
        it.accessible("color-contrast")
        page.set_viewport_size(NARROW)
        it.fits()
        it.may_refuse = True
        page.keyboard.type("ben")
        page.keyboard.press("Tab")
        page.keyboard.type("a guess")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("wrong")
        it.accessible()
