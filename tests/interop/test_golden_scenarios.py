"""One batch over tables that real plugins wrote leaves what their own runner left.

The contract is fixtures/golden/README.md: every column and each action's own log rows in order.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from conftest import ROOT, execute, wordpress_site
from php_site import PhpSite
from rows import actions_of, query
from servers import MariaDB, find_program
from stores import open_store
from wpbridge.action import UPKEEP_HOOKS
from wpbridge.clock import SystemClock
from wpbridge.codec import cron
from wpbridge.executors.handlers import describe
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.runner.identity import identity
from wpbridge.runner.loop import Limits, Runner
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.base import ClaimFilter
from wpbridge.store.running.runner_store import RunnerStore

SCENARIOS = sorted(
    path.name
    for path in Path(
        __import__("os").environ.get("WPBRIDGE_GOLDEN_DIR") or ROOT / "fixtures/golden"
    ).glob("scenario-*")
)
FAILING = ("g_fail", "g_rec_fail", "g_rec_fail_once")
CORRUPT = ("g_badjson", "g_badsched")
NOT_COMPARED_WHEN_CORRUPT = ("attempts", "last_attempt_gmt", "last_attempt_local")
"""The plugin's versions differ: up to 3.9.3 such a row was started, from 4.0 on it was not."""
OPTIONS = """CREATE TABLE wp_options (
    option_id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
    option_name varchar(191) NOT NULL DEFAULT '' UNIQUE,
    option_value longtext NOT NULL, autoload varchar(20) NOT NULL DEFAULT 'yes')"""


def boom(*_values: object) -> None:
    raise RuntimeError("boom: détail")


def no_callback(*_values: object) -> None:
    raise RuntimeError(
        "Scheduled action for g_nocallback will not be executed as no callbacks are registered."
    )


def nothing(*_values: object) -> None:
    return None


@pytest.fixture(params=SCENARIOS)
def scenario(request: pytest.FixtureRequest, golden_dir: Path) -> Path:
    return golden_dir / str(request.param)


@dataclass(frozen=True)
class Loaded:
    """A scenario's tables, and what runs them."""

    store: RunnerStore
    way: str
    site: PhpSite | None = None


@pytest.fixture(params=["python", "bridge", "native"])
def loaded(
    request: pytest.FixtureRequest, scenario: Path, mariadb: MariaDB, mysql_dsn: str
) -> Iterator[Loaded]:
    """The scenario's tables, in a database of their own or in a WordPress's."""
    way = str(request.param)
    if way == "python":
        name = _database(mysql_dsn)
        execute(mariadb, f"CREATE TABLE {name}.wp_options {OPTIONS.partition('wp_options ')[2]}")
        load(mariadb, name, scenario)
        store = open_store(DatabaseAddress.from_dsn(mysql_dsn), "wp_")
        yield Loaded(store, way)
    else:
        site: PhpSite = request.getfixturevalue("golden_wordpress")
        if way == "native":
            _need_same_plugin(site, scenario)
        load(mariadb, _database(site.dsn), scenario)
        store = site.open()
        yield Loaded(store, way, site)
    store.close()


def _database(dsn: str) -> str:
    return dsn.partition("localhost/")[2].partition("?")[0]


def _need_same_plugin(site: PhpSite, scenario: Path) -> None:
    """Only the version that wrote the answers gives the same ones."""
    version = scenario.name.split("-")[1]
    if not site.has_plugin:
        pytest.skip("WPBRIDGE_TEST_PLUGIN does not name the plugin's folder")
    found = ".".join(map(str, site.release))
    if found != version:
        pytest.skip(f"the plugin is {found}, the scenario was written by {version}")


def load(server: MariaDB, database: str, scenario: Path) -> None:
    """Fill a database with the scenario's rows and options."""
    client = find_program(("mariadb", "mysql"))
    assert client is not None
    command = [client, "-uroot", f"-S{server.socket}", "--default-character-set=utf8mb4", database]
    # The ids of its options are taken in a whole WordPress, and of no meaning.
    options = re.sub(rb"VALUES \(\d+,", b"VALUES (NULL,", (scenario / "options.sql").read_bytes())
    options = options.replace(b"INSERT INTO", b"REPLACE INTO")
    for text in ((scenario / "before.sql").read_bytes(), options):
        subprocess.run(command, input=text, check=True)


@pytest.fixture(scope="module")
def golden_wordpress(
    mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PhpSite]:
    """A WordPress with callbacks for the scenarios' hooks."""
    yield from wordpress_site(
        mariadb, tmp_path_factory.mktemp("golden"), ROOT / "tests" / "php" / "golden.php"
    )


def run_all(loaded: Loaded) -> tuple[datetime, datetime]:
    """One run with handlers or callbacks for every hook of the scenarios; returns when it was."""
    if loaded.site is not None:
        before = SystemClock().now().replace(microsecond=0)
        limits: dict[str, object] = {"batch_size": 100, "batches": 1, "missing_callback": "fail"}
        loaded.site.run(php_books=loaded.way, **limits)
        return before, SystemClock().now()
    return _run_python(loaded.store)


def _run_python(store: RunnerStore) -> tuple[datetime, datetime]:
    hooks = {
        str(r[0]) for r in query(store, "SELECT DISTINCT hook FROM wp_actionscheduler_actions")
    }
    functions = dict.fromkeys(FAILING, boom) | {"g_nocallback": no_callback}
    handlers = {hook: describe(hook, functions.get(hook, nothing)) for hook in hooks - UPKEEP_HOOKS}
    clock = SystemClock()
    executor = ThreadExecutor(handlers, concurrency=1, clock=clock, site="golden")
    limits = Limits(batch_size=100, batches=1, concurrency=1)
    only = ClaimFilter(hooks=frozenset(handlers))
    before = clock.now().replace(microsecond=0)
    Runner(store, executor, clock, identity(), only=only, limits=limits).run()
    return before, clock.now()


def test_the_tables_are_as_the_plugin_left_them(scenario: Path, loaded: Loaded) -> None:
    after = json.loads((scenario / "after.json").read_text(encoding="utf-8"))
    store = loaded.store
    before = {int(row["action_id"]): row for row in actions_of(store)}
    span = run_all(loaded)
    matcher = Matcher(after["timezone"], span, before)
    rows = actions_of(store)
    expected = [row for row in after["actions"] if row["hook"] not in UPKEEP_HOOKS]
    kept = {row["action_id"] for row in expected}
    purged = {r["action_id"] for r in rows if r["status"] == "canceled"} - kept
    found = [r for r in rows if r["hook"] not in UPKEEP_HOOKS and r["action_id"] not in purged]
    old = {r["action_id"] for r in rows_before(scenario)}
    pairs = pair_up(expected, found, old)
    problems = [p for a, b in pairs for p in matcher.differences(a, b)]
    problems += log_differences(after, store, pairs)
    problems += wrong_log_dates(store, after["timezone"], span)
    assert not problems, "\n".join(problems)


def test_claims_rows_of_others_stay_and_ours_are_gone(scenario: Path, loaded: Loaded) -> None:
    before = query(loaded.store, "SELECT claim_id FROM wp_actionscheduler_claims")
    run_all(loaded)
    assert query(loaded.store, "SELECT claim_id FROM wp_actionscheduler_claims") == before


def rows_before(scenario: Path) -> list[dict[str, int]]:
    text = (scenario / "before.sql").read_text(encoding="utf-8")
    found = re.findall(r"INSERT INTO `wp_actionscheduler_actions` VALUES \((\d+),", text)
    return [{"action_id": int(i)} for i in found]


def pair_up(
    expected: list[dict[str, Any]], found: list[dict[str, Any]], old: set[int]
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Old rows by id; new ones by what they do, since their ids are not part of the contract."""
    by_id = {row["action_id"]: row for row in found}
    pairs = [(row, by_id[row["action_id"]]) for row in expected if row["action_id"] in old]
    told = ("hook", "args", "extended_args", "priority", "group_slug")
    names = [name for name in told if name in expected[0]]

    def what_it_does(row: dict[str, Any]) -> tuple[str, ...]:
        """All of a new row that is the same from run to run."""
        return (*(str(row[name]) for name in names), without_moments(row["schedule"]))

    new = sorted((r for r in expected if r["action_id"] not in old), key=what_it_does)
    got = sorted((r for r in found if r["action_id"] not in old), key=what_it_does)
    assert [what_it_does(r) for r in new] == [what_it_does(r) for r in got]
    return [*pairs, *zip(new, got, strict=True)]


def without_moments(schedule: object) -> str:
    return re.sub(r"(?<=timestamp\";i:)\d+", "T", str(schedule))


def site_zone(name: str) -> tzinfo:
    """A zone by its name, or by the hours of ``gmt_offset`` (``-3.5``)."""
    try:
        return timezone(timedelta(hours=float(name)))
    except ValueError:
        return ZoneInfo(name)


def log_zone(name: str) -> tzinfo:
    """What the plugin writes local log dates in: UTC on a site without a named zone."""
    zone = site_zone(name)
    return zone if isinstance(zone, ZoneInfo) else UTC


class Matcher:
    """Compares rows, knowing the words that stand for moments."""

    def __init__(
        self, zone: str, span: tuple[datetime, datetime], before: dict[int, dict[str, Any]]
    ) -> None:
        self._before = before
        self._zone = site_zone(zone)
        self._span = span

    def differences(self, expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
        problems = []
        for key, want in expected.items():
            if key == "action_id" or (key == "claim_id" and found["status"] != "pending"):
                continue
            got = found.get(key)
            if expected["hook"] in CORRUPT and key == "status":
                want = "failed"  # noqa: PLW2901 - the one promised difference
            if expected["hook"] in CORRUPT and key in NOT_COMPARED_WHEN_CORRUPT:
                continue
            if not self._equal(key, want, got, found):
                problems.append(f"{expected['hook']} {key}: plugin {want!r}, wpbridge {got!r}")
        return problems

    def _equal(self, key: str, want: Any, got: Any, row: dict[str, Any]) -> bool:
        if not isinstance(want, str) or ("date" not in key and "last_attempt" not in key):
            return self._schedule_equal(want, got) if key == "schedule" else bool(want == got)
        if want == "ZERO":
            return bool(got == "0000-00-00 00:00:00")
        base, _, local = want.partition("_LOCAL")
        is_local = want.endswith("_LOCAL")
        del local
        if base not in ("NOW", "NOW+300", "CRON_NEXT"):
            return bool(want == got)
        moment = datetime.fromisoformat(str(got))
        zone = self._zone if is_local else UTC
        moment = moment.replace(tzinfo=zone).astimezone(UTC)
        if base == "CRON_NEXT":
            return moment == cron.next_date(cron.parse("30 4 1 * *"), self._span[0])
        if base == "NOW" and not self._is_of_the_run(row, key):
            # A moment of the row's creation: it must be just what it was before the run.
            return bool(got == self._before[int(row["action_id"])][key])
        offset = timedelta(seconds=300 if base == "NOW+300" else 0)
        return self._span[0] + offset <= moment <= self._span[1] + offset

    @staticmethod
    def _is_of_the_run(row: dict[str, Any], key: str) -> bool:
        return key.startswith("last_attempt") and row["hook"] not in ("g_claimed", "g_inprogress")

    @staticmethod
    def _schedule_equal(want: Any, got: Any) -> bool:
        """Moments inside the blob of a new row differ from run to run; all else is equal."""
        return without_moments(want) == without_moments(got)


def log_differences(
    after: dict[str, Any],
    store: RunnerStore,
    pairs: list[tuple[dict[str, Any], dict[str, Any]]],
) -> list[str]:
    expected = logs_by_action(after["logs"])
    rows = query(
        store,
        "SELECT log_id, action_id, message, log_date_gmt, log_date_local"
        " FROM wp_actionscheduler_logs ORDER BY log_id",
    )
    names = ("log_id", "action_id", "message", "log_date_gmt", "log_date_local")
    found = logs_by_action([dict(zip(names, row, strict=True)) for row in rows])
    problems = []
    for want_row, got_row in pairs:
        if want_row["hook"] in CORRUPT:
            last = found[got_row["action_id"]][-1]
            if not last.startswith("action failed via X: There was a failure fetching"):
                problems.append(f"{want_row['hook']}: the log does not say why: {last}")
            continue
        want, got = expected[want_row["action_id"]], found[got_row["action_id"]]
        if want != got:
            problems.append(f"{want_row['hook']} logs: plugin {want}, wpbridge {got}")
    return problems


def wrong_log_dates(store: RunnerStore, zone: str, span: tuple[datetime, datetime]) -> list[str]:
    """Log rows of the run: UTC within it, and the site's own time beside it."""
    local_zone = log_zone(zone)
    rows = query(
        store,
        "SELECT message, log_date_gmt, log_date_local FROM wp_actionscheduler_logs"
        " WHERE message LIKE '%via wpbridge%'",
    )
    assert rows
    problems = []
    for message, gmt, local in rows:
        moment = datetime.fromisoformat(str(gmt)).replace(tzinfo=UTC)
        at_site = moment.astimezone(local_zone).strftime("%Y-%m-%d %H:%M:%S")
        if not span[0] <= moment <= span[1] or str(local) != at_site:
            problems.append(f"log dates of {message!r}: {gmt} / {local}")
    return problems


def logs_by_action(logs: list[dict[str, Any]]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for row in logs:
        if str(row["message"]).startswith("wpbridge: "):
            continue  # Ours: class and line, for which the plugin has no row.
        message = re.sub(r"via (WP CLI|wpbridge)", "via X", str(row["message"]))
        found.setdefault(int(row["action_id"]), []).append(message)
    return found
