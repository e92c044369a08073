"""Whatever stands in args: what is printed as JSON can be read by every reader of JSON."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Never

import pytest

from cli_helpers import Site, sqlite_site
from factories import insert, make_new
from rows import change

ARGS = {
    "[1E400]": "[1E400]",
    "[-1E400]": "[-1E400]",
    '{"deep":[[{"x":1e999}]]}': '{"deep":[[{"x":1e999}]]}',
    "a:1:{i:0;d:INF;}": "a:1:{i:0;d:INF;}",
    "a:1:{i:0;d:NAN;}": "a:1:{i:0;d:NAN;}",
    "[NaN]": "[NaN]",
    "[Infinity]": "[Infinity]",
    "[1e-400]": [0.0],
    "[-0.0]": [-0.0],
    "[1e308]": [1e308],
    "[" + "9" * 400 + "]": "[" + "9" * 400 + "]",
    "[123456789012345678901234567890]": [1.2345678901234568e29],
    "[9223372036854775807]": [9223372036854775807],
    '{"a":1,"a":2}': {"a": 2},
    '["\\ud800"]': '["\\ud800"]',
    '["\\ud83d\\ude00"]': ["\U0001f600"],
    '["\\u0000\\u001b[31m\\u009b"]': ["\0\x1b[31m\x9b"],
    "[" * 512 + "]" * 512: "[" * 512 + "]" * 512,
    "": "",
    "null": "null",
    '"text"': '"text"',
    "[1,]": "[1,]",
}
COMMANDS = [
    ("list", "--limit", "0", "--format", "json"),
    ("list", "--limit", "0", "--format", "jsonl"),
    ("get", "1", "--format", "json"),
    ("failures", "--format", "json"),
    ("stats", "--format", "json"),
    ("hooks", "--format", "json"),
    ("explain", "1", "--format", "json"),
    ("logs", "1", "--format", "json"),
    ("claims", "--format", "json"),
    ("status", "--format", "json"),
    ("doctor", "--format", "json"),
    ("dedupe", "--dry-run", "--format", "json"),
    ("clean", "--dry-run", "--format", "json"),
    ("cancel", "--hook", "h", "--dry-run", "--format", "json"),
    ("migrate", "export", "--output", "-"),
]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with sqlite_site(tmp_path) as it:
        ids = insert(it.store, *[make_new("h", due_in=-60) for _ in ARGS])
        statement = (
            "UPDATE wp_actionscheduler_actions SET args = :short, extended_args = :long"
            " WHERE action_id = :i"
        )
        for action_id, text in zip(ids, ARGS, strict=True):
            long = text if len(text) > 191 else None
            change(it.store, statement, short="md5" if long else text, long=long, i=action_id)
        yield it


def refuse(name: str) -> Never:
    raise AssertionError(f"{name} is no JSON")


def strict(text: str) -> Any:
    return json.loads(text, parse_constant=refuse)


def test_args_are_told_as_they_are_read_or_as_they_are_stored(site: Site) -> None:
    rows = strict(site.ok("list", "--limit", "0", "--order", "asc", "--format", "json"))
    told = {text: row["args"] for text, row in zip(ARGS, rows, strict=True)}
    assert told == ARGS


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_all_that_is_printed_can_be_read(site: Site, arguments: tuple[str, ...]) -> None:
    done = site(*arguments)
    assert done.out.strip()
    assert "Traceback" not in done.err
    for text in [done.out] if arguments[-1] == "json" else done.out.splitlines():
        strict(text)


HANDLERS = """
from wpbridge import hook
@hook("h")
def h(*values): open("seen", "a").write(f"{values}\\n")
"""


def test_a_chain_whose_args_json_cannot_hold_runs_and_its_end_is_told(site: Site) -> None:
    change(site.store, "DELETE FROM wp_actionscheduler_actions")
    [chain] = insert(site.store, make_new("h", interval=60))
    change(site.store, "UPDATE wp_actionscheduler_actions SET args = '[1E400]'")
    (site.folder / "hooks.py").write_text(HANDLERS, "utf-8")
    assert site.process("claim-and-run", "--handlers", "hooks").code == 0
    assert (site.folder / "seen").read_text("utf-8") == "(inf,)\n"
    [row] = strict(site.ok("list", "--format", "json"))
    assert (row["id"], row["status"], row["args"]) == (chain, "complete", "[1E400]")
    said = [line["message"] for line in strict(site.ok("logs", str(chain), "--format", "json"))]
    assert said[-1] == (
        "There was a failure scheduling the next instance of this action: args: JSON has no inf;"
        " the plugin would store nothing"
    )
