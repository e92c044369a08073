"""The site of the docs: built strictly, read as a browser reads it, and compared with the pages."""

import importlib.util
import re
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache, partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urldefrag

import pytest
import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token
from playwright.sync_api import Browser, Page, sync_playwright

import browser
from conftest import ROOT, needs
from fences import fences

DOCS: Final = ROOT / "docs"
PAGES: Final = sorted(DOCS.glob("**/*.md"))
INDEXES: Final = ("learn", "how-to", "explain", "reference")
DIAGRAMS: Final = {
    "explain/delivery.md",
    "explain/statuses.md",
    "explain/claims.md",
    "explain/daemon.md",
    "explain/gateway.md",
    "explain/celery.md",
    "explain/architecture.md",
}
"""Pages that a drawing explains best."""
PARTS: Final = ("h1", "h2", "h3", "h4", "li", "ol", "ul", "table", "tr", "pre", "img", "strong")
"""Elements that the repository's view of a page and the site must have alike."""


def missing() -> str | None:
    """Why no site can be built here."""
    for name in ("mkdocs", "material", "mermaidx"):
        if importlib.util.find_spec(name) is None:
            return f"{name} is not installed (scripts/setup docs)"
    return None


def build(settings: Path, site: Path) -> str:
    """Build a site strictly; what mkdocs says against it, or nothing."""
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "-f", str(settings), "-d", str(site)],
        env={"PATH": "/usr/bin:/bin", "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = (done.stdout + done.stderr).splitlines()
    told = "\n".join(line for line in lines if line.strip() and not line.startswith("INFO"))
    assert bool(done.returncode) == bool(told), done
    return told


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    needs(missing())
    folder = tmp_path_factory.mktemp("built") / "site"
    assert build(ROOT / "mkdocs.yml", folder) == ""
    return folder


# Reading what was built


class Read(HTMLParser):
    """What a page has: links that lead on, addresses of what it loads, ids, elements, and words."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.elements: Counter[str] = Counter()
        self.styles: list[str] = []
        self._open: list[str] = []
        self._is_style = False
        self.feed(file.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        place = "article" if tag == "article" else ""
        if tag == "nav" and "md-tabs" in told.get("class", ""):
            place = "tabs"
        if tag in {"article", "nav"}:
            self._open.append(place)
        if "id" in told:
            self.ids.append(told["id"])
        if "article" in self._open:
            self.elements[tag] += 1
        if tag == "a" and any(self._open) and "headerlink" not in told.get("class", ""):
            self.links.append(told.get("href", ""))
        if tag == "link" and told.get("rel") not in {"canonical", "next", "prev"}:
            self.loads.append(told["href"])
        self.loads += [told[name] for name in ("src", "srcset", "poster", "data") if name in told]
        self.styles.append(told.get("style", ""))
        self._is_style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        if tag in {"article", "nav"}:
            self._open.pop()
        self._is_style = False

    def handle_data(self, data: str) -> None:
        if self._is_style:
            self.styles.append(data)


@cache
def read(file: Path) -> Read:
    return Read(file)


def html_of(site: Path, page: Path) -> Path:
    return site / page.relative_to(DOCS).with_suffix(".html")


def led_to(file: Path) -> Iterator[Path]:
    """The files of the site to which the tabs and the text of a page lead."""
    for link in read(file).links:
        target = unquote(urldefrag(link)[0])
        if target and "://" not in target and not target.startswith("mailto:"):
            yield (file.parent / target).resolve()


def test_each_page_is_two_clicks_from_the_first(site: Path) -> None:
    home = (site / "index.html").resolve()
    first = {home, *led_to(home)}
    second = {found for one in first if one.suffix == ".html" for found in led_to(one)}
    wanted = {html_of(site, page).resolve() for page in PAGES}
    wanted |= {site.resolve() / "source" / f"{name}.html" for name in ("CHANGELOG", "UPGRADING")}
    assert {str(page.relative_to(site.resolve())) for page in wanted - second - first} == set()


def test_links_of_the_site_lead_to_files_and_headings(site: Path) -> None:
    """Also those that mkdocs does not look at: to files beside docs/."""
    for file in site.glob("**/*.html"):
        if file.name == "404.html":
            continue
        for link in read(file).links:
            target, anchor = urldefrag(link)
            if "://" in target or target.startswith("mailto:"):
                continue
            other = (file.parent / unquote(target)).resolve() if target else file
            assert other.is_file(), f"{file.name}: {link}"
            if anchor and other.suffix == ".html":
                assert anchor in read(other).ids, f"{file.name}: {link}"


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    for file in site.glob("**/*.html"):
        seen = read(file)
        assert [one for one in seen.loads if re.match(r"\w+:|//", one)] == [], file
        assert not re.search(r"@import|url\((?![\"']?#)", " ".join(seen.styles)), file
    for sheet in site.glob("**/*.css"):
        assert not re.search(r"(?:@import|url\()[\"' ]*(?:https?:)?//", sheet.read_text("utf-8"))


def test_the_repository_shows_each_page_as_the_site_does(site: Path) -> None:
    """Two dialects of Markdown agree about its headings, lists, tables and code."""
    for page in PAGES:
        wanted = elements(MarkdownIt("commonmark").enable("table").parse(page.read_text("utf-8")))
        found = read(html_of(site, page)).elements
        uneven = {
            part: (wanted[part], found[part]) for part in PARTS if wanted[part] != found[part]
        }
        assert uneven == {}, page
        assert found["h1"] == 1, page


def elements(tokens: Sequence[Token]) -> Counter[str]:
    """What a page has as the repository shows it; drawings left out."""
    found: Counter[str] = Counter()
    for token in tokens:
        if token.type == "code_block" or (token.type == "fence" and token.info != "mermaid"):
            found["pre"] += 1
        elif token.nesting == 1 or token.type == "image":
            found[token.tag] += 1
        found += elements(token.children or [])
    return found


def test_drawings_are_made_while_the_site_is_built(site: Path) -> None:
    for page in PAGES:
        told = [fence for fence in fences(page) if fence.language == "mermaid"]
        text = html_of(site, page).read_text("utf-8")
        assert text.count('<figure class="diagram"><svg ') == len(told), page
        ids = read(html_of(site, page)).ids
        assert [name for name, times in Counter(ids).items() if times > 1] == [], page
        for fence in told:
            assert "accTitle: " in fence.text, f"{page.name}:{fence.at}: who cannot see it?"
    assert {str(page.relative_to(DOCS)) for page in PAGES if _is_drawn(page)} >= DIAGRAMS


def _is_drawn(page: Path) -> bool:
    return any(fence.language == "mermaid" for fence in fences(page))


# What ends a build

SMALL: Final = {
    "index.md": "# Home\n",
    **{f"{shelf}/index.md": f"# {shelf}\n" for shelf in INDEXES},
    "explain/index.md": "# Understand\n\n## Here\n\n- [A page](page.md)\n",
    "explain/page.md": "# A page\n\n## A heading\n",
    "assets/site.css": "",
}


@pytest.mark.parametrize(
    ("name", "more", "told"),
    [
        ("explain/page.md", "", ""),
        ("explain/other.md", "# On no shelf\n", "not included in the "),
        ("explain/page.md", "[x](missing.md)\n", "'missing.md'"),
        ("explain/page.md", "[x](#nowhere)\n", "'#nowhere'"),
        ("explain/page.md", "[x](../../MISSING.md)\n", "MISSING.md"),
        ("explain/page.md", "[x](/explain/page.html)\n", "'/explain/page.html'"),
        ("explain/page.md", "```mermaid\nstateDiagram-v2\n  a --> \n```\n", "mermaid"),
    ],
    ids=["whole", "no shelf", "no page", "no heading", "no file", "absolute", "no diagram"],
)
def test_a_fault_of_a_page_ends_the_build(name: str, more: str, told: str, tmp_path: Path) -> None:
    needs(missing())
    for file, text in SMALL.items():
        (tmp_path / "docs" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "docs" / file).write_text(text)
    with (tmp_path / "docs" / name).open("a") as page:
        page.write(more)
    lines = (ROOT / "mkdocs.yml").read_text("utf-8")
    settings = tmp_path / "mkdocs.yml"
    settings.write_text(lines.replace("  - scripts/", f"  - {ROOT}/scripts/"), "utf-8")
    found = build(settings, tmp_path / "site")
    assert told.lower() in found.lower()
    assert bool(found) == bool(told)


def test_ci_builds_the_site_as_people_do() -> None:
    """The settings are strict by themselves, whoever builds."""
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
    assert settings["strict"] is True
    assert set(settings["validation"]["links"].values()) == {"warn"}
    assert "mkdocs build" in (ROOT / "scripts" / "docs").read_text("utf-8")


# In a browser


def missing_browser() -> str | None:
    found = next((name for name in browser.PROGRAMS if shutil.which(name)), None)
    return missing() if found else "chromium is not installed (apt-get install chromium)"


class Quiet(SimpleHTTPRequestHandler):
    """Hands out files, and writes no line for each."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        pass


@pytest.fixture(scope="module")
def url(site: Path) -> Iterator[str]:
    """The address at which the site is served."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    needs(missing_browser())
    program = next(filter(None, map(shutil.which, browser.PROGRAMS)))
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=list(browser.FLAGS))
        yield running
        running.close()


@pytest.fixture(params=["light", "dark"])
def window(request: pytest.FixtureRequest, chromium: Browser, url: str) -> Iterator[Page]:
    """A window in which nothing may be asked for but of the site."""
    page = chromium.new_page(color_scheme=request.param, viewport=browser.WIDE)
    page.set_default_timeout(browser.PATIENCE_MS)
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url))
    yield page
    page.close()
    assert asked
    assert [one for one in asked if not one.startswith((url, "data:", "blob:"))] == []


def test_the_search_finds_a_page(window: Page, url: str) -> None:
    window.goto(f"{url}/index.html")
    # Key by key: once the index is loaded, the search hears keys only, not a text that is put in.
    window.locator("input.md-search__input").press_sequentially("quiet and stop workers")
    found = window.locator(".md-search-result__link[href*='how-to/quiet-and-stop-workers.html']")
    found.first.wait_for()


def test_a_drawing_has_the_colours_of_the_page(window: Page, url: str) -> None:
    window.goto(f"{url}/explain/delivery.html")
    drawn = window.evaluate(
        """() => {
            const probe = (name) => {
                const one = document.createElement("i");
                one.style.color = `var(${name})`;
                document.body.append(one);
                return getComputedStyle(one).color;
            };
            const svg = document.querySelector(".diagram svg");
            const box = svg.querySelector(".node rect, .node path");
            const text = svg.querySelector(".node text");
            return {
                wanted: [probe("--md-code-bg-color"), probe("--md-default-fg-color")],
                found: [getComputedStyle(box).fill, getComputedStyle(text).fill],
                width: svg.getBoundingClientRect().width,
            };
        }"""
    )
    assert drawn["found"] == drawn["wanted"]
    assert drawn["width"] > 500
