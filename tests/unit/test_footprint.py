"""docs/reference/footprint.md has all that wpbridge can create: each creating call has its row."""

import re
from fnmatch import fnmatch
from itertools import chain
from pathlib import Path
from typing import Final

import pytest
from test_docs_reference import Table, codes, tables

import footprint
from wpbridge.action import BULK_HOOK, CALLBACK_HOOK
from wpbridge.plugin.own_hooks import SIGN
from wpbridge.site.settings import SETTINGS, Settings
from wpbridge.store.rows.options import CRON
from wpbridge.store.schema.tables import CLAIM_INDEX, OWN, PLUGIN

ROOT: Final = Path(__file__).parent.parent.parent
PAGE: Final = (ROOT / "docs" / "reference" / "footprint.md").read_text("utf-8")
TABLES: Final = list(tables(PAGE))

ROWS: Final[dict[str, tuple[str, ...]]] = {
    # Files and folders
    "state folder": ("migrate/file_locations.py _make *",),
    "journal": ("migrate/journal.py *", "migrate/packed_file.py *"),
    "side file": (
        "cli/migrate_poststore.py _move private_files.text",
        "migrate/transfer/files.py Rejects.add *",
        "migrate/wp_cron/left_events.py write *",
    ),
    "export or archive": ("migrate/transfer/files.py output *", "migrate/packed_file.py *"),
    "SQLite queue": ("store/database/sqlite.py *",),
    "heartbeat file": ("daemon/heartbeat.py write *",),
    "metrics file": ("monitor/textfile.py add replacing",),
    "state of many sites": ("monitor/sites_state.py write *", "daemon/sites/service.py _make *"),
    "companion plugin": ("plugin/companion_file.py *", "plugin/placing.py *"),
    "bridge for WP-Cron": ("plugin/cron_bridge.py *", "plugin/placing.py *"),
    "files for deployment": ("cli/deploy.py write *",),
    "unit": ("installing/unit_file.py *",),
    "spool of JSON lines": ("cli/enqueue_lines.py spooled *",),
    "settings for a worker": ("daemon/worker_process.py handed_file *",),
    "unpacked wpbridge.pyz": ("pyz_start.py *",),
    # Sockets and ports
    "socket of a worker": (
        "app/relay.py listening Listener.open",
        "app/worker.py _run Listener.open",
        "daemon/sites/poller.py Poller._listen Listener.open",
        "queue/wake.py Listener.open *",
        "queue/wake.py _make_private os.mkdir",
    ),
    "wake port": ("daemon/wake_listener.py _at_udp *", "system/datagrams.py bound_to_udp *"),
    "wake socket": ("daemon/wake_listener.py _at_path.bound *", "system/datagrams.py _bound *"),
    "gateway": ("web/listening.py opened listening.listening_at",),
    "gateway's Unix socket": ("web/listening.py opened listening.listening_on",),
    "metrics port": ("monitor/endpoint.py _serve listening_at",),
    "exporter": ("monitor/endpoint.py _serve listening_at",),
    "pair of sockets, pipes": (
        "daemon/worker_process.py starter.start socket.socketpair",
        "daemon/sites/poller_host.py * socket.socketpair",
        "daemon/sites/site_process.py start socket.socketpair",
        "daemon/sites/site_process.py start os.pipe",
        "daemon/signals.py caught os.pipe",
        "executors/pools/watcher.py * os.pipe",
        "system/forked.py _start os.pipe",
        "system/programs.py _pipes os.pipe",
    ),
    # Locks
    "lock of a journal": ("system/append_only.py *lock fcntl.flock",),
    "lock of the metrics file": ("monitor/textfile.py _alone fcntl.flock",),
    "lock of a Unix socket": ("system/datagrams.py _locked fcntl.flock",),
    # Processes
    "worker process": ("daemon/worker_process.py starter.start subprocess.Popen",),
    "isolated handler's process": ("executors/process/worker.py Setup.start *",),
    "PHP worker": ("executors/php/launch.py Launch.start *", "executors/php/launcher.php *"),
    "php for `wp-config.php`": ("site/wpconfig/asking.py *", "doctor/php_clock.py *"),
    "process of one site of many": ("daemon/sites/site_process.py start subprocess.Popen",),
    "poller of sites": (
        "daemon/sites/poller_host.py start_host subprocess.Popen",
        "daemon/sites/poller_host.py _fork os.fork",
    ),
    "`crontab -l`": ("leaving/machine.py _own_crontab programs.run",),
    "follower of sites": ("monitor/followed_sites.py * subprocess.Popen",),
    "copy for one site of many": ("system/forked.py _start os.fork",),
    # In other systems
    "broker queue and exchange": ("executors/celery/broker.py queue_named kombu.*",),
    # In WordPress
    "option `wpbridge_companion`": ("plugin/companion.php update_option",),
}
"""The calls that make what a row tells of, by the row's first words."""
INSIDE: Final = (
    # How the rooms create; who calls them is in a row.
    "system/private_files.py *",
    "system/whole_files.py *",
    "system/programs.py run *",
    "system/programs.py spawn *",
    "system/listening.py *",
    # Methods of ours that are called so, and open or hear what is there.
    "app/relay.py listening .open",
    "daemon/wake_listener.py WakeSocket.try_to_open .bind",
    "app/worker.py _run .open",
    "daemon/sites/poller.py Poller._listen .open",
    "app/worker.py _run .listen",
    "executors/php/probe.py _listen .listen",
    "executors/pools/pool.py * .listen",
    "store/running/endings.py Endings.heartbeat.beat .touch",
    # Descriptors that are there already.
    "app/worker.py _link socket.socket",
    "app/site_worker.py _say socket.socket",
    "daemon/sites/poller_host.py _be_poller socket.socket",
    "daemon/sites/poller_host.py main socket.socket",
    "web/supervised.py serve socket.socket",
    "executors/printed_output.py Stdout.install .open",
    "executors/php/launcher.php fopen",
    "executors/php/worker.php fopen",
    # The kernel's own file: which process ends first when memory runs out.
    "daemon/sites/users.py limit .write_text",
    # Read only.
    "migrate/transfer/files.py source gzip.GzipFile",
    # Sockets without a name that send and end.
    "daemon/notify.py Notifier.send socket.socket",
    "queue/wake.py poke socket.socket",
    "system/datagrams.py is_heard socket.socket",
    # Connections to others, which settings name.
    "executors/dialing.py connected *",
    "executors/webhook_call.py _Line.keep socket.socket",
    "store/database/mysqlclient_driver.py _Link.__init__ socket.socket",
    # The site's own wp-config.php does that, and PHP does it for the file.
    "site/wpconfig/config.php *",
)
"""Calls that create nothing that outlives them, or nothing of their own."""
CALLS: Final = sorted({call for call, _ in footprint.creating_calls()})
PHP: Final = sorted(set(footprint.creating_php()))


def below(title: str) -> Table:
    [table] = [table for table in TABLES if table.title == title]
    return table


def test_every_creating_call_has_a_row() -> None:
    patterns = [*INSIDE, *(one for several in ROWS.values() for one in several)]
    unknown = [
        call for call in (*CALLS, *PHP) if not any(fnmatch(call, pattern) for pattern in patterns)
    ]
    assert unknown == [], (
        "write down in docs/reference/footprint.md what these create, and name them in ROWS here"
    )


@pytest.mark.parametrize("pattern", [*INSIDE, *chain(*ROWS.values())])
def test_every_pattern_is_needed(pattern: str) -> None:
    assert any(fnmatch(call, pattern) for call in (*CALLS, *PHP))


def test_every_named_row_is_on_the_page() -> None:
    firsts = {row[0] for table in TABLES for row in table.rows}
    assert set(ROWS) - firsts == set()


@pytest.mark.parametrize("title", ["Files and folders", "Sockets and ports", "Locks", "Processes"])
def test_every_row_is_made_by_some_call(title: str) -> None:
    named = {row[0] for row in below(title).rows}
    assert named - set(ROWS) == {
        # Made by statements.
        "Locks": {"`wpbridge.groups.MD5`", "`wpbridge.posts.MD5`", "duties of the site"}
    }.get(title, set())


def test_the_tables_are_those_of_the_schema() -> None:
    named = {name for row in below("Tables").rows for name in codes(row[0])}
    assert named == {table.name_end for table in (*OWN, *PLUGIN)}


def test_the_named_locks_are_those_of_the_source() -> None:
    found = {
        f"wpbridge.{purpose}.MD5"
        for file in footprint.PACKAGE.rglob("*.py")
        for purpose in re.findall(r'NamedLock\("(\w+)"', file.read_text("utf-8"))
    }
    assert found == {code for row in below("Locks").rows for code in codes(row[0])}


def test_get_lock_is_asked_in_one_place() -> None:
    files = [
        file.relative_to(footprint.PACKAGE).as_posix()
        for file in footprint.PACKAGE.rglob("*.py")
        if " GET_LOCK(" in file.read_text("utf-8")
    ]
    assert files == ["store/database/named_lock.py"]


def test_the_variables_are_those_that_are_added() -> None:
    named = {code for row in below("Variables of processes").rows for code in codes(row[0])}
    assert named == footprint.added_variables()


def test_listeners_are_on_loopback_by_default() -> None:
    defaults = {
        name: Settings.__dataclass_fields__[name].default
        for name in SETTINGS
        if name.endswith(("_listen", "_socket", "_metrics"))
    }
    assert defaults == {
        "wake_socket": None,
        "wake_listen": None,
        "web_listen": "127.0.0.1:8787",
        "web_metrics": None,
        "metrics_listen": None,
    }
    assert defaults["web_listen"] in " ".join(
        " ".join(row) for row in below("Sockets and ports").rows
    )


def test_names_in_the_plugins_and_wordpresss_tables_are_on_the_page() -> None:
    named = {
        code
        for row in below("In the plugin's and WordPress's tables").rows
        for code in codes(row[0])
    }
    assert named == {BULK_HOOK, CALLBACK_HOOK, CLAIM_INDEX.name, SIGN, CRON}


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`\[(\w+)\] (\w+)", PAGE))))
def test_settings_on_the_page_are_there(name: tuple[str, str]) -> None:
    assert name in {(told.table, told.key) for told in SETTINGS.values()}


# The scanner itself

SEEDS: Final = {
    "open('f', 'w')": "open",
    "open('f', mode=wanted)": "open",
    "p.open('ab')": ".open",
    "Path(p).write_text('x')": ".write_text",
    "os.open(p, os.O_RDWR | os.O_CREAT)": "os.open",
    "os.open(p, flags)": "os.open",
    "o.mkdir('d')": "os.mkdir",
    "maker('d')": "maker",
    "tempfile.mkdtemp()": "tempfile.mkdtemp",
    "socket.socket()": "socket.socket",
    "x.bind(('', 1))": ".bind",
    "HTTPServer(('', 1), H)": "HTTPServer",
    "p.rename(q)": ".rename",
    "private_files.new(p)": "private_files.new",
    "keep = private_files.replaced": "private_files.replaced",
    "programs.spawn([])": "programs.spawn",
    "fcntl.flock(1, 2)": "fcntl.flock",
    "os.memfd_create('x')": "os.memfd_create",
}
IMPORTS: Final = (
    "import fcntl, os, socket, tempfile\nimport os as o\nfrom os import mkdir as maker\n"
    "from wpbridge.system import private_files, programs\n"
)


@pytest.mark.parametrize(("line", "call"), SEEDS.items())
def test_the_scanner_sees_what_creates(line: str, call: str) -> None:
    source = f"{IMPORTS}def f(p, q, wanted, flags, x, H):\n    {line}\n"
    assert [found for found, _ in footprint.calls_of(source, "a.py")] == [f"a.py f {call}"]


@pytest.mark.parametrize(
    "line",
    [
        "open('f')",
        "open('f', 'rb')",
        "p.open()",
        "os.open(p, os.O_RDONLY | os.O_CLOEXEC)",
        "'a'.replace('b', 'c')",
        "replace(settings, a=1)",
        "private_files.FOLDER_MODE",
    ],
)
def test_the_scanner_passes_over_what_only_reads(line: str) -> None:
    source = f"{IMPORTS}def f(p, settings):\n    {line}\n"
    assert list(footprint.calls_of(source, "a.py")) == []


@pytest.mark.parametrize(
    "source",
    [
        "def f(env):\n    return {**env, 'NEW': '1'}",
        "import os\nos.environ['NEW'] = '1'",
        "NEW_NAME: Final = 'NEW'\ndef f(self):\n    self.env[NEW_NAME] = '1'",
    ],
)
def test_the_scanner_sees_variables(source: str) -> None:
    assert footprint.variables_of(source) == {"NEW"}
