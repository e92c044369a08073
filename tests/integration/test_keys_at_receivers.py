"""Keys as receivers see them: webhooks of several sites, handlers, and isolated ones."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli_helpers import call
from conftest import execute
from daemons import until
from factories import insert, make_new
from receiver import Receiver
from servers import MariaDB
from stores import open_store
from tables_of_0_1 import key_of_0_1, lay
from wpbridge.clock import SystemClock
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.running.runner_store import RunnerStore

HANDLERS = """
from wpbridge import Context, Retry, hook

def write(context):
    with open("keys", "a") as file:
        file.write(f"{context.id} {context.attempt} {context.idempotency_key}\\n")

@hook("plain")
def plain(*values, context: Context):
    write(context)

@hook("isolated", isolate=True)
def isolated(*values, context: Context):
    write(context)

@hook("twice")
def twice(*values, context: Context):
    write(context)
    if context.attempt == 1:
        raise Retry(0)
"""
SITE_TABLES = (
    "CREATE TABLE wp_blogs (blog_id INT, domain VARCHAR(200), path VARCHAR(100), archived INT,"
    " spam INT, deleted INT)"
)


@pytest.fixture
def folder(tmp_path: Path, receiver: Receiver) -> Path:
    """Where commands run: handlers, a webhook, and a place for a WordPress."""
    (tmp_path / "own_hooks.py").write_text(HANDLERS)
    (tmp_path / "wpbridge.toml").write_text(
        f'[run]\nhandlers = ["own_hooks"]\n[webhooks]\ncharge = "http://127.0.0.1:{receiver.server_port}/"\n'
    )
    (tmp_path / "html").mkdir()
    return tmp_path


def configure(folder: Path, dsn: str, *, more: str = "") -> None:
    """A WordPress at the one path, whose configuration means this database."""
    address = DatabaseAddress.from_dsn(dsn)
    (folder / "html" / "wp-config.php").write_text(
        f"<?php define('DB_NAME', '{address.name}'); define('DB_USER', '{address.user}');\n"
        f"define('DB_PASSWORD', ''); define('DB_HOST', 'localhost:{address.socket}');\n"
        f"$table_prefix = 'wp_'; {more}\nrequire_once ABSPATH . 'wp-settings.php';\n"
    )


def ok(folder: Path, *words: str) -> str:
    done = call(*words, cwd=folder)
    assert done.code == 0, done.err
    return done.out


def sent(receiver: Receiver) -> list[tuple[str, object]]:
    """The key and the args of each post; the headers and the body tell the same."""
    found = []
    for headers, body in receiver.posts:
        assert headers["webhook-id"] == headers["idempotency-key"]
        found.append((headers["webhook-id"], json.loads(body)["args"]))
    return found


@pytest.fixture
def two_databases(mysql_dsn: str, mariadb: MariaDB) -> Iterator[tuple[str, str]]:
    other = f"{DatabaseAddress.from_dsn(mysql_dsn).name}_b"
    execute(mariadb, f"CREATE DATABASE {other} COLLATE utf8mb4_unicode_520_ci")
    yield mysql_dsn, mariadb.url(other)
    execute(mariadb, f"DROP DATABASE {other}")


def test_two_sites_at_one_path_share_no_key(
    folder: Path, receiver: Receiver, two_databases: tuple[str, str]
) -> None:
    for dsn in two_databases:
        configure(folder, dsn)
        ok(folder, "init", "--with-tables", "--path", "html")
        ok(folder, "enqueue", "charge", "--args", '["a"]', "--path", "html")
        ok(folder, "claim-and-run", "--path", "html")
    [(one, args), (other, same)] = sent(receiver)
    assert args == same == ["a"]
    assert one != other


def test_the_blogs_of_a_network_share_no_key(
    folder: Path, receiver: Receiver, mysql_dsn: str
) -> None:
    configure(folder, mysql_dsn, more="define('MULTISITE', true);")
    for blog in ("1", "2"):
        at = ("--path", "html", "--blog-id", blog)
        ok(folder, "init", "--with-tables", *at)
        for _ in range(2):
            ok(folder, "enqueue", "charge", "--args", '["a"]', *at)
        ok(folder, "claim-and-run", *at)
    assert len({key for key, _ in sent(receiver)}) == 4


def test_one_action_has_one_key_however_the_site_is_named(
    folder: Path, mysql_dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    """Each attempt by a runner that knows the site by another name: the last one by its URL."""
    configure(folder, mysql_dsn, more="define('MULTISITE', true);")
    store = open_queue(mysql_dsn)
    store.session.run(lambda c: c.exec_driver_sql(SITE_TABLES))
    store.session.run(
        lambda c: c.exec_driver_sql("INSERT INTO wp_blogs VALUES (1, 'shop.example', '/', 0, 0, 0)")
    )
    now = SystemClock().now()
    ways = (
        ("--path", "html"),
        ("--path", str(folder / "html"), "--blog-id", "1"),
        ("--dsn", mysql_dsn),
        ("--dsn", mysql_dsn, "--url", "https://shop.example"),
        ("--path", "html", "--url", "https://shop.example/"),
    )
    for hook in ("plain", "isolated"):
        insert(store, make_new(hook, now=now), now=now)
    again = "UPDATE wp_actionscheduler_actions SET status = 'pending', claim_id = 0"
    for way in ways:
        ok(folder, "claim-and-run", *way)
        store.session.run(lambda c: c.exec_driver_sql(again))
    lines = [line.split() for line in (folder / "keys").read_text().splitlines()]
    assert len(lines) == 2 * len(ways)
    assert len({key for _, _, key in lines}) == 2
    assert len({(number, key) for number, _, key in lines}) == 2


@pytest.mark.parametrize("hook", ["plain", "isolated"])
def test_what_0_1_had_queued_runs_under_its_old_key(
    folder: Path, dsn: str, open_queue: Callable[[str], RunnerStore], hook: str
) -> None:
    store = open_queue(dsn)
    lay(store)
    now = SystemClock().now()
    [old] = insert(store, make_new(hook, now=now), now=now)
    ok(folder, "init", "--dsn", dsn)
    [new] = insert(store, make_new(hook, now=now), now=now)
    ok(folder, "claim-and-run", "--dsn", dsn)
    keys = dict(line.split()[::2] for line in (folder / "keys").read_text().splitlines())
    name = DatabaseAddress.from_dsn(dsn).safe
    assert keys[str(old)] == key_of_0_1(name, old)
    assert keys[str(new)] != key_of_0_1(name, new)


def test_a_retried_action_keeps_its_key(
    folder: Path, dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    store = open_queue(dsn)
    now = SystemClock().now()
    insert(store, make_new("twice", now=now), now=now)

    def ran_twice() -> bool:
        # The retry is due when its second has passed.
        ok(folder, "claim-and-run", "--dsn", dsn)
        return len((folder / "keys").read_text().splitlines()) > 1

    until(ran_twice, "its retry")
    lines = [line.split() for line in (folder / "keys").read_text().splitlines()]
    assert [attempt for _, attempt, _ in lines] == ["1", "2"]
    assert len({key for _, _, key in lines}) == 1
    store.close()
    again = open_store(DatabaseAddress.from_dsn(dsn), "wp_")
    assert again.counts() == {"complete": 1}
    again.close()
