"""docs/reference/dashboard-pages.md has every page, and its keys and pictures are those there are."""

import re
from pathlib import Path

import screenshots
from wpbridge.web.pages import table

ROOT = Path(__file__).parent.parent.parent
DOCS = (ROOT / "docs" / "reference" / "dashboard-pages.md").read_text("utf-8")
SHOWN = set(re.findall(r"\.\./images/([\w-]+)\.png", DOCS))


def test_each_page_has_a_picture_there() -> None:
    twice = {f"{screenshots.DARK}-dark", f"{screenshots.ON_A_PHONE}-phone"}
    assert {page.name for page in table.PAGES} | twice == SHOWN


def test_the_pictures_are_small_and_all_are_shown() -> None:
    files = {file.stem: file for file in screenshots.FOLDER.glob("*.png")}
    assert set(files) == SHOWN
    sizes = {name: file.stat().st_size for name, file in files.items()}
    assert max(sizes.values()) <= screenshots.MOST_BYTES, sizes


def test_the_keys_are_those_of_the_table() -> None:
    rows = re.findall(r"^\| \[([^\]]+)\]\(#[\w-]+\) \|.*\| `g (\w)` \|$", DOCS, re.MULTILINE)
    assert dict(rows) == {page.title: page.key for page in table.NAVIGATION if page.key}
