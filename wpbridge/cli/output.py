"""Rows to stdout, words to stderr: one place for every format.

A row is a dict of plain values: texts, whole numbers, booleans, None, lists, and dates as ISO 8601
in UTC. JSON keeps their types, the others turn them to text. A table is drawn on a terminal only;
elsewhere columns are parted by tabs.
"""

import csv
import itertools
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import click

from wpbridge.errors import InputError

Row: TypeAlias = Mapping[str, Any]

FORMATS: Final = ("table", "json", "jsonl", "csv", "yaml", "ids", "count")
_NUMBERS: Final = (int, float)


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
    names = _chosen(fields, chosen or field)
    if field is not None:
        for row in rows:
            click.echo(_text(row[names[0]]))
        return
    columns = names or list(shown_fields or fields)
    match style:
        case "ids":
            click.echo(" ".join(str(row[fields[0]]) for row in rows))
        case "count":
            click.echo(sum(1 for _ in rows))
        case "json":
            told = [{name: row[name] for name in names or fields} for row in rows]
            click.echo(json.dumps(told, ensure_ascii=False))
        case "jsonl":
            for row in rows:
                told_row = {name: row[name] for name in names or fields}
                click.echo(json.dumps(told_row, ensure_ascii=False))
        case "yaml":
            _print_yaml([{name: row[name] for name in names or fields} for row in rows])
        case "csv":
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows([_text(row[name]) for name in columns] for row in rows)
        case _:
            _print_table(rows, columns)


def print_one(
    row: Row, *, fields: Sequence[str], style: str, chosen: str | None, field: str | None
) -> None:
    """Print one thing: a line for each field as a table, one object as JSON."""
    names = _chosen(fields, chosen or field) or list(fields)
    if field is not None:
        click.echo(_text(row[names[0]]))
    elif style in ("json", "jsonl"):
        click.echo(json.dumps({name: row[name] for name in names}, ensure_ascii=False))
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


def plural(count: int, word: str) -> str:
    """``1 action``, ``4,213 actions``."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def confirm(question: str, *, yes: bool) -> None:
    """Ask on a terminal; elsewhere, without ``--yes``, InputError says what to add."""
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InputError(f"{question}: add --yes, or --dry-run to see which")
    click.confirm(f"{question}?", abort=True, err=True)


def _chosen(fields: Sequence[str], names: str | None) -> list[str]:
    wanted = [name.strip() for name in (names or "").split(",") if name.strip()]
    for name in wanted:
        if name not in fields:
            raise InputError(f"no field {name}: there are {', '.join(fields)}")
    return wanted


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, _NUMBERS):
        return str(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _print_yaml(value: object) -> None:
    import yaml  # noqa: PLC0415 - loads only for this format

    click.echo(yaml.safe_dump(value, sort_keys=False, allow_unicode=True).rstrip("\n"))


def _print_table(rows: Iterable[Row], columns: Sequence[str]) -> None:
    if not sys.stdout.isatty():
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


def _draw(rows: Sequence[Row], columns: Sequence[str]) -> None:
    from rich.console import Console  # noqa: PLC0415 - loads only for a terminal
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        is_number = bool(rows) and all(
            isinstance(row[name], _NUMBERS) and not isinstance(row[name], bool) for row in rows
        )
        # Folded and never cut: what stands there is there to be copied.
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        # A hook such as "[red]" is a name, and no markup.
        table.add_row(
            *(
                Text(shown(_text(row[name])), style=_COLOURS.get(str(row[name]), ""))
                for name in columns
            )
        )
    Console().print(table)
