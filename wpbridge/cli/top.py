"""``top``: the overview of the queue in a terminal, renewed in place."""

import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import tzinfo
from typing import Any, Final

import click

from wpbridge.cli.exit_codes import Exit
from wpbridge.cli.options import one_line_errors, settings_of, site_options
from wpbridge.cli.terminal import (
    Piece,
    can_redraw,
    encodable,
    live_screen,
    print_line,
    typed_keys,
)
from wpbridge.cli.times import times_in, tz_option
from wpbridge.cli.top_screen import BARS, PLAIN_BARS, Line, lines_of
from wpbridge.clock import SystemClock
from wpbridge.daemon.signals import SignalReader, caught
from wpbridge.dashboard.overview import Overview, OverviewReader, overview_of
from wpbridge.errors import StoreError
from wpbridge.site.resolve import resolve
from wpbridge.store.connect import open_site
from wpbridge.store.database.session import Session
from wpbridge.store.opened import OpenStore

STATEMENT_SECONDS: Final = 2.0
"""As for the dashboard: a statement that takes longer is given up."""
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGWINCH)


@click.command(
    short_help="Show the overview of the queue, and keep it up to date.",
    epilog="""
Examples:
  wpbridge top
  wpbridge top --once
  wpbridge top --path /var/www/html --interval 10
""",
)
@site_options
@click.option("--once", is_flag=True, help="Print it once, as always if the output is no terminal.")
@click.option(
    "--interval",
    type=click.FloatRange(0.5, 3600),
    default=2.0,
    metavar="SECONDS",
    help="Seconds between two looks (2).",
)
@tz_option
@click.pass_context
@one_line_errors
def top(ctx: click.Context, *, once: bool, interval: float, **flags: Any) -> None:
    """Show what is due, what runs and fails, how fast it goes, and what needs a look.

    The numbers are those of the dashboard's first page. The key q or Ctrl-C ends the command.
    """
    settings = settings_of(ctx, flags)
    site = resolve(settings, os.environ)
    with closing(open_site(site, prepare=_bounded)) as store:
        view = _View(store, site.label, times_in(settings, store))
        if once or not can_redraw():
            _print(view.lines())
        elif _watch(view, interval, color=settings.color) == signal.SIGTERM:
            raise SystemExit(int(Exit.TERMINATED))


def _bounded(session: Session) -> None:
    session.statement_seconds = STATEMENT_SECONDS


class _View:
    """What is shown: the last overview, and why there is no newer one."""

    def __init__(self, store: OpenStore, site: str, zone: tzinfo) -> None:
        self._store = store
        self._reader = OverviewReader()
        self._site = site
        self._zone = zone
        self._bars = encodable(BARS, PLAIN_BARS)
        self._seen: Overview | None = None
        self._trouble = ""

    def look(self) -> None:
        """Ask anew. Where the database does not answer, the last numbers stay."""
        try:
            self._seen = self._reader.read(self._store, SystemClock().now())
            self._trouble = ""
        except StoreError as error:
            self._trouble = str(error)

    def shown(self) -> list[Line]:
        """Return the lines of the screen."""
        lines = [] if self._seen is None else self._lines_of(self._seen)
        trouble: list[Line] = [[(self._trouble, "bold red")]] if self._trouble else []
        return [*lines[:1], *trouble, *lines[1:], [], [("q quits", "dim")]]

    def lines(self) -> list[Line]:
        """Ask once. Raises StoreError."""
        return self._lines_of(overview_of(self._store, SystemClock().now()))

    def _lines_of(self, seen: Overview) -> list[Line]:
        return lines_of(seen, site=self._site, zone=self._zone, bars=self._bars)


def _print(lines: Sequence[Line]) -> None:
    for line in lines:
        print_line("".join(text for text, _ in line).rstrip())


def _watch(view: _View, interval: float, *, color: bool | None) -> signal.Signals | None:
    """Renew the screen until somebody ends it; return the signal that did."""
    with caught(_SIGNALS) as signals, live_screen(color=color) as show, typed_keys() as keys:
        return _renewed(view, interval, signals, show, keys)


def _renewed(
    view: _View,
    interval: float,
    signals: SignalReader,
    show: Callable[[Sequence[Sequence[Piece]]], None],
    keys: int | None,
) -> signal.Signals | None:
    due = 0.0
    while True:
        now = time.monotonic()
        if now >= due:
            view.look()
            # It counts from the answer, so that a slow database is not asked all the time.
            due = time.monotonic() + interval
        show(view.shown())
        wait_for: list[Any] = [signals, *([] if keys is None else [keys])]
        ready, _, _ = select.select(wait_for, [], [], max(0.0, due - time.monotonic()))
        arrived = signals.take() if signals in ready else []
        for number in arrived:
            if number != signal.SIGWINCH:
                return number
        if keys is not None and keys in ready and _is_end(os.read(keys, 64)):
            return None


def _is_end(typed: bytes) -> bool:
    """Tell whether somebody typed q, or the terminal is gone."""
    return not typed or b"q" in typed.lower()
