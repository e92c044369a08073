"""A WordPress with the real plugin, in which a test follows a page."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from conftest import execute, needs
from servers import MariaDB
from wordpress import make_site, missing_wordpress, plugin_folder

# Debian has WordPress 6.1, and Action Scheduler 4.0 calls this function of 6.5.
OLD_WORDPRESS: Final = """<?php
if ( ! function_exists( 'wp_is_serving_rest_request' ) ) {
    function wp_is_serving_rest_request() { return false; }
}
"""


@contextmanager
def site_with_plugin(server: MariaDB, folder: Path) -> Iterator[Path]:
    """Make the site in this folder, with a database that is dropped after use.

    The test is left out, with the reason, where PHP, WordPress or the plugin is missing.
    """
    needs(missing_wordpress())
    plugin = plugin_folder()
    if plugin is None:
        pytest.skip("WPBRIDGE_TEST_PLUGIN does not name the plugin's folder")
    shim = folder.with_name("00-old-wordpress.php")
    shim.write_text(OLD_WORDPRESS)
    database = f"page{uuid.uuid4().hex[:12]}"
    make_site(folder, server, database, plugin=plugin, callbacks=shim)
    yield folder
    execute(server, f"DROP DATABASE {database}")


def must_use(folder: Path, name: str, source: str) -> None:
    """Write a must-use plugin of this name."""
    (folder / "wp-content" / "mu-plugins" / f"{name}.php").write_text(source)
