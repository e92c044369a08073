"""A browser that looks at a dashboard, and complains of everything that no page may do."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    ViewportSize,
    expect,
    sync_playwright,
)

import assets
from wpbridge.web.pages import table

ROOT = Path(__file__).parent.parent
AXE = ROOT / assets.PAGES / "assets" / "node_modules" / "axe-core" / "axe.min.js"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)
PERSON = "X-Person"
"""The header by which a gateway of these tests knows who looks, as behind a proxy."""
SIGNED_IN: dict[str, Any] = {
    "web_proxy_header": PERSON,
    "web_proxy_from": ("127.0.0.1",),
    "web_proxy_role": "admin",
}
"""Settings of a gateway that takes that header."""
WIDE: ViewportSize = {"width": 1280, "height": 900}
HUGE: ViewportSize = {"width": 3840, "height": 2160}
NARROW: ViewportSize = {"width": 390, "height": 844}
_RAW = re.compile(
    "[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f\\u061c\\u200b-\\u200f\\u202a-\\u202e\\u2066-\\u2069]"
)
_SHOWN = """
[document.title, ...[...document.querySelectorAll("body *")].flatMap((one) => [
  ...["title", "aria-label", "alt", "placeholder", "data-label"].map((name) => one.getAttribute(name) || ""),
  ...[...one.childNodes].filter((child) => child.nodeType === 3).map((child) => child.data),
])]
"""
"""What people read of a page, or have read to them."""
_WATCH = """
window.reports = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.reports.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`);
});
"""


def missing_browser() -> str | None:
    """Why no page can be looked at here; None when it can."""
    if _program() is None:
        return "chromium is not installed (apt-get install chromium)"
    if not AXE.is_file() or not assets.is_built(ROOT):
        return "what pages and their tests take from npm is not there (scripts/setup servers)"
    return None


def _program() -> str | None:
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser of our own, gone when the block ends."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_program(), args=list(FLAGS))
        yield browser
        browser.close()


@dataclass
class Tab:
    """A page that is looked at, with all that went wrong in it."""

    page: Page
    base: str
    wrong: list[str] = field(default_factory=list)
    may_refuse: bool = False
    """Whether an answer above 399 is what the test wants."""

    def go(self, path: str) -> Page:
        """Open a path of the dashboard, and look what it did."""
        self.page.goto(f"{self.base}/{path.lstrip('/')}", wait_until="load")
        self.check()
        return self.page

    def check(self) -> None:
        """Nothing was refused by the policy, nothing failed, and nothing of the data ran."""
        assert self.wrong == [], f"{self.page.url}: {self.wrong}"
        told = self.page.evaluate("[window.hurt, window.reports ?? []]")
        assert told == [None, []], f"{self.page.url}: {told}"
        # What a form sends, and where a link leads, is as it is: nobody reads that.
        raw = [one for one in self.page.evaluate(_SHOWN) if _RAW.search(one)]
        assert raw == [], f"{self.page.url}: {raw[:3]!r}"

    def fits(self) -> None:
        """The page is no wider than its window."""
        wide = self.page.evaluate(
            "[...document.querySelectorAll('body *')].filter((one) =>"
            " document.documentElement.scrollWidth > innerWidth"
            " && one.getBoundingClientRect().right > innerWidth + 1)"
            ".slice(0, 5).map((one) => one.outerHTML.slice(0, 200))"
        )
        assert wide == [], f"{self.page.url}: wider than {self.page.viewport_size}: {wide}"

    def accessible(self, *rules: str) -> None:
        """What axe-core says against the page: nothing, by all of its rules or by these."""
        # The browser's own door lets it in: the policy of the page holds for what the page loads.
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE.read_text("utf-8"))
        only = {"runOnly": {"type": "rule", "values": rules}} if rules else {}
        found: dict[str, Any] = self.page.evaluate(
            "(options) => axe.run(document, {resultTypes: ['violations'], ...options})", only
        )
        told = [
            f"{one['id']}: {one['help']}: {[node['html'][:200] for node in one['nodes'][:3]]}"
            for one in found["violations"]
        ]
        assert told == [], f"{self.page.url}: {told}"

    def dark(self) -> None:
        """Have the system ask for dark pages."""
        self.page.emulate_media(color_scheme="dark")


@contextmanager
def tab(
    browser: Browser, base: str, *, person: str = "anna", javascript: bool = True, **options: Any
) -> Iterator[Tab]:
    """A fresh window of a signed-in person; what went wrong in it is found at its end, too."""
    context = browser.new_context(
        **{"viewport": WIDE, "locale": "en-GB", **options},
        java_script_enabled=javascript,
        extra_http_headers={PERSON: person} if person else {},
    )
    context.set_default_timeout(PATIENCE_MS)
    try:
        yield _watched(context, base)
    finally:
        context.close()


def _watched(context: BrowserContext, base: str) -> Tab:
    context.add_init_script(_WATCH)
    page = context.new_page()
    it = Tab(page, base)

    def hear(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not it.may_refuse:
            it.wrong.append(f"console: {message.text}")

    page.on("console", hear)
    page.on("pageerror", lambda error: it.wrong.append(f"script: {error}"))
    page.on("dialog", lambda dialog: it.wrong.append(f"dialog: {dialog.message}"))
    page.on("request", lambda request: _only_ours(it, request.url))
    return it


def _only_ours(it: Tab, url: str) -> None:
    if urlsplit(url).netloc != urlsplit(it.base).netloc:
        it.wrong.append(f"asked somebody else: {url}")


def ways(page: Page, base: str) -> set[str]:
    """The paths of the dashboard, with their queries, to which a page leads."""
    links = page.eval_on_selector_all("a[href]", "all => all.map((one) => one.href)")
    told = {link.partition("#")[0] for link in links if link.startswith(f"{base}/")}
    return {link.removeprefix(base) for link in told}


def reached(browser: Browser, base: str, *, whole: bool = False) -> dict[str, str]:
    """An address of each page of the table, found by links from the overview.

    It ends when all are found. With ``whole`` each page is also looked at with each parameter that
    a link gives to it.
    """
    patterns = {
        page.name: re.compile(re.sub(r"\{\w+(:\w+)?\}", "[^/?]+", page.path))
        for page in table.PAGES
    }
    found: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    with tab(browser, base) as it:
        waiting = ["/"]
        while waiting and (whole or len(found) < len(patterns)):
            it.go(waiting.pop(0))
            for way in sorted(ways(it.page, base), key=len):
                path, _, query = way.partition("?")
                for name in (one for one in patterns if patterns[one].fullmatch(path)):
                    kinds = {(name, one) for one in ("", *parse_qs(query, keep_blank_values=True))}
                    if kinds - seen:
                        seen |= kinds
                        waiting.append(way)
                    found.setdefault(name, way)
    return found
