"""The public names of wpbridge, as docs/reference/compatibility.md promises to keep them.

`scripts/surface` writes them to tests/surface, a file for each kind and a name a line;
`scripts/release` does the same for each release. A test compares: what is written there and is not
in the code any more was removed, and needs an entry in wpbridge/deprecated/register.py.
"""

import dataclasses
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

import docs
import project
import wpbridge
from wpbridge import client, events
from wpbridge.cli.exit_codes import Exit
from wpbridge.deprecated import register
from wpbridge.doctor import CHECKS
from wpbridge.monitor.rules import RULES
from wpbridge.site.settings import SETTINGS
from wpbridge.store.schema.tables import OWN
from wpbridge.telling.log import KINDS as LOG_KINDS
from wpbridge.telling.metrics import METRICS
from wpbridge.web.openapi import document
from wpbridge.web.routes import ROUTES

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "tests" / "surface"
REFERENCE = ROOT / "docs" / "reference"

_INNER = frozenset(
    f"Context.{name}"
    for name in ("key", "lines", "make_key", "now", "open_queue", "over_at", "steps", "stopping")
)
"""What a context needs itself. The pages do not name it."""
_NEVER_MADE = ("Context", "Queue")
"""Classes whose objects people get from wpbridge."""


def api() -> Iterator[str]:
    """The names that `wpbridge` and `wpbridge.client` export, with their methods and parameters."""
    for name in wpbridge.__all__:
        yield from _of_object(name, getattr(wpbridge, name))
    for name in client.__all__:
        yield from _of_object(f"client.{name}", getattr(client, name))


def _of_object(path: str, value: Any) -> Iterator[str]:
    yield path
    if inspect.isclass(value):
        if path not in _NEVER_MADE:
            yield from (f"{path}({name})" for name in _parameters(value))
        for name, member in inspect.getmembers(value):
            if not name.startswith("_") and _is_public(path, name):
                yield f"{path}.{name}"
                if inspect.isroutine(member):
                    yield from (f"{path}.{name}({one})" for one in _parameters(member))
    elif callable(value):
        yield from (f"{path}({name})" for name in _parameters(value))


def _is_public(path: str, name: str) -> bool:
    """Whether what belongs to a class is meant for people; a context holds more than that."""
    return not hasattr(Exception, name) and f"{path}.{name}" not in _INNER


def _parameters(function: Any) -> list[str]:
    try:
        names = inspect.signature(function).parameters
    except ValueError:
        return []
    return [name for name in names if name not in {"self", "cls"} and not name.startswith("_")]


def events_of_python() -> Iterator[str]:
    """The events that subscribers get, with their fields."""
    for name, value in vars(events).items():
        if inspect.isclass(value) and dataclasses.is_dataclass(value) and name[0] != "_":
            yield name
            yield from (f"{name}.{one.name}" for one in dataclasses.fields(value))


def commands() -> Iterator[str]:
    """The commands by their words."""
    yield from (" ".join(path) for path, _ in docs.commands())


def options() -> Iterator[str]:
    """The options by their commands, in every form."""
    for path, command in docs.commands():
        for one in command.params:
            forms = [*one.opts, *one.secondary_opts] if isinstance(one, click.Option) else []
            yield from (f"{' '.join(path)} {form}" for form in forms)


def settings() -> Iterator[str]:
    """The keys of the settings file, and the variables."""
    for name, setting in SETTINGS.items():
        yield f"{setting.table}.{setting.key}" if setting.table else setting.key
        yield f"WPBRIDGE_{name.upper()}"


def fields() -> Iterator[str]:
    """The fields of JSON, by the headings of their tables in the reference."""
    title = ""
    for line in (REFERENCE / "json.md").read_text("utf-8").splitlines():
        if line.startswith("#"):
            title = line.lstrip("# ")
        elif line.startswith("| `"):
            yield from (f"{title}: {one}" for one in re.findall(r"`([^`]+)`", line.split("|")[1]))


def http() -> Iterator[str]:
    """The routes of the API with what they take and answer."""
    for path, operations in document(ROUTES, "")["paths"].items():
        for method, operation in operations.items():
            route = f"{method.upper()} {path}"
            yield route
            for one in operation.get("parameters", ()):
                yield f"{route} {one['in']} {one['name']}"
            yield from (f"{route} answers {code}" for code in operation["responses"])
    for name, schema in document(ROUTES, "")["components"]["schemas"].items():
        yield from (f"{name}.{field}" for field in schema.get("properties", ()))


def tables() -> Iterator[str]:
    """Our own tables with their columns."""
    for table in OWN:
        yield table.name_end
        yield from (f"{table.name_end}.{column}" for column in table.columns)


def logs() -> Iterator[str]:
    """The kinds of log lines, with their fields."""
    for name, kind in LOG_KINDS.items():
        yield name
        yield from (f"{name} {field}" for field in kind.fields)


def metrics() -> Iterator[str]:
    """The metrics with their labels."""
    for name, metric in METRICS.items():
        yield name
        yield from (f"{name}{{{label}}}" for label in metric.labels)


def php() -> Iterator[str]:
    """The functions that the companion plugin gives to PHP."""
    for file in sorted((ROOT / "wpbridge" / "plugin").glob("*.php")):
        yield from re.findall(r"^\s*function (wpbridge_\w+)", file.read_text("utf-8"), re.MULTILINE)


def codes() -> Iterator[str]:
    """Exit codes, checks of the doctor, alerts, extras."""
    yield from (f"exit {int(code)} {code.name}" for code in Exit)
    yield from (f"check {check.name}" for check in CHECKS)
    yield from (f"alert {name}" for name in RULES)
    yield from (f"extra {name}" for name in project.extras_of(ROOT))


KINDS: dict[str, Callable[[], Iterator[str]]] = {
    "api": api,
    "events": events_of_python,
    "commands": commands,
    "options": options,
    "settings": settings,
    "fields": fields,
    "http": http,
    "tables": tables,
    "logs": logs,
    "metrics": metrics,
    "codes": codes,
    "php": php,
}
"""What is public, by the name of its record."""
_ENTRIES: dict[str, tuple[register.Kind, ...]] = {
    "api": ("api",),
    "commands": ("command",),
    "options": ("option",),
    "settings": ("setting", "variable"),
    "http": ("route", "field"),
}


def found(kind: str) -> set[str]:
    """What is public in this code."""
    return set(KINDS[kind]())


def recorded(kind: str) -> set[str]:
    """What was public in the last release."""
    return set((FOLDER / f"{kind}.txt").read_text("utf-8").splitlines())


def removed(kind: str) -> set[str]:
    """What was taken away with an entry in the register.

    What belongs to a name goes with it: a command's options, a method's parameters.
    """
    kinds = _ENTRIES.get(kind, ("field",))
    gone = {one.name for one in register.REMOVED if one.kind in kinds}
    commands_gone = {one.name for one in register.REMOVED if one.kind == "command"}
    whole = gone | (commands_gone if kind == "options" else set())
    return {
        name
        for name in recorded(kind)
        if any(name == one or re.match(re.escape(one) + r"[ .({]", name) for one in whole)
    }


def write() -> None:
    """Write the record anew."""
    FOLDER.mkdir(exist_ok=True)
    for kind in KINDS:
        (FOLDER / f"{kind}.txt").write_text("".join(f"{one}\n" for one in sorted(found(kind))))


if __name__ == "__main__":
    write()
    sys.stdout.write(f"{FOLDER} has the public names of this code\n")
