"""A WordPress of Debian's files with the real plugin and the companion, and what its PHP does.

Needs php, Debian's WordPress, MariaDB and the plugin's folder in WPBRIDGE_TEST_PLUGIN; left out,
with the reason, without one of them.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from conftest import execute
from factories import insert, make_new
from rows import change
from servers import MariaDB
from stores import open_store
from wpbridge.clock import SystemClock
from wpbridge.plugin import companion
from wpbridge.plugin.companion import Ownership
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.running.runner_store import RunnerStore

WORDPRESS = Path("/usr/share/wordpress")
DATABASE = "companion"
# Loaded by WordPress itself, before the plugin: a server as strict as ours is no WordPress's.
MUST_USE = r"""<?php
$wpdb->query("SET SESSION sql_mode = ''");
function wp_mail() { return true; }
add_filter('pre_http_request', function () { return new WP_Error('no network'); });
require getenv('LAB_PLUGIN') . '/action-scheduler.php';
"""
BOOT = r"""
error_reporting(E_ALL & ~E_DEPRECATED); ini_set('display_errors', 'stderr');
set_error_handler(function ($level, $text, $file, $line) {
  if (strpos($file, 'wpbridge.php') !== false) { fwrite(STDERR, "$text at line $line\n"); exit(9); }
  return false;
});
$_SERVER += ['HTTP_HOST' => 'lab.test', 'REQUEST_URI' => '/', 'SERVER_PROTOCOL' => 'HTTP/1.1', 'REQUEST_METHOD' => 'GET'];
define('ABSPATH', '/usr/share/wordpress/');
define('WP_CONTENT_DIR', getenv('LAB_CONTENT')); define('WP_CONTENT_URL', 'http://lab.test/c');
define('DB_NAME', 'companion'); define('DB_USER', 'root'); define('DB_PASSWORD', '');
define('DB_HOST', 'localhost:' . getenv('LAB_SOCKET')); define('DB_CHARSET', 'utf8mb4'); define('DB_COLLATE', '');
define('WP_DEBUG', false); define('DISABLE_WP_CRON', true); define('WP_SITEURL', 'http://lab.test'); define('WP_HOME', 'http://lab.test');
$table_prefix = 'wp_';
"""
INSTALL = (
    BOOT
    + r"""
define('WP_INSTALLING', true);
function wp_new_blog_notification() {}
require ABSPATH . 'wp-settings.php';
require_once ABSPATH . 'wp-admin/includes/upgrade.php';
wp_install('lab', 'admin', 'a@lab.test', false, '', 'admin');
update_option('action_scheduler_migration_status', 'complete');
"""
)
LOAD = BOOT + r"require ABSPATH . 'wp-settings.php';"
CLAIM = r"""
$store = ActionScheduler::store();
$claim = $store->stake_claim(50);
$told = array_map(function ($id) use ($store) {
  $action = $store->fetch_action($id); return [$action->get_hook(), $action->get_group()];
}, $claim->get_actions());
$store->release_claim($claim);
"""
RUN = "$told = ActionScheduler::runner()->run();"


@dataclass(frozen=True)
class Site:
    """A WordPress of its own, with the plugin."""

    store: RunnerStore
    content: Path
    env: Mapping[str, str]

    def php(self, code: str, before: str = "") -> Any:
        """What the code left in $told; ``before`` runs before WordPress is loaded."""
        source = f"{before} {LOAD} $told = null; {code} echo PHP_EOL, json_encode($told);"
        return json.loads(run_php(source, self.env).splitlines()[-1])

    def install(self, ownership: Ownership) -> None:
        companion.install(self.content / "mu-plugins", "wp_", ownership)

    def add(self, *hooks: str, group: str = "", due_in: float = -5.0) -> list[int]:
        now = SystemClock().now()
        made = [make_new(hook, group=group, due_in=due_in, now=now) for hook in hooks]
        return list(insert(self.store, *made, now=now))

    def claimed(self, before: str = "") -> list[str]:
        """What the plugin's own runner would take, hooks with their groups."""
        return sorted(
            f"{hook}@{group}" if group else hook for hook, group in self.php(CLAIM, before)
        )


def run_php(source: str, env: Mapping[str, str]) -> str:
    done = subprocess.run(
        ["php", "-r", source],
        capture_output=True,
        text=True,
        check=False,
        env=dict(env),
        timeout=300,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.fixture(scope="module", name="wordpress")
def made_wordpress(mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    plugin = os.environ.get("WPBRIDGE_TEST_PLUGIN")
    if not plugin:
        pytest.skip("WPBRIDGE_TEST_PLUGIN does not name the plugin's folder")
    if not (WORDPRESS / "wp-includes").is_dir() or shutil.which("php") is None:
        reason = "WordPress or PHP is not installed (apt-get install wordpress php-cli php-mysql)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    content = tmp_path_factory.mktemp("content")
    (content / "mu-plugins").mkdir()
    (content / "mu-plugins" / "00-lab.php").write_text(MUST_USE)
    execute(mariadb, f"CREATE DATABASE {DATABASE} COLLATE utf8mb4_unicode_520_ci")
    env = {
        **os.environ,
        "LAB_PLUGIN": plugin,
        "LAB_CONTENT": str(content),
        "LAB_SOCKET": str(mariadb.socket),
    }
    run_php(INSTALL, env)
    # The next request makes the plugin's tables.
    run_php(LOAD, env)
    address = DatabaseAddress.from_dsn(mariadb.url(DATABASE))
    store = open_store(address, "wp_")
    yield Site(store=store, content=content, env=env)
    store.close()
    execute(mariadb, f"DROP DATABASE {DATABASE}")


@pytest.fixture(name="site")
def emptied_site(wordpress: Site) -> Iterator[Site]:
    """Without actions, without our tables, without the companion."""
    yield wordpress
    for table in ("actions", "claims", "groups", "logs"):
        change(wordpress.store, f"TRUNCATE wp_actionscheduler_{table}")
    wordpress.store.parts.own.drop()
    (wordpress.content / "mu-plugins" / "wpbridge.php").unlink(missing_ok=True)
