"""Rows to stdout, words to stderr: one place for every format.

A row is a dict of plain values: texts, whole numbers, booleans, None, lists, and aware datetimes.
JSON keeps their types, the others turn them to text. Times are ISO 8601: in a table in the zone
that ``--tz`` names, everywhere else in UTC. A table is drawn on a terminal only; elsewhere columns
are parted by tabs.
"""

import itertools
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import click

from wpbridge.cli import terminal
from wpbridge.cli.terminal import data, print_cells, print_json, print_line, print_text, write_data
from wpbridge.codec import jsontext
from wpbridge.errors import InputError
from wpbridge.site.moments import iso

if TYPE_CHECKING:
    from wpbridge.cli.tables import Screen

Row: TypeAlias = Mapping[str, Any]

FORMATS: Final = ("table", "json", "jsonl", "csv", "yaml", "ids", "count")
COLOR: Final = "wpbridge.color"
"""Where a command's context keeps the setting."""
_NUMBERS: Final = (int, float)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def exact_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--exact``, for a command that counts up to a cap."""
    words = "Count every action, however long it takes. Without it, counts stop at some 100,000."
    return click.option("--exact", is_flag=True, help=words)(command)


def counted(number: int, cap: int | None) -> str:
    """Return a number for people. One that has reached its cap has a plus: so many or more."""
    return f"{number:,}{'+' if cap is not None and number >= cap else ''}"


def list_options(fields: Sequence[str]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--format``, ``--fields`` and ``--field`` for a command that prints rows."""
    names = ", ".join(fields)

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in (
            click.option("--field", metavar="NAME", help="Only this field, one value a line."),
            click.option("--fields", metavar="A,B", help=f"Which fields, of {names}."),
            click.option(
                "--format",
                "format",
                type=click.Choice([*FORMATS, "text"]),
                help="How to print (table).",
            ),
        ):
            command = option(command)
        return command

    return add


def print_rows(
    rows: Iterable[Row],
    *,
    fields: Sequence[str],
    shown_fields: Sequence[str] = (),
    style: str = "table",
    chosen: str | None = None,
    field: str | None = None,
    zone: tzinfo = UTC,
) -> None:
    """Print rows.

    Args:
        rows: each with all of ``fields``; may be a generator, which csv, jsonl and ``--field``
            print as it goes.
        fields: all there are; the first is the id.
        shown_fields: what a table and csv show unless chosen otherwise; all if empty.
        style: one of :data:`FORMATS`; ``text`` is a table.
        chosen: ``--fields``, with commas.
        field: ``--field``.
        zone: of the times in a table.

    Raises:
        InputError: a field that is not there.
    """
    names = check_fields(fields, chosen, field)
    zone = zone if is_table(style, field) else UTC
    rows = (_dated(row, zone) for row in rows)
    if field is not None:
        for row in rows:
            write_data(data(_text(row[names[0]])) + "\n")
    elif style == "ids":
        write_data(" ".join(data(str(row[fields[0]])) for row in rows) + "\n")
    elif style == "count":
        print_line(sum(1 for _ in rows))
    elif style in ("json", "jsonl", "yaml"):
        _print_data(({name: row[name] for name in names or fields} for row in rows), style)
    else:
        columns = names or list(shown_fields or fields)
        (_print_csv if style == "csv" else _print_table)(rows, columns)


def _print_data(rows: Iterable[Row], style: str) -> None:
    if style == "json":
        print_json(list(rows))
    elif style == "yaml":
        _print_yaml(list(rows))
    else:
        for row in rows:
            print_json(row)


def _print_csv(rows: Iterable[Row], columns: Sequence[str]) -> None:
    import csv  # noqa: PLC0415 - loads only for this format

    writer = csv.writer(_Stdout(), lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(row[name]) for name in columns] for row in rows)


def print_one(
    row: Row,
    *,
    fields: Sequence[str],
    style: str,
    chosen: str | None,
    field: str | None,
    zone: tzinfo = UTC,
) -> None:
    """Print one thing: a line for each field as a table, one object as JSON."""
    names = check_fields(fields, chosen, field) or list(fields)
    row = _dated(row, zone if is_table(style, field) else UTC)
    if field is not None:
        write_data(data(_text(row[names[0]])) + "\n")
    elif style in ("json", "jsonl"):
        print_json({name: row[name] for name in names})
    elif style == "yaml":
        _print_yaml({name: row[name] for name in names})
    elif style in ("table", "text"):
        _print_one(row, names)
    else:
        print_rows([row], fields=fields, style=style, chosen=chosen)


def is_table(style: str, field: str | None) -> bool:
    """Tell whether rows are printed as a table, which is for people; all else is for programs."""
    return style in ("table", "text") and field is None


def told(words: str) -> None:
    """Print words beside the data, on stderr."""
    print_line(words, err=True)


def confirm(question: str, *, yes: bool) -> None:
    """Ask on a terminal; elsewhere, without ``--yes``, InputError says what to add."""
    if yes:
        return
    if not (terminal.is_terminal(sys.stdin) and terminal.is_terminal(sys.stderr)):
        raise InputError(f"{question}: add --yes, or --dry-run to see which")
    terminal.confirm(question)


def check_fields(fields: Sequence[str], chosen: str | None, field: str | None) -> list[str]:
    """Return the fields that --fields or --field name; InputError for one that is not there."""
    if chosen is not None and field is not None:
        raise InputError("--fields and --field: give one of them")
    wanted = [name.strip() for name in (chosen or "").split(",") if name.strip()]
    wanted += [] if field is None else [field]
    for name in wanted:
        if name not in fields:
            raise InputError(f"no field {name}: there are {', '.join(fields)}")
    return wanted


class _Stdout:
    """The stream that csv writes to: stdout, by the rule for data."""

    @staticmethod
    def write(text: str) -> None:
        """Write a whole row."""
        write_data(text)


def _dated(row: Row, zone: tzinfo) -> Row:
    """Turn the row's datetimes into text."""
    return {
        name: iso(value, zone) if isinstance(value, datetime) else value
        for name, value in row.items()
    }


def _cell(value: object) -> str:
    """Return a cell's text; what a spreadsheet would run as a formula is quoted, as by WP-CLI."""
    text = data(_text(value))
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, _NUMBERS):
        return str(value)
    return jsontext.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _print_yaml(value: object) -> None:
    import yaml  # noqa: PLC0415 - loads only for this format

    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    if not (text.replace("\n", "").isprintable() and terminal.encodable(text, "")):
        text = yaml.safe_dump(value, sort_keys=False)
    print_text(text.rstrip("\n"))


def _print_table(rows: Iterable[Row], columns: Sequence[str]) -> None:
    if not terminal.is_terminal(sys.stdout):
        for line in itertools.chain(
            (list(columns),), ([_text(row[name]) for name in columns] for row in rows)
        ):
            print_cells(line)
        return
    from wpbridge.cli import tables  # noqa: PLC0415 - loads only for a terminal

    tables.draw(list(rows), columns, _screen(), _text)


def _print_one(row: Row, names: Sequence[str]) -> None:
    if not terminal.is_terminal(sys.stdout):
        _print_table([{"field": n, "value": row[n]} for n in names], ("field", "value"))
        return
    from wpbridge.cli import tables  # noqa: PLC0415 - loads only for a terminal

    if tables.draw_one(row, names, _screen(), _roomy):
        told("cut where the terminal is too narrow; --format json shows everything")


def _roomy(value: object) -> str:
    """Lists and objects with blanks, between which a line may end."""
    if value is None or isinstance(value, str | bool | int | float):
        return _text(value)
    return jsontext.dumps(value, ensure_ascii=False)


def _screen() -> "Screen":
    from wpbridge.cli.tables import Screen  # noqa: PLC0415 - loads only for a terminal

    return Screen(
        width=terminal.width(),
        ellipsis=terminal.encodable("…", "..."),
        print_pieces=terminal.styled_printer(color=_color()),
    )


def _color() -> bool | None:
    """Return what the settings say of colours, else what NO_COLOR says."""
    context = click.get_current_context(silent=True)
    told_color: bool | None = None if context is None else context.meta.get(COLOR)
    return False if told_color is None and os.environ.get("NO_COLOR") else told_color
