"""Everything the docs tell to type is typed here: each command and each Python block is run.

A command is run on an SQLite file, and in a WordPress folder over MariaDB, as far as its options
allow; one that needs PHP in a WordPress with the tests' callbacks. Each block begins with the same
queue, in which the ids that the docs use are there.
"""

import functools
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pymysql
import pytest
from click.testing import CliRunner
from sqlalchemy import Engine

import docs
from cli_helpers import state_of
from conftest import ROOT, execute
from fences import Fence, fences
from legacy_store import make_tables
from php_site import PhpSite
from rows import change
from servers import MariaDB
from stores import make_store, open_store, way_of
from wpbridge.access.keys import Allowed
from wpbridge.cli.main import cli
from wpbridge.clock import SystemClock, to_text
from wpbridge.migrate.journal import Journal
from wpbridge.plugin.companion import FILE_NAME
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import Queue
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.store.structure.creation import create_tables

TUTORIAL: Final = ROOT / "docs" / "learn" / "tutorial"
"""Its pages stand on each other: tests/integration/test_tutorial.py follows them."""
PAGES: Final = sorted(page for page in ROOT.glob("docs/**/*.md") if page.parent != TUTORIAL)
NOT_RUN: Final = {
    "users add anna --role operator": "it asks for a password on a terminal",
    "docker exec": "there is no container here",
    "wpbridge work": "it runs until it is stopped",
    "wpbridge relay": "it needs a broker; tests/integration/test_celery_page.py runs it",
    "wpbridge serve": "it runs until it is stopped",
    "wpbridge exporter": "it runs until it is stopped",
    "wpbridge mcp": "it runs until an assistant closes it; tests/integration/test_mcp.py asks it",
    "wpbridge probe": "it needs a daemon",
    "wpbridge install systemd": "it needs a site of another user; test_cli_install.py runs it",
    "wpbridge install cron": "it needs a site of another user; test_cli_install.py runs it",
    "wpbridge watch": "it runs until it is stopped, or its exit code says what fires",
    "--nagios": "its exit code says what fires",
    "opcache.file_cache=": "it needs a folder of the system",
    "--metrics-textfile /": "it needs a folder of the system",
}
"""Commands that are not run, by a part of them, and why."""
NEEDS_BROKER: Final = 'through="celery"'
"""Python that is not run here, either: tests/integration/test_celery_page.py does."""
NEEDS_PHP: Final = ("--php", "--ask-wordpress", "--ask-php")


# What the docs tell to type


@dataclass(frozen=True)
class Block:
    """Lines of one block, which belong together."""

    where: str
    lines: tuple[str, ...]

    @property
    def is_php(self) -> bool:
        return any(word in NEEDS_PHP for line in self.lines for word in line.split())

    @property
    def names_sqlite(self) -> bool:
        return any("sqlite:" in line for line in self.lines)

    @property
    def names_wordpress(self) -> bool:
        return any("--path" in line for line in self.lines)


def commands_of(fence: Fence) -> list[str]:
    """The shell lines in it that start wpbridge; without the prompt, or the times of a crontab."""
    if fence.language in {"python", "toml"}:
        return []
    found = []
    for line in fence.text.replace("\\\n", " ").splitlines():
        if fence.language == "console" or line.startswith("$ "):
            command = line.removeprefix("$ ") if line.startswith("$ ") else ""
        else:
            command = re.sub(r"^(?:[\d*/,-]+ ){5}", "", line)
        if is_command(command):
            found.append(command)
    return found


def is_command(line: str) -> bool:
    return any(words[:1] == ["wpbridge"] and words[1:] for words in simple_commands(line))


def simple_commands(line: str) -> list[list[str]]:
    """A shell line's commands; those beside `&&`, pipes and the like."""
    try:
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words = list(lexer)
    except ValueError:
        return []
    found: list[list[str]] = [[]]
    for word in words:
        if set(word) <= set("();<>|&"):
            found.append([])
        else:
            found[-1].append(word)
    return found


def inline(page: Path) -> Iterator[str]:
    """Commands in the middle of a sentence."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for told in re.findall(r"`(wpbridge [^`]+)`", text):
        yield told.replace(r"\|", "|")


def is_form(line: str) -> bool:
    """Whether it is the name of commands, or has placeholders: nothing to be typed as it is."""
    words = shlex.split(line)
    names = {path[:length] for path, _ in docs.commands() for length in range(1, len(path) + 1)}
    return tuple(words[1:]) in names or any(re.search(r"…|^\W*[A-Z]{2,}\W*$", w) for w in words)


def blocks() -> list[Block]:
    found = [
        Block(" ".join(["--help of", *path]), (line,))
        for path, command in docs.commands()
        for line in docs.examples(command)
    ]
    for page in PAGES:
        name = str(page.relative_to(ROOT))
        # Those of the reference are the examples of the help.
        if page != docs.FILE:
            found += [
                Block(f"{name}:{fence.at}", tuple(lines))
                for fence in fences(page)
                if (lines := commands_of(fence))
            ]
        found += [Block(name, (line,)) for line in inline(page) if not is_form(line)]
    by_lines = {block.lines: block for block in reversed(found)}
    return [by_lines[lines] for lines in dict.fromkeys(block.lines for block in found)]


BLOCKS: Final = blocks()
RUN: Final = [b for b in BLOCKS if not any(part in line for part in NOT_RUN for line in b.lines)]
FORMS: Final = sorted({line for page in PAGES for line in inline(page) if is_form(line)})


def titled(block: Block) -> str:
    return f"{block.where}: {block.lines[0]}"


# A queue in which the ids of the docs are there

HANDLERS: Final = """from wpbridge import hook


def work(*values):
    pass


for name in ("send_mail", "ship_order", "nightly_report"):
    work = hook(name)(work)
"""
FILES: Final = {
    "shop_hooks.py": HANDLERS,
    "hooks.py": HANDLERS,
    "shop/__init__.py": "",
    "shop/hooks.py": HANDLERS,
    "order.json": '{"order": 17}',
    "orders.jsonl": '{"hook": "send_mail", "args": [1]}\n{"hook": "send_mail", "args": [2]}\n',
    "moved.jsonl": (
        '{"wpbridge":"actions","version":1,"origin":"elsewhere","zone":"UTC"}\n'
        '{"id":1,"hook":"send_mail","status":"pending","args":[1],"schedule":{"kind":"async"}}\n'
        '{"wpbridge":"end","actions":1,"statuses":{"pending":1}}\n'
    ),
    "password.txt": "correct horse battery\n",
    "schedule.bin": 'O:28:"ActionScheduler_NullSchedule":0:{}\n',
    "etc/bash_completion.d/old": "",
    ".zfunc/old": "",
    ".config/fish/completions/old": "",
    "etc/wpbridge/sites.toml": '[[sites]]\nname = "other"\ndsn = "sqlite:///../../other.db"\n',
}
FAILED: Final = "action failed via wpbridge: the server timed out after 30 s"
ACTIONS: Final = "wp_actionscheduler_actions"
JOB: Final = "01935c2e-7b1a-7c3e-8f00-1234567890ab"
TABLES: Final = (
    *(f"wp_actionscheduler_{name}" for name in ("actions", "claims", "groups", "logs")),
    *(f"wp_wpbridge_{name}" for name in ("runners", "pauses", "zones", "waits", "keys")),
    "orders",
)
CALLERS: Final = ("wp_wpbridge_api_keys", "wp_wpbridge_users")


def write_files(folder: Path) -> None:
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    (folder / "other.db").touch()
    make_store(DatabaseAddress.from_dsn(f"sqlite:///{folder / 'other.db'}"), "wp_").close()


def fill(store: RunnerStore, hook: str = "send_mail") -> None:
    """Some of everything."""
    now = SystemClock().now()
    change(store, "CREATE TABLE IF NOT EXISTS orders (id bigint PRIMARY KEY)")
    make_tables(store, ("posts", "postmeta"))
    queue = Queue(store.parts, close_store=False)

    def add(new_id: int, **more: Any) -> int:
        made = queue.enqueue(Enqueue(**{"hook": hook, "args": [17], "at": "-1m", **more}))
        for table, column in ((ACTIONS, "action_id"), ("wp_actionscheduler_logs", "action_id")):
            change(store, f"UPDATE {table} SET {column} = {new_id} WHERE {column} = {made}")
        return new_id

    def turn(action_id: int, status: str, age: timedelta, message: str) -> None:
        at = to_text(now - age)
        change(
            store,
            f"UPDATE {ACTIONS} SET status = :status, last_attempt_gmt = :at, attempts = 1"
            " WHERE action_id = :i",
            status=status,
            at=at,
            i=action_id,
        )
        change(
            store,
            "INSERT INTO wp_actionscheduler_logs (action_id, message, log_date_gmt, log_date_local)"
            " VALUES (:i, :message, :at, :at)",
            i=action_id,
            message=message,
            at=at,
        )

    for action_id in (4711, 4712):
        add(action_id, group="mail")
    turn(add(4721, group="mail"), "failed", timedelta(hours=2), FAILED)
    turn(add(4722, group="mail"), "failed", timedelta(hours=3), FAILED)
    turn(add(4723), "failed", timedelta(days=100), FAILED)
    turn(add(4724), "complete", timedelta(days=40), "action complete via wpbridge")
    turn(add(4725), "canceled", timedelta(days=40), "action canceled")
    add(4731, hook="nightly_report", args=[], at=None, cron="0 3 * * *")
    add(4732, hook="nightly_report", args=[], at=None, cron="0 3 * * *")
    add(4733, args=[], at="+1h")
    add(4734, args={"order": 17}, at="+1h")
    held = add(4741, args=[18])
    long_ago = to_text(now - timedelta(minutes=10))
    change(store, "DELETE FROM wp_actionscheduler_claims")
    for claim in (811, 812):
        change(
            store,
            "INSERT INTO wp_actionscheduler_claims (claim_id, date_created_gmt)"
            f" VALUES ({claim}, '2026-01-01 00:00:00')",
        )
    change(
        store,
        f"UPDATE {ACTIONS} SET claim_id = 812, last_attempt_gmt = :at WHERE action_id = :i",
        at=long_ago,
        i=held,
    )
    change(store, "DELETE FROM wp_actionscheduler_logs WHERE action_id = 4725")


@dataclass(kw_only=True)
class World:
    """Where a block is run: a folder, which is also the WordPress's and the shop's, and a queue."""

    folder: Path
    dsn: str
    env: Mapping[str, str]
    reset: Callable[[], object]
    """The queue as it was filled."""
    only_failed: Callable[[int], None]
    """Let an action be a failed one."""
    database: dict[str, Any] = field(default_factory=dict)
    """What a driver's connect() takes."""

    def in_place(self, line: str) -> str:
        """With this folder for those of the docs."""
        line = line.replace("/srv/www ", f"{self.folder}/www ")
        for told in ("/var/www/html", "/srv/shop"):
            line = line.replace(told, str(self.folder))
        for told in ("/srv/www", "--sites LIST"):
            sites = f"{self.folder}/etc/wpbridge/sites.toml"
            line = line.replace(told, f"--sites {sites}" if told.startswith("--") else sites)
        line = line.replace("/var/backups", str(state(self.folder)))
        return re.sub(r"(?<![\w.])/etc/", f"{self.folder}/etc/", line)


def keep_young(store: RunnerStore) -> None:
    """What is due is due since a minute, however long ago the queue was filled."""
    now = SystemClock().now()
    change(
        store,
        f"UPDATE {ACTIONS} SET scheduled_date_gmt = :at, scheduled_date_local = :at WHERE"
        " status = 'pending' AND scheduled_date_gmt > '1970-01-01' AND scheduled_date_gmt < :now",
        at=to_text(now - timedelta(minutes=1)),
        now=to_text(now),
    )


def fail(store: RunnerStore, action_id: int) -> None:
    change(
        store,
        f"UPDATE {ACTIONS} SET status = 'failed', attempts = 1, last_attempt_gmt = :at"
        f" WHERE action_id = {action_id}",
        at=to_text(SystemClock().now()),
    )
    change(
        store,
        "INSERT INTO wp_actionscheduler_logs (action_id, message, log_date_gmt, log_date_local)"
        f" SELECT {action_id}, message, log_date_gmt, log_date_local FROM wp_actionscheduler_logs"
        " WHERE action_id = 4721 ORDER BY log_id DESC LIMIT 1",
    )


@contextmanager
def opened(dsn: str) -> Iterator[RunnerStore]:
    store = open_store(DatabaseAddress.from_dsn(dsn), "wp_")
    try:
        yield store
    finally:
        store.close()


def prepare(dsn: str) -> None:
    store = make_store(DatabaseAddress.from_dsn(dsn), "wp_")
    try:
        fill(store)
    finally:
        store.close()


def state(folder: Path) -> Path:
    """Where a world's journals lie: beside its folder, which may be a web site's."""
    place = state_of(folder)
    place.mkdir(mode=0o700, exist_ok=True)
    return place


def _listed(folder: Path, dsn: str) -> None:
    """A list with this queue, by each name that the docs use."""
    for name in ("LIST", "www/sites.toml", "etc/wpbridge/sites.toml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f'[[sites]]\nname = "shop"\ndsn = "{dsn}"\n', "utf-8")


def _mended(folder: Path, site: str) -> None:
    """The journal of an earlier fix."""
    Journal(state(folder) / "wpbridge-schema-shop-wp.journal", kind="schema", site=site).close()


def with_store(dsn: str, deed: Callable[..., None]) -> Callable[..., None]:
    def done(*given: Any) -> None:
        with opened(dsn) as store:
            deed(store, *given)

    return done


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("shop")
    write_files(folder)
    dsn = f"sqlite:///{folder / 'queue.db'}"
    prepare(dsn)
    _listed(folder, dsn)
    _imported(folder, f"{folder / 'queue.db'} wp_")
    kept = folder / "kept.db"
    shutil.copy(folder / "queue.db", kept)
    _mended(folder, f"{folder / 'queue.db'} wp_")
    return World(
        folder=folder,
        dsn=dsn,
        env={"WPBRIDGE_DSN": dsn, "DATABASE_URL": dsn},
        reset=lambda: shutil.copy(kept, folder / "queue.db"),
        only_failed=with_store(dsn, fail),
    )


def _imported(folder: Path, site: str) -> None:
    """The journals of earlier imports, here and into the other queue."""
    for name, whose in (("shop", site), ("other", f"{folder / 'other.db'} wp_")):
        file = state(folder) / f"wpbridge-import-{name}-wp.journal"
        Journal(file, kind="import", site=whose).close()


@pytest.fixture(scope="module")
def on_mariadb(mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A folder that has all of WordPress that wpbridge looks at."""
    folder = tmp_path_factory.mktemp("html")
    write_files(folder)
    name = "docs_commands"
    (folder / "wp-content").mkdir()
    (folder / "wp-config.php").write_text(
        f"<?php define('DB_NAME', '{name}'); define('DB_USER', 'root'); define('DB_PASSWORD', '');"
        f" define('DB_HOST', 'localhost:{mariadb.socket}'); define('DB_CHARSET', 'utf8mb4');"
        " $table_prefix = 'wp_';\n",
        "utf-8",
    )
    (folder / ".my.cnf").write_text(
        f"[client]\nuser = root\nsocket = {mariadb.socket}\ndatabase = {name}\n", "utf-8"
    )
    execute(mariadb, f"CREATE DATABASE {name} COLLATE utf8mb4_unicode_520_ci")
    _mended(folder, f"{name} wp_")
    prepare(mariadb.url(name))
    _listed(folder, mariadb.url(name))
    # WP-Cron without events, and the journals of earlier moves.
    execute(
        mariadb,
        f"CREATE TABLE {name}.wp_options (option_id bigint AUTO_INCREMENT PRIMARY KEY, option_name"
        " varchar(191) UNIQUE, option_value longtext NOT NULL, autoload varchar(20))"
        """ SELECT 'cron' AS option_name, 'a:1:{s:7:"version";i:2;}' AS option_value""",
    )
    for kind in ("wp-cron", "post-store"):
        file = state(folder) / f"wpbridge-{kind}-shop-wp.journal"
        Journal(file, kind=kind, site=f"{name} wp_").close()
    _imported(folder, f"{name} wp_")
    yield _over_mysql(mariadb, name, folder, {})
    execute(mariadb, f"DROP DATABASE {name}")


@pytest.fixture
def on_php(wordpress: PhpSite, mariadb: MariaDB) -> Iterator[World]:
    """A real WordPress, in which the actions' hook has a callback."""
    write_files(wordpress.folder)
    store = wordpress.open()
    create_tables(way_of(store), everything=False)
    fill(store, "t_noop")
    name = str(DatabaseAddress.from_dsn(wordpress.dsn).name)
    store.close()
    env = {"WPBRIDGE_WP": shlex.join(wordpress.wp), "WPBRIDGE_PHP_WORKERS": "1"}
    world = _over_mysql(mariadb, name, wordpress.folder, env)
    yield world
    (wordpress.folder / "wp-content" / "mu-plugins" / FILE_NAME).unlink(missing_ok=True)
    for table in (*(f"kept_{table}" for table in TABLES), *TABLES[4:]):
        execute(mariadb, f"DROP TABLE IF EXISTS {name}.{table}")


def _over_mysql(server: MariaDB, name: str, folder: Path, env: Mapping[str, str]) -> World:
    connection = functools.partial(
        pymysql.connect, unix_socket=str(server.socket), user="root", database=name
    )
    _each(connection, "DROP TABLE IF EXISTS kept_{0}")
    _each(connection, "CREATE TABLE kept_{0} AS SELECT * FROM {0}")

    def reset() -> None:
        # What an earlier block has added: `uninstall` asks before it loses them.
        for table in CALLERS:
            with suppress(pymysql.ProgrammingError):  # there is no such table
                _each(connection, "DELETE FROM {0}", tables=(table,))
        restore = "DELETE FROM {0}", "INSERT INTO {0} SELECT * FROM kept_{0}"
        try:
            _each(connection, *restore)
        except pymysql.ProgrammingError:
            # Some of ours were removed.
            with opened(server.url(name)) as store:
                create_tables(way_of(store), everything=False)
            _each(connection, *restore)

    url = f"mysql+pymysql://root@localhost/{name}?unix_socket={server.socket}"
    return World(
        folder=folder,
        dsn=server.url(name),
        env={"DATABASE_URL": url, **env},
        reset=reset,
        only_failed=with_store(server.url(name), fail),
        database={"unix_socket": str(server.socket), "user": "root", "database": name},
    )


def _each(connect: Callable[[], Any], *statements: str, tables: Sequence[str] = TABLES) -> None:
    """Statements for every table, as sessions of WordPress run them."""
    with closing(connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = ''")
        for table in tables:
            for statement in statements:
                cursor.execute(statement.format(table))
        connection.commit()


# Typing it


@pytest.fixture
def typist(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[[World, str], None]]:
    """Types a line in a world; it must end with 0."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    shim = tmp_path / "bin" / "wpbridge"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m wpbridge "$@"\n')
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shim.parent}:{os.environ['PATH']}")

    def run(world: World, line: str) -> None:
        told = world.in_place(line)
        if len(simple_commands(told)) == 1:
            done = CliRunner().invoke(cli, shlex.split(told)[1:])
            code, output = done.exit_code, done.output
        else:
            process = subprocess.run(
                ["bash", "-o", "pipefail", "-c", told],
                capture_output=True,
                text=True,
                check=False,
                timeout=300,
            )
            code, output = process.returncode, process.stdout + process.stderr
        assert code == 0, f"{line}\nexit {code}\n{output}"
        assert output.strip() or "--quiet" in line or ">" in line, f"{line}\nprints nothing"

    yield run
    for name in ("shop", "shop.hooks", "shop_hooks", "hooks"):
        sys.modules.pop(name, None)


def enter(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go to its folder, with its variables and no others of ours."""
    for name in os.environ:
        if name.startswith("WPBRIDGE_"):
            monkeypatch.delenv(name)
    ours = {"HOME": str(world.folder), "WPBRIDGE_STATE_DIR": str(state_of(world.folder))}
    for name, value in {**world.env, **ours}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.chdir(world.folder)
    # Else a block that installs the companion plugin would be refused what another one gave it.
    (world.folder / "wp-content" / "mu-plugins" / FILE_NAME).unlink(missing_ok=True)
    world.reset()
    with opened(world.dsn) as store:
        keep_young(store)


def only_key(store: RunnerStore, name: str) -> None:
    """Let there be one API key, or none."""
    parts = store.parts
    parts.own.ensure(parts.names.api_keys)
    change(store, "DELETE FROM wp_wpbridge_api_keys")
    if name:
        rights = Allowed(rights=("read",)).as_json()
        parts.api_keys.add(name, "0" * 64, rights=rights, expires_seconds=None, who="a test")


def only_user(store: RunnerStore, name: str) -> None:
    """Let there be one user of the dashboard, or none."""
    parts = store.parts
    parts.own.ensure(parts.names.own_users)
    change(store, "DELETE FROM wp_wpbridge_users")
    if name:
        parts.users.add(name, "no hash", role="viewer", who="a test")


def only_job(store: RunnerStore, uuid: str) -> None:
    """Let there be one job."""
    store.parts.own.ensure(store.parts.names.jobs)
    change(store, "DELETE FROM wp_wpbridge_jobs")
    change(
        store,
        "INSERT INTO wp_wpbridge_jobs (uuid, action_id, key_name, key_hash, fingerprint,"
        " traceparent, created_gmt) VALUES (:uuid, 4711, 'shop', '', '', '', '2026-01-01 00:00:00')",
        uuid=uuid,
    )


Typist = Callable[[World, str], None]


def type_block(world: World, block: Block, typist: Typist, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(world, monkeypatch)
    for action_id in re.findall(r"\brequeue\b.* (47\d\d)", " ".join(block.lines)):
        world.only_failed(int(action_id))
    if "wpbridge keys " in " ".join(block.lines):
        has_key = re.search(r"\bkeys (?:rotate|revoke|callback-secret) shop\b", str(block.lines))
        with opened(world.dsn) as store:
            only_key(store, "shop" if has_key else "")
            only_job(store, JOB)
    if "wpbridge users " in " ".join(block.lines):
        is_new = any("users add" in line for line in block.lines)
        with opened(world.dsn) as store:
            only_user(store, "" if is_new else "anna")
    for line in block.lines:
        typist(world, line)


@pytest.mark.parametrize(
    "block", [b for b in RUN if not (b.is_php or b.names_wordpress)], ids=titled
)
def test_it_runs_on_sqlite(
    block: Block, on_sqlite: World, typist: Typist, monkeypatch: pytest.MonkeyPatch
) -> None:
    type_block(on_sqlite, block, typist, monkeypatch)


@pytest.mark.parametrize("block", [b for b in RUN if not (b.is_php or b.names_sqlite)], ids=titled)
def test_it_runs_in_a_wordpress_folder(
    block: Block, on_mariadb: World, typist: Typist, monkeypatch: pytest.MonkeyPatch
) -> None:
    type_block(on_mariadb, block, typist, monkeypatch)


@pytest.mark.parametrize("block", [b for b in RUN if b.is_php], ids=titled)
def test_it_runs_with_php(
    block: Block, on_php: World, typist: Typist, monkeypatch: pytest.MonkeyPatch
) -> None:
    type_block(on_php, block, typist, monkeypatch)


@pytest.mark.parametrize("line", FORMS)
def test_a_form_names_what_there_is(line: str) -> None:
    assert docs.unknown_words(line) == []


def test_nothing_is_left_out_but_what_is_named_here() -> None:
    """Each command is run in some world, each exception is used, and no line goes by unseen."""
    left = [block for block in BLOCKS if block not in RUN]
    for part in NOT_RUN:
        assert any(part in line for block in left for line in block.lines), f"{part}: not needed"
    assert len(RUN) > 100
    names = "|".join(path[0] for path, _ in docs.commands())
    for page in PAGES:
        for fence in fences(page):
            seen = "\n".join(commands_of(fence))
            for line in fence.text.splitlines():
                told = re.search(rf"\bwpbridge (?:{names})\b.*", line)
                if not told or fence.language in {"python", "toml"}:
                    continue
                if fence.language == "console" and line.startswith("# "):
                    # Root's, for a machine of its own.
                    assert docs.unknown_words(told[0].rstrip("\"'")) == [], line
                else:
                    assert told[0] in seen, f"{page.name}: {line}"


# Python


def python_pages() -> list[Path]:
    return [page for page in PAGES if any(f.language == "python" for f in fences(page))]


def run_python(world: World, page: Path, needs_not: str) -> dict[str, Any]:
    """All blocks of a page, one after the other, as one program."""
    place = '"/var/www/html"'
    real = (
        f'"{world.folder}"' if (world.folder / "wp-config.php").exists() else f'dsn="{world.dsn}"'
    )
    names: dict[str, Any] = {"__name__": "docs"}
    for fence in fences(page):
        is_for_others = f"import {needs_not}" in fence.text or NEEDS_BROKER in fence.text
        if fence.language == "python" and not is_for_others:
            text = "\n" * (fence.at - 1) + fence.text.replace(place, real)
            exec(compile(text, str(page), "exec"), names)  # noqa: S102 - our own docs
    return names


def leave(names: dict[str, Any]) -> None:
    """Close what a page has opened."""
    for value in names.values():
        if isinstance(value, Queue):
            value.close()
        if isinstance(value, Engine):
            value.dispose()


@pytest.mark.parametrize("page", python_pages(), ids=lambda page: page.name)
def test_python_runs_on_sqlite(
    page: Path, on_sqlite: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(on_sqlite, monkeypatch)
    connection = sqlite3.connect(on_sqlite.folder / "queue.db", isolation_level=None)
    play_django(connection, monkeypatch)
    leave(run_python(on_sqlite, page, "pymysql"))
    connection.close()


@pytest.mark.parametrize("page", python_pages(), ids=lambda page: page.name)
def test_python_runs_in_a_wordpress_folder(
    page: Path, on_mariadb: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(on_mariadb, monkeypatch)
    connection = pymysql.connect(**on_mariadb.database, autocommit=True)
    play_django(connection, monkeypatch)
    leave(run_python(on_mariadb, page, "sqlite3"))
    connection.close()


@dataclass
class Order:
    """A model of somebody's."""

    pk: int
    connection: Any

    def save(self) -> None:
        self.connection.cursor().execute(f"INSERT INTO orders (id) VALUES ({self.pk})")


@pytest.mark.parametrize("is_lost", [False, True])
def test_what_is_placed_in_django_is_there_when_its_transaction_is(
    is_lost: bool, on_sqlite: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(on_sqlite, monkeypatch)
    connection = sqlite3.connect(on_sqlite.folder / "queue.db", isolation_level=None)
    play_django(connection, monkeypatch, is_lost=is_lost)
    names = run_python(on_sqlite, docs.FILE.parent / "python-api.md", "pymysql")
    # As they were when the function was written down: later blocks use the names anew.
    names["queue"] = Queue.open(dsn=on_sqlite.dsn)
    names["connection"] = sys.modules["django.db"].connection
    names["place"](Order(pk=24, connection=connection))
    assert names["queue"].has_scheduled("ship_order", [24]) == (not is_lost)
    leave(names)
    connection.close()


def play_django(connection: Any, monkeypatch: pytest.MonkeyPatch, *, is_lost: bool = False) -> None:
    """As much of Django as the example uses, over a connection in autocommit, as its own are."""

    @contextmanager
    def atomic() -> Iterator[None]:
        connection.cursor().execute("BEGIN")
        try:
            yield
        except BaseException:
            connection.rollback()
            raise
        if is_lost:
            connection.rollback()
        else:
            connection.commit()

    module: Any = types.ModuleType("django.db")
    module.connection = types.SimpleNamespace(connection=connection)
    module.transaction = types.SimpleNamespace(atomic=atomic)
    monkeypatch.setitem(sys.modules, "django", types.ModuleType("django"))
    monkeypatch.setitem(sys.modules, "django.db", module)
