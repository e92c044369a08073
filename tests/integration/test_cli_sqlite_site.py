"""A WordPress on SQLite from the command line: its database is read, and never made here."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cli_helpers import Done, call, is_one_line

CONFIG = """<?php
define('DB_NAME','live'); define('DB_USER','u'); define('DB_PASSWORD','p'); define('DB_HOST','db');
define('DB_ENGINE','sqlite');
$table_prefix='wp_';
require_once ABSPATH . 'wp-settings.php';
"""
OLDER, CURRENT = ".ht.sqlite.php", ".ht.sqlite"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "wp-content" / "database").mkdir(parents=True)
    (tmp_path / "wp-config.php").write_text(CONFIG)
    return tmp_path


@pytest.fixture
def run(root: Path) -> Callable[..., Done]:
    return lambda *arguments: call(*arguments, cwd=root)


def files(root: Path) -> list[str]:
    return sorted(file.name for file in (root / "wp-content" / "database").iterdir())


def test_the_database_of_another_name_is_read(root: Path, run: Callable[..., Done]) -> None:
    dsn = f"sqlite:///{root}/wp-content/database/{OLDER}"
    assert run("init", "--dsn", dsn).code == 0
    assert run("enqueue", "--path", str(root), "mail").code == 0
    assert run("list", "--dsn", dsn, "--format", "count").out == "1\n"
    done = run("init", "--path", str(root))
    assert (done.code, done.out) == (0, f"wpbridge's own tables are there in {dsn}\n")
    assert files(root) == [OLDER]


@pytest.mark.parametrize(
    "command",
    [("init",), ("init", "--dry-run"), ("enqueue", "mail"), ("status",), ("check",), ("list",)],
)
def test_a_database_that_is_not_there_is_named_and_not_made(
    root: Path, run: Callable[..., Done], command: tuple[str, ...]
) -> None:
    done = run(*command, "--path", str(root))
    assert is_one_line(done, 78)
    assert f"there is no database file {root}/wp-content/database/{CURRENT}" in done.err
    assert "init" not in done.err, "init makes none here"
    assert files(root) == []


def test_init_makes_no_plugin_tables_for_a_wordpress(root: Path, run: Callable[..., Done]) -> None:
    file = root / "wp-content" / "database" / CURRENT
    file.touch()
    assert is_one_line(run("init", "--path", str(root)), 78)
    done = run("init", "--path", str(root), "--with-tables")
    assert is_one_line(done, 78)
    assert "--with-tables is not for a WordPress on SQLite" in done.err
    assert file.read_bytes() == b""


def test_a_dsn_beside_a_wordpress_makes_no_queue_either(
    root: Path, run: Callable[..., Done]
) -> None:
    done = run("init", "--path", str(root), "--dsn", "sqlite:///queue.db")
    assert is_one_line(done, 78)
    assert not (root / "queue.db").exists()


def test_a_dsn_alone_makes_a_queue(root: Path, run: Callable[..., Done]) -> None:
    assert run("init", "--dsn", "sqlite:///queue.db").code == 0
    assert run("status", "--dsn", "sqlite:///queue.db").code == 0


def test_a_file_that_is_no_database_is_named(root: Path, run: Callable[..., Done]) -> None:
    (root / "wp-content" / "database" / CURRENT).mkdir()
    done = run("status", "--path", str(root))
    assert is_one_line(done, 78)
    assert f"{root}/wp-content/database/{CURRENT} cannot be opened" in done.err
