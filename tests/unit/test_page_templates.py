"""What no template may hold, and that the style sheet has what templates use."""

import re
from pathlib import Path

import pytest

import catalogue

STATIC = catalogue.PAGES / "static"
CSS = (STATIC / "app.css").read_text("utf-8")
KNOWN = set(re.findall(r"\.([a-z][\w-]*)", re.sub(r"/\*.*?\*/", "", CSS, flags=re.DOTALL)))
FORBIDDEN = (
    r"<style",
    r"<script(?![^>]*\ssrc=)",
    r"\sstyle\s*=",
    r"\son[a-z]+=[\"']",
    r"hx-on",
    r"hx-trigger=[^>]*\[",
    r"javascript:",
    r"\|\s*safe\b",
    r"autoescape",
    r"(?:href|src|action)\s*=\s*[\"'](?:/|https?:)",
)


@pytest.mark.parametrize("file", list(catalogue.templates()), ids=lambda file: str(file.name))
def test_no_template_has_what_the_policy_forbids(file: Path) -> None:
    source = file.read_text("utf-8")
    assert [one for one in FORBIDDEN if re.search(one, source)] == []


@pytest.mark.parametrize("file", list(catalogue.templates()), ids=lambda file: str(file.name))
def test_classes_of_templates_are_in_the_style_sheet(file: Path) -> None:
    source = re.sub(r"\{#.*?#\}", "", file.read_text("utf-8"), flags=re.DOTALL)
    used: set[str] = set()
    for told in re.findall(r'class="((?:[^"{]|\{\{.*?\}\}|\{%.*?%\})*)"', source):
        plain = re.sub(r"\S*\{\{.*?\}\}\S*|\{%.*?%\}", " ", told)
        used |= set(plain.split())
    assert used - KNOWN == set()


def test_the_style_sheet_and_the_script_are_small() -> None:
    assert len(CSS.encode()) <= 20 * 1024
    assert len((STATIC / "app.js").read_text("utf-8").splitlines()) <= 250


def test_the_style_sheet_takes_nothing_from_elsewhere() -> None:
    assert not re.search(r"url\(|@import|https?:", CSS)
