"""A site that the companion plugin gives to wpbridge, and settings that do not take it."""

import os
from pathlib import Path

import pytest

from cli_helpers import call
from daemons import HANDLERS, started_daemons
from wpbridge.plugin import companion
from wpbridge.plugin.companion import Ownership

CONFIG = """<?php
define('DB_NAME','x'); define('DB_USER','u'); define('DB_PASSWORD','p'); define('DB_HOST','db');
define('DB_ENGINE','sqlite'); define('DB_FILE', '.ht.sqlite.php');
$table_prefix='wp_';
require_once ABSPATH . 'wp-settings.php';
"""
UNRUN = "nobody runs PHP's actions: the companion plugin says that wpbridge owns the site"
OUT = ("`owns_site = true` under [site]", "`enabled = true` under [php]", "wp install-plugin")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A WordPress on SQLite, whose companion plugin says that wpbridge owns the site."""
    (tmp_path / "wp-content" / "database").mkdir(parents=True)
    (tmp_path / "wp-content" / "mu-plugins").mkdir()
    (tmp_path / "wp-config.php").write_text(CONFIG)
    (tmp_path / "acts.py").write_text(HANDLERS)
    dsn = f"sqlite:///{tmp_path}/wp-content/database/.ht.sqlite.php"
    assert call("init", "--dsn", dsn, cwd=tmp_path).code == 0
    companion.install(tmp_path / "wp-content" / "mu-plugins", "wp_", Ownership(owns_site=True))
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ("work", "--dry-run"),
        ("check",),
        ("install", "cron", "--run-as", "daemon"),
        ("install", "systemd", "--run-as", "daemon", "--dry-run"),
    ],
)
def test_a_site_that_nobody_runs_is_a_warning(site: Path, words: tuple[str, ...]) -> None:
    given = (*words, "--path", str(site), "--handlers", "acts")
    env = {"MARK": str(site), "WPBRIDGE_TRUST": "1"}
    done = call(*given, cwd=site, env=env)
    assert done.code == 0, done.err
    [line] = [line for line in done.err.splitlines() if line.startswith("warning: ")]
    assert UNRUN in line
    assert all(way in line for way in OUT)
    owned = call(*given, "--owns-site", cwd=site, env=env)
    assert owned.code == 0, owned.err
    assert UNRUN not in owned.err


def test_the_daemon_says_it_once(site: Path) -> None:
    os.mkfifo(site / "gate")
    with started_daemons(site) as start:
        daemon = start("", "--path", str(site), "--processes", "2", env={"WPBRIDGE_TRUST": "1"})
        daemon.ready()
        [line] = [line for line in daemon.err().splitlines() if "site.unrun" in line]
        assert UNRUN in line
