"""`uninstall`: what it removes, what it leaves and names, and what it refuses to do."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli_helpers import Site, is_one_line, state_of, tables
from conftest import ROOT
from factories import insert, make_new
from gateway import serving
from rows import change, column, log_of, query, set_status
from servers import MariaDB, find_program
from stores import open_store
from wpbridge.clock import SystemClock
from wpbridge.installing import written
from wpbridge.leaving import machine
from wpbridge.plugin import companion, cron_bridge
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import Queue
from wpbridge.runner.identity import identity
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.base import ClaimFilter
from wpbridge.store.running.runner_store import RunnerStore

ACTIONS = "wp_actionscheduler_actions"
PLUGIN = tuple(f"wp_actionscheduler_{name}" for name in ("actions", "claims", "groups", "logs"))
CONFIG = """<?php
define( 'DB_NAME', '{name}' );
define( 'DB_USER', 'root' );
define( 'DB_PASSWORD', '' );
define( 'DB_HOST', 'localhost:{socket}' );
define( 'DB_CHARSET', 'utf8mb4' );
$table_prefix = 'wp_';
require_once ABSPATH . 'wp-settings.php';
"""


@pytest.fixture(autouse=True)
def _nothing_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has this machine start wpbridge is no part of a test."""
    monkeypatch.setattr(written, "UNITS", Path("/nowhere"))
    monkeypatch.setattr(written, "CRONTABS", ())


@pytest.fixture
def queue(site: Site) -> Iterator[Queue]:
    with Queue(site.store.parts, close_store=False) as found:
        yield found


# Byte for byte


@pytest.fixture
def golden(mariadb: MariaDB, mysql_dsn: str, tmp_path: Path) -> Iterator[Site]:
    """Tables and rows that the real plugin has written, in a WordPress folder."""
    scenario = ROOT / "fixtures" / "golden" / "scenario-4.0.0" / "before.sql"
    client = find_program(("mariadb", "mysql"))
    database = mysql_dsn.partition("?")[0].rpartition("/")[2]
    command = [str(client), "-uroot", f"-S{mariadb.socket}", database]
    subprocess.run(command, input=scenario.read_bytes(), check=True)
    folder = tmp_path / "site"
    (folder / "wp-content" / "mu-plugins").mkdir(parents=True)
    (folder / "wp-config.php").write_text(CONFIG.format(name=database, socket=mariadb.socket))
    (folder / "wp-settings.php").write_text("<?php\n")
    store = open_store(DatabaseAddress.from_dsn(mysql_dsn), "wp_")
    yield Site(mysql_dsn, folder, store)
    store.close()


def dump(site: Site) -> list[object]:
    """The definitions of all tables, down to the next ids, and all their rows."""
    names = sorted(str(row[0]) for row in query(site.store, "SHOW TABLES"))
    return [
        (query(site.store, f"SHOW CREATE TABLE {name}"), query(site.store, f"SELECT * FROM {name}"))
        for name in names
    ]


def files(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*"))


def test_a_site_is_left_as_it_was(golden: Site) -> None:
    """Everything is set up and nothing has run: not one byte of the plugin's is another one."""
    path = f"--path={golden.folder}"
    before, there = dump(golden), files(golden.folder)
    assert len(before) == len(PLUGIN)
    for words in (
        ("init",),
        ("wp", "install-plugin", "--owns-site"),
        ("keys", "add", "clerk", "--allow", "read"),
        ("pause", "--all", "--reason", "not yet"),
        ("users", "add", "anna", "--role", "viewer", "--password-stdin"),
    ):
        told = golden(*words, path, input="correct horse battery")
        assert told.code == 0, told
    with serving(golden.dsn, runs_own=True) as gateway:
        assert gateway.ask("GET", "/v1/pauses").json()
    assert golden("doctor", path).code in (0, 1)
    assert files(golden.folder) != there
    told = golden("uninstall", path)
    assert told.code == 78
    assert "still in use: 1 pause, 3 API keys, 1 user of the dashboard; add --yes" in told.err
    told = golden("uninstall", path, "--yes")
    assert (told.code, told.err.count("left")) == (0, 0), told
    assert dump(golden) == before
    assert files(golden.folder) == there


def test_a_dry_run_names_everything_and_changes_nothing(golden: Site) -> None:
    path = f"--path={golden.folder}"
    assert golden("init", path).code == 0
    assert golden("wp", "install-plugin", path).code == 0
    assert golden("migrate", "index", path).code == 0
    folder = golden.folder / "wp-content" / "mu-plugins"
    cron_bridge.install(folder, "wp_", "wp-cron", ["shop"], "j1")
    before, there = dump(golden), files(golden.folder)
    told = golden("uninstall", path, "--dry-run")
    assert told.code == 0, told
    assert f"would remove the companion plugin {folder / companion.FILE_NAME}\n" in told.out
    assert "would remove wp_wpbridge_runners, wp_wpbridge_pauses" in told.out
    assert "would leave the index wpbridge_claim: wpbridge migrate index --drop\n" in told.err
    assert f"would leave {folder / cron_bridge.FILE_NAME}" in told.err
    [journal] = state_of(golden.folder).glob("*.journal")
    assert f"would leave the journal {journal}: rm {journal}\n" in told.err
    assert (dump(golden), files(golden.folder)) == (before, there)
    told = golden("uninstall", path, "--with-index", "--with-bridge", "--format", "json")
    assert told.code == 0, told
    found = json.loads(told.out)
    assert [one["command"] for one in found["left"]] == [f"rm {journal}"]
    assert files(golden.folder) == [
        "wp-config.php",
        "wp-content",
        "wp-content/mu-plugins",
        "wp-settings.php",
    ]
    assert query(golden.store, f"SHOW INDEX FROM {ACTIONS} WHERE Key_name = 'wpbridge_claim'") == []
    assert golden("uninstall", path).out.endswith("no tables: there are none of wpbridge's\n")


def test_a_companion_that_lies_elsewhere_is_named(golden: Site) -> None:
    change(golden.store, "CREATE TABLE wp_options (option_name varchar(191), option_value text)")
    change(golden.store, "INSERT INTO wp_options VALUES ('wpbridge_companion', '1 own-hooks')")
    assert golden("init").code == 0
    told = golden("uninstall")
    assert told.code == 0, told
    assert "left the companion plugin and its option" in told.err
    assert "wp install-plugin --remove --path DIR" in told.err
    assert query(golden.store, "SELECT option_name FROM wp_options") == [("wpbridge_companion",)]
    there = golden("uninstall", f"--path={golden.folder}")
    assert "removed the option wpbridge_companion\n" in there.out
    assert query(golden.store, "SELECT option_name FROM wp_options") == []


# What was in the queue


def test_what_only_wpbridge_understands_goes_and_the_rest_stays(site: Site, queue: Queue) -> None:
    [plain] = insert(site.store, make_new("plain", priority=3, group="mail"))
    first = queue.schedule_single("+1h", "first")
    waits = queue.enqueue(Enqueue(hook="waits", after=[first or 0]))
    zoned = queue.schedule_cron(None, "0 3 * * *", "zoned", tz="Europe/Rome")
    insert(
        site.store, *(make_new("wpbridge_callback", args=(n,), group="wpbridge") for n in (1, 2))
    )
    set_status(site.store, 5, "failed")
    before = {
        one: query(site.store, f"SELECT * FROM {ACTIONS} WHERE action_id = :i", i=one)
        for one in (plain, first or 0, zoned or 0)
    }
    refused = site("uninstall")
    assert is_one_line(refused, 78)
    assert "what 1 action without a date waits for" in refused.err
    told = site("uninstall", "--yes")
    assert told.code == 0, told
    assert "removed 2 actions of wpbridge's own hooks" in told.out
    for one, row in before.items():
        found = query(site.store, f"SELECT * FROM {ACTIONS} WHERE action_id = :i", i=one)
        assert found == row
    assert column(site.store, "status", waits or 0) == "canceled"
    assert "uninstalled while this action waited" in log_of(site.store, waits or 0)[-1]
    hooks = {str(hook) for (hook,) in query(site.store, f"SELECT hook FROM {ACTIONS}")}
    assert hooks == {"plain", "first", "waits", "zoned"}
    groups = query(site.store, "SELECT slug FROM wp_actionscheduler_groups WHERE slug <> ''")
    assert groups == [("mail",)]
    named = {
        str(one) for (one,) in query(site.store, "SELECT action_id FROM wp_actionscheduler_logs")
    }
    assert named <= {str(one) for one in (plain, first, waits, zoned)}
    assert set(tables(site.store)) & set(site.store.names.own) == set()


def claimed(site: Site, pid: int) -> RunnerStore:
    """A runner of this host that has an action in hand."""
    runner = open_store(DatabaseAddress.from_dsn(site.dsn), "wp_")
    me = identity()
    runner.register(host=me.host, boot=me.boot, pid=pid, pid_started=me.pid_started)
    only = ClaimFilter(hooks=frozenset({"h"}))
    assert runner.claim_due(now=SystemClock().now(), limit=9, only=only) is not None
    return runner


def test_it_refuses_while_a_runner_is_at_work(site: Site) -> None:
    insert(site.store, make_new("h"))
    runner = claimed(site, identity().pid)
    try:
        before = tables(site.store)
        refused = site("uninstall", "--yes")
        assert is_one_line(refused, 78)
        assert f"1 runner may still be at work (pid {identity().pid} on" in refused.err
        assert tables(site.store) == before
        dry = site("uninstall", "--dry-run")
        assert dry.code == 0
        assert "would refuse: 1 runner may still be at work" in dry.err
    finally:
        runner.unregister()
        runner.close()


def test_what_a_dead_runner_had_in_hand_is_put_back(site: Site) -> None:
    insert(site.store, make_new("h"))
    claimed(site, 2**22 + 1).close()
    told = site("uninstall")
    assert told.code == 0, told
    assert "the claims of 1 dead runner, put back" in told.out
    rows = query(site.store, f"SELECT status, claim_id FROM {ACTIONS}")
    assert rows == [("pending", 0)]
    assert query(site.store, "SELECT * FROM wp_actionscheduler_claims") == []


def test_a_crash_in_between_is_gone_on_from(
    site: Site, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = queue.schedule_single("+1h", "first")
    waits = queue.enqueue(Enqueue(hook="waits", after=[first or 0]))
    insert(site.store, make_new("wpbridge_bulk", group="wpbridge"))

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("wpbridge.leaving.uninstalling.drop_tables", die)
        site("uninstall", "--yes")
    assert column(site.store, "status", waits or 0) == "canceled"
    assert site.store.parts.own.look() == frozenset(site.store.names.own)
    assert site("uninstall", "--yes").code == 0
    assert site.store.parts.own.look() == frozenset()


def test_pending_actions_of_pythons_hooks_are_told_of(golden: Site) -> None:
    path = f"--path={golden.folder}"
    (golden.folder / "acts.py").write_text(
        "from wpbridge import hook\n@hook('only_python')\ndef f(): pass\n"
    )
    assert golden("wp", "install-plugin", path, "--handlers", "acts").code == 0
    insert(golden.store, make_new("only_python"))
    refused = golden("uninstall", path)
    assert is_one_line(refused, 78)
    assert "1 pending action of Python's hooks (only_python)" in refused.err
    assert "protect-python-hooks" in refused.err


# What has the machine start wpbridge

UNIT = "[Service]\nExecStart=/opt/wpbridge/bin/wpbridge work --path /srv/shop\n"


def test_units_and_lines_of_crontabs_are_named(tmp_path: Path) -> None:
    (tmp_path / "shop.service").write_text(UNIT)
    (tmp_path / "made.service").write_text(written.sealed("shop", UNIT))
    (tmp_path / "theirs.service").write_text(written.sealed("other", UNIT))
    (tmp_path / "wpbridge@.service").write_text(UNIT)
    (tmp_path / "other.service").write_text("[Service]\nExecStart=/bin/true wpbridgeless\n")
    (tmp_path / "notes.txt").write_text(UNIT)
    told = dict(machine.units("shop", tmp_path))
    assert [what.rpartition("/")[2] for what in told] == [
        "made.service",
        "shop.service",
        "wpbridge@.service",
    ]
    shop = tmp_path / "shop.service"
    assert told[f"the unit {shop}"] == f"systemctl disable --now shop.service; rm {shop}"
    assert list(machine.units("shop", tmp_path / "missing")) == []
    crontabs = tmp_path / "crontabs"
    crontabs.mkdir()
    line = "* * * * * cd /srv && /usr/bin/wpbridge claim-and-run --quiet"
    (crontabs / "www-data").write_text(
        f"# * * * * * wpbridge work\n5 4 * * * backup\n{line}\n"
        f"{written.mark('other', 'cron')}\n{line} --path /srv/other\n"
    )
    [(what, command)] = machine.cron_lines("shop", [tmp_path / "none", crontabs])
    assert what == f"line 3 of the crontab {crontabs / 'www-data'}"
    assert command == f"crontab -u www-data -e: {line}"


def test_who_is_not_root_is_shown_the_lines_of_an_own_crontab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = "* * * * * cd /srv && /usr/bin/wpbridge claim-and-run --quiet"
    program = tmp_path / "crontab"
    program.write_text(f"#!/bin/sh\n[ \"$*\" = -l ] && echo '# mine' && echo '{line}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(written, "CRONTABS", ())
    monkeypatch.setattr(os, "geteuid", lambda: 33)
    [(what, command)] = machine.cron_lines("shop")
    assert (what, command) == ("line 2 of your own crontab", f"crontab -e: {line}")
    # A user without a crontab has no line in it
    program.write_text("#!/bin/sh\necho 'no crontab for www-data' >&2\nexit 1\n")
    assert list(machine.cron_lines("shop")) == []
