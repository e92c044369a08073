"""What short commands load: each module that they do not need makes them slower.

No test measures the time, which depends on the machine. ``python -X importtime`` shows it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from stores import make_store
from wpbridge.site.database import DatabaseAddress

PROGRAM = """
import contextlib, io, json, sys
before = set(sys.modules)
from wpbridge.cli.main import cli
for command in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()):
        code = cli.main(command, prog_name="wpbridge", standalone_mode=False)
    print(json.dumps([code or 0, sorted(set(sys.modules) - before)]))
"""
COLLECTOR = """
import atexit, gc
atexit.register(lambda: print(gc.isenabled(), gc.get_freeze_count() > 10_000))
from wpbridge.cli import main
main()
"""
HELP = {"cli", "codec", "errors", "deprecated", "site", "telling"}
"""The rooms and modules of wpbridge that the help loads."""
STATUS = {
    *(*HELP, "action", "clock", "dataclass", "monitor", "outcome", "patterns", "queue"),
    *("store", "system"),
}
LIST = {*STATUS, "executors"}
STATUS_PARTS = {
    *(
        "cli.exit_codes",
        "cli.lazy_group",
        "cli.main",
        "cli.options",
        "cli.old_words",
        "cli.output",
        "cli.status",
    ),
    *("cli.terminal", "cli.times", "codec.jsontext", "queue.status", "site.config"),
    *("deprecated.moved", "deprecated.register"),
    *(
        "site.alert_kinds",
        "site.bounds",
        "site.celery_kinds",
        "site.database",
        "site.faults",
        "site.moments",
        "site.resolve",
        "site.rule_tables",
    ),
    *(
        "site.rules",
        "site.settings",
        "site.settings_file",
        "site.table_rows",
        "site.tls",
        "site.value_kinds",
    ),
    *(
        "site.old_settings",
        "site.wake_kinds",
        "site.web_kinds",
        "site.zone",
        "store.base",
        "store.connect",
        "store.database",
    ),
    *("store.opened", "store.queueing", "store.reading", "store.records", "store.rows"),
    *("store.running", "store.schema", "store.structure", "system.trusted_files"),
    *("telling.counting", "telling.log", "telling.metrics", "telling.numbers", "telling.visible"),
    *("monitor.advice", "monitor.advising", "monitor.due_parts", "monitor.glance"),
    "monitor.handed_hooks",
    *("monitor.history", "monitor.percentiles"),
}
"""What status loads of the rooms: a module, or a room inside a room."""
SLOW = {"asyncio", "concurrent", "email", "http", "multiprocessing", "ssl", "unittest", "zipfile"}
"""Modules of Python's own that take long to load, and that no short command needs."""
SLOW_FOR_STATUS = {*SLOW, "csv", "difflib", "hashlib", "shutil", "subprocess", "zoneinfo"}
SLOW_FOR_HELP = {*SLOW, "dataclasses", "decimal", "hashlib", "sqlite3", "subprocess", "zoneinfo"}


def loaded(*commands: Sequence[str], folder: Path | None = None) -> list[set[str]]:
    """The modules that one process in a folder has loaded after each of the commands."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(commands)],
        cwd=folder,
        env={k: v for k, v in os.environ.items() if not k.startswith("WPBRIDGE_")},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [code for code, _ in told] == [0] * len(commands)
    return [set(modules) for _, modules in told]


def packages(modules: set[str]) -> set[str]:
    """The packages that are neither Python's nor ours. Time zones may come from one of them."""
    tops = {name.partition(".")[0] for name in modules} - sys.stdlib_module_names
    return {top for top in tops if not top.startswith("_")} - {"wpbridge", "tzdata"}


def rooms(modules: set[str]) -> set[str]:
    return {name.split(".")[1] for name in modules if name.startswith("wpbridge.")}


def parts(modules: set[str]) -> set[str]:
    ours = [name.split(".") for name in modules if name.startswith("wpbridge.")]
    return {".".join(name[1:3]) for name in ours if len(name) > 2}


def test_short_commands_load_what_they_need(tmp_path: Path) -> None:
    dsn = f"sqlite:///{tmp_path / 'q.db'}"
    make_store(DatabaseAddress.from_dsn(dsn), "wp_").close()
    site = ("--dsn", dsn)
    of_help, of_status, of_list, of_enqueue, of_explain = loaded(
        *(["--help"], ["status", *site], ["list", *site], ["enqueue", "h", *site]),
        ["explain", "1", *site],
    )
    assert (packages(of_help), rooms(of_help)) == ({"click"}, HELP)
    assert of_help & SLOW_FOR_HELP == set()
    assert (packages(of_status), rooms(of_status)) == ({"click"}, STATUS)
    assert parts(of_status) == STATUS_PARTS
    assert (of_status - of_help) & SLOW_FOR_STATUS == set()
    for modules in (of_list, of_enqueue):
        assert (packages(modules), rooms(modules)) == ({"click"}, LIST)
        assert modules & SLOW == set()
    assert (of_list - of_help) & SLOW_FOR_STATUS == set()
    assert packages(of_explain) == {"click"}
    assert of_explain & {"asyncio", "ssl", "wpbridge.runner.loop", "wpbridge.app.runners"} == set()
    assert of_explain & {"wpbridge.doctor.examination", "wpbridge.doctor.fixes"} == set()


def test_a_run_loads_what_its_handlers_need(tmp_path: Path) -> None:
    dsn = f"sqlite:///{tmp_path / 'q.db'}"
    make_store(DatabaseAddress.from_dsn(dsn), "wp_").close()
    (tmp_path / "acts.py").write_text("from wpbridge import hook\n@hook('h')\ndef h(): pass\n")
    [modules] = loaded(["claim-and-run", "--dsn", dsn, "--handlers", "acts"], folder=tmp_path)
    assert modules & {"asyncio", "multiprocessing", "ssl"} == set()
    assert packages(modules) & {"opentelemetry", "sentry_sdk"} == set()
    unneeded = ("wpbridge.executors.process", "wpbridge.executors.php", "wpbridge.executors.async")
    assert [name for name in sorted(modules) if name.startswith(unneeded)] == []


def test_a_server_costs_its_driver(mysql_dsn: str, driver: str) -> None:
    make_store(DatabaseAddress.from_dsn(mysql_dsn), "wp_").close()
    dsn = mysql_dsn.replace("mysql:", f"mysql+{driver}:")
    [modules] = loaded(["status", "--dsn", dsn])
    package = "pymysql" if driver == "pymysql" else "MySQLdb"
    # PyMySQL loads this one where it is installed, as it is among the tools of these tests.
    assert (packages(modules) - {"cryptography"}, rooms(modules)) == ({"click", package}, STATUS)


def test_the_garbage_collector_works_in_a_command_but_not_on_its_modules() -> None:
    command = [sys.executable, "-c", COLLECTOR, "decode", "i:5;"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout == "5\nTrue True\n"
