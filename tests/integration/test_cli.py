"""The command as a process: what it prints, its exit codes, its signals."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import tables_of_0_1
import warm
from cli_helpers import call
from factories import insert, make_new
from rows import change, log_of, query
from wpbridge.clock import SystemClock
from wpbridge.queue.facade import Queue
from wpbridge.store.running.runner_store import RunnerStore

HANDLERS = """
import os, sys
from wpbridge import Context, Retry, Cancel, hook

@hook("ok")
def ok(*values): pass

@hook("bad")
def bad(*values): raise ValueError("no good")

@hook("exits")
def exits(*values): sys.exit(3)

@hook("later")
def later(*values): raise Retry(after=600)

@hook("drop")
def drop(*values): raise Cancel("not wanted")

@hook("once", at_most_once=True)
def once(*values): pass

@hook("async")
async def run_async(value, *, ctx: Context): ctx.log(f"got {value}, attempt {ctx.attempt}")

@hook("slow")
def slow(*values):
    os.write(1, b"started\\n")
    sys.stdin.buffer.read()
"""


def wpbridge(
    *arguments: str, cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("WPBRIDGE_")}
    command = [sys.executable, "-m", "wpbridge", *arguments]
    return warm.run(command, cwd=cwd, env={**clean, **(env or {})}, text=True)


def quick(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The same in this process, for all that a process of its own would not show better."""
    done = call(*arguments, cwd=cwd)
    return subprocess.CompletedProcess(arguments, done.code, done.out, done.err)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "acts.py").write_text(HANDLERS, encoding="utf-8")
    return tmp_path


@pytest.fixture
def queue(dsn: str, open_queue: Callable[[str], RunnerStore]) -> RunnerStore:
    return open_queue(dsn)


def enqueue(store: RunnerStore, *hooks: str) -> list[int]:
    now = SystemClock().now()
    return list(store.insert([make_new(h, args=("x",), now=now) for h in hooks], now=now))


def run(dsn: str, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return wpbridge("claim-and-run", "--dsn", dsn, "--handlers", "acts", *more, cwd=folder)


def test_one_run_of_everything(dsn: str, folder: Path, queue: RunnerStore) -> None:
    ids = enqueue(queue, "ok", "bad", "exits", "later", "drop", "once", "async", "unknown")
    done = run(dsn, folder, "--format", "json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["claimed"] == 7
    assert (told["complete"], told["failed"], told["retried"], told["released"]) == (3, 2, 1, 0)
    assert queue.counts() == {"complete": 3, "failed": 2, "pending": 2, "canceled": 1}
    assert log_of(queue, ids[1])[-1] == "action failed via wpbridge: no good"
    assert log_of(queue, ids[2])[-1] == "action failed via wpbridge: the handler exited with 3"
    assert log_of(queue, ids[6])[2] == "got x, attempt 1"
    assert log_of(queue, ids[7]) == ["action created"]


def test_quiet_says_nothing_and_fail_on_error_exits_3(
    dsn: str, folder: Path, queue: RunnerStore
) -> None:
    enqueue(queue, "bad")
    done = run(dsn, folder, "--quiet", "--fail-on-error")
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "")


def test_a_dry_run_changes_nothing(dsn: str, folder: Path, queue: RunnerStore) -> None:
    (action_id,) = enqueue(queue, "ok")
    done = run(dsn, folder, "--dry-run", "--format", "json")
    assert json.loads(done.stdout)["actions"][0]["id"] == action_id
    assert queue.counts() == {"pending": 1}


def test_limits_and_filters(dsn: str, folder: Path, queue: RunnerStore) -> None:
    enqueue(queue, *["ok"] * 6, "bad")
    told = json.loads(
        run(dsn, folder, "--max-actions", "4", "--hooks", "ok", "--format", "json").stdout
    )
    assert told["claimed"] == 4
    told = json.loads(
        run(dsn, folder, "--batch-size", "1", "--batches", "1", "--format", "json").stdout
    )
    assert told["claimed"] == 1


def wait_until_released(store: RunnerStore, count: int) -> None:
    """Until so many actions are free again; the test's own timeout bounds it."""
    free = "SELECT 1 FROM wp_actionscheduler_actions WHERE status = 'pending' AND claim_id = 0"
    while len(query(store, free)) < count:
        time.sleep(0.002)


def test_term_finishes_what_runs_and_releases_the_rest(
    dsn: str, folder: Path, queue: RunnerStore
) -> None:
    enqueue(queue, *["slow"] * 5)
    command = [
        sys.executable,
        "-m",
        "wpbridge",
        "claim-and-run",
        "--dsn",
        dsn,
        "--handlers",
        "acts",
        "--concurrency",
        "2",
        "--format",
        "json",
    ]
    with warm.Popen(
        command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert [process.stdout.readline() for _ in range(2)] == ["started\n"] * 2
        process.send_signal(signal.SIGTERM)
        wait_until_released(queue, 3)
        process.stdin.close()
        rest = process.stdout.read()
        assert process.wait(timeout=300) == 143
    told = json.loads(rest.splitlines()[-1])
    assert (told["complete"], told["released"]) == (2, 3)
    assert queue.counts() == {"complete": 2, "pending": 3}


def test_site_options_stand_before_or_after_the_command(
    dsn: str, folder: Path, queue: RunnerStore
) -> None:
    enqueue(queue, "ok")
    before = wpbridge("--dsn", dsn, "status", "--format", "json", cwd=folder)
    after = wpbridge("status", "--dsn", dsn, "--format", "json", cwd=folder)
    by_env = wpbridge("status", "--format", "json", cwd=folder, env={"WPBRIDGE_DSN": dsn})
    for done in (before, after, by_env):
        assert json.loads(done.stdout)["counts"] == {"pending": 1}


def test_check_names_what_is_used_and_hides_the_password(folder: Path) -> None:
    made = quick("init", "--dsn", "sqlite:///q.db", cwd=folder)
    assert made.returncode == 0, made.stderr
    done = quick(
        "check", "--dsn", "sqlite:///q.db", "--handlers", "acts", "--format", "json", cwd=folder
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["problems"] == []
    lost = quick("check", "--dsn", "mysql://u:sEcReT@127.0.0.1:9/db", cwd=folder)
    assert lost.returncode == 69
    assert "sEcReT" not in lost.stdout + lost.stderr


def test_uninstall_removes_our_tables_only(folder: Path) -> None:
    quick("init", "--dsn", "sqlite:///q.db", cwd=folder)
    dry = quick("uninstall", "--dsn", "sqlite:///q.db", "--dry-run", cwd=folder)
    own = (
        "runners",
        "pauses",
        "zones",
        "waits",
        "keys",
        "limits",
        "suspects",
        "duties",
        "held",
        "secrets",
        "results",
        "jobs",
        "api_keys",
        "stats",
        "audit",
        "traces",
        "alerts",
        "users",
        "sessions",
        "nonces",
        "site",
    )
    names = [f"wp_wpbridge_{name}" for name in own]
    assert dry.stdout == f"would remove {', '.join(names)}\n"
    assert quick("uninstall", "--dsn", "sqlite:///q.db", cwd=folder).returncode == 0
    assert quick("status", "--dsn", "sqlite:///q.db", cwd=folder).returncode == 0
    again = quick("uninstall", "--dsn", "sqlite:///q.db", cwd=folder)
    assert again.stdout == "removed no tables: there are none of wpbridge's\n"


def test_uninstall_asks_for_yes_while_something_would_be_lost(
    dsn: str, folder: Path, queue: RunnerStore
) -> None:
    with Queue(queue.parts, close_store=False) as actions:
        first = actions.enqueue_async("ok")
        assert first is not None
        actions.enqueue_async("ok", after=(first,))
        actions.schedule_cron(None, "0 3 * * *", "ok", tz="Europe/Rome")
        actions.pause(groups=["mail"])
    refused = quick("uninstall", "--dsn", dsn, cwd=folder)
    assert refused.returncode == 78
    assert "1 pause, what 1 action without a date waits for (canceled), the time zones of 1" in (
        refused.stderr
    )
    assert queue.parts.own.look() == frozenset(queue.names.own)
    done = quick("uninstall", "--dsn", dsn, "--yes", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert queue.parts.own.look() == frozenset()


def test_own_tables_of_a_newer_release_are_only_read(
    dsn: str, folder: Path, queue: RunnerStore
) -> None:
    insert(queue, make_new("ok", now=SystemClock().now()))
    change(queue, "UPDATE wp_wpbridge_site SET value = '9' WHERE name IN ('version', 'needs')")
    run = ("claim-and-run", "--handlers", "acts")
    for words in (("check",), run, ("init",), ("enqueue", "ok", "--key", "k")):
        done = quick(*words, "--dsn", dsn, cwd=folder)
        assert done.returncode == 78, done
        assert "own tables are of version 9" in done.stderr
        assert "upgrade wpbridge" in done.stderr
    assert quick("status", "--dsn", dsn, cwd=folder).returncode == 0
    assert queue.counts() == {"pending": 1}


def test_check_says_that_own_tables_are_to_come_forward(
    dsn: str, folder: Path, queue: RunnerStore
) -> None:
    tables_of_0_1.lay(queue)
    done = quick("check", "--dsn", dsn, "--format", "json", cwd=folder)
    assert done.returncode == 0, done.stderr
    [note] = json.loads(done.stdout)["notes"]
    assert note.startswith("wpbridge's own tables are of version 1")


def test_decode_shows_a_blob_as_json(folder: Path) -> None:
    done = quick("decode", 'a:1:{s:1:"k";d:0.5;}', "--compact", cwd=folder)
    assert json.loads(done.stdout) == {"k": 0.5}
    bad = quick("decode", "a:1:{", cwd=folder)
    assert bad.returncode == 1
    assert "at byte" in bad.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["claim-and-run", "--handlers", "acts", "--path", "nowhere"], 78, "nowhere"),
        (["claim-and-run", "--handlers", "acts", "--dsn", "mysql://x@127.0.0.1:9/d"], 69, "answer"),
        (["claim-and-run", "--handlers", "absent", "--dsn", "sqlite:///q.db"], 78, "absent"),
        (["claim-and-run", "--handlers", "broken", "--dsn", "sqlite:///q.db"], 78, "broken.py:1"),
        (["claim-and-run", "--dsn", "sqlite:///q.db"], 78, "no handlers"),
        (
            ["claim-and-run", "--handlers", "acts", "--dsn", "sqlite:///empty.db"],
            78,
            "is its name right?",
        ),
        (["claim-and-run", "--handlers", "acts", "--dsn", "oracle://x/y"], 78, "oracle"),
        (["claim-and-run", "--batch-size", "0"], 2, "--batch-size"),
        (["claim-and-run", "--max-time", "soon", "--dsn", "sqlite:///q.db"], 78, "soon"),
        (["status", "--dsn", "sqlite:///q.db", "--table-prefix", "x;y"], 78, "prefix"),
        (
            ["claim-and-run", "--handlers", "acts", "--hooks", "x", "--dsn", "sqlite:///q.db"],
            78,
            "no handler for x",
        ),
        (["nonsense"], 2, "nonsense"),
    ],
)
def test_bad_input_is_one_clear_line(
    folder: Path, arguments: list[str], code: int, words: str
) -> None:
    (folder / "broken.py").write_text("1 / 0\n", encoding="utf-8")
    done = quick(*arguments, cwd=folder)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    if code != 2:
        assert len(done.stderr.strip().splitlines()) == 1


def test_a_newer_schema_is_read_only(dsn: str, folder: Path, queue: RunnerStore) -> None:
    change(queue, "CREATE TABLE wp_options (option_name varchar(191), option_value varchar(191))")
    change(
        queue,
        "INSERT INTO wp_options VALUES ('schema-ActionScheduler_StoreSchema', '10.0.1795456817')",
    )
    enqueue(queue, "ok")
    done = run(dsn, folder)
    assert done.returncode == 78
    assert "newer than wpbridge knows" in done.stderr
    assert quick("status", "--dsn", dsn, cwd=folder).returncode == 0
    assert queue.counts() == {"pending": 1}


def test_a_wrong_password_is_named_and_not_shown(mysql_dsn: str, folder: Path) -> None:
    dsn = mysql_dsn.replace("root@", "nobody:hunter2@")
    done = quick("status", "--dsn", dsn, cwd=folder)
    assert done.returncode == 69
    assert "refuses us" in done.stderr
    assert "hunter2" not in done.stderr
