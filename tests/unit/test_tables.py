"""Tables on terminals of every width."""

from collections.abc import Sequence
from typing import Any

import pytest
from rich.cells import cell_len

from wpbridge.cli import tables
from wpbridge.cli.output import _text
from wpbridge.cli.terminal import Piece

DATE = "2026-12-01T09:00:00Z"
ROWS: list[dict[str, Any]] = [
    {
        "id": 4711,
        "hook": "woocommerce_deliver_webhook_async",
        "status": "pending",
        "scheduled": DATE,
        "group": "woocommerce-webhooks",
        "attempts": 0,
        "args": [12, "x" * 50],
    },
    {
        "id": 4712,
        "hook": "send",
        "status": "in-progress",
        "scheduled": None,
        "group": "",
        "attempts": 12,
        "args": [],
    },
    {
        "id": 4713,
        "hook": "注文の確認メールを送信する仕事",
        "status": "failed",
        "scheduled": DATE,
        "group": "😀" * 9,
        "attempts": 1,
        "args": {"名": "値" * 20},
    },
]
LIST = ("id", "hook", "status", "scheduled", "group", "attempts", "args")
LOGS = ("date", "message")
MESSAGES = [
    {"date": DATE, "message": "action failed via WP Cron: no mail for order 17 was accepted by it"},
    {"date": DATE, "message": "first line\nsecond\tline https://example.com/" + "y" * 90},
    {"date": DATE, "message": "価格" * 40},
]


def drawn(
    rows: Sequence[dict[str, Any]], columns: Sequence[str], width: int, ellipsis: str = "…"
) -> list[str]:
    lines: list[str] = []

    def keep(pieces: Sequence[Piece]) -> None:
        lines.append("".join(text for text, _style in pieces))

    screen = tables.Screen(width=width, ellipsis=ellipsis, print_pieces=keep)
    tables.draw(rows, columns, screen, _text)
    return lines


@pytest.mark.parametrize("width", [30, 40, 60, 80, 100, 120, 200])
@pytest.mark.parametrize(("rows", "columns"), [(ROWS, LIST), (MESSAGES, LOGS)])
def test_no_line_is_too_long_and_no_word_is_broken(
    rows: list[dict[str, Any]], columns: Sequence[str], width: int
) -> None:
    lines = drawn(rows, columns, width)
    assert max(map(cell_len, lines)) <= width
    source = "\n".join(_text(row[name]) for row in rows for name in columns)
    words = {*source.split(), *columns}
    for word in "\n".join(lines).split():
        # Between wide characters a line may end anywhere: there are no words to break.
        is_wide = any(cell_len(c) > 1 for c in word)
        assert word in words or word.endswith("…") or (is_wide and word in source), word
        if word.endswith("…"):
            assert any(name.startswith(word[:-1]) for name in words) or word[:-1] in source


@pytest.mark.parametrize("date", [DATE, "2026-12-01T10:00:00+01:00", "2026-12-01T05:30:00-03:30"])
@pytest.mark.parametrize("width", [30, 40, 60, 80, 100, 200])
def test_dates_numbers_and_states_are_whole(width: int, date: str) -> None:
    rows = [{**row, "scheduled": row["scheduled"] and date} for row in ROWS]
    text = "\n".join(drawn(rows, LIST, width))
    assert text.count(date) == 2
    for whole in ("4711", "4712", "4713", "pending", "in-progress", "failed"):
        assert whole in text


def test_a_wide_terminal_cuts_nothing() -> None:
    lines = drawn(ROWS, LIST, 300)
    assert len(lines) == 4
    assert "…" not in "".join(lines)
    # Numbers to the right, and everything else below the beginning of its name.
    for name, text in (("hook", "send"), ("scheduled", DATE), ("args", '{"名"')):
        [line] = [
            line for line in lines if text in line and (name != "scheduled" or "4711" in line)
        ]
        assert cell_len(line[: line.index(text)]) == cell_len(lines[0][: lines[0].index(name)])
    assert lines[2].index("12  []") + 2 == lines[0].index("attempts") + len("attempts")


def test_a_narrow_terminal_gets_one_field_under_another() -> None:
    lines = drawn(ROWS, LIST, 40)
    assert lines[0] == "id         4711"
    assert [line.split()[0] for line in lines if line][: len(LIST)] == list(LIST)
    assert lines.count("") == len(ROWS) - 1


def test_a_very_narrow_one_gets_the_value_below_its_name() -> None:
    lines = drawn(ROWS[:1], ("id", "scheduled"), 25)
    assert lines == ["id", "  4711", "scheduled", f"  {DATE}"]


def test_prose_is_broken_between_its_words_and_keeps_its_lines() -> None:
    lines = drawn(MESSAGES, LOGS, 50)
    assert lines[1] == f"{DATE}  action failed via WP Cron:"
    assert lines[2] == f"{'':20}  no mail for order 17 was"
    second = next(n for n, line in enumerate(lines) if "first line" in line)
    assert lines[second + 1].strip().startswith("second")


def test_what_steers_is_escaped_and_markup_is_text() -> None:
    rows = [{"id": 1, "hook": "[red]\x1b[2J\x9b[/red]", "message": "a\x1b]0;x\x07\n\u202eb\rc"}]
    for width in (20, 40, 200):
        lines = drawn(rows, ("id", "hook", "message"), width)
        assert all(line.isprintable() for line in lines)
    assert "[red]\\x1b[2J\\x9b[/red]  a\\x1b]0;x\\x07" in lines[1]
    assert lines[2].strip() == "\\u202eb\\rc"


def test_a_terminal_without_an_ellipsis_gets_three_points() -> None:
    assert "woocommerce_d..." in "\n".join(drawn(ROWS[:1], ("id", "hook"), 18, "..."))


def test_an_empty_table_has_its_head() -> None:
    assert drawn([], LOGS, 40) == ["date  message"]
    assert drawn([], LIST, 20) in ([], [""])


def test_one_thing_is_whole_where_that_goes_and_says_where_it_is_not() -> None:
    lines: list[str] = []

    def keep(pieces: Sequence[Piece]) -> None:
        lines.append("".join(text for text, _style in pieces))

    screen = tables.Screen(width=40, print_pieces=keep)
    assert not tables.draw_one({"id": 1, "args": "[1, 2, 3] " * 8}, ("id", "args"), screen, _text)
    assert "".join(lines).count("3]") == 8
    assert tables.draw_one({"hook": "z" * 50}, ("hook",), screen, _text)
    assert lines[-1] == f"hook  {'z' * 33}…"
