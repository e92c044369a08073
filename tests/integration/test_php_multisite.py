"""A network's blog is named to its workers by the address that the network's table tells."""

from dataclasses import replace
from pathlib import Path

import pytest

from rows import change
from stores import make_store
from wpbridge import app
from wpbridge.site.config import load
from wpbridge.site.database import DatabaseAddress
from wpbridge.site.resolve import Site


@pytest.mark.parametrize(
    ("blog", "url"), [(1, "multi.test/"), (2, "multi.test/second/"), (None, "multi.test/")]
)
def test_workers_are_told_the_blogs_address(mysql_dsn: str, blog: int | None, url: str) -> None:
    address = DatabaseAddress.from_dsn(mysql_dsn)
    store = make_store(address, "wp_")
    change(store, "CREATE TABLE wp_blogs (blog_id bigint, domain varchar(200), path varchar(100))")
    change(
        store, "INSERT INTO wp_blogs VALUES (1, 'multi.test', '/'), (2, 'multi.test', '/second/')"
    )
    site = Site(
        name="n", database=address, base_prefix="wp_", table_prefix="wp_", folder=Path("/srv/wp")
    )
    settings = load({"php": True, "wp": "wp"}, {}, Path("/"))
    start = app.php_launch(settings, replace(site, blog_id=blog), store.parts, {})
    store.close()
    assert f"--url={url}" in start.options
