"""The walls between the rooms: each kind of import that is not allowed is caught by the linter."""

import importlib
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from wpbridge import Queue
from wpbridge.deprecated import register

ROOT = Path(__file__).parent.parent.parent
SEEDS = {
    # module: what it must not import, and the contract that says so
    "site/moments": ("wpbridge.runner.loop", "Rooms, from the doors down to the nouns"),
    "action": ("wpbridge.telling.bus", "Rooms, from the doors down to the nouns"),
    "queue/wake": ("wpbridge.runner.upkeep_turns", "Rooms, from the doors down to the nouns"),
    "doctor/findings": ("wpbridge.migrate.packed_file", "Rooms are entered by their doors"),
    "plugin/placing": ("wpbridge.site.dropin", "Rooms are entered by their doors"),
    "cli/times": ("wpbridge.store.running.claiming", "Rooms are entered by their doors"),
    "store/schema/ids": (
        "wpbridge.store.rows.groups",
        "The rooms of the store, from opening it down to what its tables look like",
    ),
    "runner/claim_size": (
        "wpbridge.store.database.sqlite",
        "The runner sees stores by their protocol only",
    ),
    "runner/shares": (
        "wpbridge.executors.threads",
        "Only app puts executors together: nobody else sees a real one",
    ),
    "executors/threads": ("wpbridge.executors.php.frames", "Executors do not see each other"),
    "executors/pools/inbox": (
        "wpbridge.executors.php.limits",
        "The pool core does not know which workers it has",
    ),
    "migrate/packed_file": (
        "sqlalchemy",
        "Nothing loads SQLAlchemy: its import takes longer than a short command",
    ),
    "store/connect": ("pymysql", "PyMySQL stays in wpbridge.store.database.pymysql_driver"),
    "store/database/client": (
        "MySQLdb",
        "mysqlclient stays in wpbridge.store.database.mysqlclient_driver",
    ),
    "executors/webhook": (
        "requests",
        "requests stays in wpbridge.client and wpbridge.executors.webhook_call",
    ),
    "client/retrying": ("wpbridge.site.config", "Rooms, from the doors down to the nouns"),
    "doctor/fixes": ("click", "click stays in wpbridge.cli, but for an option of Celery's worker"),
    "executors/celery/messages": ("celery", "Celery stays in wpbridge.celery_app"),
    "executors/celery/executor": ("kombu", "kombu stays in wpbridge.executors.celery.broker"),
    "telling/visible": ("rich", "rich stays in wpbridge.cli"),
    "telling/metrics": (
        "prometheus_client",
        "prometheus-client stays in wpbridge.telling.exposition",
    ),
    "mcp/looking": ("mcp", "The library of MCP stays in wpbridge.mcp.serving"),
    "access/keys": ("jwt", "PyJWT stays in wpbridge.access.tokens"),
    "access/tickets": ("wpbridge.queue.many", "Rooms, from the doors down to the nouns"),
    "access/people": ("argon2", "argon2 stays in wpbridge.access.user_hashes"),
    "monitor/messages": ("jinja2", "Jinja2 stays in wpbridge.web.pages"),
    "telling/numbers": (
        "cron_descriptor",
        "cron-descriptor stays in wpbridge.dashboard.schedule_words",
    ),
    "access/caller": ("starlette", "Starlette and what serves it stay in wpbridge.web"),
    "telling/bus": ("opentelemetry", "OpenTelemetry stays in wpbridge.telling.tracing"),
    "telling/words": ("sentry_sdk", "The Sentry SDK stays in wpbridge.telling.sentry"),
    "telling/fingerprint": (
        "prometheus_client",
        "prometheus-client stays in wpbridge.telling.exposition",
    ),
    "monitor/rules": ("apprise", "apprise stays in wpbridge.monitor.sending"),
    "cli/tables": ("yaml", "PyYAML stays in wpbridge.cli.output"),
}


def lint(folder: Path) -> str:
    """What the linter prints for a checkout."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def test_the_formatter_lays_out_all_code() -> None:
    files = [f for d in ("wpbridge", "tests", "scripts") for f in (ROOT / d).rglob("*.py")]
    marks = ("# fmt: " + "skip", "# fmt: " + "off")
    found = [f for f in files for mark in marks if mark in f.read_text(encoding="utf-8")]
    assert files
    assert found == []


def test_the_drawing_of_the_rooms_has_each_of_them() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    [layers, *_] = [one["layers"] for one in contracts["contracts"] if one["type"] == "layers"]
    rooms = {room for layer in layers for room in layer.split(" | ")} - {"__main__"}
    page = (ROOT / "docs" / "explain" / "architecture.md").read_text("utf-8")
    # The names stand in the first 40 columns of a line, and behind them what the rooms are for.
    drawing = page.partition("```\n")[2].partition("\n```")[0].splitlines()
    drawn = [word for line in drawing for word in line[:40].split()]
    assert sorted(drawn) == sorted(rooms)


def test_each_kind_of_import_that_is_not_allowed_is_caught(tmp_path: Path) -> None:
    shutil.copytree(
        ROOT / "wpbridge", tmp_path / "wpbridge", ignore=shutil.ignore_patterns("__pycache__")
    )
    (tmp_path / "scripts").mkdir()
    for name in ("pyproject.toml", "scripts/import_contracts.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    for module, (imported, _) in SEEDS.items():
        seeded = tmp_path / "wpbridge" / f"{module}.py"
        assert seeded.is_file(), "a seed needs a module that is there"
        with seeded.open("a", encoding="utf-8") as file:
            file.write(f"\nimport {imported}\n")
    said = lint(tmp_path)
    broken = {line.split(" BROKEN")[0] for line in said.splitlines() if " BROKEN" in line}
    assert broken == {contract for _, contract in SEEDS.values()}
    assert "KEPT" not in said
    for module, (imported, _) in SEEDS.items():
        importer = f"wpbridge.{module.replace('/', '.')}"
        assert f"{importer} -> {imported}" in said or f"{importer} imports {imported}" in said


@pytest.mark.parametrize(("old", "new"), sorted(register.MOVED_MODULES.items()))
def test_a_moved_module_answers_and_says_where_it_lives_now(old: str, new: str) -> None:
    sys.modules.pop(old, None)
    with pytest.warns(DeprecationWarning, match=f"^{old} is deprecated .* use {new}$"):
        found = importlib.import_module(old)
    home = importlib.import_module(new)
    name = next(name for name in vars(home) if not name.startswith("_"))
    assert getattr(found, name) is getattr(home, name)
    with pytest.raises(AttributeError):
        found.no_such_name  # noqa: B018


def test_a_room_answers_for_the_module_that_it_was() -> None:
    with pytest.warns(
        DeprecationWarning,
        match=r"^wpbridge.queue.Queue is deprecated .* use wpbridge.queue.facade.Queue$",
    ):
        assert importlib.import_module("wpbridge.queue").Queue is Queue
    with pytest.raises(AttributeError):
        importlib.import_module("wpbridge.queue").no_such_name  # noqa: B018


def forget(module: str, *names: str) -> None:
    """Have a moved module, or moved modules of a package, imported as for the first time."""
    for one in (module, *(f"{module}.{name}" for name in names)):
        if one in register.MOVED_MODULES:
            sys.modules.pop(one, None)
            package, _, name = one.rpartition(".")
            vars(importlib.import_module(package)).pop(name, None)


@pytest.mark.parametrize(
    "statement",
    [
        # What the scripts to read and adapt of wpbridge 0.1 (scripts/migrate) and its page on
        # Python imported: people have copies of them.
        "from wpbridge.config import load",
        "from wpbridge.database import DatabaseAddress",
        "from wpbridge.enqueue import Enqueue",
        "from wpbridge.handlers import Context, hook, load, middleware, on, subscribers",
        "from wpbridge.migrate import private",
        "from wpbridge.migrate.added import KIND",
        "from wpbridge.migrate.files import Line",
        "from wpbridge.migrate.poststore import KIND, PostStore",
        "from wpbridge.migrate.schema import check_online, claim_index",
        "from wpbridge.migrate.transfer import Wishes, copy",
        "from wpbridge.migrate.wpcron import KIND, Choice, Mover",
        "from wpbridge.queue import Queue, opened",
        "from wpbridge.store.ddl import Definitions",
        "from wpbridge.store.retention import Expiry",
    ],
)
def test_imports_of_the_first_release_still_answer(statement: str) -> None:
    _, module, _, *names = statement.replace(",", "").split()
    forget(module, *names)
    found: dict[str, object] = {}
    with pytest.warns(DeprecationWarning, match="use wpbridge") as told:
        exec(statement, found)  # noqa: S102 - a statement of the table above
    assert {one.filename for one in told} == {"<string>"}, "it names the line that imports"
    assert set(names) <= set(found)
    assert None not in [found[name] for name in names]


@pytest.mark.parametrize(
    "statement",
    [
        "from wpbridge.action import Status",
        "from wpbridge.clock import SystemClock",
        "from wpbridge.errors import InputError",
        "from wpbridge.events import ActionFailed, StoreLost",
        "from wpbridge.migrate.archive import KIND, Archive, asked, journal_of",
        "from wpbridge.migrate.journal import Journal, name_of",
        "from wpbridge.outcome import Cancel, Retry, Snooze",
        "from wpbridge.store.connect import open_store",
        "from wpbridge.store.records import Query",
    ],
)
def test_imports_that_stay_say_nothing(statement: str) -> None:
    exec(statement, {})  # noqa: S102 - a statement of the table above
