"""Rows to stdout, words to stderr: one place for every format.

A row is a dict of plain values: texts, whole numbers, booleans, None, lists, and dates as ISO 8601
in UTC. JSON keeps their types, the others turn them to text. A table is drawn on a terminal only;
elsewhere columns are parted by tabs.
"""

import csv
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TextIO, TypeAlias

import click

from wpbridge import jsontext
from wpbridge.errors import InputError

Row: TypeAlias = Mapping[str, Any]

FORMATS: Final = ("table", "json", "jsonl", "csv", "yaml", "ids", "count")
COLOR: Final = "wpbridge.color"
"""Where a command's context keeps the setting."""
_NUMBERS: Final = (int, float)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def list_options(fields: Sequence[str]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--format``, ``--fields`` and ``--field`` for a command that prints rows."""
    names = ", ".join(fields)

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in (
            click.option("--field", metavar="NAME", help="Only this field, one value a line."),
            click.option("--fields", metavar="A,B", help=f"Which fields, of {names}."),
            click.option(
                "--format", "format", type=click.Choice([*FORMATS, "text"]),
                help="How to print (table).",
            ),
        ):  # fmt: skip
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

    Raises:
        InputError: a field that is not there.
    """
    names = check_fields(fields, chosen, field)
    if field is not None:
        for row in rows:
            click.echo(_harmless(_text(row[names[0]])))
        return
    columns = names or list(shown_fields or fields)
    match style:
        case "ids":
            click.echo(" ".join(_harmless(str(row[fields[0]])) for row in rows))
        case "count":
            click.echo(sum(1 for _ in rows))
        case "json":
            click.echo(_json([{name: row[name] for name in names or fields} for row in rows]))
        case "jsonl":
            for row in rows:
                click.echo(_json({name: row[name] for name in names or fields}))
        case "yaml":
            _print_yaml([{name: row[name] for name in names or fields} for row in rows])
        case "csv":
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows([_cell(row[name]) for name in columns] for row in rows)
        case _:
            _print_table(rows, columns)


def print_one(
    row: Row, *, fields: Sequence[str], style: str, chosen: str | None, field: str | None
) -> None:
    """Print one thing: a line for each field as a table, one object as JSON."""
    names = check_fields(fields, chosen, field) or list(fields)
    if field is not None:
        click.echo(_harmless(_text(row[names[0]])))
    elif style in ("json", "jsonl"):
        click.echo(_json({name: row[name] for name in names}))
    elif style == "yaml":
        _print_yaml({name: row[name] for name in names})
    elif style in ("table", "text"):
        told = [{"field": name, "value": row[name]} for name in names]
        _print_table(told, ("field", "value"))
    else:
        print_rows([row], fields=fields, style=style, chosen=chosen)


def told(words: str) -> None:
    """A word beside the data."""
    click.echo(words, err=True)


def shown(text: str) -> str:
    """Anybody may have named a hook: nothing in it may steer a terminal or break a line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _lines(text: str) -> str:
    return "\n".join(map(shown, text.expandtabs().split("\n")))


def plural(count: int, word: str) -> str:
    """``1 action``, ``4,213 actions``."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def confirm(question: str, *, yes: bool) -> None:
    """Ask on a terminal; elsewhere, without ``--yes``, InputError says what to add."""
    if yes:
        return
    if not (_is_terminal(sys.stdin) and _is_terminal(sys.stderr)):
        raise InputError(f"{question}: add --yes, or --dry-run to see which")
    click.confirm(f"{question}?", abort=True, err=True)


def check_fields(fields: Sequence[str], chosen: str | None, field: str | None) -> list[str]:
    """The fields that --fields or --field name; InputError for one that is not there."""
    if chosen is not None and field is not None:
        raise InputError("--fields and --field: give one of them")
    wanted = [name.strip() for name in (chosen or "").split(",") if name.strip()]
    wanted += [] if field is None else [field]
    for name in wanted:
        if name not in fields:
            raise InputError(f"no field {name}: there are {', '.join(fields)}")
    return wanted


def _is_terminal(stream: TextIO | None) -> bool:
    """False also where a process was started without."""
    return stream is not None and stream.isatty()


def _harmless(text: str) -> str:
    """As it is for a program; a terminal is not steered by it."""
    return shown(text) if _is_terminal(sys.stdout) else text


def _cell(value: object) -> str:
    """A spreadsheet would run what looks like a formula: quoted, as WP-CLI does."""
    text = _harmless(_text(value))
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


def _json(value: object) -> str:
    """Letters as they are; what could steer a terminal is escaped, which means the same."""
    text = jsontext.dumps(value, ensure_ascii=False)
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def _print_yaml(value: object) -> None:
    import yaml  # noqa: PLC0415 - loads only for this format

    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    if not text.replace("\n", "").isprintable():
        text = yaml.safe_dump(value, sort_keys=False)
    click.echo(text.rstrip("\n"))


def _print_table(rows: Iterable[Row], columns: Sequence[str]) -> None:
    if not _is_terminal(sys.stdout):
        for line in itertools.chain(
            (list(columns),), ([shown(_text(row[name])) for name in columns] for row in rows)
        ):
            click.echo("\t".join(line))
        return
    _draw(list(rows), columns)


_COLOURS: Final = {
    "complete": "green", "failed": "red", "canceled": "yellow", "in-progress": "cyan",
    "problem": "bold red", "warning": "yellow", "ok": "green", "note": "cyan",
}  # fmt: skip


_GAP: Final = 2
_LEAST: Final = 8
_DATE: Final = 20


def _draw(rows: Sequence[Row], columns: Sequence[str]) -> None:
    from rich.cells import cell_len  # noqa: PLC0415 - loads only for a terminal
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    color = _color()
    # Without colours there are no escape codes at all, for bold neither.
    console = Console(color_system=None) if color is False else Console(no_color=False)
    # Beside others the last column may have several lines: none can be taken for a row.
    folded = columns[-1] if len(columns) > 1 else None
    texts = [
        [(_lines if name == folded else shown)(_text(row[name])) for name in columns]
        for row in rows
    ]
    widths = [
        max(cell_len(line) for text in column for line in text.split("\n"))
        for column in zip(columns, *texts, strict=True)
    ]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, is_whole in zip(columns, _whole(widths, console.width), strict=True):
        is_number = bool(rows) and all(
            isinstance(row[name], _NUMBERS) and not isinstance(row[name], bool) for row in rows
        )
        # Folded and never cut: what stands there is there to be copied.
        table.add_column(
            name, justify="right" if is_number else "left", overflow="fold", no_wrap=is_whole
        )
    for line in texts:
        # A hook such as "[red]" is a name, and no markup.
        table.add_row(*(Text(text, style=_COLOURS.get(text, "")) for text in line))
    console.print(table)


def _color() -> bool | None:
    """What the settings say of colours, else what NO_COLOR says."""
    context = click.get_current_context(silent=True)
    told_color: bool | None = None if context is None else context.meta.get(COLOR)
    return False if told_color is None and os.environ.get("NO_COLOR") else told_color


def _whole(widths: Sequence[int], room: int) -> list[bool]:
    """Which columns are not folded: dates and the like, as far as the others keep some room."""
    left = room - _GAP * (len(widths) - 1) - sum(min(width, _LEAST) for width in widths)
    whole = [width <= _LEAST for width in widths]
    for place in sorted(range(len(widths)), key=lambda n: -widths[n]):
        more = widths[place] - _LEAST
        if _LEAST < widths[place] <= _DATE and more <= left:
            whole[place] = True
            left -= more
    return whole if left >= 0 else [False] * len(widths)
