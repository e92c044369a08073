"""A WordPress that browsers visit: PHP's own server, real logins, and the companion plugin.

With WPBRIDGE_TEST_PLUGIN the real Action Scheduler is active in it.
"""

import contextlib
import http.client
import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import requests

from conftest import execute, needs
from ports import HOST, free_port
from servers import MariaDB
from stores import open_store
from wordpress import in_wordpress, make_site, missing_wordpress, plugin_folder
from wpbridge.plugin import companion
from wpbridge.plugin.companion import Ownership
from wpbridge.plugin.entrance import Entrance
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.connect import connect
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.store.structure.creation import create_tables

ROUTER = Path(__file__).parent / "php" / "visited_router.php"
PASSWORD = "the password of all"
PEOPLE = {"admin": "administrator", "shop": "editor", "reader": "subscriber"}
"""Who has an account, and the role in WordPress. ``shop`` has manage_woocommerce, too."""
START_SECONDS = 60.0
THEME = "<?php echo is_404() ? 'no page of the site' : 'a page of the site';"
# Loaded before the companion plugin. Where the site is, is said by the server that was started.
PLACE = """<?php
error_reporting( E_ALL );
add_filter( 'pre_option_home', function () { return 'http://' . $_SERVER['HTTP_HOST'] . getenv( 'LAB_HOME_PATH' ); } );
add_filter( 'pre_option_siteurl', function () { return 'http://' . $_SERVER['HTTP_HOST'] . getenv( 'LAB_HOME_PATH' ); } );
function wp_mail() { return true; }
// The plugin 4.0 calls it, and WordPress has it from 6.5 on.
if ( ! function_exists( 'wp_is_serving_rest_request' ) ) {
    function wp_is_serving_rest_request() { return defined( 'REST_REQUEST' ) && REST_REQUEST; }
}
"""
USERS = """
foreach ( %s as $name => $role ) {
    $id = username_exists( $name );
    $id = $id ? $id : wp_insert_user( array( 'user_login' => $name, 'user_pass' => 'x', 'role' => $role ) );
    wp_set_password( '%s', $id );
    if ( 'shop' === $name ) { get_userdata( $id )->add_cap( 'manage_woocommerce' ); }
}
update_option( 'permalink_structure', '/%%postname%%/' );
switch_theme( 'plain' );
"""


@dataclass(frozen=True)
class Visited:
    """One WordPress, and where its server listens."""

    root: Path
    """The server's."""
    folder: Path
    """The WordPress's."""
    host: str
    """With its port."""
    home_path: str
    store: RunnerStore
    dsn: str
    has_plugin: bool

    @property
    def url(self) -> str:
        """The site's address, without a slash at its end."""
        return f"http://{self.host}{self.home_path}"

    @property
    def log(self) -> Path:
        """What PHP and its server say."""
        return self.root / "php.log"

    @property
    def must_use(self) -> Path:
        return self.folder / "wp-content" / "mu-plugins"

    def install(self, entrance: Entrance) -> None:
        """Put the companion plugin into the site."""
        companion.install(self.must_use, "wp_", Ownership(dashboard=entrance))

    def php(self, code: str, host: str = "site.test") -> str:
        """Run code inside the site; its output."""
        return in_wordpress(self.folder, f"$_SERVER['SERVER_PROTOCOL'] = 'HTTP/1.1'; {code}", host)

    def become_network(self, tables: str, constants: str) -> None:
        """Make this the first site of a network in folders.

        Args:
            tables: PHP that makes the network's tables.
            constants: PHP that says where the network is.
        """
        self.php(tables)
        config = self.folder / "wp-config.php"
        source = config.read_text("utf-8")
        config.write_text(constants + source.removeprefix("<?php"), "utf-8")
        # The sites of a network lie at addresses of their own, which the database has.
        place = self.must_use / "00-place.php"
        lines = [line for line in place.read_text("utf-8").splitlines() if "pre_option" not in line]
        place.write_text("\n".join(lines), "utf-8")

    def signed_in(self, name: str) -> requests.Session:
        """A browser in which a person has signed in by WordPress's own form."""
        browser = requests.Session()
        browser.trust_env = False
        given = {"log": name, "pwd": PASSWORD}
        answer = browser.post(f"{self.url}/wp-login.php", data=given, allow_redirects=False)
        assert answer.status_code == 302, answer.text[-2000:]
        return browser

    def raw(self, method: str, target: str, browser: requests.Session) -> tuple[int, str]:
        """Ask for a target as it stands, which no client makes shorter."""
        with contextlib.closing(http.client.HTTPConnection(self.host, timeout=60)) as connection:
            cookies = "; ".join(f"{one.name}={one.value}" for one in browser.cookies)
            connection.request(method, target, headers={"Cookie": cookies})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()


@contextlib.contextmanager
def visited(server: MariaDB, folder: Path, home_path: str = "") -> Iterator[Visited]:
    """A WordPress in a new database, served on loopback until the block ends.

    Args:
        server: running.
        folder: the server's root, made if missing.
        home_path: where the site lies below it, such as ``/blog``.
    """
    needs(missing_wordpress())
    database = f"wp{uuid.uuid4().hex[:12]}"
    plugin = plugin_folder()
    site = folder / home_path.strip("/")
    make_site(site, server, database, plugin=plugin, own_admin=True)
    dsn = server.url(database)
    way = connect(DatabaseAddress.from_dsn(dsn), "wp_")
    create_tables(way, everything=plugin is None)
    way.close()
    theme = site / "wp-content" / "themes" / "plain"
    theme.mkdir()
    (theme / "style.css").write_text("/* Theme Name: plain */", "utf-8")
    (theme / "index.php").write_text(THEME, "utf-8")
    people = ", ".join(f"'{name}' => '{role}'" for name, role in PEOPLE.items())
    in_wordpress(site, USERS % (f"array( {people} )", PASSWORD))
    (site / "wp-content" / "mu-plugins" / "00-place.php").write_text(PLACE, "utf-8")
    store = open_store(DatabaseAddress.from_dsn(dsn), "wp_")
    store.parts.signing.make()
    with _php_server(folder, home_path) as host:
        yield Visited(folder, site, host, home_path, store, dsn, has_plugin=plugin is not None)
    store.close()
    execute(server, f"DROP DATABASE {database}")


@contextlib.contextmanager
def _php_server(folder: Path, home_path: str) -> Iterator[str]:
    host = f"{HOST}:{free_port()}"
    php = shutil.which("php")
    assert php is not None
    flags = {
        "opcache.enable_cli": "1",
        "opcache.revalidate_freq": "0",
        "display_errors": "0",
        "log_errors": "1",
        "output_buffering": "0",
    }
    words = [word for name, value in flags.items() for word in ("-d", f"{name}={value}")]
    with (
        (folder / "php.log").open("wb") as log,
        subprocess.Popen(
            [php, *words, "-S", host, "-t", str(folder), str(ROUTER)],
            env={**os.environ, "LAB_HOME_PATH": home_path},
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as process,
    ):
        try:
            _wait_for(host, process)
            yield host
        finally:
            process.terminate()


def _wait_for(host: str, process: subprocess.Popen[bytes]) -> None:
    # PHP's server tells nobody that it listens: it is asked until it answers.
    address = urlsplit(f"//{host}")
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection((address.hostname or "", address.port or 0), 5).close()
            return
        time.sleep(0.02)
    raise AssertionError("PHP's server does not answer")
