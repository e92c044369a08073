"""Whatever the tables hold, no command shows a raw control character on a terminal.

Newlines, and tabs between cells, are the layout's: no row makes a line of its own with them.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from cli_helpers import Done, Site, sqlite_site
from factories import insert, make_new
from legacy_store import LegacyStore
from wpbridge.cli import terminal
from wpbridge.cli.exit_codes import Exit
from wpbridge.cli.main import cli
from wpbridge.clock import SystemClock
from wpbridge.store.database.connection import text

EVIL = (
    "\x1b]0;owned\x07\x1b[2J\x9b31m\x7f\x85\u202e\u2066\u200e\u061c\u2028\ufeff\r\n\tforged [red]"
)
"""Every kind of harm at once: what a row may hold in a column of text."""
RAW = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
SHAPES = ("table", "json", "jsonl", "csv", "yaml", "ids")
LISTS = (
    "list --limit 0",
    "list --status failed",
    "get 1",
    "get 3",
    "logs 1",
    "stats --by hook",
    "stats --by group",
    "stats --by status",
    "failures",
    "claims --all",
    "workers list",
    "hooks",
    "pause",
)
OTHERS = (
    "status",
    "status --format json",
    "keys add shop --allow enqueue --hooks x --dry-run",
    "keys add shop --allow enqueue --hooks x",
    "keys rotate shop",
    "keys list",
    "keys callback-secret shop",
    "serve --dry-run",
    "relay --dry-run",
    "keys token --hook x",
    "keys revoke shop --yes",
    "keys rotate-signing",
    "top",
    "top --once --tz site",
    "priority 1 2 --to 3 --dry-run",
    "users list",
    "users sessions",
    "workers quiet --all",
    "workers wake --all",
    "workers stop --all",
    "check",
    "check --format json",
    "check --nagios",
    "watch --once",
    "watch --dry-run",
    "advise",
    "advise --format json",
    "exporter --dry-run",
    "check --handlers acts",
    "doctor -v",
    "doctor --format json",
    "doctor --fix --dry-run",
    "doctor --fix",
    "config show",
    "config show --format json",
    *(f"explain {n}{style}" for n in range(1, 8) for style in ("", " --format json")),
    "claim-and-run --handlers acts --dry-run",
    "claim-and-run --handlers acts --dry-run --format json",
    "work --handlers acts --dry-run",
    "work --handlers acts --dry-run --format json",
    "list --field hook",
    "list --field args",
    "list --field group",
    "logs 1 --field message",
    "cancel --status pending --dry-run",
    "delete --status failed --dry-run",
    "requeue --status failed --dry-run",
    "requeue --status failed --dry-run --format json",
    "reschedule --status pending --in 1h --dry-run",
    "clean --older-than 1s --dry-run",
    "clean --older-than 1s --dry-run --format json",
    "dedupe --dry-run",
    "dedupe --dry-run --format json",
    "release-claims --stale --dry-run",
    "uninstall --dry-run",
    "grants",
    "sites list --sites sites.toml",
    "sites list --sites sites.toml --format json",
    "sites status --sites sites.toml",
    "sites status --sites sites.toml --format json",
    "install cron",
    "install systemd --into .",
    "migrate export --output -",
    "migrate export --output out.jsonl",
    "migrate export --output - --dry-run",
    "migrate archive --output . --older-than 1s --dry-run",
    "migrate archive --output . --older-than 1s --dry-run --format json",
    "migrate wp-cron --dry-run",
    "migrate wp-cron --dry-run --format json",
    "migrate post-store --dry-run",
    "migrate post-store --dry-run --format json",
    "migrate schema verify",
    "resume --all --dry-run",
    "pause --hook x --reason x",
    "next x",
    "generate x now --count 2 --dry-run",
    "init --dry-run",
    "decode @evil.php",
    "probe live --heartbeat-file beat",
    "enqueue --jsonl in.jsonl --dry-run",
    "enqueue --jsonl in.jsonl",
    "migrate import --input in.jsonl --dry-run",
    "migrate import --input out.jsonl --into-itself --dry-run",
    "init --dsn sqlite:///other.db",
    "migrate copy --to-dsn sqlite:///other.db --dry-run",
    "migrate index --dry-run",
    "migrate schema fix --dry-run",
    "migrate schema fix --sql",
    "run 1 2 3 --handlers acts -v",
    "claim-and-run --handlers acts -vv",
    "enqueue --jsonl good.jsonl",
    "claim-and-run --handlers acts -vv --log-format json",
)
"""The last ones run what is there."""
ELSEWHERE = {
    "completion",
    # It answers a program, as JSON: tests/integration/test_mcp.py.
    "mcp",
    "wp install-plugin",
    "deploy list",
    "deploy show",
    "deploy write",
    # No name of a user has a control character: tests/integration/test_cli_users.py.
    "users add",
    "users password",
    "users remove",
    "users role",
}
"""Commands that show nothing of the tables, or that other tests call."""
ACTS = """
import logging, sys
from wpbridge import hook, on
from wpbridge.events import Event
EVIL = {evil!r}
@hook(EVIL)
def fails(context, *args, **more):
    context.logger.warning("%s", EVIL, extra={{"x" + EVIL: EVIL}})
    context.log(EVIL)
    print(EVIL)
    logging.getLogger(EVIL).error(EVIL)
    raise type("E" + EVIL, (ValueError,), {{}})(EVIL)
@hook("isolated", isolate=True)
def isolated(context, *args):
    print(EVIL, file=sys.stderr)
    fails(context)
@on(Event)
def falls(event):
    raise ValueError(EVIL)
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "acts.py").write_text(ACTS.format(evil=EVIL), encoding="utf-8")
    (tmp_path / "evil.php").write_text(f's:{len(EVIL.encode())}:"{EVIL}";', encoding="utf-8")
    (tmp_path / "beat").write_text(json.dumps({"pid": EVIL, "workers": [EVIL]}), encoding="utf-8")
    good = [{"hook": hook, "args": [EVIL], "group": EVIL} for hook in (EVIL, "isolated")]
    (tmp_path / "good.jsonl").write_text("\n".join(map(json.dumps, good)), encoding="utf-8")
    lines = [json.dumps({"hook": EVIL, "args": [EVIL]}), json.dumps({EVIL: EVIL}), EVIL]
    (tmp_path / "in.jsonl").write_text("\n".join(lines), encoding="utf-8")
    entries = [("good", "lite.db"), (EVIL, "other.db"), ("bad", f"{EVIL}.db")]
    (tmp_path / "sites.toml").write_text(
        "".join(
            f"[[sites]]\nname = {json.dumps(name)}\ndsn = {json.dumps(f'sqlite:///{file}')}\n"
            for name, file in entries
        ),
        encoding="utf-8",
    )
    with sqlite_site(tmp_path) as it:
        now = SystemClock().now()
        insert(
            it.store,
            *(make_new(EVIL, args=(EVIL, n), group=EVIL, now=now, due_in=-60.0) for n in range(3)),
            *(
                make_new(EVIL, args=({EVIL: [EVIL]},), interval=60, now=now, due_in=-60.0)
                for _ in range(4)
            ),
            now=now,
        )
        posts = LegacyStore(it.store)
        posts.post(EVIL, args=json.dumps([EVIL], ensure_ascii=False), group=EVIL, logs=(EVIL,))
        posts.post(EVIL, args=EVIL, blob=EVIL.encode(), group=EVIL, status=EVIL)
        it.store.session.run(_fill)
        yield it


def _fill(connection: object) -> None:
    """Every column of text that the commands read."""
    for statement in (
        (
            "UPDATE wp_actionscheduler_actions SET status = 'failed', attempts = 3,"
            " last_attempt_gmt = '2026-01-01 00:00:00' WHERE action_id = 3"
        ),
        "UPDATE wp_actionscheduler_actions SET status = :evil WHERE action_id = 4",
        "UPDATE wp_actionscheduler_actions SET schedule = :foreign WHERE action_id = 5",
        "UPDATE wp_actionscheduler_actions SET schedule = :evil, args = :evil WHERE action_id = 6",
        "UPDATE wp_actionscheduler_actions SET claim_id = 9 WHERE action_id = 7",
        (
            "INSERT INTO wp_actionscheduler_logs (action_id, message, log_date_gmt, log_date_local)"
            " SELECT action_id, :evil, '2026-01-01 00:00:00', '2026-01-01 00:00:00'"
            " FROM wp_actionscheduler_actions"
        ),
        (
            "INSERT INTO wp_wpbridge_runners (host, boot, pid, pid_started, version, started_gmt,"
            " beat_gmt, claims, once) VALUES (:evil, :evil, 7, :evil, :evil, '2026-01-01 00:00:00',"
            " '2026-01-01 00:00:00', '9', '')"
        ),
        (
            "INSERT INTO wp_wpbridge_pauses VALUES ('group', :evil || 'x', NULL, :evil,"
            " '2026-01-01 00:00:00')"
        ),
        (
            "INSERT INTO wp_wpbridge_pauses VALUES ('hook', :evil || 'x', '2036-01-01 00:00:00', :evil,"
            " '2026-01-01 00:00:00')"
        ),
        "INSERT INTO wp_wpbridge_zones VALUES (2, :evil, :evil, 1, :evil, :evil)",
        "INSERT INTO wp_wpbridge_waits VALUES (2, 1, :evil)",
        "INSERT INTO wp_wpbridge_duties VALUES (:evil, :evil, '2026-01-01 00:00:00', :evil)",
        "INSERT INTO wp_options (option_name, option_value) VALUES ('timezone_string', :evil)",
        "INSERT INTO wp_options (option_name, option_value) VALUES ('cron', :cron)",
    ):
        connection.execute(text(statement), _values(statement))  # type: ignore[attr-defined]


def _values(statement: str) -> dict[str, str]:
    size = len(EVIL.encode())
    name = f's:{size}:"{EVIL}"'
    event = f'a:1:{{s:32:"{"0" * 32}";a:2:{{s:8:"schedule";b:0;s:4:"args";a:1:{{i:0;{name};}}}}}}'
    values = {
        "evil": EVIL,
        "foreign": f'O:{size}:"{EVIL}":1:{{{name};{name};}}',
        "cron": f'a:2:{{i:1700000000;a:1:{{{name};{event}}}s:7:"version";i:2;}}',
    }
    return {name: value for name, value in values.items() if f":{name}" in statement}


def assert_harmless(done: Done, arguments: object) -> None:
    said = done.out + done.err
    assert said, arguments
    found = RAW.search(said)
    assert not found, (arguments, said[max(0, found.start() - 80) : found.end() + 20])
    assert not re.search(r"^forged", said, re.MULTILINE), (arguments, said)


def test_no_command_shows_a_raw_control_character_on_a_terminal(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "is_terminal", lambda _stream: True)
    shows = ran = 0
    for told in (*(f"{one} --format {shape}" for one in LISTS for shape in SHAPES), *OTHERS):
        done = site(*told.split(), env={"NO_COLOR": "1", "COLUMNS": "60"})
        # A monitoring plugin has the codes of its own kind.
        assert done.code != Exit.USAGE or "in.jsonl" in told or "--nagios" in told, done
        assert_harmless(done, told)
        shows += "\\x1b]0;owned" in done.out + done.err or "u001b]0;owned" in done.out + done.err
        ran += done.err.count("action.failed")
    assert ran >= 4, "what handlers raise is in the log"
    assert shows > len(LISTS) * 3, "most of them have something hostile to show"


def test_every_command_is_among_them() -> None:
    told = {one.split(" -")[0] for one in (*LISTS, *OTHERS)}

    def leaves(command: click.Command, path: str) -> Iterator[str]:
        if not isinstance(command, click.Group):
            yield path.strip()
            return
        for name in command.list_commands(context):
            one = command.get_command(context, name)
            assert one is not None
            yield from leaves(one, f"{path} {name}")

    context = click.Context(cli)
    missing = [
        name
        for name in leaves(cli, "")
        if name not in ELSEWHERE and not any(f"{one} ".startswith(f"{name} ") for one in told)
    ]
    assert not missing, "add a call of it, or say why not"
