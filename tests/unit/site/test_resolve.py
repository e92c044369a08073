import sqlite3
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from stores import make_store
from wpbridge.app.executors import queue_in_child
from wpbridge.errors import ConfigError, SiteError, WpbridgeError
from wpbridge.site.config import Settings
from wpbridge.site.database import DatabaseAddress
from wpbridge.site.resolve import Site, blog_prefix, match_blog, resolve
from wpbridge.site.wpconfig import WpConfig, asking

PLAIN = """<?php
define('DB_NAME', 'shop'); define('DB_USER', 'bob'); define('DB_PASSWORD', 's3cret');
define('DB_HOST', 'db.example'); $table_prefix = 'x_';
"""
NETWORK = PLAIN + "define('MULTISITE', true); define('BLOG_ID_CURRENT_SITE', 1);\n"

Make = Callable[[str], Path]


@pytest.fixture
def make_wordpress(tmp_path: Path) -> Make:
    """Makes a WordPress folder with this configuration."""

    def make(config: str = PLAIN) -> Path:
        folder = tmp_path.resolve() / "html"
        folder.mkdir(exist_ok=True)
        (folder / "wp-settings.php").write_text("<?php")
        (folder / "wp-config.php").write_text(config)
        return folder

    return make


def test_a_folder_gives_database_and_prefix(make_wordpress: Make) -> None:
    folder = make_wordpress(PLAIN)
    site = resolve(Settings(path=folder), {})
    assert site.name == str(folder)
    assert (site.base_prefix, site.table_prefix, site.blog_id) == ("x_", "x_", 1)
    assert site.database.safe == "mysql://bob@db.example:3306/shop"
    assert site.path == folder / "wp-config.php"
    assert "s3cret" not in repr(site)


def test_a_dsn_goes_before_the_folders_database(make_wordpress: Make) -> None:
    settings = Settings(path=make_wordpress(PLAIN), dsn="sqlite:///q.db")
    site = resolve(settings, {})
    assert (site.database.driver, site.table_prefix) == ("sqlite", "x_")


def test_a_dsn_needs_no_database_in_the_configuration(make_wordpress: Make) -> None:
    folder = make_wordpress("<?php define('DB_NAME', $_GET['x']); $table_prefix = 'y_';")
    assert resolve(Settings(path=folder, dsn="sqlite://"), {}).table_prefix == "y_"


def test_a_dsn_alone_has_the_usual_prefix(make_wordpress: Make) -> None:
    # Given a working folder that is a WordPress, which was not named
    site = resolve(Settings(dsn="mysql://bob:s3cret@h/d"), {}, cwd=make_wordpress(PLAIN))
    assert (site.table_prefix, site.path) == ("wp_", None)
    assert site.name == "mysql://bob@h:3306/d"


def test_the_prefix_of_the_settings_goes_first(make_wordpress: Make) -> None:
    folder = make_wordpress(PLAIN + "$table_prefix = $_GET['x'];")
    settings = Settings(path=folder, table_prefix="z_")
    assert resolve(settings, {}).table_prefix == "z_"


@pytest.mark.parametrize("prefix", ["wp`; --", "wp-", "wp_\n", "é_", "", "a b"])
def test_a_prefix_that_could_harm_is_refused(make_wordpress: Make, prefix: str) -> None:
    folder = make_wordpress(f"{PLAIN}$table_prefix = '{prefix}';")
    with pytest.raises(SiteError, match="letters, digits and _"):
        resolve(Settings(path=folder), {})
    with pytest.raises(SiteError, match="letters, digits and _"):
        resolve(Settings(dsn="sqlite://", table_prefix=prefix), {})


class TestWorkingFolder:
    def test_it_or_one_above_it_may_be_the_site(self, make_wordpress: Make) -> None:
        folder = make_wordpress(PLAIN)
        inside = folder / "wp-content" / "plugins"
        inside.mkdir(parents=True)
        assert resolve(Settings(), {}, cwd=inside).name == str(folder)

    def test_none_is_an_error_that_says_what_to_give(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"--path, or give --dsn"):
            resolve(Settings(), {}, cwd=tmp_path)


class TestNetwork:
    def test_blogs_have_prefixes_of_their_own(self, make_wordpress: Make) -> None:
        folder = make_wordpress(NETWORK)
        for number, prefix in ((None, "x_"), (1, "x_"), (2, "x_2_"), (17, "x_17_")):
            site = resolve(Settings(path=folder, blog_id=number), {})
            assert (site.base_prefix, site.table_prefix) == ("x_", prefix)
            assert site.blog_id == (number or 1)

    def test_the_log_tells_them_apart(self, make_wordpress: Make) -> None:
        folder = make_wordpress(NETWORK)
        url = "https://b.example"
        told = [
            resolve(Settings(**given), {}).label
            for given in (
                {"path": folder},
                {"path": folder, "blog_id": 2},
                {"path": folder, "url": url},
                {"dsn": "mysql://u:s3cret@h/d"},
                {"dsn": "mysql://u@h/d", "blog_id": 3},
                {"dsn": "mysql://u@h/d", "table_prefix": "shop_"},
                {"dsn": "mysql://u@h/d", "table_prefix": "shop_", "blog_id": 3},
                {"dsn": "mysql://u@h/d", "site_name": "shop"},
                {"path": folder, "site_name": "shop", "blog_id": 2},
                {"path": folder, "site_name": "shop", "url": url},
            )
        ]
        dsn = "mysql://u@h:3306/d"
        assert told == [
            str(folder),
            f"{folder} blog 2",
            url,
            dsn,
            f"{dsn} blog 3",
            f"{dsn} prefix shop_",
            f"{dsn} prefix shop_ blog 3",
            "shop",
            "shop blog 2",
            f"shop {url}",
        ]

    @pytest.mark.parametrize("constant", ["VHOST", "SUNRISE", "SUBDOMAIN_INSTALL"])
    def test_one_from_before_wordpress_3_numbers_its_first_blog(
        self, make_wordpress: Make, constant: str
    ) -> None:
        folder = make_wordpress(f"{PLAIN}define('{constant}', 'yes');")
        for number, prefix in ((None, "x_1_"), (1, "x_1_"), (3, "x_3_")):
            site = resolve(Settings(path=folder, blog_id=number), {})
            assert (site.base_prefix, site.table_prefix) == ("x_", prefix)
        site = resolve(Settings(path=folder, url="http://shop.example"), {})
        assert site.blog_id is None
        assert (site.with_blog(1).table_prefix, site.with_blog(2).table_prefix) == ("x_1_", "x_2_")

    def test_an_isolated_handlers_process_numbers_it_too(self, tmp_path: Path) -> None:
        address = DatabaseAddress(driver="sqlite", path=str(tmp_path / "q.db"))
        make_store(address, "x_1_").close()
        with sqlite3.connect(tmp_path / "q.db") as connection:
            connection.execute("CREATE TABLE x_blogs (blog_id, domain, path)")
            connection.execute("INSERT INTO x_blogs VALUES (1, 'shop.example', '/')")
        connection.close()
        queue = queue_in_child(
            {
                "database": asdict(address),
                "base_prefix": "x_",
                "table_prefix": "x_1_",
                "blog_id": None,
                "numbers_first_blog": True,
                "url": "http://shop.example",
                "unique_by": "auto",
                "patience_seconds": 1.0,
            }
        )
        with queue:
            assert queue.store.names.prefix == "x_1_"

    def test_the_main_site_need_not_be_the_first(self, make_wordpress: Make) -> None:
        text = NETWORK.replace("CURRENT_SITE', 1", "CURRENT_SITE', 4")
        site = resolve(Settings(path=make_wordpress(text)), {})
        assert (site.blog_id, site.table_prefix) == (4, "x_4_")

    def test_a_url_is_left_to_be_looked_up(self, make_wordpress: Make) -> None:
        url = "https://b.example"
        site = resolve(Settings(path=make_wordpress(NETWORK), url=url), {})
        assert (site.blog_id, site.url, site.name) == (None, url, url)
        found = site.with_blog(5)
        assert (found.blog_id, found.table_prefix) == (5, "x_5_")
        assert resolve(Settings(dsn="sqlite://", url=url), {}).blog_id is None

    def test_a_single_site_needs_no_look(self, make_wordpress: Make) -> None:
        site = resolve(Settings(path=make_wordpress(PLAIN), url="https://b.example"), {})
        assert site.blog_id == 1

    def test_a_single_site_has_no_second_blog(self, make_wordpress: Make) -> None:
        with pytest.raises(SiteError, match="is no network: it has no blog 2"):
            resolve(Settings(path=make_wordpress(PLAIN), blog_id=2), {})

    def test_the_address_tells_a_configuration_its_host(self, make_wordpress: Make) -> None:
        body = "if ($_SERVER['HTTP_HOST'] === 'b.example') { $table_prefix = 'b_'; }"
        folder = make_wordpress(PLAIN + body)
        assert resolve(Settings(path=folder, url="https://b.example/x"), {}).table_prefix == "b_"
        assert resolve(Settings(path=folder, url="a.example"), {}).table_prefix == "x_"
        with pytest.raises(SiteError, match="HTTP_HOST"):
            resolve(Settings(path=folder, ask_php="never"), {})

    def test_an_address_that_is_none(self, make_wordpress: Make) -> None:
        with pytest.raises(ConfigError, match="is no address"):
            resolve(Settings(path=make_wordpress(NETWORK), url="http://[x"), {})


class TestAskingPhp:
    @pytest.fixture
    def asked(self, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
        """The folders PHP was asked about; it answers with another prefix."""
        folders: list[Path] = []

        def ask(path: Path, _env: object, **_more: object) -> WpConfig:
            folders.append(path)
            names = ("DB_NAME", "DB_USER", "DB_PASSWORD", "DB_HOST")
            values = {**dict.fromkeys(names, "php"), "$table_prefix": "php_"}
            return WpConfig(file=path / "wp-config.php", abspath=path, values=values)

        monkeypatch.setattr(asking, "ask", ask)
        monkeypatch.setattr(asking, "program", lambda _env: "/usr/bin/php")
        return folders

    COMPUTED = "<?php define('DB_NAME', env('X')); $table_prefix = 'x_';"

    def test_by_itself_only_where_the_reader_gives_up(
        self, make_wordpress: Make, asked: list[Path]
    ) -> None:
        folder = make_wordpress(PLAIN)
        assert resolve(Settings(path=folder), {}).table_prefix == "x_"
        assert not asked
        make_wordpress(self.COMPUTED)
        assert resolve(Settings(path=folder), {}).table_prefix == "php_"
        assert asked == [folder]

    def test_always_when_it_is_told_so(self, make_wordpress: Make, asked: list[Path]) -> None:
        folder = make_wordpress(PLAIN)
        assert resolve(Settings(path=folder, ask_php="always"), {}).table_prefix == "php_"
        assert asked == [folder]

    def test_never_when_it_is_told_so(self, make_wordpress: Make, asked: list[Path]) -> None:
        folder = make_wordpress(self.COMPUTED)
        with pytest.raises(WpbridgeError, match=r"wp-config\.php:1: it calls env\(\).*--ask-php"):
            resolve(Settings(path=folder, ask_php="never"), {})
        assert not asked

    def test_not_about_what_php_would_not_know_better(
        self, make_wordpress: Make, asked: list[Path]
    ) -> None:
        folder = make_wordpress(PLAIN + "$table_prefix = 'a-b';")
        with pytest.raises(SiteError, match="letters, digits and _"):
            resolve(Settings(path=folder), {})
        assert not asked


@pytest.mark.parametrize(
    ("url", "blog"),
    [
        ("https://example.org", 1),
        ("http://example.org/", 1),
        ("example.org/about", 1),
        ("HTTPS://EXAMPLE.ORG/", 1),
        ("https://www.example.org/", 1),
        ("https://example.org:443/", 1),
        ("https://bob:pw@example.org/", 1),
        ("https://example.org/shop", 2),
        ("https://example.org/shop/cart?x=1", 2),
        ("https://example.org/SHOP/", 2),
        ("https://example.org/shopping", 1),
        ("https://example.org/shop/fr/", 3),
        ("https://sub.example.org", 4),
        ("https://www.sub.example.org", 5),
        ("localhost:8080/two", 7),
        ("localhost:8080", 6),
        ("localhost", None),
        ("https://elsewhere.example", None),
        ("", None),
    ],
)
def test_a_url_lies_in_the_blog_with_the_longest_path(url: str, blog: int | None) -> None:
    rows = [
        (1, "example.org", "/"),
        (2, "example.org", "/shop/"),
        (3, "example.org", "/shop/fr/"),
        (4, "sub.example.org", "/"),
        (5, "www.sub.example.org", "/"),
        (6, "localhost:8080", "/"),
        (7, "localhost:8080", "/two/"),
    ]
    assert match_blog(url, rows) == blog
    assert match_blog(url, reversed(rows)) == blog


def test_prefixes_of_blogs() -> None:
    assert [blog_prefix("wp_", number) for number in (1, 2, 10)] == ["wp_", "wp_2_", "wp_10_"]


def test_a_site_is_a_value() -> None:
    site = resolve(Settings(dsn="sqlite://"), {})
    assert site == Site(
        name="sqlite://", database=site.database, base_prefix="wp_", table_prefix="wp_"
    )
