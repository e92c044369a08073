"""Debian's WordPress as the oracle: its session modes, its DB_HOST parser, its JSON."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from wpbridge.codec import args
from wpbridge.site.database import parse_db_host
from wpbridge.store.database.dialect import WORDPRESS_REMOVES

WORDPRESS = Path("/usr/share/wordpress")
SCRIPT = r"""
define('ABSPATH', '/usr/share/wordpress/'); define('WPINC', 'wp-includes');
define('WP_DEBUG', false); error_reporting(0);
require ABSPATH . WPINC . '/compat.php';
require ABSPATH . WPINC . '/plugin.php';
require ABSPATH . WPINC . '/functions.php';
require ABSPATH . (is_file(ABSPATH . WPINC . '/class-wpdb.php') ? WPINC . '/class-wpdb.php' : WPINC . '/wp-db.php');
$db = (new ReflectionClass('wpdb'))->newInstanceWithoutConstructor();
$modes = new ReflectionProperty('wpdb', 'incompatible_modes'); $modes->setAccessible(true);
$in = json_decode(stream_get_contents(STDIN), true);
echo json_encode([
  'modes' => $modes->getValue($db),
  'hosts' => array_map(fn($h) => $db->parse_db_host($h), $in['hosts']),
  'texts' => array_map(fn($v) => wp_json_encode($v), $in['values']),
]);
"""
HOSTS = ["localhost", "db:3307", "db:/run/x.sock", ":/run/x.sock", "[::1]:3306", "::1", "10.0.0.1"]
VALUES: list[Any] = [
    [1, "two", None],
    {"a": "/é\u007f\u2028😀", "b": [1.5, -3, True]},
    {"k": {"n": [[], {"x": '\\"'}]}},
]


@pytest.fixture(scope="module")
def answers() -> dict[str, Any]:
    if not (WORDPRESS / "wp-includes").is_dir() or shutil.which("php") is None:
        reason = "WordPress or PHP is not installed (apt-get install wordpress php-cli)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    done = subprocess.run(
        ["php", "-r", SCRIPT],
        input=json.dumps({"hosts": HOSTS, "values": VALUES}),
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_sessions_drop_the_modes_that_wordpress_drops(answers: dict[str, Any]) -> None:
    assert set(answers["modes"]) == WORDPRESS_REMOVES


def test_db_host_is_read_as_wordpress_reads_it(answers: dict[str, Any]) -> None:
    for text, (host, port, socket, _is_ipv6) in zip(HOSTS, answers["hosts"], strict=True):
        assert parse_db_host(text) == (host, int(port) if port else None, socket), text


def test_args_are_encoded_as_wordpress_encodes_them(answers: dict[str, Any]) -> None:
    assert [args.encode(value) for value in VALUES] == answers["texts"]
