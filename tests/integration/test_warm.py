"""Forked processes of wpbridge are processes as good as those of a fresh interpreter."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import warm

SHOW = """
import json, os, signal, sys
sys.stdin.read()
print(json.dumps({
    "argv": sys.argv[1:], "cwd": os.getcwd(), "parent": os.getppid(), "umask": os.umask(0),
    "env": dict(os.environ), "open": sorted(os.listdir("/proc/self/fd"))[:3],
    "interrupt": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
    "session": os.getsid(0) == os.getpid(), "main": __name__, "path": sys.path[0],
    "streams": [(s.encoding, s.errors, s.line_buffering, s.fileno(), s.isatty())
                for s in (sys.stdin, sys.stdout, sys.stderr)],
}, sort_keys=True))
print("told", file=sys.stderr)
sys.exit(7)
"""


@pytest.mark.parametrize("session", [False, True])
def test_it_is_as_a_fresh_interpreter_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, session: bool
) -> None:
    program = tmp_path / "show.py"
    program.write_text(SHOW)
    command = [sys.executable, str(program), "one", "two words"]
    env = {"PATH": os.environ["PATH"], "NAME": "é", "TZ": "Europe/Rome"}
    env |= {k: v for k, v in os.environ.items() if k.startswith(("PYTHON", "LC_", "LANG"))}
    starts: tuple[Any, ...] = (subprocess.run, warm.run)
    fresh, forked = (
        start(
            command,
            cwd=tmp_path,
            env=env,
            input="x",
            capture_output=True,
            text=True,
            check=False,
            start_new_session=session,
        )
        for start in starts
    )
    assert fresh.returncode == forked.returncode == 7
    assert forked.stderr == fresh.stderr == "told\n"
    assert forked.stdout == fresh.stdout
    assert f'"parent": {os.getpid()}' in forked.stdout


def test_it_can_be_killed_and_says_so(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "wpbridge", "enqueue", "h", "--args", "-"]
    with warm.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE) as process:
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        assert process.wait(timeout=300) == -signal.SIGKILL
