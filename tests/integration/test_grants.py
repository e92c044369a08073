"""An account with the rights that `wpbridge grants` prints can do all of its purpose, and each of its
rights is needed for something.
"""

import contextlib
import json
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

import accounts_of_administrators as administrators
import accounts_of_doors as doors
import accounts_of_runners as runners
from accounts import Account, Deed, account, done, unneeded
from cli_helpers import Site, is_one_line
from conftest import execute
from daemons import started_daemons, until, work_folder
from factories import insert, make_new
from gateway import Gateway
from legacy_store import LegacyStore
from receiver import Receiver
from rows import change, query
from served import served
from servers import MariaDB
from stores import make_store, way_of
from wordpress_people import BLAKE, WordPress, entries
from wpbridge.plugin.own_hooks import OwnHooks
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.store.schema.purposes import PURPOSES
from wpbridge.store.structure.creation import drop_tables
from wpbridge.web.routes import ROUTES

# A gateway that lacks a right does not start, which ends its thread.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
    pytest.mark.usefixtures("quick_hashes"),
]
DEEDS: Mapping[str, Mapping[str, Deed]] = {
    "runner": runners.DEEDS,
    "gateway": doors.GATEWAY,
    "dashboard": doors.DASHBOARD,
    "migrations": administrators.MIGRATIONS,
    "init": administrators.INIT,
}
Make = Callable[[str], Account]


@pytest.fixture(autouse=True)
def _companion(monkeypatch: pytest.MonkeyPatch) -> None:
    """The companion plugin keeps PHP off wpbridge's own hooks."""
    monkeypatch.setattr(OwnHooks, "refusal", lambda *_: None)


@pytest.fixture
def of(
    mariadb: MariaDB,
    mysql_dsn: str,
    open_queue: Callable[[str], RunnerStore],
    tmp_path: Path,
    receiver: Receiver,
) -> Iterator[Make]:
    """Make an account of a purpose, on a site in Rome whose own tables are there."""
    with contextlib.ExitStack() as stack:

        def make(purpose: str) -> Account:
            root = Site(mysql_dsn, tmp_path, open_queue(mysql_dsn))
            found = stack.enter_context(account(mariadb, root, purpose))
            found.more["receiver"] = receiver
            if purpose == "migrations":
                found.more["legacy"] = LegacyStore(root.store)
            else:
                WordPress(root.store).add("anna", entries(BLAKE))
                zone = "(option_name, option_value) VALUES ('timezone_string', 'Europe/Rome')"
                change(root.store, f"INSERT INTO wp_options {zone}")
            root.ok("init")
            runners.prepare(found)
            return found

        yield make


def test_each_purpose_is_tried() -> None:
    assert set(DEEDS) == set(PURPOSES)


@pytest.mark.parametrize("purpose", DEEDS)
def test_an_account_can_do_all_of_its_purpose(of: Make, purpose: str) -> None:
    it = of(purpose)
    it.grant()
    for deed in DEEDS[purpose].values():
        it.empty()
        deed(it)


def test_the_gateway_is_asked_all_that_it_answers(
    of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each route of the table, and each page, is among what the account was seen doing."""
    it, asked = of("gateway"), set[tuple[str, str]]()
    it.grant()
    send = Gateway.ask

    def noting(self: Gateway, method: str, path: str, *rest: Any, **more: Any) -> Any:
        asked.add((method, path.partition("?")[0]))
        return send(self, method, path, *rest, **more)

    monkeypatch.setattr(Gateway, "ask", noting)
    for deed in doors.GATEWAY.values():
        it.empty()
        deed(it)
    missing = [
        (route.method, route.path)
        for route in ROUTES
        if not any(
            method == route.method and re.fullmatch(re.sub(r"{\w+}", "[^/]+", route.path), path)
            for method, path in asked
        )
    ]
    assert missing == []


@pytest.mark.parametrize(
    "purpose",
    ["runner", *(pytest.param(one, marks=pytest.mark.long) for one in DEEDS if one != "runner")],
)
def test_an_account_needs_each_of_its_rights(of: Make, purpose: str) -> None:
    it = of(purpose)
    it.grant()
    assert unneeded(it, DEEDS[purpose]) == []


def test_a_daemon_and_a_gateway_work_side_by_side(of: Make, tmp_path: Path) -> None:
    """Each is a process with an account of its own."""
    it = of("runner")
    it.grant()
    names = it.store.names
    work = tmp_path / "work"
    work.mkdir()
    work_folder(work, runners.HANDLERS)
    with (
        account(it.server, it.root, "gateway", user=f"g{it.user[1:]}") as other,
        started_daemons(work) as start,
    ):
        other.grant()
        daemon = start(it.dsn, "--poll-interval", "0.05s").ready()
        with served(tmp_path, other.dsn, "--no-ui", "--listen", "127.0.0.1:0") as gateway:
            key = doors.new_key(it)
            told = requests.post(
                f"{gateway.url}/v1/jobs",
                json={"hook": "returns"},
                headers={"Authorization": f"Bearer {key}"},
                timeout=60,
            )
            assert told.status_code == 202, told.text
            until(lambda: it.statuses("returns") == ["complete"], daemon.err)
            until(
                lambda: query(it.store, f"SELECT 1 FROM {names.stats} WHERE outcome = 'complete'"),
                daemon.err,
            )
        assert query(it.store, f"SELECT 1 FROM {names.runners} WHERE wake_address <> ''")
        daemon.send(signal.SIGTERM)
        assert daemon.code() == 143
        assert "denied" not in daemon.err()
        assert not [line for line in gateway.lines if "denied" in line]


@pytest.mark.parametrize("purpose", ["runner", "gateway"])
def test_an_account_makes_the_tables_itself_with_create(of: Make, purpose: str) -> None:
    it = of(purpose)
    drop_tables(way_of(it.store))
    refused = it.root("grants", "--for", purpose)
    assert is_one_line(refused, 78), refused
    assert "--with-create" in refused.err
    it.grant("--with-create")
    insert(it.store, make_new("h"))
    assert it.site(*runners.RUN).code == 0
    if purpose == "gateway":
        doors.add_jobs(it)
    assert it.statuses("h")[0] == "complete"


def test_init_needs_no_tables(of: Make) -> None:
    it = of("init")
    drop_tables(way_of(it.store))
    it.grant()
    done(it.site("init"))


def test_a_missing_right_is_one_line_that_names_the_table(of: Make) -> None:
    it = of("runner")
    it.grant()
    it.do(f"REVOKE INSERT ON `{it.database}`.wp_actionscheduler_logs FROM {it.user}@localhost")
    insert(it.store, make_new("h"))
    for command in (runners.RUN, ("check",)):
        told = it.site(*command)
        assert told.code != 0
        assert told.err.count("\n") == 1, told
        assert "wp_actionscheduler_logs" in told.err
    assert "wpbridge grants --for runner" in told.err


# Names


@pytest.mark.parametrize("name", ["sh_op", "50%", "a`b", "ütf"])
def test_names_of_databases_mean_themselves(mariadb: MariaDB, tmp_path: Path, name: str) -> None:
    """In rights on tables ``_`` and ``%`` are no patterns, and a backslash would be a letter."""
    quoted = f"`{name.replace('`', '``')}`"
    user = "names@localhost"
    execute(mariadb, f"CREATE DATABASE {quoted}")
    execute(mariadb, f"CREATE USER {user}")
    dsn = mariadb.url(quote(name, safe=""))
    store = make_store(DatabaseAddress.from_dsn(dsn), "wp_")
    try:
        it = Site(dsn, tmp_path, store)
        for line in it.ok("grants", "--for", "dashboard", "--account", user).splitlines():
            if not line.startswith("--"):
                execute(mariadb, line)
        theirs = Site(dsn.replace("root@", "names@"), tmp_path, store)
        assert theirs.ok("list", "--format", "ids") == "\n"
    finally:
        store.close()
        execute(mariadb, f"DROP DATABASE {quoted}")
        execute(mariadb, f"DROP USER {user}")


def test_accounts_are_quoted(of: Make) -> None:
    it = of("dashboard")
    told = it.root.ok("grants", "--for", "dashboard", "--account", "o`neil@10.0.0.%")
    assert "TO `o``neil`@`10.0.0.%`;" in told
    for bad in ("nobody", "@host", "user@", "a\nb@host"):
        refused = it.root("grants", "--account", bad)
        assert is_one_line(refused, 2), refused
    assert is_one_line(it.root("grants", "--for", "cook"), 2)


def test_a_network_has_its_users_in_the_tables_of_its_base(of: Make) -> None:
    it = of("gateway")
    change(it.store, "CREATE TABLE wp_blogs (blog_id bigint, domain text, path text, x int)")
    change(it.store, "ALTER TABLE wp_users ADD COLUMN deleted int")
    told = it.root.ok("grants", "--for", "gateway")
    assert "GRANT SELECT (blog_id, domain, path) ON" in told
    assert "GRANT SELECT (ID, user_login, user_email, spam, deleted) ON" in told
    assert "user_pass" not in told


def test_json_has_the_statements(of: Make) -> None:
    it = of("runner")
    told = json.loads(it.root.ok("grants", "--format", "json"))
    assert [one["for"] for one in told] == list(PURPOSES)
    text = it.root.ok("grants", "--for", "runner").splitlines()[1:]
    assert told[0]["statements"] == text


def test_sqlite_has_no_accounts(lite: Site) -> None:
    refused = lite("grants", "--for", "runner")
    assert is_one_line(refused, 78)
    assert "SQLite has no accounts" in refused.err
