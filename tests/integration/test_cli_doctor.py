"""``doctor`` and ``explain`` as commands: what they print, and their exit codes."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from cli_helpers import call
from factories import make_new
from php_site import PhpSite
from rows import change, column, log_of
from wpbridge import doctor
from wpbridge.clock import SystemClock
from wpbridge.store.running.runner_store import RunnerStore

ACTIONS = "wp_actionscheduler_actions"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    handlers = "from wpbridge import hook\n\n@hook('h')\ndef h(*values): pass\n"
    (tmp_path / "acts.py").write_text(handlers, encoding="utf-8")
    return tmp_path


@pytest.fixture
def queue(dsn: str, open_queue: Callable[[str], RunnerStore]) -> RunnerStore:
    """One action that is due for long, and one that nobody can read."""
    store = open_queue(dsn)
    now = SystemClock().now()
    store.insert([make_new("h", due_in=-3600, now=now), make_new("\x1b[31mh", now=now)], now=now)
    change(store, f"UPDATE {ACTIONS} SET args = '{{' WHERE action_id = 2")
    return store


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "wpbridge", *words]


def clean(**more: str) -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("WPBRIDGE_")} | more


def wpbridge(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """In this process: quick, and the same but for terminals and signals."""
    done = call(*words, cwd=cwd)
    return subprocess.CompletedProcess(words, done.code, done.out, done.err)


def levels(found: Mapping[str, Any]) -> dict[str, str]:
    return {one["check"]: one["level"] for one in found["findings"]}


def test_doctor_prints_findings_with_their_fixes(
    dsn: str, folder: Path, queue: RunnerStore
) -> None:
    done = wpbridge("doctor", "--dsn", dsn, "--handlers", "acts", cwd=folder)
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("problem backlog: 1 action(s) are due") or lines[0].startswith(
        "problem backlog: 2 action(s) are due"
    )
    assert lines[1] == "        nothing runs"
    assert lines[2] == "        fix: wpbridge claim-and-run"
    assert "warning corrupt-rows: 1 pending action(s) cannot be read; action 2 (\\x1b[31mh)" in (
        done.stdout
    )
    assert "(or: doctor --fix)" in done.stdout
    assert "\x1b" not in done.stdout
    assert f"{len(doctor.NAMES)} checks, " in lines[-1]
    verbose = wpbridge("doctor", "--dsn", dsn, "--verbose", cwd=folder).stdout
    assert "ok      zero-dates: no pending action has a zero date" in verbose


def test_doctor_as_json(dsn: str, folder: Path, queue: RunnerStore) -> None:
    done = wpbridge(
        "doctor",
        "--dsn",
        dsn,
        "--only",
        "backlog, corrupt-rows",
        "--only",
        "pauses",
        "--format",
        "json",
        cwd=folder,
    )
    found = json.loads(done.stdout)
    assert levels(found) == {"backlog": "problem", "corrupt-rows": "warning", "pauses": "ok"}
    assert (found["healthy"], found["skipped"], found["fixes"]) == (False, [], [])
    assert set(found["findings"][0]) == {
        "check",
        "level",
        "cause",
        "effect",
        "fix",
        "fixable",
        "count",
    }


def test_doctor_mends_and_judges_what_is_left(dsn: str, folder: Path, queue: RunnerStore) -> None:
    words = ("doctor", "--dsn", dsn, "--only", "corrupt-rows")
    plan = wpbridge(*words, "--dry-run", cwd=folder)
    assert plan.stdout.startswith("corrupt-rows: would have canceled 1 action(s)")
    assert column(queue, "status", 2) == "pending"
    done = wpbridge(*words, "--fix", cwd=folder)
    assert done.returncode == 0
    assert done.stdout == (
        "corrupt-rows: canceled 1 action(s) that nobody can read\n1 check, 0 findings\n"
    )
    assert column(queue, "status", 2) == "canceled"
    assert "cannot be read" in log_of(queue, 2)[-1]
    again = wpbridge(*words, "--fix", cwd=folder)
    assert again.stdout == "nothing to mend\n1 check, 0 findings\n"


def test_doctor_without_a_database(folder: Path) -> None:
    done = wpbridge("doctor", "--dsn", "mysql://a@127.0.0.1:1/x", cwd=folder)
    assert done.returncode == 1
    assert done.stdout.startswith("problem database: mysql://a@127.0.0.1:1/x: the database does")
    assert "could not be made" in done.stderr


def test_doctor_refuses_a_check_that_is_none(folder: Path) -> None:
    done = wpbridge("doctor", "--dsn", "sqlite://", "--only", "backlg", cwd=folder)
    assert done.returncode == 2
    assert "there is no check backlg" in done.stderr


def on_a_terminal(*words: str, cwd: Path, env: Mapping[str, str]) -> str:
    ours, theirs = pty.openpty()
    try:
        with subprocess.Popen(
            command(*words), cwd=cwd, env=dict(env), stdout=theirs, stderr=theirs
        ) as child:
            os.close(theirs)
            text = b""
            try:
                while part := os.read(ours, 65_536):
                    text += part
            except OSError:
                # Linux says so at the end.
                pass
            child.wait(timeout=300)
    finally:
        os.close(ours)
    return text.decode()


def test_colours_are_for_terminals(
    tmp_path: Path, folder: Path, open_queue: Callable[[str], RunnerStore]
) -> None:
    dsn = f"sqlite:///{tmp_path / 'q.db'}"
    open_queue(dsn)
    words = ("doctor", "--dsn", dsn, "--only", "runners")
    env = clean(TERM="xterm", COLUMNS="40")
    env.pop("NO_COLOR", None)
    shown = on_a_terminal(*words, cwd=folder, env=env)
    assert "\x1b[" in shown
    # A long line is the terminal's to fold: it is there to be copied
    assert "no runner has been seen for an hour; nothing has ever run" in shown
    assert "\x1b[" not in on_a_terminal(*words, cwd=folder, env={**env, "NO_COLOR": "1"})


def test_explain(dsn: str, folder: Path, queue: RunnerStore) -> None:
    words = ("explain", "1", "--dsn", dsn)
    done = wpbridge(*words, "--handlers", "acts", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "action 1 (h): nobody is running"
    assert "    fix: wpbridge claim-and-run" in done.stdout
    told = json.loads(wpbridge(*words, "--format", "json", cwd=folder).stdout)
    assert [reason["code"] for reason in told["reasons"]] == ["no-handler", "no-runner"]
    assert (told["id"], told["hook"], told["status"]) == (1, "h", "pending")
    strange = wpbridge("explain", "2", "--dsn", dsn, cwd=folder).stdout
    assert strange.startswith("action 2 (\\x1b[31mh): nothing here runs it (and")
    assert "\x1b" not in strange


def test_explain_of_no_action(dsn: str, folder: Path, queue: RunnerStore) -> None:
    done = wpbridge("explain", "4711", "--dsn", dsn, cwd=folder)
    assert (done.returncode, done.stderr) == (1, "wpbridge: there is no action 4711\n")
    assert wpbridge("explain", "x", "--dsn", dsn, cwd=folder).returncode == 2


# With a WordPress


def test_doctor_asks_wordpress(wordpress: PhpSite) -> None:
    wordpress.enqueue("t_noop")
    wordpress.enqueue("t_nobody")
    done = wpbridge(
        "doctor",
        f"--path={wordpress.folder}",
        "--php",
        f"--wp={' '.join(wordpress.wp)}",
        "--only",
        "php,php-clock,php-callbacks,wp-cron,time-zone,companion",
        "--format=json",
        cwd=wordpress.folder,
    )
    found = json.loads(done.stdout)
    told = {one["check"]: (one["level"], one["cause"]) for one in found["findings"]}
    assert told["php-callbacks"] == ("warning", "no callback in PHP: t_nobody")
    assert told["php-clock"] == ("ok", "PHP's clock agrees with this host's")
    assert told["php"][0] == ("ok" if wordpress.has_plugin else "note")
    assert done.returncode == 0


def test_explain_asks_wordpress(wordpress: PhpSite) -> None:
    one = wordpress.enqueue("t_nobody")
    done = wpbridge(
        "explain",
        str(one),
        f"--path={wordpress.folder}",
        "--php",
        "--ask-wordpress",
        f"--wp={' '.join(wordpress.wp)}",
        "--format=json",
        cwd=wordpress.folder,
    )
    codes = [reason["code"] for reason in json.loads(done.stdout)["reasons"]]
    assert codes == ["no-callback", "no-runner"]


def test_what_could_not_be_looked_at_is_not_called_mended(tmp_path: Path) -> None:
    """There is a database, and no table in it."""
    (tmp_path / "queue.db").touch()
    done = call("doctor", "--fix", "--dsn", "sqlite:///queue.db", cwd=tmp_path)
    assert done.code == 1
    assert "nothing to mend" not in done.out
    assert "could not be made" in done.err
