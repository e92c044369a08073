"""Each page of the dashboard in a browser: hostile data, both themes, 390 px, without JavaScript,
and with the keyboard alone. The pages are those of the table, found by links.
"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from browser import NARROW, SIGNED_IN, Tab, chromium, missing_browser, reached, tab
from conftest import needs
from gateway import serving
from hostile_queue import hostile_queue
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
