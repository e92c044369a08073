"""A bar with count, rate and time left, on a terminal; nothing elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def counting(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on stderr; gives the function that moves it on by so many."""
    if sys.stderr is None or not sys.stderr.isatty():
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
        TextColumn("{task.fields[rate]}"), TimeElapsedColumn(), TimeRemainingColumn(),
        transient=True, console=Console(stderr=True),
    )  # fmt: skip
    with bar:
        task = bar.add_task(what, total=total, rate="")

        def advance(count: int) -> None:
            # None until it has moved twice.
            speed = bar.tasks[0].speed
            bar.update(task, advance=count, rate="" if speed is None else f"{speed:,.0f}/s")

        yield advance
