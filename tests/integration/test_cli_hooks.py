"""``wpbridge hooks`` as a process: what it prints for a queue, and that it changes nothing."""

import json
import os
import pty
import re
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import warm
from factories import make_new
from rows import change, query
from wpbridge.action import NewAction
from wpbridge.clock import SystemClock
from wpbridge.store.running.runner_store import RunnerStore

HANDLERS = """
from wpbridge import hook

@hook("send")
def send(*values): pass

@hook("idle")
def idle(*values): pass
"""
SETTINGS = """
[webhooks]
posted = "https://example.com/x"

[[routes]]
hook = "report_*"
group = "bulk"
to = "leave"

[[routes]]
hook = "report_*"
to = "php"
"""
UPKEEP = "action_scheduler_run_actions_cleanup_hook"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "acts.py").write_text(HANDLERS, encoding="utf-8")
    (tmp_path / "wpbridge.toml").write_text(SETTINGS, encoding="utf-8")
    return tmp_path


@pytest.fixture
def queue(dsn: str, open_queue: Callable[[str], RunnerStore]) -> RunnerStore:
    return open_queue(dsn)


def clean() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("WPBRIDGE_")}


def command(dsn: str, *more: str) -> list[str]:
    return [sys.executable, "-m", "wpbridge", "hooks", "--dsn", dsn, "--handlers", "acts", *more]


def text_of(dsn: str, folder: Path, *more: str) -> str:
    done = warm.run(
        command(dsn, *more), cwd=folder, env=clean(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def lines_of(dsn: str, folder: Path, *more: str) -> list[dict[str, Any]]:
    found = json.loads(text_of(dsn, folder, "--format", "json", *more))
    assert isinstance(found, list)
    return found


def enqueue(store: RunnerStore, *actions: NewAction) -> Sequence[int]:
    return store.insert(actions, now=SystemClock().now())


def due(hook: str, group: str = "", due_in: float = -60.0) -> NewAction:
    return make_new(hook, group=group, due_in=due_in, now=SystemClock().now())


def where(lines: list[dict[str, Any]]) -> dict[tuple[str, str], str]:
    return {(line["hook"], line["group"]): line["to"] for line in lines}


def test_every_rule_shows_with_its_reason(dsn: str, folder: Path, queue: RunnerStore) -> None:
    enqueue(
        queue,
        due("send"),
        due("posted"),
        due("unknown"),
        due(UPKEEP),
        due("report_a"),
        due("report_a", "bulk"),
        due("Send"),
    )
    lines = lines_of(dsn, folder)
    assert where(lines) == {
        ("send", ""): "python",
        ("idle", ""): "python",
        ("posted", ""): "webhook",
        ("unknown", ""): "leave",
        (UPKEEP, ""): "leave",
        ("report_a", ""): "leave",
        ("report_a", "bulk"): "leave",
        ("Send", ""): "leave",
    }
    why = {(line["hook"], line["group"]): line["why"] for line in lines}
    assert "acts.send" in why["send", ""]
    assert why["posted", ""] == "webhook"
    assert "php is off" in why["unknown", ""]
    assert "route 1" in why["report_a", "bulk"]
    assert "route 2" in why["report_a", ""]
    assert "php is off" in why["report_a", ""]
    assert "owns_site is off" in why[UPKEEP, ""]


def test_flags_for_php_and_the_site_change_the_answer(
    dsn: str, folder: Path, queue: RunnerStore
) -> None:
    enqueue(queue, due("unknown"), due("report_a"), due("report_a", "bulk"), due(UPKEEP))
    with_php = where(lines_of(dsn, folder, "--php"))
    assert with_php["unknown", ""] == with_php["report_a", ""] == "php"
    assert with_php["report_a", "bulk"] == with_php[UPKEEP, ""] == "leave"
    assert where(lines_of(dsn, folder, "--php", "--owns-site"))[UPKEEP, ""] == "php"
    (folder / "wpbridge.toml").write_text("[php]\nenabled = true\n", encoding="utf-8")
    assert where(lines_of(dsn, folder))["unknown", ""] == "php"
    assert where(lines_of(dsn, folder, "--no-php"))["unknown", ""] == "leave"


def test_numbers_and_the_next_date(dsn: str, folder: Path, queue: RunnerStore) -> None:
    before = datetime.now(UTC)
    ids = enqueue(queue, due("send", "g"), due("send", "g", 3600), due("send", "g", -30), due("x"))
    update = "UPDATE wp_actionscheduler_actions SET status = :s WHERE action_id = :i"
    change(queue, update, s="in-progress", i=ids[2])
    change(queue, update, s="complete", i=ids[3])
    (line,) = [line for line in lines_of(dsn, folder) if line["hook"] == "send"]
    assert (line["pending"], line["due"], line["running"]) == (2, 1, 1)
    following = datetime.fromisoformat(line["next_at"])
    assert following.utcoffset() is not None
    assert abs((following - before).total_seconds() + 60) < 30
    idle = [line for line in lines_of(dsn, folder) if line["hook"] == "idle"]
    assert [(i["pending"], i["due"], i["next_at"]) for i in idle] == [(0, 0, None)]


def test_lines_are_sorted_by_where_they_go_and_nothing_is_changed(
    dsn: str, folder: Path, queue: RunnerStore
) -> None:
    enqueue(queue, *[due(h, g) for h in ("z", "a", "send", "posted") for g in ("g", "")])
    before = query(queue, "SELECT * FROM wp_actionscheduler_actions")
    lines = lines_of(dsn, folder)
    keys = [(line["to"], line["hook"], line["group"]) for line in lines]
    assert keys == sorted(keys)
    assert query(queue, "SELECT * FROM wp_actionscheduler_actions") == before
    assert query(queue, "SELECT * FROM wp_actionscheduler_claims") == []


def test_text_has_a_head_and_a_line_each(dsn: str, folder: Path, queue: RunnerStore) -> None:
    enqueue(queue, *[due("send", "g") for _ in range(1200)])
    head, *rows = text_of(dsn, folder).splitlines()
    assert head.split("\t") == [
        "hook",
        "group",
        "to",
        "pending",
        "due",
        "running",
        "next_at",
        "why",
    ]
    (sent,) = [row.split("\t") for row in rows if row.startswith("send\t")]
    assert sent[:6] == ["send", "g", "python", "1200", "1200", "0"]


def test_an_empty_queue_without_handlers_is_said(
    dsn: str, folder: Path, queue: RunnerStore
) -> None:
    (folder / "wpbridge.toml").write_text("", encoding="utf-8")
    done = warm.run(
        [sys.executable, "-m", "wpbridge", "hooks", "--dsn", dsn],
        cwd=folder,
        env=clean(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert "no pending or running actions" in done.stderr


def test_names_can_neither_steer_a_terminal_nor_break_a_line(
    dsn: str, folder: Path, queue: RunnerStore
) -> None:
    enqueue(queue, due("a\tb\x1b[31m\n[bold]c"))
    (row,) = [row for row in text_of(dsn, folder).splitlines() if row.startswith("a")]
    assert row.split("\t")[0] == "a\\tb\\x1b[31m\\n[bold]c"
    shown = on_a_terminal(command(dsn), folder)
    assert "a\\tb\\x1b[31m\\n[bold]c" in shown
    assert "\x1b[31m" not in shown


def test_the_example_of_the_docs_is_what_the_command_says(
    dsn: str, folder: Path, queue: RunnerStore
) -> None:
    """docs/reference/routing.md: its settings, and the lines they make of a queue."""
    page = (Path(__file__).parents[2] / "docs/reference/routing.md").read_text(encoding="utf-8")
    settings, sample = page.split("```toml\n")[1].split("```")[0], page.split("$ wpbridge hooks")[1]
    names = ["hook", "group", "to", "pending", "due", "running", "next_at", "why"]
    head, *rows = sample.split("```")[0].splitlines()[1:]
    starts = [head.index(name) for name in names[:3]] + [head.index("why")]
    told = [
        (
            row[: starts[1]].strip(),
            row[starts[1] : starts[2]].strip(),
            row[starts[2] :].split()[0],
            row[starts[3] :].strip(),
        )
        for row in rows
    ]
    (folder / "wpbridge.toml").write_text(settings, encoding="utf-8")
    (folder / "shop").mkdir()
    (folder / "shop" / "hooks.py").write_text(
        "from wpbridge import hook\n"
        "@hook('shop_sync_order')\ndef sync(*values): pass\n"
        "@hook('shop_send_invoice')\ndef send_invoice(*values): pass\n",
        encoding="utf-8",
    )
    idle = "shop_send_invoice"
    enqueue(queue, *[due(hook, group) for hook, group, _, _ in told if hook != idle])
    done = warm.run(
        [
            sys.executable,
            "-m",
            "wpbridge",
            "hooks",
            "--handlers",
            "shop.hooks",
            "--dsn",
            dsn,
            "--format",
            "json",
        ],
        cwd=folder,
        env=clean(),
        capture_output=True,
        text=True,
        check=True,
    )
    lines = json.loads(done.stdout)
    assert [(i["hook"], i["group"], i["to"], i["why"]) for i in lines] == told


def test_long_names_are_cut_on_a_narrow_terminal_and_say_so(
    dsn: str, folder: Path, queue: RunnerStore
) -> None:
    name = "".join(f"part{n}_" for n in range(25))
    enqueue(queue, due(name))
    narrow = on_a_terminal(command(dsn), folder, columns=80)
    assert name not in narrow
    cut = re.search(r"(part\w+)…", narrow)
    assert cut is not None
    assert cut[1] in name
    assert name in on_a_terminal(command(dsn), folder, columns=400)


@pytest.mark.parametrize(
    ("routes", "words"),
    [
        (
            '[[routes]]\nhook = "a"\nto = "perl"',
            "route 1: to is python, webhook, php, celery or leave",
        ),
        ('[[routes]]\nto = "php"', "route 1: name a hook, a group, or both"),
        ('[[routes]]\nhook = "a"\nto = "php"\n[[routes]]\nhok = "a"\nto = "php"', "route 2: "),
        ('[routes]\na = "php"', "[[routes]]"),
        ('[[routes]]\nhook = "a\nto = "php"', "is no TOML"),
    ],
)
def test_a_route_that_cannot_be_read_is_one_clear_line(
    folder: Path, routes: str, words: str
) -> None:
    (folder / "wpbridge.toml").write_text(routes, encoding="utf-8")
    done = warm.run(
        command("sqlite:///q.db"),
        cwd=folder,
        env=clean(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (78, "")
    assert words in done.stderr
    assert "wpbridge.toml" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_route_to_what_is_not_there_leaves_it_and_says_so(
    dsn: str, folder: Path, queue: RunnerStore
) -> None:
    routes = [("a", "python"), ("b", "webhook"), ("c", "php"), ("idle", "leave")]
    (folder / "wpbridge.toml").write_text(
        "".join(f'[[routes]]\nhook = "{hook}"\nto = "{to}"\n' for hook, to in routes),
        encoding="utf-8",
    )
    enqueue(queue, due("a"), due("b"), due("c"))
    rows = [row.split("\t") for row in text_of(dsn, folder).splitlines()[1:]]
    assert [(row[0], row[2], row[3], row[7]) for row in rows] == [
        ("a", "leave", "1", "route 1 says python, but there is no handler"),
        ("b", "leave", "1", "route 2 says webhook, but there is no webhook"),
        ("c", "leave", "1", "route 3 says php, but php is off"),
        ("idle", "leave", "0", "route 4"),
        ("send", "python", "0", "handler acts.send"),
    ]


def test_an_empty_queue_shows_the_handlers_that_wait(
    dsn: str, folder: Path, queue: RunnerStore
) -> None:
    lines = lines_of(dsn, folder)
    assert [(one["hook"], one["to"]) for one in lines] == [
        ("idle", "python"),
        ("send", "python"),
        ("posted", "webhook"),
    ]
    assert {(one["pending"], one["due"], one["running"]) for one in lines} == {(0, 0, 0)}
    assert {one["callback"] for one in lines} == {None}


def test_an_empty_queue_without_handlers_is_an_empty_list(
    dsn: str, folder: Path, queue: RunnerStore
) -> None:
    (folder / "wpbridge.toml").write_text("", encoding="utf-8")
    done = warm.run(
        [sys.executable, "-m", "wpbridge", "hooks", "--dsn", dsn, "--format", "json"],
        cwd=folder,
        env=clean(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def on_a_terminal(arguments: Sequence[str], folder: Path, *, columns: int = 300) -> str:
    """What a command prints to a terminal of such a width."""
    ours, its = pty.openpty()
    env = {**clean(), "COLUMNS": str(columns), "TERM": "xterm"}
    with warm.Popen(arguments, cwd=folder, env=env, stdout=its, stderr=its) as process:
        os.close(its)
        parts: list[bytes] = []
        try:
            while part := os.read(ours, 65536):
                parts.append(part)
        except OSError:
            pass  # The other end is closed: Linux says EIO.
        assert process.wait(timeout=300) == 0
    os.close(ours)
    return b"".join(parts).decode()
