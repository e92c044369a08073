"""How far a long command is: a bar on a terminal; elsewhere a line now and then, or nothing."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from wpbridge.cli.terminal import print_line, progress_console

if TYPE_CHECKING:
    from rich.progress import Progress

    from wpbridge.runner.loop import Runner

LINE_SECONDS: Final = 10.0
"""Off a terminal: between two lines, and before the first."""


@contextmanager
def counting(
    what: str,
    total: int | None,
    *,
    lines: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Callable[[int], None]]:
    """Draw a bar on stderr; gives the function that moves it on by so many.

    Args:
        what: is done, one word or two.
        total: how many there are, None where nobody knows.
        lines: also off a terminal, as a line each ten seconds; not where --quiet was given.
        clock: counts seconds.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield _Lines(what, total, clock) if lines else lambda _count: None
        return
    with _bar(of="count") as bar:
        task = bar.add_task(what, total=total, rate="")

        def advance(count: int) -> None:
            # None until it has moved twice.
            speed = bar.tasks[0].speed
            bar.update(task, advance=count, rate="" if speed is None else f"{speed:,.0f}/s")

        yield advance


@contextmanager
def percents(
    what: str, *, clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[float | None], None]]:
    """Draw a bar of what a server does by itself; gives the function that is told how far it is.

    It is to be called now and then also where the server tells nothing: time goes on.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield _PercentLines(what, clock)
        return
    with _bar(of="percent") as bar:
        task = bar.add_task(what, total=None)

        def told(percent: float | None) -> None:
            if percent is not None:
                bar.update(task, total=100, completed=percent)

        yield told


def _bar(*, of: str) -> "Progress":
    from rich.progress import (  # noqa: PLC0415 - loads only for a terminal
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    how_far: list[ProgressColumn] = [TaskProgressColumn()]
    if of == "count":
        how_far = [MofNCompleteColumn(), TextColumn("{task.fields[rate]}")]
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *how_far,
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        transient=True,
        console=progress_console(),
    )


@contextmanager
def counting_run(runner: "Runner", *, quiet: bool) -> Iterator[None]:
    """Draw a line with count and rate on a terminal, refreshed beside the run."""
    if quiet or not sys.stderr.isatty():
        yield
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    done = threading.Event()
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        transient=True,
        console=progress_console(),
    )
    with bar:
        task = bar.add_task("starting")

        def refresh() -> None:
            while not done.wait(0.2):
                t = runner.totals
                ended = t.complete + t.failed + t.retried + t.canceled
                elapsed = bar.tasks[0].elapsed or 0.0
                rate = ended / elapsed if elapsed else 0.0
                bar.update(task, description=f"{ended} done, {t.failed} failed, {rate:.0f}/s")

        thread = threading.Thread(target=refresh, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


class _Lines:
    """``export: 40,000 of 100,000, 19,876/s, 0:00:03 left``, for logs of jobs."""

    def __init__(self, what: str, total: int | None, clock: Callable[[], float]) -> None:
        self._what = what
        self._total = total
        self._clock = clock
        self._done = 0
        self._start = self._said = clock()

    def __call__(self, count: int) -> None:
        self._done += count
        now = self._clock()
        if now - self._said >= LINE_SECONDS:
            self._said = now
            print_line(self._line(now - self._start), err=True)

    def _line(self, seconds: float) -> str:
        rate = self._done / seconds
        parts = [f"{self._what}: {self._done:,}", f"{rate:,.0f}/s"]
        if self._total is not None:
            parts[0] += f" of {self._total:,}"
            left = max(0, self._total - self._done)
            if rate:
                parts.append(f"{_time(left / rate)} left")
        return ", ".join(parts)


class _PercentLines:
    """``add index: 40 % after 0:00:10, 0:00:15 left``, or only how long it has been at it."""

    def __init__(self, what: str, clock: Callable[[], float]) -> None:
        self._what = what
        self._clock = clock
        self._start = self._said = clock()

    def __call__(self, percent: float | None) -> None:
        now = self._clock()
        if now - self._said < LINE_SECONDS:
            return
        self._said = now
        seconds = now - self._start
        how_far = "" if percent is None else f"{percent:.0f} % "
        words = f"{self._what}: {how_far}after {_time(seconds)}"
        if percent:
            words += f", {_time(seconds * (100 - percent) / percent)} left"
        print_line(words, err=True)


def _time(seconds: float) -> timedelta:
    return timedelta(seconds=round(seconds))
