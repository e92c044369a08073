"""A WordPress, with the real plugin where it is there, in which a test follows a page."""

import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import pytest

from conftest import execute, needs
from servers import MariaDB
from wordpress import make_site, missing_wordpress, plugin_folder
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.connect import connect
from wpbridge.store.structure.creation import create_tables, drop_tables

# Debian has WordPress 6.1, and Action Scheduler 4.0 calls this function of 6.5.
OLD_WORDPRESS: Final = """<?php
if ( ! function_exists( 'wp_is_serving_rest_request' ) ) {
    function wp_is_serving_rest_request() { return false; }
}
"""


@contextmanager
def site_of_a_reader(
    server: MariaDB, folder: Path, *, zone: str = "Europe/Berlin", callbacks: Path | None = None
) -> Iterator[Path]:
    """Make a site with the plugin, or at least with its tables; its database is dropped after use.

    The test is left out, with the reason, where PHP or WordPress is missing.
    """
    needs(missing_wordpress())
    plugin = plugin_folder()
    database = f"page{uuid.uuid4().hex[:12]}"
    make_site(folder, server, database, zone=zone, plugin=plugin, callbacks=callbacks)
    if plugin is None:
        with closing(connect(DatabaseAddress.from_dsn(server.url(database)), "wp_")) as way:
            create_tables(way, everything=True)
            drop_tables(way)
    yield folder
    execute(server, f"DROP DATABASE {database}")


@contextmanager
def site_with_plugin(server: MariaDB, folder: Path) -> Iterator[Path]:
    """Make a site as above. The test is left out where the plugin is missing, too."""
    if plugin_folder() is None:
        pytest.skip("WPBRIDGE_TEST_PLUGIN does not name the plugin's folder")
    shim = folder.with_name("00-old-wordpress.php")
    shim.write_text(OLD_WORDPRESS)
    with site_of_a_reader(server, folder, callbacks=shim) as found:
        yield found


def must_use(folder: Path, name: str, source: str) -> None:
    """Write a must-use plugin of this name."""
    (folder / "wp-content" / "mu-plugins" / f"{name}.php").write_text(source)
