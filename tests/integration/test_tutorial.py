"""The tutorial of docs/learn, followed from an empty folder to production, page by page."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import docs
from conftest import ROOT, needs
from fences import fences
from page_shell import Shell
from page_site import site_of_a_reader
from servers import MariaDB
from tutorial import Reader
from wordpress import plugin_folder

PAGES: Final = sorted((ROOT / "docs" / "learn" / "tutorial").glob("*.md"))
LEFT_OUT: Final = {"pip install": "what runs here is this checkout"}
"""Fences that are not typed here, by a part of them, and why."""
WITH_THE_PLUGIN: Final = {
    "as_enqueue_async_action": "WPBRIDGE_TEST_PLUGIN does not name the plugin"
}


@pytest.fixture
def site(mariadb: MariaDB, tmp_path: Path) -> Iterator[Path]:
    """A WordPress as the reader has one."""
    with site_of_a_reader(mariadb, tmp_path / "html", zone="Europe/Rome") as folder:
        yield folder


def test_the_tutorial_is_followed_from_an_empty_folder(tmp_path: Path, site: Path) -> None:
    needs(None if shutil.which("curl") else "curl is not installed (apt-get install curl)")
    assert len(PAGES) == 7
    folder = tmp_path / "shop"
    folder.mkdir(mode=0o700)
    left_out = LEFT_OUT if plugin_folder() else LEFT_OUT | WITH_THE_PLUGIN
    places = {"/var/www/html": str(site), "/home/ada/shop": str(folder)}
    reader = Reader(Shell(folder), places, left_out)
    for page in PAGES:
        reader.follow(page)
    assert set(reader.seen) == set(left_out.values())


def test_what_root_types_is_there() -> None:
    """It needs a machine of its own, so it is not typed here."""
    lines = [
        line
        for page in PAGES
        for fence in fences(page)
        if fence.language == "console"
        for line in re.findall(r"^# .*\bwpbridge ([a-z].*)$", fence.text, re.MULTILINE)
    ]
    assert lines
    for line in lines:
        assert docs.unknown_words(f"wpbridge {line}") == []
