"""A WordPress of our own for tests and benchmarks: Debian's files, a database of a private server.

With ``WPBRIDGE_TEST_PLUGIN`` (a folder) the real Action Scheduler is active in it, and with
``WPBRIDGE_TEST_WP`` (a command) workers are started through a real WP-CLI, else through php.
"""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

from servers import MariaDB

FILES = Path("/usr/share/wordpress")
INSTALL = r"""
define( 'WP_INSTALLING', true );
$_SERVER['HTTP_HOST'] = 'site.test';
function wp_new_blog_notification() {}
require $argv[1] . '/wp-load.php';
require ABSPATH . 'wp-admin/includes/upgrade.php';
wp_install( 'Site', 'admin', 'admin@site.test', false, '', 'admin' );
update_option( 'timezone_string', $argv[2] );
update_option( 'active_plugins', $argv[3] ? array( $argv[3] ) : array() );
update_option( 'action_scheduler_migration_status', 'complete' );
"""


def missing_wordpress() -> str | None:
    """Why no WordPress can be made here; None when one can."""
    if shutil.which("php") is None:
        return "php is not installed (apt-get install php-cli php-mysql)"
    if not (FILES / "wp-includes").is_dir():
        return "WordPress is not installed (apt-get install wordpress)"
    return None


def plugin_folder() -> Path | None:
    """The real plugin's folder, when one is named."""
    named = os.environ.get("WPBRIDGE_TEST_PLUGIN")
    return Path(named) if named else None


def worker_command() -> tuple[str, ...]:
    """What starts workers here: a real WP-CLI when one is named, else php."""
    named = os.environ.get("WPBRIDGE_TEST_WP")
    return tuple(shlex.split(named)) if named else ("php",)


def make_site(
    folder: Path,
    server: MariaDB,
    database: str,
    *,
    zone: str = "Europe/Berlin",
    plugin: Path | None = None,
    callbacks: Path | None = None,
    own_admin: bool = False,
) -> Path:
    """Install WordPress into a folder and a new database; returns the folder.

    Args:
        folder: made if missing.
        server: running.
        database: its name; made here.
        zone: the site's time zone.
        plugin: the Action Scheduler to activate; None for none, its tables are then made by us.
        callbacks: a PHP file to load as a must-use plugin.
        own_admin: its wp-admin answers browsers. A link to Debian's loads Debian's site.
    """
    content = folder / "wp-content"
    for name in ("plugins", "mu-plugins", "themes", "uploads"):
        (content / name).mkdir(parents=True, exist_ok=True)
    for file in FILES.glob("*.php"):
        if file.name != "wp-config.php":
            shutil.copy(file.resolve(), folder / file.name)
    for name in ("wp-includes", "wp-admin"):
        if name == "wp-admin" and own_admin:
            shutil.copytree((FILES / name).resolve(), folder / name)
        else:
            (folder / name).symlink_to((FILES / name).resolve())
    (folder / "wp-config.php").write_text(_config(server, database), "utf-8")
    _execute(server, f"CREATE DATABASE {database} COLLATE utf8mb4_unicode_520_ci")
    active = ""
    if plugin is not None:
        (content / "plugins" / "action-scheduler").symlink_to(plugin.resolve())
        active = "action-scheduler/action-scheduler.php"
    run_php(INSTALL, str(folder), zone, active)
    if plugin is not None:
        # The first load makes the plugin's tables.
        run_php("require $argv[1] . '/wp-load.php';", str(folder))
    if callbacks is not None:
        shutil.copy(callbacks, content / "mu-plugins" / callbacks.name)
    return folder


def run_php(code: str, *arguments: str) -> str:
    """Run PHP code; its output. Raises CalledProcessError when PHP fails."""
    command = ["php", "-d", "display_errors=stderr", "-r", code, "--", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise RuntimeError(f"php failed ({done.returncode}): {done.stdout}{done.stderr}")
    return done.stdout


def in_wordpress(folder: Path, code: str, host: str = "site.test") -> str:
    """Run PHP code inside a site; its output."""
    return run_php(
        f"$_SERVER['HTTP_HOST'] = '{host}'; require $argv[1] . '/wp-load.php'; {code}",
        str(folder),
    )


def _config(server: MariaDB, database: str) -> str:
    constants = {
        "DB_NAME": database,
        "DB_USER": "root",
        "DB_PASSWORD": "",
        "DB_HOST": f"localhost:{server.socket}",
        "DB_CHARSET": "utf8mb4",
        "DB_COLLATE": "",
        "WP_HOME": "http://site.test",
        "WP_SITEURL": "http://site.test",
    }
    lines = [f"define( '{name}', '{value}' );" for name, value in constants.items()]
    lines += ["define( 'DISABLE_WP_CRON', true );", "define( 'WP_HTTP_BLOCK_EXTERNAL', true );"]
    return "\n".join(
        [
            "<?php",
            *lines,
            "$table_prefix = 'wp_';",
            "if ( ! defined( 'ABSPATH' ) ) { define( 'ABSPATH', __DIR__ . '/' ); }",
            "require_once ABSPATH . 'wp-settings.php';",
            "",
        ]
    )


def _execute(server: MariaDB, statement: str) -> None:
    connection = server.connect()
    with connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()
