"""The real plugin's own classes read the schedules we write.

Needs php and the plugin's folder in WPBRIDGE_TEST_PLUGIN; left out, with the reason, without it.
"""

import base64
import json
import os
import shutil
import subprocess
from datetime import timedelta
from typing import Any

import pytest

from factories import NOW
from wpbridge.codec import schedule

SCRIPT = r"""
error_reporting(E_ALL & ~E_DEPRECATED);
define('ABSPATH', '/'); define('DAY_IN_SECONDS', 86400); define('HOUR_IN_SECONDS', 3600);
function apply_filters($name, $value) { return $value; }
function esc_html($text) { return $text; }
function __($text, $domain = '') { return $text; }
function add_action() {}
$files = [];
foreach (new RecursiveIteratorIterator(new RecursiveDirectoryIterator($argv[1])) as $file) {
  if ($file->getExtension() === 'php') { $files[$file->getBasename('.php')] = $file->getPathname(); }
}
spl_autoload_register(function ($class) use ($files) { if (isset($files[$class])) { require_once $files[$class]; } });
require_once $argv[1] . '/functions.php';
$told = [];
foreach (json_decode(stream_get_contents(STDIN), true) as $blob) {
  $read = unserialize(base64_decode($blob));
  $date = $read->get_date();
  $told[] = [
    'class' => get_class($read), 'recurring' => $read->is_recurring(),
    'date' => $date ? $date->getTimestamp() : null,
    'recurrence' => $read->is_recurring() ? (string) $read->get_recurrence() : null,
    'again' => base64_encode(serialize($read)),
  ];
}
echo json_encode($told);
"""


@pytest.fixture(scope="module")
def plugin() -> str:
    folder = os.environ.get("WPBRIDGE_TEST_PLUGIN")
    if not folder:
        pytest.skip("WPBRIDGE_TEST_PLUGIN does not name the plugin's folder")
    if shutil.which("php") is None:
        pytest.skip("php is not installed")
    return folder


def test_the_plugin_reads_what_we_write_and_writes_the_same(plugin: str) -> None:
    at = NOW + timedelta(hours=3)
    written: list[schedule.Schedule] = [
        schedule.Async(),
        schedule.single(at),
        schedule.interval(at, 3600),
        schedule.cron_schedule(at, "30 4 1 * *"),
        schedule.cron_schedule(at, "@daily"),
    ]
    blobs = [schedule.encode(one) for one in written]
    done = subprocess.run(
        ["php", "-r", SCRIPT, plugin],
        input=json.dumps([base64.b64encode(blob).decode() for blob in blobs]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    told: list[dict[str, Any]] = json.loads(done.stdout)
    for one, blob, row in zip(written, blobs, told, strict=True):
        assert row["class"] == one.php_class
        assert row["recurring"] is one.is_recurring
        assert row["date"] == one.timestamp
        if isinstance(one, schedule.Interval):
            assert row["recurrence"] == "3600"
        if isinstance(one, schedule.Cron):
            assert row["recurrence"] == one.expression
        if not isinstance(one, schedule.Cron):
            assert base64.b64decode(row["again"]) == blob
