"""A bar with count, rate and time left, on a terminal; nothing elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def counting(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on stderr; gives the function that moves it on by so many."""
    if not sys.stderr.isatty():
        yield lambda _count: None
        return
    from rich.console import Console  # noqa: PLC0415 - loads only for a terminal
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.speed:,.0f}/s" if total else ""), TimeElapsedColumn(),
        TimeRemainingColumn(), transient=True, console=Console(stderr=True),
    )  # fmt: skip
    with bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)
