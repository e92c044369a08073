"""Sessions speak what WordPress's own database class speaks with the same constants."""

import json
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from conftest import execute, needs
from rows import change, query
from servers import MariaDB, private_mariadb
from stores import make_store
from wordpress import FILES, missing_wordpress, run_php
from wpbridge.errors import InputError
from wpbridge.queue.facade import Queue
from wpbridge.site.config import load
from wpbridge.site.database import DatabaseAddress
from wpbridge.site.resolve import resolve
from wpbridge.store.connect import open_site

ASK = r"""
define( 'SHORTINIT', true );
require $argv[1];
$names = "'character_set_client','character_set_connection','character_set_results',"
    . "'collation_connection'";
foreach ( $wpdb->get_results( "SHOW VARIABLES WHERE Variable_name IN ($names)" ) as $row ) {
    $told[ $row->Variable_name ] = $row->Value;
}
$told['hooks'] = array_map( 'bin2hex', $wpdb->get_col( $argv[2] ) );
$wpdb->query( $argv[3] );
echo json_encode( $told );
"""
TEXT = "größe 😀 И"


@pytest.fixture(scope="module")
def latin1_server() -> Iterator[MariaDB]:
    """A server whose own character set is not UTF-8: what a WordPress without one speaks."""
    needs(missing_wordpress())
    options = ("--character-set-server=latin1", "--collation-server=latin1_german1_ci")
    with private_mariadb(options) as it:
        yield it


def make_tables(server: MariaDB, name: str, charset: str) -> None:
    """The plugin's tables in a new database, in one character set."""
    execute(server, f"CREATE DATABASE {name}")
    store = make_store(DatabaseAddress.from_dsn(server.url(name)), "wp_")
    for table in (store.names.actions, store.names.groups, store.names.logs):
        change(store, f"ALTER TABLE {table} CONVERT TO CHARACTER SET {charset}")
    store.close()


@pytest.mark.parametrize("tables", ["utf8mb4", "latin1"])
@pytest.mark.parametrize(
    "constants",
    [
        {},
        {"DB_CHARSET": ""},
        {"DB_CHARSET": "utf8"},
        {"DB_CHARSET": "UTF8"},
        {"DB_CHARSET": "utf8mb3"},
        {"DB_CHARSET": "utf8mb4", "DB_COLLATE": "utf8mb4_bin"},
        {"DB_CHARSET": "utf8", "DB_COLLATE": "utf8_unicode_ci"},
        {"DB_CHARSET": "utf8mb4", "DB_COLLATE": "latin1_bin"},
        {"DB_CHARSET": "latin1"},
        {"DB_CHARSET": "latin1", "DB_COLLATE": "latin1_bin"},
        {"DB_CHARSET": "latin1", "DB_COLLATE": "utf8_general_ci"},
        {"DB_CHARSET": "cp1250"},
        {"DB_CHARSET": "koi8r"},
        {"DB_CHARSET": "nonsense"},
        {"DB_CHARSET": "ucs2"},
        {"DB_COLLATE": "utf8_bin"},
    ],
    ids=lambda constants: ",".join(constants.values()) or "none",
)
def test_the_session_is_wpdbs(
    latin1_server: MariaDB, tmp_path: Path, constants: Mapping[str, str], tables: str
) -> None:
    # Given a WordPress with these constants over tables of one character set
    name = f"s{uuid.uuid4().hex[:16]}"
    lines = {
        "DB_NAME": name,
        "DB_USER": "root",
        "DB_PASSWORD": "",
        "DB_HOST": f"localhost:{latin1_server.socket}",
        **constants,
    }
    defined = "\n".join(f"define('{key}', '{value}');" for key, value in lines.items())
    config = tmp_path / "wp-config.php"
    config.write_text(
        f"<?php\n{defined}\n$table_prefix = 'wp_';\nif (!defined('ABSPATH'))"
        f" {{ define('ABSPATH', '{FILES}/'); }}\nrequire_once ABSPATH . 'wp-settings.php';\n"
    )
    (tmp_path / "wp-settings.php").touch()
    make_tables(latin1_server, name, tables)
    site = resolve(load({"path": tmp_path, "ask_php": "never"}, {}, tmp_path), {})
    with Queue(open_site(site)) as queue:
        rows = query(
            queue.store,
            "SHOW VARIABLES WHERE Variable_name IN ('character_set_client',"
            " 'character_set_connection', 'character_set_results', 'collation_connection')",
        )
        # When both write the same text, unless ours is refused
        refused = ""
        try:
            queue.enqueue_async(TEXT)
        except InputError as error:
            refused = str(error)
        told = json.loads(
            run_php(
                ASK,
                str(config),
                "SELECT hook FROM wp_actionscheduler_actions",
                "INSERT INTO wp_actionscheduler_actions (hook, status, schedule, args)"
                f" VALUES ('{TEXT}', 'pending', '', '[]')",
            )
        )
        # Then the sessions are the same, and each reads what the other wrote
        assert {str(key): told[str(key)] for key, _ in rows} == {str(k): v for k, v in rows}
        hooks = [record.hook for record in queue.find()]
    if refused:
        assert "has no" in refused
        assert told["hooks"] == []
        assert hooks != [TEXT], "PHP, too, loses a part of it"
    else:
        assert told["hooks"] == [TEXT.encode().hex()]
        assert hooks == [TEXT, TEXT]
