"""``top``: the overview in a terminal, renewed in place, which leaves the terminal as it was."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

import warm
from cli_helpers import Site, clean_env
from daemons import until
from factories import insert, make_new
from rows import change
from wpbridge.cli import top_screen
from wpbridge.cli.top_screen import bars_of, lines_of, span_of
from wpbridge.clock import SystemClock, to_text
from wpbridge.dashboard.overview import overview_of
from wpbridge.store.running.runner_store import RunnerStore

OTHER_SCREEN, FIRST_SCREEN, SHOWN_CURSOR = b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?25h"
EVIL = "\x1b]0;owned\x07[red]\u202e\nforged"


class Terminal:
    """A terminal with ``top`` in it, and what it has drawn."""

    def __init__(self, site: Site, *flags: str) -> None:
        self.ours, self.its = pty.openpty()
        self.resize(100, 40)
        self.before = termios.tcgetattr(self.its)
        self.drawn = b""
        env = clean_env(site.folder, {**site.env, "TERM": "xterm-256color"})
        # Who runs the tests may have the size of another terminal there.
        env.pop("LINES", None)
        self.process = warm.Popen(
            [sys.executable, "-m", "wpbridge", "top", *flags],
            cwd=site.folder,
            env=env,
            stdin=self.its,
            stdout=self.its,
            stderr=self.its,
            start_new_session=True,
        )

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.its, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def read(self) -> bytes:
        """Take in what was drawn since."""
        while select.select([self.ours], [], [], 0)[0]:
            self.drawn += os.read(self.ours, 65536)
        return self.drawn

    def screen(self) -> list[str]:
        """The lines of what was drawn last, without codes."""
        last = self.read().rpartition(b"\x1b[H")[2].decode()
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", last).replace("\r", "").split("\n")

    def shows(self, text: str) -> None:
        until(lambda: text in "\n".join(self.screen()), lambda: f"{text} in {self.screen()}")

    def type(self, keys: bytes) -> None:
        os.write(self.ours, keys)

    def end(self) -> int:
        """The exit code; the terminal is as it was before."""
        code = int(self.process.wait(timeout=300))
        drawn = self.read()
        assert drawn.count(OTHER_SCREEN) == drawn.count(FIRST_SCREEN) == 1
        assert drawn.rindex(SHOWN_CURSOR) > drawn.index(OTHER_SCREEN)
        assert termios.tcgetattr(self.its) == self.before
        return code

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        os.close(self.ours)
        os.close(self.its)


@pytest.fixture
def terminal(lite: Site) -> Iterator[Terminal]:
    seed(lite.store)
    found = Terminal(lite, "--interval", "0.5")
    yield found
    found.close()


def seed(store: RunnerStore) -> None:
    """Three due actions, one that waits for its date, and one that has failed."""
    now = SystemClock().now()
    due = [make_new("pay", args=(n,), due_in=-7200, now=now) for n in range(4)]
    ids = insert(store, *due, make_new(EVIL, due_in=3600, now=now), now=now)
    change(
        store,
        "UPDATE wp_actionscheduler_actions SET status = 'failed', last_attempt_gmt = :at"
        " WHERE action_id = :i",
        at=to_text(now),
        i=ids[0],
    )


def test_it_is_renewed_follows_the_size_and_leaves_the_terminal_as_it_was(
    terminal: Terminal, lite: Site
) -> None:
    terminal.shows("due                 3  oldest 2 h")
    terminal.shows("pending             4")
    terminal.shows("q quits")
    # What is added shows without a key.
    now = SystemClock().now()
    insert(lite.store, make_new("more", due_in=-5, now=now), now=now)
    terminal.shows("due                 4")
    terminal.resize(30, 12)
    terminal.process.send_signal(signal.SIGWINCH)
    until(lambda: len(terminal.screen()) == 12, lambda: f"12 lines in {terminal.screen()}")
    assert {len(line.rstrip()) <= 30 for line in terminal.screen()} == {True}
    terminal.resize(120, 50)
    terminal.process.send_signal(signal.SIGWINCH)
    until(lambda: len(terminal.screen()) == 50, "the larger screen")
    terminal.type(b"x")
    terminal.type(b"q")
    assert terminal.end() == 0


@pytest.mark.parametrize("way", ["control-c", "TERM"])
def test_it_ends_cleanly_however_it_is_told_to(terminal: Terminal, way: str) -> None:
    terminal.shows("pending")
    terminal.process.send_signal(signal.SIGINT if way == "control-c" else signal.SIGTERM)
    assert terminal.end() == (0 if way == "control-c" else 143)


def test_a_database_that_goes_away_is_told_and_the_last_numbers_stay(
    terminal: Terminal, lite: Site
) -> None:
    terminal.shows("pending             4")
    change(lite.store, "DROP TABLE wp_actionscheduler_actions")
    terminal.shows("no such table")
    terminal.shows("pending             4")
    terminal.type(b"q")
    assert terminal.end() == 0


def test_off_a_terminal_it_prints_once(lite: Site) -> None:
    seed(lite.store)
    for flags in ((), ("--once",)):
        told = lite.ok("top", *flags).splitlines()
        assert told[0].startswith("wpbridge  sqlite:///")
        assert "due                 3  oldest 2 h" in told
        assert "failed              1  in 24 hours" in told
        assert "\x1b" not in "".join(told)
    shown = lite.terminal("top", "--once")
    assert shown.code == 0
    assert "pending             4" in shown.out
    assert "\x1b" not in shown.out


def test_the_lines_are_those_of_the_overview(lite: Site) -> None:
    seed(lite.store)
    now = datetime.now(UTC)
    lite.store.parts.pauses.add([], now=now)
    lite.ok("pause", "--group", "mail", "--reason", "server is down")
    seen = overview_of(lite.store.parts, now + timedelta(hours=2))
    told = ["".join(text for text, _ in line) for line in lines_of(seen, site="s", zone=UTC)]
    assert "wpbridge has not run anything here yet." in told
    assert "paused: group mail until resumed (server is down)" in told
    assert "due                 4  oldest 4 h" in told


def test_small_numbers_have_a_bar_and_nothing_has_none() -> None:
    assert bars_of([0, 1, 500, 1000]) == "▁▂▅█"
    assert bars_of([0, 0], top_screen.PLAIN_BARS) == "__"
    assert bars_of([]) == ""


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (None, "-"),
        (0, "0 s"),
        (0.25, "250 ms"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (3900, "1 h 5 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_times_are_told_in_two_units(seconds: float | None, told: str) -> None:
    assert span_of(seconds) == told
