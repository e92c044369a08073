"""`wpbridge sites`: what a list says, and how each of its sites stands, a bad one among good ones."""

import json
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli_helpers import Done, call, wpbridge
from databases import empty_queue
from rows import change
from stores import open_store
from wpbridge import Queue
from wpbridge.monitor import site_look, sites_state
from wpbridge.monitor.sites_state import SitesState, SiteState
from wpbridge.site.database import DatabaseAddress
from wpbridge.site.site_list import read_sites
from wpbridge.store.connect import connect
from wpbridge.store.structure.creation import create_tables

NOBODY = 65534
# The process of these tests has threads of its own, which do not matter here.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def here() -> Iterator[Path]:
    """A folder that other users can reach, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="wpbridge-sites-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture
def silent() -> Iterator[str]:
    """A database server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as ear:
        yield f"mysql://a:b@127.0.0.1:{ear.getsockname()[1]}/silent"


def site(here: Path, name: str, *minutes: float) -> str:
    """Makes a queue with actions that are due so many minutes from now."""
    dsn = empty_queue(here / f"{name}.db")
    store = open_store(DatabaseAddress.from_dsn(dsn), "wp_")
    queue = Queue(store.parts)
    for number in minutes:
        queue.schedule_single(datetime.now(UTC) + timedelta(minutes=number), "h", [number])
    queue.close()
    return dsn


def listing(here: Path, *entries: dict[str, object], name: str = "sites.toml") -> Path:
    file = here / name
    rows = [
        ", ".join(f"{key} = {json.dumps(value)}" for key, value in entry.items())
        for entry in entries
    ]
    file.write_text(f"sites = [{', '.join(f'{{{row}}}' for row in rows)}]")
    return file


def status(here: Path, file: Path, *more: str) -> tuple[Done, dict[str | None, dict[str, Any]]]:
    words = ["sites", "status", "--sites", str(file), "--format", "json", "--state-file"]
    done = wpbridge(*words, str(here / "state.json"), *more, cwd=here)
    rows = json.loads(done.stdout)
    return Done(done.returncode, done.stdout, done.stderr), {row["name"]: row for row in rows}


def test_each_site_tells_what_is_due_and_what_failed(here: Path) -> None:
    busy = site(here, "busy", -1, -2, 30)
    store = open_store(DatabaseAddress.from_dsn(busy), "wp_")
    change(
        store,
        "UPDATE wp_actionscheduler_actions SET status = 'failed', last_attempt_gmt = :at"
        " WHERE args = '[-2]'",
        at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S"),
    )
    store.close()
    done, rows = status(here, listing(here, {"dsn": busy}, {"dsn": site(here, "idle")}))
    assert (done.code, done.err) == (0, "2 sites, 0 bad\n")
    assert {name: rows["busy"][name] for name in ("state", "due", "failed", "running", "bad")} == {
        "state": "due",
        "due": 1,
        "failed": 1,
        "running": 0,
        "bad": False,
    }
    assert rows["busy"]["oldest_due"] is not None
    assert (rows["idle"]["state"], rows["idle"]["due"], rows["idle"]["reason"]) == ("idle", 0, None)


def test_a_site_on_a_server_is_looked_at(here: Path, mysql_dsn: str, open_queue: Any) -> None:
    queue = Queue(open_queue(mysql_dsn).parts, close_store=False)
    queue.schedule_single(datetime.now(UTC) - timedelta(minutes=1), "h")
    _, rows = status(here, listing(here, {"dsn": mysql_dsn, "name": "it"}))
    assert (rows["it"]["state"], rows["it"]["due"]) == ("due", 1)


def test_bad_sites_keep_no_other_one_waiting(here: Path, silent: str) -> None:
    entries: list[dict[str, object]] = [
        {"dsn": silent, "table_prefix": f"s{number}_", "name": f"s{number}"} for number in range(9)
    ]
    file = listing(
        here,
        *entries,
        {"dsn": site(here, "good")},
        {"dsn": f"sqlite:///{here}/none.db"},
        {"path": "gone", "name": "gone"},
    )
    done, rows = status(here, file, "--timeout", "3s")
    assert (done.code, done.err) == (1, "12 sites, 11 bad\n")
    assert (rows["good"]["state"], rows["good"]["bad"]) == ("idle", False)
    assert rows["s8"]["reason"] == "its database has not answered within 3 s"
    assert "none.db" in rows["none"]["reason"]
    assert (rows[None]["bad"], rows[None]["state"]) == (True, "bad")
    done, rows = status(here, file, "--timeout", "3s", "--only", "bad")
    assert (done.code, "good" in rows, len(rows)) == (1, False, 11)


def test_a_site_that_nobody_runs_is_bad(here: Path) -> None:
    file = listing(here, {"dsn": site(here, "late", -20)})
    done, rows = status(here, file)
    assert (done.code, rows["late"]["bad"]) == (1, True)
    assert "waits for too long" in rows["late"]["reason"]
    assert [status(here, file, "--late", time)[0].code for time in ("1h", "0")] == [0, 0]


def test_each_blog_of_a_network_is_a_site(here: Path) -> None:
    dsn = site(here, "net", -1)
    address = DatabaseAddress.from_dsn(dsn)
    way = connect(address, "wp_3_", base_prefix="wp_")
    create_tables(way, everything=True)
    way.close()
    store = open_store(address, "wp_")
    columns = "blog_id INTEGER PRIMARY KEY, domain TEXT, path TEXT"
    change(store, f"CREATE TABLE wp_blogs ({columns}, archived INT, deleted INT, spam INT)")
    for blog, archived in ((1, 0), (2, 0), (3, 0), (4, 1)):
        change(store, f"INSERT INTO wp_blogs VALUES ({blog}, 'x.example', '/', {archived}, 0, 0)")
    store.close()
    done, rows = status(here, listing(here, {"dsn": dsn, "network": True}))
    assert done.code == 0
    assert {name: row["due"] for name, row in rows.items()} == {"net.1": 1, "net.3": 0}
    assert rows["net.1"]["running"] == 0


def test_the_blogs_of_a_large_network_are_counted(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site_look, "MOST_WHOLE", 0)
    dsn = site(here, "net", -1)
    store = open_store(DatabaseAddress.from_dsn(dsn), "wp_")
    columns = "blog_id INTEGER PRIMARY KEY, domain TEXT, path TEXT"
    change(store, f"CREATE TABLE wp_blogs ({columns}, archived INT, deleted INT, spam INT)")
    change(store, "INSERT INTO wp_blogs VALUES (1, 'x.example', '/', 0, 0, 0)")
    store.close()
    (entry,) = read_sites(listing(here, {"dsn": dsn, "network": True}), {}).sites
    [(name, [look])] = list(site_look.look_at_each([entry], trusted=False))
    assert (name, look.name, look.due, look.running) == ("net", "net.1", 1, None)


def told(here: Path, file: Path, *sites: SiteState, seconds_ago: float = 0.0) -> None:
    """Writes what a daemon tells."""
    state = SitesState(
        pid=17,
        written_at=datetime.now(UTC),
        monotonic=time.monotonic() - seconds_ago,
        daemon="working",
        place=str(file),
        most_running=8,
        running=1,
        waiting=0,
        most_php=8,
        php=0,
        sites=sites,
    )
    sites_state.write(here / "state.json", state)


def test_the_daemon_tells_the_state_of_its_sites(here: Path) -> None:
    file = listing(here, {"dsn": site(here, "a")}, {"dsn": site(here, "b")})
    at = datetime(2026, 1, 2, tzinfo=UTC)
    told(
        here,
        file,
        SiteState(name="a", place="a", user="", condition="lingering", last_run=at),
        SiteState(name="b", place="b", user="", condition="bad", reason="no such user"),
    )
    done, rows = status(here, file)
    assert (done.code, rows["a"]["state"], rows["a"]["bad"]) == (1, "lingering", False)
    assert (rows["b"]["state"], rows["b"]["bad"], rows["b"]["reason"]) == (
        "bad",
        True,
        "no such user",
    )
    assert rows["a"]["last_run"] == "2026-01-02T00:00:00Z"


def test_a_dead_daemon_is_bad_and_that_of_another_list_counts_for_nothing(here: Path) -> None:
    file = listing(here, {"dsn": site(here, "a")})
    told(here, file, seconds_ago=3600)
    done, rows = status(here, file)
    assert (done.code, rows["a"]["state"]) == (1, "idle")
    assert "the daemon with pid 17 has died or hangs" in done.err
    told(here, here / "other.toml", SiteState(name="a", place="a", user="", condition="bad"))
    done, rows = status(here, file)
    assert (done.code, rows["a"]["state"]) == (0, "idle")


def test_the_settings_file_of_a_site_says_which_queue_it_is(here: Path) -> None:
    folder = here / "shop"
    folder.mkdir()
    (folder / "wp-config.php").write_text("<?php // read by nobody, since there is a DSN")
    dsn = site(here, "shop", -1)
    (folder / "wpbridge.toml").write_text(f'[site]\ndsn = "{dsn}"\ntable_prefix = "wp_"\n')
    done, rows = status(here, listing(here, {"path": str(folder)}))
    assert (done.code, rows["shop"]["state"], rows["shop"]["due"]) == (0, "due", 1)
    (folder / "wpbridge.toml").write_text("[site]\nnmae = 1\n")
    _, rows = status(here, listing(here, {"path": str(folder)}))
    assert "did you mean name?" in rows["shop"]["reason"]


@as_root
def test_root_looks_at_a_site_as_its_user(here: Path) -> None:
    """What only root may read stays unread, whatever a site's configuration says."""
    folder = here / "shop"
    folder.mkdir()
    secret = here / "secret.php"
    secret.write_text("<?php define('DB_NAME', 'x'); define('DB_USER', 'x');")
    secret.chmod(0o600)
    config = folder / "wp-config.php"
    config.write_text(
        f"<?php\nrequire '{secret}';\ndefine('DB_PASSWORD', 'x'); define('DB_HOST', '127.0.0.1:1');"
    )
    _, rows = status(here, listing(here, {"path": str(folder)}))
    assert "does not answer" in rows["shop"]["reason"]
    for place in (folder, config):
        os.chown(place, NOBODY, NOBODY)
    _, rows = status(here, listing(here, {"path": str(folder)}))
    assert f"the file {secret} that it includes cannot be read" in rows["shop"]["reason"]


@as_root
def test_a_configuration_of_others_learns_nothing_of_the_environment(here: Path) -> None:
    folder = here / "shop"
    folder.mkdir()
    config = folder / "wp-config.php"
    config.write_text(
        "<?php define('DB_NAME', 'x'); define('DB_USER', getenv('SECRET') ?: 'nothing');"
        " define('DB_PASSWORD', 'x'); define('DB_HOST', getenv('SECRET') ? '127.0.0.1:1' : 'localhost:/no.sock');"
    )
    for place in (folder, config):
        os.chown(place, NOBODY, NOBODY)
    words = [
        "sites",
        "status",
        "--sites",
        str(listing(here, {"path": str(folder)})),
        "--field",
        "reason",
    ]
    done = wpbridge(*words, cwd=here, env={"SECRET": "s3cret"})
    assert "/no.sock" in done.stdout


def test_the_list_shows_its_sites_and_its_faults(here: Path) -> None:
    (here / "www/shop").mkdir(parents=True)
    (here / "www/empty").mkdir()
    (here / "www/shop/wp-config.php").write_text("<?php")
    (here / "www/bad.toml").write_text("[[sites]]\nname = 'x'\n")
    done = call("sites", "list", "--sites", str(here / "www"), "--format", "json", cwd=here)
    assert done.code == 1
    shop, bad = json.loads(done.out)
    assert (shop["name"], shop["place"], shop["problem"]) == ("shop", str(here / "www/shop"), None)
    assert bad["problem"] == "name its WordPress with path, or its database with dsn"
    assert done.err == f"{here}/www/empty has no WordPress\n"
    shutil.rmtree(here / "www/empty")
    (here / "www/bad.toml").unlink()
    done = call("sites", "list", "--sites", str(here / "www"), "--format", "ids", cwd=here)
    assert (done.code, done.out) == (0, "shop\n")


def test_without_a_list_the_commands_say_how_to_name_one(here: Path) -> None:
    for command in ("list", "status"):
        done = call("sites", command, cwd=here)
        assert (done.code, done.out) == (78, "")
        assert "name the list of sites with --sites" in done.err


def test_who_looks_strictly_reads_no_settings_file_of_a_site(here: Path) -> None:
    folder = here / "shop"
    folder.mkdir()
    (folder / "wp-config.php").write_text("<?php define('DB_NAME', 'x');")
    (folder / "wpbridge.toml").write_text(f'[site]\ndsn = "{site(here, "shop")}"\n')
    (entry,) = read_sites(listing(here, {"path": str(folder)}), {}).sites
    for trusted in (False, True):
        [(_, [look])] = list(site_look.look_at_each([entry], trusted=trusted, strict=True))
        assert "DB_USER" in look.problem or "DB_HOST" in look.problem
    [(_, [look])] = list(site_look.look_at_each([entry], trusted=False))
    assert (look.problem, look.due) == ("", 0)
