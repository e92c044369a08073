"""Pieces of work in copies of this process: each by itself, with a limit, as a user."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from daemons import until
from wpbridge.system.forked import Done, NotBefore, Piece, run_each

FOREVER = 60.0
# The process of these tests has threads of its own, which do not matter here.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def say(text: str) -> Callable[[], bytes]:
    return text.encode


def hang() -> bytes:
    time.sleep(10 * FOREVER)
    return b""


def fall() -> bytes:
    raise ValueError


def test_each_piece_has_its_own_answer() -> None:
    pieces = [Piece(n, say(f"{n}" * 100_000)) for n in range(5)]
    found = {done.key: done.answer for done in run_each(pieces, most=2, seconds=FOREVER)}
    assert found == {n: f"{n}".encode() * 100_000 for n in range(5)}


def test_what_hangs_is_killed_and_what_falls_has_no_answer(tmp_path: Path) -> None:
    file = tmp_path / "pid"

    def note_and_hang() -> bytes:
        file.write_text(str(os.getpid()))
        return hang()

    pieces = [Piece("hangs", note_and_hang), Piece("falls", fall), Piece("good", say("x"))]
    found = {done.key: done for done in run_each(pieces, most=3, seconds=10)}
    assert found["hangs"] == Done("hangs", None, is_late=True)
    assert found["falls"] == Done("falls", None)
    assert found["good"] == Done("good", b"x")
    with pytest.raises(ProcessLookupError):
        os.kill(int(file.read_text()), 0)


def test_a_caller_who_stops_leaves_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "pid"

    def note_and_hang() -> bytes:
        file.write_text(str(os.getpid()))
        return hang()

    pieces = [Piece("hangs", note_and_hang), Piece("good", say("x"))]
    found = run_each(pieces, most=2, seconds=FOREVER)
    assert next(found).key == "good"
    until(lambda: file.exists() and file.read_text(), "the copy hangs")
    found.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int(file.read_text()), 0)


def test_a_piece_comes_not_before_its_moment() -> None:
    at = time.monotonic() + 0.2
    pieces: list[Piece[str] | NotBefore] = [NotBefore(at), Piece("later", say("x"))]
    [done] = run_each(pieces, most=1, seconds=FOREVER)
    assert (done.key, time.monotonic() >= at) == ("later", True)


def test_an_answer_that_is_too_long_counts_as_none() -> None:
    [done] = run_each([Piece("long", lambda: b"x" * (5 << 20))], most=1, seconds=FOREVER)
    assert done == Done("long", None)


@as_root
def test_root_becomes_the_user_for_good() -> None:
    def who() -> bytes:
        try:
            os.setuid(0)
        except PermissionError:
            return f"{os.getresuid()} {os.getresgid()}".encode()
        return b"root"

    [done] = run_each([Piece("nobody", who, 65534)], most=1, seconds=FOREVER)
    assert done.answer == b"(65534, 65534, 65534) (65534, 65534, 65534)"
    [done] = run_each([Piece("no such user", who, 1_234_567)], most=1, seconds=FOREVER)
    assert done.answer is None
