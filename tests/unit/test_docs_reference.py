"""Docs and code that must agree: the reference pages' tables against what they tell of."""

import ast
import dataclasses
import inspect
import json
import logging
import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import docs
import wpbridge
from stores import make_store
from wpbridge import doctor, errors, events
from wpbridge.action import Status
from wpbridge.cli import action_rows, hooks, keys, pauses, reports, stats_since, workers
from wpbridge.cli.exit_codes import Exit
from wpbridge.cli.main import cli
from wpbridge.clock import SystemClock
from wpbridge.codec import cron, zoned
from wpbridge.daemon import fleet
from wpbridge.doctor import Finding, Repair, explain
from wpbridge.migrate.transfer import lines
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import Queue
from wpbridge.runner import log_texts
from wpbridge.site import config
from wpbridge.site.database import DatabaseAddress
from wpbridge.site.settings import SETTINGS
from wpbridge.store.queueing.edits import REQUEUED, _moved
from wpbridge.store.records import Query, Record
from wpbridge.store.upkeep.cleaning import AWAY
from wpbridge.telling import formats, log
from wpbridge.telling import lines as logs

ROOT = Path(__file__).parent.parent.parent
REFERENCE = ROOT / "docs" / "reference"
PAGES = sorted(
    [
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "SECURITY.md",
        ROOT / "UPGRADING.md",
        *ROOT.glob("docs/**/*.md"),
    ]
)
COMMANDS = dict(docs.commands())

FUNCTIONS = frozenset(
    {
        "as_enqueue_async_action",
        "as_schedule_single_action",
        "as_schedule_recurring_action",
        "as_schedule_cron_action",
        "as_unschedule_action",
        "as_unschedule_all_actions",
        "as_next_scheduled_action",
        "as_has_scheduled_action",
        "as_get_scheduled_actions",
        "as_get_datetime_object",
        "as_supports",
    }
)
"""The plugin's, 3.0 to 4.1."""
WP_CLI = frozenset(
    {
        "run",
        "clean",
        "fix-schema",
        "migrate",
        "status",
        "version",
        "source",
        "data-store",
        "runner",
        "action create",
        "action cancel",
        "action delete",
        "action generate",
        "action get",
        "action list",
        "action logs",
        "action next",
        "action run",
    }
)
"""Below ``wp action-scheduler``."""


# Reading a page


@dataclass(frozen=True)
class Table:
    """One table of a page."""

    title: str
    """The heading above it."""
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables(text: str) -> Iterator[Table]:
    title, block = "", list[tuple[str, ...]]()
    for line in [*_without_fences(text), ""]:
        if line.startswith("#"):
            title = line.lstrip("# ")
        if line.startswith("|"):
            block.append(_cells(line))
        elif block:
            assert {len(row) for row in block} == {len(block[0])}, f"{title}: uneven rows"
            yield Table(title, block[0], tuple(block[2:]))
            block = []


def _cells(line: str) -> tuple[str, ...]:
    parts = re.split(r"(?<!\\)\|", line.strip().strip("|"))
    return tuple(part.strip().replace(r"\|", "|") for part in parts)


def _without_fences(text: str) -> Iterator[str]:
    is_inside = False
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            is_inside = not is_inside
        elif not is_inside:
            yield line


def codes(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def page(name: str) -> str:
    return (REFERENCE / name).read_text("utf-8")


def below(name: str, *titles: str) -> list[Table]:
    """A page's tables below headings."""
    found = [table for table in tables(page(name)) if table.title in titles]
    assert found, f"{name}: no table below {titles}"
    return found


# Commands


def test_the_reference_of_commands_is_what_their_help_says() -> None:
    told = docs.FILE.read_text("utf-8") if docs.FILE.exists() else ""
    assert told == docs.reference(), "docs/reference/cli.md is old: run scripts/docs"


def test_the_reference_does_not_depend_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    before = docs.reference()
    monkeypatch.setenv("COLUMNS", "31")
    monkeypatch.setenv("TERM", "dumb")
    assert docs.reference() == before


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_help_ends_in_examples(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    assert (command.epilog or "").lstrip("\b\n").startswith("Example"), "no examples"
    found = docs.examples(command)
    assert found
    for line in found:
        assert shlex.split(line)[: len(path) + 1] == ["wpbridge", *path], line
    shown = CliRunner().invoke(cli, [*path, "--help"], terminal_width=80)
    assert shown.exit_code == 0
    # Each on a line of its own, whatever its length, and nothing after them.
    last = [line.strip() for line in shown.output.splitlines()][-len(found) :]
    assert [line.removeprefix("Example: ") for line in last] == found


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_has_words(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    assert command.help
    for option in command.params:
        assert not isinstance(option, click.Option) or option.help, option.opts


# The plugin's forms

FORMS = [table for table in tables(page("plugin-forms.md")) if table.head[0] in {"PHP", "WP-CLI"}]


def rows_of(head: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    return {codes(row[0])[0]: row for table in FORMS if table.head == head for row in table.rows}


FUNCTION_ROWS = rows_of(("PHP", "Python", "shell", "differences"))
COMMAND_ROWS = rows_of(("WP-CLI", "shell", "Python", "differences"))


def function_names() -> list[str]:
    return [re.split(r"\W", name)[0] for name in FUNCTION_ROWS]


def command_names() -> list[str]:
    """Of ``action create <hook>``: ``action create``."""
    return [" ".join(re.findall(r"[a-z-]+", re.split(r"[\[<]", name)[0])) for name in COMMAND_ROWS]


def test_every_function_of_the_plugin_has_a_row() -> None:
    assert sorted(function_names()) == sorted(FUNCTIONS)


def test_every_command_of_the_plugin_has_a_row() -> None:
    assert sorted(command_names()) == sorted(WP_CLI)


@pytest.mark.parametrize(
    "row", [*FUNCTION_ROWS.values(), *COMMAND_ROWS.values()], ids=lambda r: r[0]
)
def test_a_row_names_a_form_or_says_that_there_is_none(row: tuple[str, ...]) -> None:
    for cell in row[1:3]:
        assert codes(cell) or cell == "none"
    assert row[3]
    if row[1] == row[2] == "none":
        assert "alone" in row[3] or "not needed" in row[3], "who does that job?"


@pytest.mark.parametrize(
    "text", sorted(set(re.findall(r"`(queue\.[^`]+)`", page("plugin-forms.md"))))
)
def test_a_python_form_is_there(text: str) -> None:
    call = ast.parse(text.replace("=)", "=0)").replace("=,", "=0,"), mode="eval").body
    assert isinstance(call, ast.Call)
    assert isinstance(call.func, ast.Attribute)
    parameters = inspect.signature(getattr(Queue, call.func.attr)).parameters
    fields = (
        {field.name for field in dataclasses.fields(Enqueue)} if "more" in parameters else set()
    )
    names = [a.id for a in call.args if isinstance(a, ast.Name)] + [
        str(k.arg) for k in call.keywords
    ]
    assert set(names) <= set(parameters) | fields
    assert names[: len(call.args)] == list(parameters)[1 : len(call.args) + 1]


@pytest.mark.parametrize(
    "text",
    sorted(set(re.findall(r"`(wpbridge [^`]+)`", page("plugin-forms.md").replace(r"\|", "|")))),
)
def test_a_shell_form_is_there(text: str) -> None:
    assert docs.unknown_words(text) == []


def test_every_command_of_ours_is_on_the_page() -> None:
    text = page("plugin-forms.md")
    assert [" ".join(p) for p in COMMANDS if f"`wpbridge {' '.join(p)}" not in text] == []


@pytest.mark.parametrize(
    "table", [t for t in FORMS if t.title == "Query fields"], ids=lambda t: t.title
)
def test_query_fields_are_there(table: Table) -> None:
    fields = {field.name for field in dataclasses.fields(Query)}
    for _, python, shell in table.rows:
        named = re.sub(r"\(`[^)]*\)", "", python.partition(":")[0])
        assert set(codes(named)) <= fields
        assert docs.unknown_words(f"wpbridge list {' '.join(codes(shell))}") == []


# The plugin itself, where it is given


@pytest.fixture(scope="module")
def plugin() -> Path:
    named = os.environ.get("WPBRIDGE_TEST_PLUGIN")
    if not named:
        pytest.skip("WPBRIDGE_TEST_PLUGIN does not name the plugin's folder")
    return Path(named)


def test_the_plugin_has_no_other_functions(plugin: Path) -> None:
    found = re.findall(
        r"^\s*function\s+(as_\w+)", (plugin / "functions.php").read_text(), re.MULTILINE
    )
    assert "as_enqueue_async_action" in found
    assert set(found) <= set(function_names())


def test_the_plugin_has_no_other_commands(plugin: Path) -> None:
    found = set(plugin_commands(plugin))
    assert {"run", "clean", "fix-schema"} <= found
    assert found <= set(command_names())


def plugin_commands(plugin: Path) -> Iterator[str]:
    """By its command classes: a public method is a command, and a comment may say another name."""
    method = re.compile(
        r"(?:/\*\*(?P<words>(?:(?!\*/).)*)\*/\s*)?public function (?P<name>\w+)\(", re.DOTALL
    )
    for file in sorted((plugin / "classes" / "WP_CLI").glob("*_[Cc]ommand.php")):
        group = "action " if file.name == "Action_Command.php" else ""
        for found in method.finditer(file.read_text("utf-8")):
            named = re.search(r"@subcommand\s+(\S+)", found["words"] or "")
            if found["name"] not in {"__construct", "register"}:
                yield group + (named[1] if named else found["name"].replace("_", "-"))


# Python API

METHODS = {
    text.partition("(")[0]: text
    for table in tables(page("python-api.md"))
    if table.head[0] in {"method", ""}
    for row in table.rows
    for text in codes(row[0])
    if text.endswith(")")
}


def test_every_method_of_a_queue_is_in_the_reference() -> None:
    public = {
        name
        for name in dir(Queue)
        if not name.startswith("_") and not isinstance(getattr(Queue, name), property)
    }
    assert {name.removeprefix("Queue.") for name in METHODS} == public


@pytest.mark.parametrize("name", METHODS)
def test_a_method_takes_what_the_reference_says(name: str) -> None:
    definition = ast.parse(f"def {METHODS[name].removeprefix('Queue.')}: ...").body[0]
    assert isinstance(definition, ast.FunctionDef)
    told = definition.args
    real = list(inspect.signature(getattr(Queue, name.removeprefix("Queue."))).parameters.values())
    kinds: dict[Any, list[str]] = {}
    for one in real:
        kinds.setdefault(one.kind, []).append(one.name)
    assert [a.arg for a in told.args] == [
        n for n in kinds.get(inspect.Parameter.POSITIONAL_OR_KEYWORD, []) if n != "self"
    ]
    assert [a.arg for a in told.kwonlyargs] == kinds.get(inspect.Parameter.KEYWORD_ONLY, [])
    assert (told.kwarg is not None) == (inspect.Parameter.VAR_KEYWORD in kinds)


@pytest.mark.parametrize(
    ("head", "kind"),
    [("field", Enqueue), ("field of `Query`", Query), ("field of `Record`", Record)],
    ids=["Enqueue", "Query", "Record"],
)
def test_fields_are_those_of_the_class(head: str, kind: Any) -> None:
    [table] = [t for t in tables(page("python-api.md")) if t.head[0] == head]
    told = [name for row in table.rows for name in codes(row[0])]
    assert sorted(told) == sorted(field.name for field in dataclasses.fields(kind))


def test_defaults_are_those_of_the_class() -> None:
    [table] = [t for t in tables(page("python-api.md")) if t.head[:2] == ("field", "default")]
    told = {codes(row[0])[0]: row[1].strip("`") for row in table.rows}
    for field in dataclasses.fields(Enqueue):
        default = "" if field.default is dataclasses.MISSING else field.default
        shown = "none" if default in ((), "") and field.name != "hook" else str(default)
        assert told[field.name] == shown, field.name


def test_errors_and_public_names_are_there() -> None:
    [table] = below("python-api.md", "Errors")
    for row in table.rows:
        for name in codes(row[0]):
            assert issubclass(getattr(errors, name), errors.WpbridgeError)
    for name in {*wpbridge.__all__} - {"__version__", "Cancel", "Retry", "Snooze"}:
        assert name in page("python-api.md")


# JSON


@pytest.mark.parametrize(
    ("titles", "fields"),
    [
        (
            ("Actions",),
            (*action_rows.ACTION_FIELDS, "waits_for", *action_rows.RESULT_FIELDS, "log"),
        ),
        (("Log rows",), action_rows.LOG_FIELDS),
        (("Counts",), reports.STAT_FIELDS),
        (("Since",), stats_since.ENDED_FIELDS),
        (("Failures",), reports.FAILURE_FIELDS),
        (("Claims",), reports.CLAIM_FIELDS),
        (("Workers",), workers.FIELDS),
        (("Hooks",), hooks.FIELDS),
        (("Pauses",), pauses.FIELDS),
        (("Keys",), keys.FIELDS),
        (
            ("Doctor",),
            (
                "healthy",
                "findings",
                "skipped",
                "fixes",
                *[f.name for f in dataclasses.fields(Finding)],
                *[f.name for f in dataclasses.fields(Repair)],
            ),
        ),
        (
            ("Explain",),
            (
                *[f.name for f in dataclasses.fields(explain.Explanation)],
                *[f.name for f in dataclasses.fields(explain.Reason)],
            ),
        ),
    ],
    ids=lambda it: it[0],
)
def test_json_fields_are_those_of_the_code(titles: tuple[str, ...], fields: Sequence[str]) -> None:
    told = [
        name for table in below("json.md", *titles) for row in table.rows for name in codes(row[0])
    ]
    assert told == list(fields)


def test_reasons_are_those_of_the_code() -> None:
    line = next(line for line in page("json.md").splitlines() if line.startswith("Codes: "))
    assert codes(line) == list(explain.CODES)


OBJECTS = {
    "Changes": "cancel 1",
    "Clean": "clean --yes",
    "Dedupe": "dedupe --dry-run",
    "Release of claims": "release-claims --stale",
    "Status": "status",
    "Advice": "advise",
    "Check": "check",
    "Settings": "config show",
    "Runs": "claim-and-run --handlers doc_hooks",
    "Imports": "migrate copy --to-dsn sqlite:///queue.db --to-table-prefix other_",
}
"""Commands that print one object, by the heading that tells of it."""
KINDS: dict[str, Any] = {
    "number": int | float,
    "text": str,
    "time": str,
    "bool": bool,
    "array": list,
    "object": dict,
}


@pytest.fixture
def queue_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with a small queue and a handler."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    dsn = f"sqlite:///{tmp_path / 'queue.db'}"
    monkeypatch.setenv("WPBRIDGE_DSN", dsn)
    monkeypatch.setenv("WPBRIDGE_STATE_DIR", str(tmp_path / "state"))
    code = "from wpbridge import hook\n\n@hook('a')\ndef a(): pass\n"
    (tmp_path / "doc_hooks.py").write_text(code, "utf-8")
    store = make_store(DatabaseAddress.from_dsn(dsn), "wp_")
    store.register(host="elsewhere", boot="boot", pid=1, pid_started="1")
    other = make_store(DatabaseAddress.from_dsn(dsn), "other_")
    other.close()
    with Queue(store.parts) as queue:
        queue.enqueue_many(Enqueue(hook="chain", interval=60) for _ in range(2))
        queue.pause(groups=["mail"])
    yield tmp_path
    sys.modules.pop("doc_hooks", None)


@pytest.mark.parametrize("title", OBJECTS)
@pytest.mark.usefixtures("queue_folder")
def test_an_object_has_the_fields_that_are_told(title: str) -> None:
    done = CliRunner().invoke(cli, [*OBJECTS[title].split(), "--format=json"])
    found = json.loads(done.stdout)
    table = below("json.md", title)[0]
    assert [name for row in table.rows for name in codes(row[0])] == list(found)
    for names, kind, words in table.rows:
        for value in (found[name] for name in codes(names)):
            assert isinstance(value, KINDS[kind] | None), names
            if words.startswith("objects with"):
                assert value, names
                assert codes(words) == list(value[0]), names


def test_checks_are_those_of_the_code() -> None:
    line = next(line for line in page("json.md").splitlines() if line.startswith("Checks: "))
    assert codes(line) == list(doctor.NAMES)


def test_keys_of_lines_that_come_in_are_those_of_the_code() -> None:
    [table] = below("json.md", "Lines that come in")
    told = [name for row in table.rows for name in codes(row[0])]
    assert told == [*(field.name for field in dataclasses.fields(Enqueue)), "in"]


@pytest.mark.parametrize(
    ("title", "fields"),
    [
        ("Header", lines.HEADER_FIELDS),
        ("Actions in it", lines.LINE_FIELDS),
        ("Schedules in it", lines.SCHEDULE_FIELDS),
        ("End", lines.END_FIELDS),
    ],
)
def test_keys_of_exported_queues_are_those_of_the_code(title: str, fields: Sequence[str]) -> None:
    [table] = below("json.md", title)
    assert [name for row in table.rows for name in codes(row[0])] == list(fields)


# Settings


def test_every_setting_is_in_the_reference() -> None:
    text = page("settings.md")
    [table] = [t for t in tables(text) if t.head[:2] == ("flag", "variable")]
    told = {part for row in table.rows for part in codes(row[2])}
    places = {f"[{name}] {key}" for name, keys in config._TABLES.items() for key in keys}
    alone = {
        f"[{name}]" if name in {"webhooks", "shares"} else f"[[{name}]]" for name in config._ALONE
    }
    # Whether there are colours the terminal says, or NO_COLOR.
    assert (places | alone) - told == {"[run] color"}
    assert told - places == alone
    for row in table.rows:
        for name in codes(row[1]):
            assert name.removeprefix("WPBRIDGE_").lower() in SETTINGS


def test_every_event_is_in_the_reference() -> None:
    [table] = [t for t in tables(page("events.md")) if t.head[0] == "event"]
    told = {codes(row[0])[0]: (row[1], set(codes(row[2]))) for row in table.rows}
    assert set(told) == {logs.name_of(kind) for kind in events.KINDS}
    shared = {f.name for f in dataclasses.fields(events.ActionEvent)}
    for kind in events.KINDS:
        level, fields = told[logs.name_of(kind)]
        assert level == logging.getLevelName(logs.LEVELS[kind]).lower()
        own = {f.name for f in dataclasses.fields(kind)} - {"at", "site"}
        own -= shared if issubclass(kind, events.ActionEvent) else set()
        spans = {"after", "took", "waited"}
        assert {f"{name}_ms" if name in spans else name for name in own} <= fields


def test_every_line_of_the_log_is_in_the_reference_and_in_the_code() -> None:
    [table] = [t for t in tables(page("events.md")) if t.head[0] == "line"]
    documented = {codes(row[0])[0]: (row[1], set(codes(row[2]))) for row in table.rows}
    assert documented.pop(logs.FOREIGN)[0] == documented.pop(logs.FAILED)[0] == "any"
    assert set(documented) == set(log.KINDS)
    for name, kind in log.KINDS.items():
        levels, fields = documented[name]
        told = [kind.level, *([] if kind.quieter is None else [kind.quieter])]
        assert levels == " or ".join(logging.getLevelName(level).lower() for level in told), name
        assert set(kind.fields) <= fields, name
        assert {f for f in fields if f.isidentifier()} <= set(kind.fields), name
    [keys] = [t for t in tables(page("events.md")) if t.head[0] == "key"]
    assert {codes(row[0])[0] for row in keys.rows} == formats._RESERVED


def test_what_is_logged_is_what_the_catalogue_says() -> None:
    """Both ways: each call has a name and fields of the catalogue, and none of it is unused."""
    called: dict[str, set[str]] = {}
    for file in (ROOT / "wpbridge").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            if node.func.id == "tell" and node.args:
                for name in _texts_of(node.args[0]):
                    given = {key.arg or "**" for key in node.keywords} - {"level", "exc_info"}
                    called.setdefault(name, set()).update(given)
    assert set(called) == set(log.KINDS)
    for name, given in called.items():
        # Whatever a process has counted: the fleet says what that may be.
        more = fleet._COUNTED if "**" in given else set()
        assert (given - {"**"}) | more == set(log.KINDS[name].fields), name


def test_nothing_else_in_the_package_calls_a_logger() -> None:
    """Its details would hide in the wording of a line."""
    allowed = {
        "telling/log.py",
        "telling/lines.py",
        "telling/formats.py",
        "executors/process/pool.py",
    }
    words = re.compile(
        r"\b(_?log|logger|logging)\.(debug|info|warning|error|exception|critical|log)\("
    )
    found = {
        str(file.relative_to(ROOT / "wpbridge"))
        for file in (ROOT / "wpbridge").rglob("*.py")
        if words.search(file.read_text(encoding="utf-8"))
    }
    assert found <= allowed


def _texts_of(node: ast.expr) -> set[str]:
    """``"a"``, and ``"a" if … else "b"``."""
    if isinstance(node, ast.IfExp):
        return _texts_of(node.body) | _texts_of(node.orelse)
    return {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()


def test_every_exit_code_is_in_the_reference() -> None:
    [table] = below("settings.md", "Exit codes")
    told = {int(number) for row in table.rows for number in re.findall(r"\d+", row[0])}
    assert told == {int(code) for code in Exit}


# Status changes

EXPLAIN = ROOT / "docs" / "explain"
STATES = {"free", "claimed", "undated", "in-progress", "complete", "failed", "canceled", "deleted"}


def changes(title: str) -> Iterator[tuple[str, str, str]]:
    """From, to and log of a table in statuses.md; its first states are [*] in the diagram."""
    for table in tables((EXPLAIN / "statuses.md").read_text("utf-8")):
        if table.title == title:
            for before, after, *_, log in table.rows:
                for one in before.split(", "):
                    for other in after.split(", "):
                        yield one or "[*]", other, log


def test_the_states_are_those_of_the_code() -> None:
    told, *_ = tables((EXPLAIN / "statuses.md").read_text("utf-8"))
    assert {name for row in told.rows for name in row[0].split(", ")} == STATES
    assert {name for row in told.rows for name in codes(row[1])} == {s.value for s in Status}


def test_the_diagram_has_the_arrows_of_the_tables() -> None:
    text = (EXPLAIN / "delivery.md").read_text("utf-8")
    drawn = {
        tuple("in-progress" if name == "running" else name for name in arrow)
        for arrow in re.findall(r"^    (\S+) --> ([a-z]\S+): \S", text, re.MULTILINE)
    }
    told = {
        (one, other)
        for title in ("By wpbridge", "By the plugin")
        for one, other, _ in changes(title)
    }
    assert {state for arrow in told for state in arrow} == {*STATES, "[*]"}
    assert drawn == told


def test_log_rows_of_status_changes_are_those_of_the_code() -> None:
    at = SystemClock().now()
    later = timedelta(seconds=9)
    made = [
        *(log_texts.started(at), log_texts.completed(at), log_texts.failed(at, "x")),
        *(log_texts.canceled(at, ""), log_texts.canceled(at, "x"), log_texts.unrun(at, "x")),
        *(log_texts.retried(at, later, "x", attempt=n, of=5) for n in (0, 2)),
        *(log_texts.snoozed(at, at, "x"), log_texts.reset(at, "x", 0), log_texts.reset(at, "x", 1)),
    ]
    stored = [
        f"{REQUEUED}9",
        "action requeued via wpbridge from action 9",
        "action reset",
        "action created",
        _moved(at),
        "action released via wpbridge: what it waited for has ended",
    ]
    real = [*(line.message for line in made), *stored]
    told = {name.rstrip("…") for *_, log in changes("By wpbridge") for name in codes(log)}
    assert [name for name in told if not any(text.startswith(name) for text in real)] == []
    exact = told - {"action created", "action reset", "action canceled"}
    for text in real:
        assert text in told or any(text.startswith(name) for name in exact), text


# Explanations


def test_the_time_for_which_phps_runners_count_as_on_is_that_of_the_code() -> None:
    words = {600: "ten minutes"}[int(AWAY.total_seconds())]
    for page, sentence in (
        ("explain/upkeep.md", f"in log rows of the last {words}"),
        ("explain/upkeep.md", f"has not been seen for {words}"),
        ("explain/upkeep.md", f"goes by the same {words}"),
        ("reference/events.md", f"has not been seen for {words}"),
        ("how-to/move-the-post-store.md", f"while the last {words} show one of them"),
        ("how-to/go-to-production.md", f"at work within the last {words}"),
    ):
        assert sentence in (ROOT / "docs" / page).read_text("utf-8"), page


def test_tables_of_our_own_have_the_columns_that_are_told(tmp_path: Path) -> None:
    store = make_store(DatabaseAddress.from_dsn(f"sqlite:///{tmp_path / 'queue.db'}"), "")
    text = (ROOT / "docs" / "explain" / "own-tables.md").read_text("utf-8")
    told = {t.title.strip("`"): [n for row in t.rows for n in codes(row[0])] for t in tables(text)}
    real = {
        name: store.session.run(lambda c, n=name: store.parts.dialect.columns(c, n))  # type: ignore[misc]
        for name in store.names.own
    }
    store.close()
    assert told == real


ZONE_ROWS = [
    row
    for table in tables((ROOT / "docs" / "explain" / "time-zones.md").read_text("utf-8"))
    if table.head[0] == "expression"
    for row in table.rows
]


@pytest.mark.parametrize("row", ZONE_ROWS, ids=lambda row: f"{row[0]} {row[1]} {row[2][:10]}")
def test_dates_across_changes_of_the_clock_are_the_real_ones(row: tuple[str, ...]) -> None:
    expression, zone = cron.parse(row[0].strip("`")), zoned.zone_named(row[1].strip("`"))
    at = datetime.fromisoformat(row[2])
    for told in row[3].split(", "):
        at = zoned.next_date(expression, at, zone)
        assert at == datetime.fromisoformat(told)


# Troubleshooting


def test_what_explain_says_there_is_what_it_says() -> None:
    text = (ROOT / "docs" / "how-to" / "troubleshoot.md").read_text("utf-8")
    told = re.findall(r"`explain`: ([a-z-]+(?:, [a-z-]+)*)", text)
    told += [row[0] for t in tables(text) if t.head == ("says", "means") for row in t.rows]
    found = {code for names in told for code in names.split(", ")}
    assert len(found) > 5
    assert found - set(explain.CODES) == set()


# Links


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.name)
def test_links_lead_somewhere(file: Path) -> None:
    text = file.read_text("utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", "\n".join(_without_fences(text))):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            other = (file.parent / path).resolve() if path else file
            assert other.exists(), target
            assert not anchor or anchor in anchors(other.read_text("utf-8")), target


def anchors(text: str) -> set[str]:
    heads = [line.lstrip("#").strip() for line in _without_fences(text) if line.startswith("#")]
    return {re.sub(r"[^\w -]", "", head).replace(" ", "-").lower() for head in heads}


@pytest.mark.parametrize(
    "named", re.findall(r"`(tests/[^`]+)`", (ROOT / "SECURITY.md").read_text("utf-8"))
)
def test_the_tests_that_the_security_page_names_are_there(named: str) -> None:
    file, _, name = named.partition("::")
    assert f"\ndef {name}(" in (ROOT / file).read_text("utf-8") or not name


def test_every_page_is_linked_from_another() -> None:
    linked = {
        (file.parent / target.partition("#")[0]).resolve()
        for file in PAGES
        for target in re.findall(r"\]\(([^)\s]+\.md[^)\s]*)\)", file.read_text("utf-8"))
    }
    # The first page of the site is where one begins.
    pages = set(ROOT.glob("docs/**/*.md")) - {ROOT / "docs" / "index.md"}
    assert [file.name for file in pages if file.resolve() not in linked] == []
