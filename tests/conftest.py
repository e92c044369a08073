"""Fixtures: servers, stores and sites, each named by what it gives."""

import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import pyz
import storm
from both_sides import BothSides
from brokers import (
    RabbitMQ,
    Redis,
    missing_rabbitmq,
    missing_redis,
    private_rabbitmq,
    private_redis,
)
from cli_helpers import Site, sqlite_site
from clocks import FakeClock
from containers import Podman, missing_podman
from databases import Databases, empty_queue
from php_site import PhpSite
from receiver import Receiver, receiving
from servers import MariaDB, missing_mariadb, private_mariadb
from stores import open_or_make, open_store
from wordpress import make_site, missing_wordpress, plugin_folder
from wpbridge import Queue
from wpbridge.access import user_hashes
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.connect import connect
from wpbridge.store.database import client
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.store.structure.creation import create_tables

ROOT = Path(__file__).parent.parent

# Where Python may not keep bytecode, each process compiles all of wpbridge and SQLAlchemy anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what is in the background so, and the processes that tests start inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

OPTIONS = (
    # As strict as a server can be: sessions must set themselves up as WordPress's do.
    "--sql-mode=TRADITIONAL,ONLY_FULL_GROUP_BY,ANSI_QUOTES",
    "--skip-innodb-doublewrite",
    # Commits are written, so that they outlive the server, and not synced, which is slow.
    "--innodb-flush-method=nosync",
)


TOLD = "told"
"""The property of a test whose value is shown at the end of a run."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests have told, whichever process ran them."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == TOLD:
                terminalreporter.write_line(str(value))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Half characters of hostile data are escaped: a report with one cannot be sent by xdist."""
    report = yield
    report.sections = [(name, _whole(text)) for name, text in report.sections]
    if _whole(report.longreprtext) != report.longreprtext:
        report.longrepr = _whole(report.longreprtext)
    return report


def _whole(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--full",
        action="store_true",
        help="Also run what is marked as long: more seeds, more kills.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Without --full, properties are tried with fewer examples: 100 of each is what others have."""
    settings.register_profile("short", max_examples=40)
    if not config.getoption("--full"):
        settings.load_profile("short")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without --full, leave out what is long, without a word for each.

    Storms come first, so that none is left over when all other processes have ended.
    """
    items.sort(key=lambda item: item.path.stem != "test_storms")
    if config.getoption("--full"):
        return
    config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("long")])
    items[:] = [item for item in items if not item.get_closest_marker("long")]


SEEDS = [0, pytest.param(1, marks=pytest.mark.long)]
"""Of tests that throw kills at random: one, and with --full another."""


def needs(missing: str | None) -> None:
    """Leave the test out where something is missing, with the reason; in CI it is a failure."""
    if missing:
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)


@pytest.fixture(scope="session", autouse=True)
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state folder of whatever a test starts that names none, so that none writes into ours."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WPBRIDGE_STATE_DIR", str(folder))
        yield folder


@pytest.fixture(scope="session", autouse=True)
def driver() -> Iterator[str]:
    """The package that speaks with MariaDB: PyMySQL, unless WPBRIDGE_TEST_DRIVER names another.

    What is installed here must not decide what is tested.
    """
    name = os.environ.get("WPBRIDGE_TEST_DRIVER") or "pymysql"
    if name == "mysqlclient":
        needs(client.missing())
    with pytest.MonkeyPatch.context() as patch:
        # For what tests start, and for addresses that they write down themselves.
        patch.setenv("WPBRIDGE_DRIVER", name)
        patch.setattr(client, "PREFERRED", name)
        yield name


@pytest.fixture(scope="session")
def single_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``wpbridge.pyz`` of this checkout."""
    try:
        return pyz.build(tmp_path_factory.mktemp("pyz"))
    except subprocess.CalledProcessError:
        needs("pip cannot get the libraries of wpbridge.pyz: there is no package index")
        raise


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """Answers of the real plugin: another folder's when WPBRIDGE_GOLDEN_DIR is set."""
    return Path(os.environ.get("WPBRIDGE_GOLDEN_DIR") or ROOT / "fixtures" / "golden")


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """A private MariaDB on a socket; without one: left out at home, a failure in CI."""
    needs(missing_mariadb())
    with private_mariadb(OPTIONS) as it:
        yield it


@pytest.fixture(scope="module")
def stormy_server() -> Iterator[MariaDB]:
    """A server that may be killed."""
    needs(missing_mariadb())
    with private_mariadb(storm.SERVER_OPTIONS, may_be_killed=True) as server:
        yield server


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """A Redis that keeps what it was told when it is killed."""
    needs(missing_redis())
    with private_redis(tmp_path_factory.mktemp("redis"), appendonly=True) as it:
        yield it


@pytest.fixture(scope="module")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    """A RabbitMQ."""
    needs(missing_rabbitmq())
    with private_rabbitmq(tmp_path_factory.mktemp("rabbitmq")) as it:
        yield it


@pytest.fixture(scope="session")
def databases(mariadb: MariaDB) -> Iterator[Databases]:
    """The databases of the private server."""
    it = Databases(mariadb)
    yield it
    it.close()


@pytest.fixture
def mysql_dsn(request: pytest.FixtureRequest, databases: Databases) -> Iterator[str]:
    """The DSN of a database of the test's own: empty, or with tables, see :func:`wants_tables`."""
    with databases.with_tables() if wants_tables(request) else databases.empty() as dsn:
        yield dsn


def wants_tables(request: pytest.FixtureRequest) -> bool:
    """Whether the test uses a queue, whose tables are then there."""
    return "open_queue" in request.fixturenames


def execute(server: MariaDB, statement: str) -> None:
    """Run a statement as the server's root."""
    connection = server.connect()
    with connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()


@pytest.fixture(scope="session")
def installed_wordpress(
    mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PhpSite]:
    """Debian's WordPress over the private server, with the tests' callbacks."""
    yield from wordpress_site(
        mariadb, tmp_path_factory.mktemp("site"), ROOT / "tests" / "php" / "callbacks.php"
    )


def wordpress_site(server: MariaDB, folder: Path, callbacks: Path) -> Iterator[PhpSite]:
    """A WordPress in a new database, dropped after use; left out where none can be made."""
    needs(missing_wordpress())
    database = f"wp{uuid.uuid4().hex[:12]}"
    plugin = plugin_folder()
    make_site(folder, server, database, plugin=plugin, callbacks=callbacks)
    address = DatabaseAddress.from_dsn(server.url(database))
    way = connect(address, "wp_")
    create_tables(way, everything=plugin is None)
    way.close()
    yield PhpSite(folder=folder, dsn=server.url(database), has_plugin=plugin is not None)
    execute(server, f"DROP DATABASE {database}")


@pytest.fixture
def wordpress(installed_wordpress: PhpSite) -> PhpSite:
    """A WordPress with an empty queue."""
    installed_wordpress.reset()
    return installed_wordpress


@pytest.fixture(scope="session")
def plugin_site(mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BothSides]:
    """A site with the real plugin; left out, with the reason, where none is named."""
    if plugin_folder() is None:
        pytest.skip("WPBRIDGE_TEST_PLUGIN does not name the plugin's folder")
    callbacks = ROOT / "tests" / "php" / "callbacks.php"
    for site in wordpress_site(mariadb, tmp_path_factory.mktemp("plugin"), callbacks):
        it = BothSides(site)
        yield it
        it.store.close()


@pytest.fixture
def both(plugin_site: BothSides) -> Iterator[BothSides]:
    """The plugin's side and ours of one empty queue."""
    yield plugin_site
    plugin_site.reset()


@pytest.fixture(params=["sqlite", "mariadb"])
def dsn(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The DSN of a database, as ``mysql_dsn`` is: every store passes the same tests."""
    if request.param == "sqlite":
        file = tmp_path / "queue.db"
        return empty_queue(file) if wants_tables(request) else f"sqlite:///{file}"
    return str(request.getfixturevalue("mysql_dsn"))


@pytest.fixture
def open_queue() -> Iterator[Callable[[str], RunnerStore]]:
    """Open a store with the plugin's tables made; as many times as a test has runners."""
    opened: list[RunnerStore] = []

    def open_it(dsn: str) -> RunnerStore:
        store = open_or_make(DatabaseAddress.from_dsn(dsn), "wp_")
        opened.append(store)
        return store

    yield open_it
    for store in opened:
        store.close()


@pytest.fixture
def store(dsn: str, open_queue: Callable[[str], RunnerStore]) -> RunnerStore:
    """A store with empty tables, registered as a runner."""
    it = open_queue(dsn)
    it.register(host="here", boot="boot", pid=1, pid_started="1")
    return it


@pytest.fixture
def again(dsn: str) -> Iterator[Callable[[], RunnerStore]]:
    """Open the queue as another process would, which knows nothing yet. No table is made."""
    opened: list[RunnerStore] = []

    def open_it() -> RunnerStore:
        opened.append(open_store(DatabaseAddress.from_dsn(dsn), "wp_"))
        return opened[-1]

    yield open_it
    for store in opened:
        store.close()


@pytest.fixture(scope="session")
def podman() -> Podman:
    """A container engine; without one: left out at home, a failure in CI."""
    needs(missing_podman())
    return Podman()


@pytest.fixture(scope="session")
def image(podman: Podman) -> str:
    """The image that a checkout gives."""
    return podman.build(ROOT / "wpbridge" / "deploy" / "docker" / "Dockerfile", ROOT)


@pytest.fixture
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hashes of passwords that take little time and memory."""
    caches = (user_hashes._hasher, user_hashes._nobodys_hash)
    monkeypatch.setattr(user_hashes, "_TIMES", 1)
    monkeypatch.setattr(user_hashes, "_MEMORY_KIB", 1024)
    for cached in caches:
        cached.cache_clear()
    yield
    for cached in caches:
        cached.cache_clear()


@pytest.fixture
def clock() -> FakeClock:
    """A clock that a test moves."""
    return FakeClock()


@pytest.fixture
def queue(store: RunnerStore, clock: FakeClock) -> Queue:
    """The queue of the store."""
    return Queue(store.parts, clock=clock, close_store=False)


@pytest.fixture
def site(dsn: str, tmp_path: Path, open_queue: Callable[[str], RunnerStore]) -> Site:
    """A queue on any database, with the folder that commands run in."""
    return Site(dsn, tmp_path, open_queue(dsn))


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Site]:
    """A queue on SQLite, with the folder that commands run in."""
    with sqlite_site(tmp_path) as it:
        yield it


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server that takes the calls of webhooks."""
    with receiving() as server:
        yield server


@pytest.fixture(scope="session")
def php() -> str:
    """The php program; without one: left out at home, a failure in CI."""
    found = shutil.which("php")
    if found is None:
        reason = "php is not installed (apt-get install php-cli)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return str(found)
