"""What the site of the docs needs beyond mkdocs, which finds this file by `mkdocs.yml`.

- The index page of a shelf says which pages it holds, and in which order: the navigation is made of
  its headings and of the list items that begin with a link. A page that no index lists ends the
  build.
- Pages link to files beside `docs/`, as CONTRIBUTING.md. These become pages of the site too, and
  programs become files of it, so each link works in the repository and in the site.
- Lists may be indented as anywhere else. The Markdown of mkdocs knows four columns alone.
- Fences with `mermaid` become drawings while the site is built: a browser loads no program for
  them. Their colours are those of the page, in the light and in the dark.
"""

import hashlib
import json
import os
import posixpath
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import mermaidx
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page
from pymdownx.superfences import SuperFencesException

ROOT: Final = Path(__file__).parent.parent
CACHE: Final = ROOT / "build" / "diagrams"
"""Drawings that were made before, by what they are made of."""
SHELVES: Final = {
    "Learn": "learn/index.md",
    "Do": "how-to/index.md",
    "Understand": "explain/index.md",
    "Look up": "reference/index.md",
}
"""The four shelves and the page that lists what is on each, below docs/."""
SOURCES: Final = "source"
"""The folder of the site for files that are not pages."""
LINK: Final = re.compile(r"(?<=\]\()(?P<path>[^)\s#:/][^)\s#:]*)(?P<anchor>#[^)\s]*)?(?=\))")
LISTED: Final = re.compile(r"- \[(?P<title>[^\]]+)\]\((?P<path>[^)\s#:]+\.md)\)")
BULLET: Final = re.compile(r"(?P<indent> *)(?P<bullet>(?:[-*+]|\d+[.)]) +)(?=\S)")

COLOURS: Final = {
    "#212223": "--md-default-fg-color",
    "#515253": "--md-default-fg-color--light",
    "#f0f1f2": "--md-code-bg-color",
    "#fafbfc": "--md-default-bg-color",
    "#fefefe": "--md-default-bg-color",
    "#b0b1b2": "--md-default-fg-color--lighter",
}
"""Colours that Mermaid is given, and the theme's that take their place in the drawing."""
SMALLEST: Final = 0.6
"""The part of its natural width down to which a drawing shrinks. A page scrolls a wider one."""
LOOK: Final = {
    "background": "#fefefe",
    "mainBkg": "#f0f1f2",
    "primaryColor": "#f0f1f2",
    "secondaryColor": "#f0f1f2",
    "tertiaryColor": "#fafbfc",
    "primaryTextColor": "#212223",
    "secondaryTextColor": "#212223",
    "tertiaryTextColor": "#212223",
    "textColor": "#212223",
    "titleColor": "#212223",
    "primaryBorderColor": "#515253",
    "lineColor": "#515253",
    "tertiaryBorderColor": "#b0b1b2",
    "edgeLabelBackground": "#fefefe",
    "noteBkgColor": "#fafbfc",
    "noteTextColor": "#212223",
    "noteBorderColor": "#b0b1b2",
}


# The navigation


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Give the site its navigation, and diagrams to the fences that describe them."""
    fences = [{"name": "mermaid", "class": "diagram", "format": diagram}]
    config.mdx_configs["pymdownx.superfences"] = {"custom_fences": fences}
    docs = Path(config.docs_dir)
    shelves = [{title: list(_shelf(docs, index))} for title, index in SHELVES.items()]
    config.nav = [{"Home": "index.md"}, *shelves]
    return config


def _shelf(docs: Path, index: str) -> Iterator[str | dict[str, Any]]:
    """Give the index of a shelf, and what it lists below each of its headings."""
    yield index
    heading, pages = "", list[dict[str, str]]()
    for line in (docs / index).read_text("utf-8").splitlines():
        if line.startswith("## "):
            if pages:
                yield {heading: pages}
            heading, pages = line.removeprefix("## "), []
        elif listed := LISTED.match(line):
            pages.append({listed["title"]: _in_site(index, listed["path"])})
    if pages:
        yield {heading: pages}


# Files beside docs/


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Take in the files beside docs/ to which pages link, and those to which these link."""
    waiting = [file for file in files if file.is_documentation_page()]
    known = {file.src_uri for file in files}
    while waiting:
        page = waiting.pop()
        for link in LINK.finditer(page.content_string):
            place = _in_site(page.src_uri, link["path"])
            source = ROOT / _in_repository(place)
            if place in known or not source.is_file():
                continue
            known.add(place)
            file = File.generated(
                config, place, abs_src_path=str(source), inclusion=InclusionLevel.NOT_IN_NAV
            )
            files.append(file)
            if file.is_documentation_page():
                waiting.append(file)
    return files


def _in_repository(place: str) -> str:
    """Where a file of the site stands in the repository."""
    inside = place.removeprefix(f"{SOURCES}/")
    return inside if inside != place else f"docs/{place}"


def _in_site(page: str, link: str) -> str:
    """Where the site has the file to which a page of the site links by a relative path."""
    folder = posixpath.dirname(_in_repository(page))
    target = posixpath.normpath(posixpath.join(folder, link))
    inside = target.removeprefix("docs/")
    return inside if inside != target else f"{SOURCES}/{target}"


# Pages


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Have links lead to where the site has their targets, and lists indented by four."""
    del config, files
    here = page.file.src_uri

    def moved(link: re.Match[str]) -> str:
        target = posixpath.relpath(_in_site(here, link["path"]), posixpath.dirname(here) or ".")
        return target + (link["anchor"] or "")

    return indented_by_four(LINK.sub(moved, markdown))


def indented_by_four(markdown: str) -> str:
    """Return a text in which each level of its lists is indented by four columns.

    A line belongs to the item whose text begins at or before the column of the line, as in other
    dialects of Markdown. Lines of fences keep what they are indented by beyond their fence. An item
    that has paragraphs ends with an empty line: the next would else be a part of its last one.
    """
    found, is_fence, has_paragraphs = list[str](), False, False
    columns: list[int] = []
    """Where the text of each open item begins."""
    for line in markdown.splitlines():
        indent = len(line) - len(line.lstrip())
        if line.strip() and not is_fence:
            while columns and indent < columns[-1]:
                columns.pop()
        within = columns[-1] if columns else 0
        inside = line[within:] if indent >= within else line.lstrip()
        before = " " * 4 * len(columns)
        bullet = None if is_fence else BULLET.match(inside)
        if bullet and len(bullet["indent"]) < len(" " * 4):
            if has_paragraphs and found[-1]:
                found.append("")
            has_paragraphs = False
            found.append(f"{before}{bullet['bullet'].strip():<4}{inside[bullet.end() :]}")
            columns.append(within + bullet.end())
            continue
        is_fence ^= inside.lstrip().startswith("```")
        has_paragraphs |= not inside
        found.append(f"{before}{inside}".rstrip())
    return "\n".join(found) + "\n"


# Diagrams


def diagram(source: str, *_: object, **options: Any) -> str:
    """Draw what a fence describes in Mermaid's language, as HTML.

    Raises:
        SuperFencesException: Mermaid does not understand the text. The build ends with it.
    """
    del options
    made_of = f"{version('mermaidx')}{_settings()}{SMALLEST}{source}"
    key = hashlib.sha256(made_of.encode()).hexdigest()[:16]
    kept = CACHE / f"{key}.svg"
    if not kept.is_file():
        try:
            svg = mermaidx.render(_settings() + source).svg()
        except Exception as error:
            # Any other kind of error would leave the text as it is, and say nothing.
            raise SuperFencesException(f"mermaid does not understand: {source}") from error
        kept.parent.mkdir(parents=True, exist_ok=True)
        unfinished = kept.with_name(f"{kept.name}.{os.getpid()}")
        unfinished.write_text(_fitted(svg).replace("my-svg", f"diagram-{key}"), "utf-8")
        unfinished.replace(kept)
    return f'<figure class="diagram">{kept.read_text("utf-8")}</figure>'


def _settings() -> str:
    sequence = {"actorMargin": 40, "width": 120, "wrap": True, "mirrorActors": False}
    settings = {"theme": "base", "htmlLabels": False, "themeVariables": LOOK, "sequence": sequence}
    return f"%%{{init: {json.dumps(settings)}}}%%\n"


def _fitted(svg: str) -> str:
    """Return a drawing with the colours of its page, which shrinks until it is hard to read."""
    for colour, name in COLOURS.items():
        svg = svg.replace(colour, f"var({name})")
    [natural] = re.findall(r"max-width: ([\d.]+)px", svg)
    shortest = round(SMALLEST * float(natural))
    return svg.replace("max-width: ", f"min-width: {shortest}px; max-width: ", 1)
