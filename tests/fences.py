"""The fenced parts of pages: code that readers type."""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Fence:
    """A fenced part of a page."""

    language: str
    at: int
    """The line of the page on which its first line stands."""
    text: str


def fences(page: Path) -> Iterator[Fence]:
    lines = page.read_text("utf-8").splitlines()
    start: int | None = None
    for number, line in enumerate(lines):
        if not line.lstrip().startswith("```"):
            continue
        if start is None:
            start = number
            continue
        told = inspect.cleandoc("\n" + "\n".join(lines[start + 1 : number]))
        yield Fence(lines[start].strip().removeprefix("```"), start + 2, told)
        start = None
    assert start is None, f"{page.name}: a fence is not closed"
