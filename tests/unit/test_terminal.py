"""The one way to the terminal, and that there is no other."""

import io
import json
import subprocess
import sys
import threading
import unicodedata
import warnings
from pathlib import Path

import pytest

from wpbridge.cli import output, terminal
from wpbridge.errors import InputError
from wpbridge.telling.visible import visible, visible_json

ROOT = Path(__file__).parent.parent.parent
HARMFUL = [
    *map(chr, range(0x20)),
    *map(chr, range(0x7F, 0xA0)),
    *"\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
    *"\u2028\u2029\u200b\u2060\ufeff\u00ad\ufff9\U000e0001\U000e0041",
    "\ud800",
    "\udc9b",
]


@pytest.mark.parametrize("c", HARMFUL, ids=lambda c: f"U+{ord(c):04X}")
def test_what_steers_is_an_escape_for_people_and_for_programs(c: str) -> None:
    text = f"a{c}b中😀"
    assert c not in visible(text)
    assert visible(text).isprintable()
    assert visible(text).startswith("a\\")
    assert visible(text).endswith("b中😀")
    made = visible_json({"k" + c: [text]})
    assert made.isprintable()
    assert json.loads(made) == {"k" + c: [text]}


def test_no_format_or_control_character_at_all_is_left() -> None:
    every = "".join(map(chr, range(0x110000)))
    left = {unicodedata.category(c) for c in visible(every)}
    assert not left & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def test_one_line_is_one_line_and_several_are_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.print_line("a\nb\x9b")
    terminal.print_cells(["a\tb", "c\nd"])
    terminal.print_text("x\ny\x1b")
    terminal.print_json({"a": "\x7f\u202e\n"})
    told = capsys.readouterr().out
    assert told == ("a\\nb\\x9b\na\\tb\tc\\nd\nx\ny\\x1b\n" + '{"a": "\\u007f\\u202e\\n"}\n')


def test_data_is_bare_for_a_program_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal.write_data("a\x1b[1m\n")
    monkeypatch.setattr(terminal, "is_terminal", lambda _stream: True)
    terminal.write_data("a\x1b[1m\n")
    assert capsys.readouterr().out == "a\x1b[1m\na\\x1b[1m\n"


def test_letters_that_the_terminal_lacks_are_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(plain, "ascii", write_through=True))
    terminal.print_line("é中")
    terminal.print_json(["é", "😀"])
    told = plain.getvalue().decode("ascii").splitlines()
    assert told[0] == "\\xe9\\u4e2d"
    assert json.loads(told[1]) == ["é", "😀"]


def test_a_pipe_without_a_letter_gets_no_other_data_in_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(plain, "latin-1", write_through=True))
    for style in ("csv", "ids"):
        with pytest.raises(InputError, match="latin-1, has no sign for"):
            output.print_rows([{"hook": "中"}], fields=("hook",), style=style)
    with pytest.raises(InputError, match="--format json"):
        output.print_rows([{"hook": "中"}], fields=("hook",), field="hook")
    plain.truncate(0)
    plain.seek(0)
    for style in ("yaml", "json"):
        output.print_rows([{"hook": "é中"}], fields=("hook",), style=style)
    assert plain.getvalue() == b'- hook: "\\xE9\\u4E2D"\n[{"hook": "\\u00e9\\u4e2d"}]\n'


def test_markup_in_data_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "[red]x[/red] [link=file:///etc/passwd]y[/link] :bomb: \x1b]8;;http://x\x07"
    terminal.styled_printer(color=False)([(hostile, "bold"), ("\x9b2J", "")])
    assert capsys.readouterr().out == f"{visible(hostile)}\\x9b2J\n"


def test_errors_that_nobody_caught_pass_the_rule(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    terminal.guard_stderr()

    def fall() -> None:
        raise ValueError("\x1b]0;owned\x07 \u202e")

    try:
        fall()
    except ValueError as error:
        sys.excepthook(ValueError, error, error.__traceback__)

    class Falls:
        def __del__(self) -> None:
            fall()

    Falls()
    thread = threading.Thread(target=fall)
    thread.start()
    thread.join()
    warnings.showwarning("\x9b", UserWarning, "a.py", 3)
    told = capsys.readouterr().err
    assert "a.py:3: UserWarning: \\x9b\n" in told
    assert told.count("ValueError: \\x1b]0;owned\\x07 \\u202e\n") == 3
    assert told.replace("\n", "").isprintable()


def test_lint_forbids_every_other_way() -> None:
    """Seeded: each of these lines of a command is found."""
    seeded = (
        "click.echo('x')",
        "click.secho('x')",
        "click.confirm('x')",
        "click.prompt('x')",
        "rich.console.Console()",
        "rich.print('x')",
        "sys.stdout.write('x')",
        "sys.stderr.write('x')",
        "sys.stdout.buffer.write(b'x')",
        "print('x')",
    )
    head = "import sys\n\nimport click\nimport rich\n"
    found = subprocess.run(
        [
            sys.executable,
            "-m",
            "ruff",
            "check",
            "--select",
            "TID251,T201",
            "--no-cache",
            "--output-format",
            "json",
            "--stdin-filename",
            "wpbridge/cli/seeded.py",
            "-",
        ],
        cwd=ROOT,
        input="\n".join((head, *seeded)),
        capture_output=True,
        text=True,
        check=False,
    )
    first = head.count("\n") + 2
    rows = {one["location"]["row"] - first for one in json.loads(found.stdout)}
    assert set(range(len(seeded))) <= rows, [seeded[n] for n in set(range(len(seeded))) - rows]
