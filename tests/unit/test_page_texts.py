"""All texts of the pages stand in one catalogue, and a translation of it is taken."""

import asyncio
import re
import struct
from collections.abc import Iterator
from datetime import UTC
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jinja2 import nodes
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

import catalogue
from wpbridge.web.counted import Counted
from wpbridge.web.pages import texts
from wpbridge.web.pages.mounted import _PageEndpoint
from wpbridge.web.pages.rendering import Renderer

FILLED = "\ue000"
"""Stands for what is filled in."""
SHOWN_ATTRIBUTES = {"alt", "aria-label", "placeholder", "title", "data-label", "data-done"}
NOT_WORDS = {"code", "kbd", "pre"}
"""Elements whose text is the same in all languages."""
NAMES = {"wpbridge", "WordPress", "PHP", "Action Scheduler", "UTC", "pid"}
ATTRIBUTES = "live"
"""The block that stands inside a tag."""
MARKING = {"_", "gettext", "ngettext"}


def test_the_catalogue_is_that_of_the_texts() -> None:
    assert catalogue.FILE.read_text("utf-8") == catalogue.text(), "run scripts/docs"


@pytest.mark.parametrize("file", list(catalogue.templates()), ids=lambda file: str(file.name))
def test_no_template_has_words_that_are_not_in_the_catalogue(file: Path) -> None:
    tree = catalogue.environment().parse(file.read_text("utf-8"))
    reader = Reader()
    reader.feed("".join(written(tree)))
    assert [words for words in reader.found if has_words(words)] == []
    assert [one for one in given(tree) if re.match(r"[A-Z][a-z]+(?![\w-])", one)] == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('<p>{{ _("Fine") }}</p><b class="a bc">{{ x }}</b><kbd>Esc</kbd>', []),
        ("<p>Bare</p>", ["Bare"]),
        (
            "{% if x %}<i>Bare</i>{% else %}<u>{{ 'too' if y else z }}</u>{% endif %}",
            ["Bare", f"too{FILLED}"],
        ),
        ('<a title="Bare {{ x }}">{{ _("Fine") }}</a>', [f"Bare {FILLED}"]),
        ('{{ head("Bare") }}{{ url("recurring", x="No words") }}', ["Bare"]),
        ('<input type="submit" value="Go on">', ["Go on"]),
        ("{% trans %}Fine{% endtrans %}", []),
    ],
)
def test_bare_words_are_found(source: str, found: list[str]) -> None:
    tree = catalogue.environment().parse(source)
    reader = Reader()
    reader.feed("".join(written(tree)))
    bare = [words for words in reader.found if has_words(words)]
    assert bare + [one for one in given(tree) if re.match(r"[A-Z][a-z]+(?![\w-])", one)] == found


def test_texts_are_found_in_templates_and_in_python() -> None:
    files = {file for places in catalogue.found().values() for file in places}
    assert any(file.endswith(".html") for file in files)
    assert any(file.endswith(".py") for file in files)


GERMAN = {"Sign in": "Anmelden", "User": "Name", "Password": "Passwort", "%s ago": "vor %s"}


@pytest.mark.parametrize(
    ("wanted", "language"),
    [
        ("de", "de"),
        ("de-AT, en;q=0.5", "de"),
        ("en;q=0.4, de;q=0.9", "de"),
        ("xx, de_DE;q=0.1", "de"),
        ("en, de;q=0.9", "en"),
        ("", "en"),
        ("fr", "en"),
        ("../../de", "en"),
        ("de;q=none", "en"),
    ],
)
def test_a_page_speaks_the_language_that_a_browser_wants(
    wanted: str, language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "de" / "LC_MESSAGES" / "wpbridge.mo"
    file.parent.mkdir(parents=True)
    file.write_bytes(compiled(GERMAN))
    monkeypatch.setattr(texts, "LOCALE", tmp_path)
    renderer = Renderer(zone=UTC, mask=(), site="s", base="")
    told = {"to": "/", "trouble": ""}
    texts.speak(wanted)
    page = bytes(renderer.answer("sign_in.html", 200, told).body).decode()
    texts.speak("")
    assert f'<html lang="{language}"' in page
    assert ("Passwort" in page) is (language == "de")
    assert ("Password" in page) is (language == "en")
    assert ('data-ago="vor %s"' in page) is (language == "de")


def test_what_is_filled_into_a_translation_is_escaped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "de" / "LC_MESSAGES" / "wpbridge.mo"
    file.parent.mkdir(parents=True)
    file.write_bytes(compiled({"Sign in to wpbridge": "<b>An</b>melden"}))
    monkeypatch.setattr(texts, "LOCALE", tmp_path)
    renderer = Renderer(zone=UTC, mask=(), site="<i>s</i>", base="")
    told = {"to": '"><i>', "trouble": ""}
    texts.speak("de")
    page = bytes(renderer.answer("sign_in.html", 200, told).body).decode()
    texts.speak("")
    assert "<i>" not in page


def test_what_is_made_before_its_page_speaks_the_same_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names in a chart are translated before its template is filled."""
    file = tmp_path / "de" / "LC_MESSAGES" / "wpbridge.mo"
    file.parent.mkdir(parents=True)
    file.write_bytes(compiled({"Completed": "Erledigt"}))
    monkeypatch.setattr(texts, "LOCALE", tmp_path)

    async def answer(*_: object) -> Response:
        return PlainTextResponse(texts.tr("Completed"))

    parts = SimpleNamespace(pages=SimpleNamespace(), counted=Counted())
    endpoint = _PageEndpoint(lambda: parts, "/", answer)  # type: ignore[arg-type, return-value]
    app = Starlette(routes=[Route("/", endpoint)])

    async def asked(language: bytes) -> bytes:
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/",
            "query_string": b"",
            "headers": [(b"accept-language", language)],
        }
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        await app(scope, None, send)  # type: ignore[arg-type]
        body: bytes = sent[-1]["body"]
        return body

    async def both() -> list[bytes]:
        return [await asyncio.create_task(asked(one)) for one in (b"de", b"en")]

    assert asyncio.run(both()) == [b"Erledigt", b"Completed"]


def has_words(text: str) -> bool:
    for name in NAMES:
        text = text.replace(name, "")
    return re.search(r"[^\W\d_]{2}", text.replace(FILLED, " ")) is not None


def written(node: nodes.Node) -> Iterator[str]:
    """What a template writes, with all of its branches, one after another."""
    if isinstance(node, nodes.TemplateData | nodes.Const):
        yield node.data if isinstance(node, nodes.TemplateData) else str(node.value)
        return
    parts: list[nodes.Node] = []
    if isinstance(node, nodes.Output):
        parts = list(node.nodes)
    elif isinstance(node, nodes.CondExpr):
        parts = [one for one in (node.expr1, node.expr2) if one is not None]
    elif isinstance(node, nodes.Expr):
        yield FILLED
    elif not (isinstance(node, nodes.Block) and node.name == ATTRIBUTES):
        parts = [one for one in node.iter_child_nodes() if isinstance(one, nodes.Stmt)]
    for part in parts:
        yield from written(part)


def given(node: nodes.Node) -> Iterator[str]:
    """The texts that a template gives to macros and filters, without those of the catalogue."""
    if isinstance(node, nodes.Compare | nodes.Test):
        return
    called = (
        node.node.name if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) else ""
    )
    if called in {*MARKING, "url"}:
        return
    if isinstance(node, nodes.Const) and isinstance(node.value, str):
        yield node.value
    if isinstance(node, nodes.Output):
        # Words right in it were written.
        children: list[nodes.Node] = [
            one for one in node.nodes if not isinstance(one, nodes.Const | nodes.CondExpr)
        ]
    else:
        children = list(node.iter_child_nodes())
    for child in children:
        yield from given(child)


class Reader(HTMLParser):
    """Collects what a person would read of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in NOT_WORDS:
            self._inside.append(tag)
        told = dict(attrs)
        shown = SHOWN_ATTRIBUTES | ({"value"} if told.get("type") == "submit" else set())
        self.found += [value for name, value in attrs if name in shown and value]

    def handle_endtag(self, tag: str) -> None:
        if self._inside[-1:] == [tag]:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if not self._inside and data.strip():
            self.found.append(data.strip())


def compiled(texts: dict[str, str]) -> bytes:
    """A compiled translation, as msgfmt makes it."""
    texts = {"": "Content-Type: text/plain; charset=UTF-8\n", **texts}
    pairs = [(one.encode(), texts[one].encode()) for one in sorted(texts)]
    count = len(pairs)
    ids = b"".join(one + b"\0" for one, _ in pairs)
    strings = b"".join(two + b"\0" for _, two in pairs)
    start = 28 + 16 * count
    tables: tuple[list[int], list[int]] = ([], [])
    for side, place in ((0, start), (1, start + len(ids))):
        at = place
        for pair in pairs:
            tables[side].extend((len(pair[side]), at))
            at += len(pair[side]) + 1
    head = struct.pack("<7I", 0x950412DE, 0, count, 28, 28 + 8 * count, 0, 0)
    return head + struct.pack(f"<{4 * count}I", *tables[0], *tables[1]) + ids + strings
