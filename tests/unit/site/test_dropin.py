"""Which database a WordPress with a drop-in, or on SQLite, uses."""

from pathlib import Path

import pytest

from wpbridge.errors import SiteError
from wpbridge.site.database import DatabaseAddress
from wpbridge.site.wpconfig import Value, WpConfig

INTEGRATION = "<?php define( 'SQLITE_DB_DROPIN_VERSION', '1.8.0' );"
WP_SQLITE_DB = """<?php
/**
 * Plugin Name: WP SQLite DB
 */
namespace WP_SQLite_DB { class wpsqlitedb extends \\wpdb {} }
"""
RANDOM = ".ht.0123456789abcdef0123456789abcdef/.ht.sqlite"


class Folder:
    """A WordPress's folder, as it is filled."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.database = root / "wp-content" / "database"

    def write(self, name: str, text: str = "") -> str:
        """A file below the root; its path."""
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return str(file)

    def address(self, **values: Value) -> DatabaseAddress:
        """What this WordPress uses with more constants."""
        plain: dict[str, Value] = {
            "DB_NAME": "live",
            "DB_USER": "u",
            "DB_PASSWORD": "p",
            "DB_HOST": "db",
        }
        config = WpConfig(
            file=self.root / "wp-config.php", abspath=self.root, values={**plain, **values}
        )
        return DatabaseAddress.from_wp(config)


@pytest.fixture
def site(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


class TestTheSqlitePluginsFile:
    def test_the_name_of_most_versions(self, site: Folder) -> None:
        file = site.write("wp-content/database/.ht.sqlite")
        address = site.address(DB_ENGINE="sqlite")
        assert (address.driver, address.path, address.of_wordpress) == ("sqlite", file, True)

    def test_the_name_of_two_versions(self, site: Folder) -> None:
        file = site.write("wp-content/database/.ht.sqlite.php")
        assert site.address(DB_ENGINE="sqlite").path == file

    def test_of_both_names_the_current_one_counts(self, site: Folder) -> None:
        site.write("wp-content/database/.ht.sqlite.php")
        file = site.write("wp-content/database/.ht.sqlite")
        assert site.address(DB_ENGINE="sqlite").path == file

    @pytest.mark.parametrize("place", ["plugins", "mu-plugins", "elsewhere"])
    def test_unless_the_plugin_says_otherwise(self, site: Folder, place: str) -> None:
        folder = f"wp-content/{place}/sqlite-database-integration"
        site.write(
            f"{folder}/constants.php",
            "<?php if ( ! defined( 'FQDB' ) ) { define( 'FQDB', FQDBDIR . '.ht.sqlite.php' ); }",
        )
        site.write("wp-content/db.php", f"{INTEGRATION} $f = '{site.root}/{folder}';")
        site.write("wp-content/database/.ht.sqlite")
        file = site.write("wp-content/database/.ht.sqlite.php")
        assert site.address().path == file

    def test_where_there_is_none_it_is_the_one_that_the_plugin_would_make(
        self, site: Folder
    ) -> None:
        address = site.address(DB_ENGINE="sqlite")
        assert address.path == f"{site.database}/.ht.sqlite"

    @pytest.mark.parametrize(
        "script",
        [
            f"<?php return __DIR__ . '/{RANDOM}';",
            f"<?php\n\n/**\n * SQLite database path.\n */\nreturn __DIR__ . '/{RANDOM}';\n",
            f'<?php return dirname(__FILE__)."/{RANDOM}" ; ?>\n',
            f"<?php # here\nreturn WP_CONTENT_DIR . '/database' . '/{RANDOM}';",
            f"<?php return ABSPATH . 'wp-content/database/{RANDOM}'; // there",
        ],
    )
    def test_the_folder_with_a_random_name(self, site: Folder, script: str) -> None:
        site.write("wp-content/database/db-path.php", script)
        site.write("wp-content/database/.ht.sqlite")
        file = site.write(f"wp-content/database/{RANDOM}")
        assert site.address(DB_ENGINE="sqlite").path == file

    def test_the_folder_may_be_elsewhere(self, site: Folder) -> None:
        site.write("data/db-path.php", "<?php return '/srv/secret/.ht.sqlite';")
        address = site.address(DB_ENGINE="sqlite", DB_DIR=f"{site.root}/data")
        assert address.path == "/srv/secret/.ht.sqlite"

    def test_a_file_that_was_not_moved_into_it_yet(self, site: Folder) -> None:
        site.write("wp-content/database/db-path.php", f"<?php return __DIR__ . '/{RANDOM}';")
        file = site.write("wp-content/database/.ht.sqlite.php")
        assert site.address(DB_ENGINE="sqlite").path == file

    @pytest.mark.parametrize(
        "script",
        [
            "<?php return getenv('SECRET');",
            "<?php return __DIR__ . $name;",
            "",
            "<?php return;",
            "<?php $x = 1; return '/a';",
            '<?php return "/a/$b";',
            "<?php return __DIR__ '/a';",
        ],
    )
    def test_a_script_that_does_more_is_refused(self, site: Folder, script: str) -> None:
        name = site.write("wp-content/database/db-path.php", script)
        site.write("wp-content/database/.ht.sqlite")
        with pytest.raises(SiteError, match=r"db-path.php does not tell plainly") as told:
            site.address(DB_ENGINE="sqlite")
        assert name in str(told.value)

    def test_a_file_that_constants_name_is_that_one(self, site: Folder) -> None:
        site.write("wp-content/database/db-path.php", f"<?php return __DIR__ . '/{RANDOM}';")
        site.write("wp-content/database/.ht.sqlite.php")
        address = site.address(DB_ENGINE="sqlite", DB_FILE="wp.db")
        assert address.path == f"{site.database}/wp.db"

    def test_a_relative_folder_begins_where_wordpress_does(self, site: Folder) -> None:
        address = site.address(DB_ENGINE="sqlite", DB_DIR="data", DB_FILE="wp.db")
        assert address.path == f"{site.root}/data/wp.db"

    def test_a_database_in_memory_is_nobody_elses(self, site: Folder) -> None:
        with pytest.raises(SiteError, match="PHP's memory"):
            site.address(DB_ENGINE="sqlite", FQDB=":memory:")

    def test_another_engine_is_refused(self, site: Folder) -> None:
        site.write("wp-content/db.php", INTEGRATION)
        with pytest.raises(SiteError, match="DB_ENGINE is postgresql"):
            site.address(DB_ENGINE="postgresql")


class TestDropIns:
    def test_wp_sqlite_db_is_sqlite(self, site: Folder) -> None:
        site.write("wp-content/db.php", WP_SQLITE_DB)
        address = site.address()
        assert (address.driver, address.path) == ("sqlite", f"{site.database}/.ht.sqlite")

    def test_wp_sqlite_db_knows_no_other_names(self, site: Folder) -> None:
        site.write("wp-content/db.php", WP_SQLITE_DB)
        site.write("wp-content/database/.ht.sqlite.php")
        assert site.address().path == f"{site.database}/.ht.sqlite"
        assert site.address(DB_DIR="/d", DB_FILE="f.db").path == "/d/f.db"

    def test_wp_sqlite_db_heeds_use_mysql_and_no_engine(self, site: Folder) -> None:
        site.write("wp-content/db.php", WP_SQLITE_DB)
        assert site.address(USE_MYSQL=True).driver == "mysql"
        assert site.address(USE_MYSQL=False).driver == "sqlite"
        assert site.address(DB_ENGINE="mysql").driver == "sqlite"

    def test_a_drop_in_that_loads_it_from_elsewhere(self, site: Folder) -> None:
        site.write(
            "wp-content/db.php",
            "<?php require_once dirname(__DIR__) . '/vendor/aaemnnosttv/wp-sqlite-db/src/db.php';",
        )
        assert site.address().driver == "sqlite"

    def test_what_a_drop_in_loads_is_looked_at(self, site: Folder) -> None:
        site.write("wp-content/db.php", "<?php require __DIR__ . '/my/database.php';")
        site.write("wp-content/my/database.php", "<?php require 'pdo.php';")
        site.write("wp-content/my/pdo.php", "<?php $pdo = new PDO( 'sqlite:' . $file );")
        with pytest.raises(SiteError, match=r"db.php speaks of sqlite: .* --dsn"):
            site.address()

    @pytest.mark.parametrize(
        "text",
        [
            "<?php define('DB_DRIVER', 'pgsql'); include PG4WP_ROOT . '/core.php';",
            "<?php $db = pg_connect( $host );",
            "<?php new PDO( 'sqlsrv:Server=x' );",
            "<?php define( 'FQDB', FQDBDIR . DB_NAME . '.sqlite' );",
            "<?php define( 'DUCKDB_DB_DROPIN_VERSION', '0.1.0' );",
        ],
    )
    def test_another_kind_of_database_is_refused(self, site: Folder, text: str) -> None:
        site.write("wp-content/db.php", text)
        with pytest.raises(SiteError, match=r"wp-content/db.php speaks of"):
            site.address()

    @pytest.mark.parametrize(
        "text",
        [
            "<?php\n/*\nPlugin Name: HyperDB\n*/\nclass hyperdb extends wpdb {}",
            "<?php\n// Plugin name: LudicrousDB\nrequire_once __DIR__ . '/ludicrousdb/db.php';",
            "<?php\n/* Not for PostgreSQL. */ // nor for sqlite\nclass QM_DB extends wpdb {}",
            "<?php # unlike pgsql\n$u = 'http://example.com'; class X extends wpdb {}",
            "",
        ],
    )
    def test_all_others_are_mysql(self, site: Folder, text: str) -> None:
        site.write("wp-content/db.php", text)
        address = site.address()
        assert (address.driver, address.name, address.of_wordpress) == ("mysql", "live", True)

    def test_drop_ins_that_load_each_other_end(self, site: Folder) -> None:
        site.write("wp-content/db.php", "<?php require 'a.php';")
        site.write("wp-content/a.php", "<?php require 'db.php'; require 'a.php';")
        assert site.address().driver == "mysql"
