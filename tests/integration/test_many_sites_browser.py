"""The index of many sites in a browser: from it to the pages of a site, and what a list may hold."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from browser import NARROW, SIGNED_IN, chromium, missing_browser, tab
from conftest import needs
from served_sites import make_site, served

HARM = '"gone<img src=x onerror=window.hurt=1>\\u202e"'
"""A path, as TOML has it."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    needs(missing_browser())
    with chromium() as it:
        yield it


def test_somebody_finds_a_bad_site_and_opens_a_good_one(browser: Browser, tmp_path: Path) -> None:
    entries = [
        f'{{name = "{name}", dsn = "{make_site(tmp_path, name)[0]}"}}' for name in ("home", "shop")
    ]
    bad = f'{{name = "bad", dsn = "sqlite:///{tmp_path}/none.db"}}, {{path = {HARM}}}'
    file = tmp_path / "sites.toml"
    file.write_text(f"sites = [{', '.join(entries)}, {bad}]", "utf-8")
    with served(file, **SIGNED_IN) as many, tab(browser, many.url) as it:
        page = it.go("")
        expect(page).to_have_url(f"{many.url}/sites/")
        expect(page.locator("h1")).to_have_text("All sites")
        # It renews itself until each site was looked at.
        rows = page.locator("tbody tr")
        expect(rows.filter(has_text="none.db")).to_have_count(1, timeout=60_000)
        expect(rows).to_have_count(4)
        it.accessible()
        it.dark()
        it.accessible("color-contrast")
        page.set_viewport_size(NARROW)
        it.fits()
        it.accessible("color-contrast", "target-size", "scrollable-region-focusable")
        it.check()
        page.get_by_role("link", name=re.compile("^Bad")).click()
        expect(rows).to_have_count(2)
        page.get_by_label("Name has").fill("hom")
        page.get_by_role("button", name="Filter").click()
        expect(page.locator("main h2")).to_have_text("No site is bad")
        page.get_by_role("link", name="All sites").click()
        page.get_by_role("link", name="shop", exact=True).click()
        expect(page).to_have_url(f"{many.url}/s/shop/")
        expect(page.locator("h1")).to_be_visible()
        it.go("s/shop/hooks")
        it.accessible()
        it.check()
        it.may_refuse = True
        page.goto(f"{many.url}/s/bad/")
        expect(page.locator("main")).to_contain_text("cannot be opened")
        it.accessible()


def test_the_index_works_without_javascript(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "sites.toml"
    file.write_text(f'sites = [{{name = "home", dsn = "{make_site(tmp_path, "home")[0]}"}}]')
    with served(file, **SIGNED_IN) as many, tab(browser, many.url, javascript=False) as it:
        page = it.go("sites/")
        expect(page.get_by_role("link", name="home", exact=True)).to_be_visible()
        expect(page.locator(".only-js:visible")).to_have_count(0)
        # It is no page of a site: nothing leads to pages that it does not have.
        expect(page.locator("nav.pages, form.search")).to_have_count(0)
