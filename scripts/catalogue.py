"""The catalogue of all texts of the dashboard, wpbridge/web/pages/locale/wpbridge.pot.

It is made of the templates, where texts stand in ``_("…")``, and of Python, where they stand in
``N_("…")``, ``_("…")``, ``tr("…")`` and ``trn("…", "…", n)``. Words of tables that know no pages,
such as that of changes, are taken from there. ``scripts/docs`` writes it.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from jinja2 import Environment
from jinja2.ext import extract_from_ast

from wpbridge.action import Status
from wpbridge.queue.commands import COMMANDS
from wpbridge.site.rules import ROLES
from wpbridge.web.pages.actions import TABS

ROOT: Final = Path(__file__).resolve().parent.parent
PAGES: Final = ROOT / "wpbridge" / "web" / "pages"
FILE: Final = PAGES / "locale" / "wpbridge.pot"
_PYTHON: Final = (PAGES, ROOT / "wpbridge" / "dashboard")
_MARKS: Final = {"_": 1, "N_": 1, "tr": 1, "trn": 2}
"""The functions that mark texts in Python, with how many of their arguments are texts."""
_HEAD: Final = r"""# The texts of wpbridge's dashboard, made by `scripts/docs`; do not edit.
# A translation is locale/LANGUAGE/LC_MESSAGES/wpbridge.mo, compiled of a copy of this file.
msgid ""
msgstr ""
"Project-Id-Version: wpbridge\n"
"MIME-Version: 1.0\n"
"Content-Type: text/plain; charset=UTF-8\n"
"Content-Transfer-Encoding: 8bit\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\n"
"""

Text = tuple[str, ...]
"""A text, or the two of one that differs with a number."""


def text() -> str:
    """Return the whole catalogue, in the order of its texts."""
    return _HEAD + "".join(f"\n{_entry(one, files)}" for one, files in sorted(found().items()))


def found() -> dict[Text, list[str]]:
    """Return each text with the files that it stands in."""
    places: dict[Text, set[str]] = defaultdict(set)
    for file, one in _all():
        places[one].add(str(file.relative_to(ROOT)))
    return {one: sorted(files) for one, files in places.items()}


def templates() -> Iterator[Path]:
    """Yield the templates, in the order of their names."""
    yield from sorted((PAGES / "templates").rglob("*.html"))


def environment() -> Environment:
    """Return what reads templates as the gateway does. It fills none."""
    return Environment(autoescape=True, extensions=["jinja2.ext.i18n"])


def _all() -> Iterator[tuple[Path, Text]]:
    reader = environment()
    for file in templates():
        for _, _, message in extract_from_ast(reader.parse(file.read_text("utf-8"))):
            told = message if isinstance(message, tuple) else (message,)
            yield file, tuple(one for one in told if isinstance(one, str))
    for folder in _PYTHON:
        for file in sorted(folder.rglob("*.py")):
            for one in _marked(ast.parse(file.read_text("utf-8"))):
                yield file, one
    yield from _of_tables()


def _of_tables() -> Iterator[tuple[Path, Text]]:
    commands = ROOT / "wpbridge" / "queue" / "commands.py"
    for one in COMMANDS.values():
        told = [one.words, one.summary, one.done]
        told += [words for field in one.fields for words in (field.words, field.hint)]
        yield from ((commands, (words,)) for words in told if words)
    yield from ((ROOT / "wpbridge" / "action.py", (str(status),)) for status in Status)
    yield from ((ROOT / "wpbridge" / "site" / "rules.py", (role,)) for role in ROLES)
    yield from ((PAGES / "actions.py", (name or "all",)) for name in TABS)


def _marked(tree: ast.AST) -> Iterator[Text]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            count = _MARKS.get(node.func.id, 0)
            told = [one.value for one in node.args[:count] if isinstance(one, ast.Constant)]
            if count and len(told) == count:
                yield tuple(str(one) for one in told)


def _entry(one: Text, files: list[str]) -> str:
    lines = [f"#: {file}\n" for file in files]
    if any("%" in part for part in one):
        lines.append("#, python-format\n")
    lines.append(f"msgid {_quoted(one[0])}\n")
    if len(one) > 1:
        lines.append(f'msgid_plural {_quoted(one[1])}\nmsgstr[0] ""\nmsgstr[1] ""\n')
    else:
        lines.append('msgstr ""\n')
    return "".join(lines)


def _quoted(message: str) -> str:
    escaped = message.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'"{escaped}"'
