"""``migrate schema verify`` and ``migrate schema fix``: the tables compared and mended."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import click

from wpbridge.cli.exit_codes import Exit
from wpbridge.cli.migrate_index import (
    JOURNAL,
    LOCK_WAIT,
    MIB,
    changes,
    definitions_of,
    lock_wait_seconds,
)
from wpbridge.cli.migrating import undo_file
from wpbridge.cli.options import format_option, one_line_errors, settings_of, site_options
from wpbridge.cli.output import confirm, list_options, print_rows, told
from wpbridge.cli.progress import percents
from wpbridge.cli.stopping import stoppable
from wpbridge.cli.terminal import print_json, print_line, write_data
from wpbridge.errors import InputError
from wpbridge.migrate.journal import Journal, name_of
from wpbridge.migrate.schema import mending
from wpbridge.migrate.schema.comparing import Comparison, script, statement_of
from wpbridge.migrate.schema.comparing import verify as compare
from wpbridge.migrate.schema.deviations import Deviation, Fix
from wpbridge.site.config import Settings
from wpbridge.store.structure.definitions import Definitions
from wpbridge.telling.words import plural

_FIELDS = ("item", "found", "expected", "severity", "fix")


@click.group()
def schema() -> None:
    """Compare the tables with the plugin's layouts 5 to 9, and mend what is safe to mend."""


@schema.command(
    short_help="Compare the tables with the plugin's.",
    epilog="""
Examples:
  wpbridge migrate schema verify
  wpbridge migrate schema verify --format json
""",
)
@site_options
@list_options(_FIELDS)
@click.pass_context
@one_line_errors
def verify(ctx: click.Context, *, field: str | None, fields: str | None, **flags: Any) -> None:
    """Compare columns, indexes, ids, engines and collations with the layout of the site's version.

    The exit code is 0 if the tables are fine (notes do not count), and 1 if something needs
    mending.
    """
    settings = settings_of(ctx, flags)
    with definitions_of(settings) as (definitions, _):
        found = compare(definitions)
    print_rows(
        [_row(one) for one in found.deviations],
        fields=_FIELDS,
        style=settings.format,
        chosen=fields,
        field=field,
    )
    told(_summary(found))
    raise SystemExit(int(Exit.OK if found.is_fine else Exit.ERROR))


@schema.command(
    short_help="Mend faults that can be mended safely.",
    epilog="""
Examples:
  wpbridge migrate schema fix --dry-run
  wpbridge migrate schema fix --sql
  wpbridge migrate schema fix --yes
  wpbridge migrate schema fix --undo wpbridge-schema-shop-wp.journal
""",
)
@site_options
@LOCK_WAIT
@JOURNAL
@click.option(
    "--undo", metavar="JOURNAL", help="Drop the indexes and defaults that this journal names."
)
@click.option("--sql", is_flag=True, help="Print the statements; run none.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; change nothing.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask before tables are written anew.")
@format_option("How to print (text).")
@click.pass_context
@one_line_errors
def fix(
    ctx: click.Context,
    *,
    lock_wait: str,
    journal: str | None,
    undo: str | None,
    sql: bool,
    dry_run: bool,
    yes: bool,
    **flags: Any,
) -> None:
    """Mend what can be mended without loss: ids, defaults, indexes, engines, collations.

    Each change is one statement. Where the server can, claims go on beside it. Other changes lock a
    table while it is written anew, and the command asks before them. It prints what only the plugin
    or a person can mend. The exit code is 1 if something is left.
    """
    seconds = lock_wait_seconds(lock_wait)
    settings = settings_of(ctx, flags)
    with definitions_of(settings) as (definitions, places):
        if undo is not None:
            if sql:
                raise InputError("--undo: --dry-run prints the statements")
            _undo(definitions, settings, undo_file(places, undo), seconds, dry_run=dry_run)
        before = compare(definitions)
        fixes = before.fixes
        if sql:
            for line in script(definitions, fixes) or ["-- nothing to mend"]:
                write_data(f"{line}\n")
            _tell_rest(before)
            return
        after, noted = before, None
        if fixes and not dry_run:
            noted = places.journal(journal, mending.KIND)
            _ask(definitions, fixes, yes=yes)
            with changes(definitions, places, noted, seconds) as steps:
                _mend(steps, fixes, tells=settings.format != "json")
            after = compare(definitions)
    _tell(before, after, settings, noted, dry_run=dry_run)
    raise SystemExit(int(Exit.OK if after.is_fine else Exit.ERROR))


def _mend(steps: mending.Changes, fixes: Sequence[Fix], *, tells: bool) -> None:
    for number, one in enumerate(fixes, 1):
        with percents(f"fix {number} of {len(fixes)}") as tell:
            steps.mend(one, tell)
        if tells:
            # At once: a later one may be refused.
            print_line(f"ran {statement_of(one)}")


def _tell(
    before: Comparison,
    after: Comparison,
    settings: Settings,
    noted: Path | None,
    *,
    dry_run: bool,
) -> None:
    statements = [statement_of(one) for one in before.fixes]
    if settings.format == "json":
        print_json(
            {
                "schema": before.schema,
                "dry_run": dry_run,
                "statements": statements,
                "left": [asdict(one) for one in after.deviations],
            }
        )
        return
    deed = "would run" if dry_run else "ran"
    for statement in statements if dry_run else ():
        print_line(f"{deed} {statement}")
    _tell_rest(after)
    where = f", noted in {noted}" if noted else ""
    print_line(f"{deed} {plural(len(statements), 'statement')}{where}; {_summary(after)}")


def _ask(definitions: Definitions, fixes: Sequence[Fix], *, yes: bool) -> None:
    """Ask before a table is locked, and say how large it is: that tells how long it takes."""
    if definitions.server.is_file:
        return
    names = sorted({one.table for one in fixes if not one.online})
    sizes = definitions.server.sizes()
    for name in names:
        size = sizes.get(name)
        if size is not None:
            told(
                f"{name}: about {plural(size.rows or 0, 'row')}, {size.data_bytes / MIB:,.0f} MiB,"
                " written anew and locked meanwhile: roughly a minute for each GiB or million rows"
            )
    if names:
        confirm(f"write {plural(len(names), 'table')} anew, with nobody writing to them", yes=yes)


def _undo(
    definitions: Definitions,
    settings: Settings,
    file: Path,
    lock_wait_seconds: float,
    *,
    dry_run: bool,
) -> NoReturn:
    site = name_of(definitions.way)
    ran, left = list[str](), list[str]()
    deed = "would run" if dry_run else "ran"
    with Journal(file, kind=mending.KIND, site=site, is_old=True) as steps, stoppable():
        for one, back in mending.undo(
            definitions, steps, lock_wait_seconds=lock_wait_seconds, dry_run=dry_run
        ):
            if back is not None:
                ran.append(back)
            else:
                left.append(one.statement)
            if settings.format == "json":
                continue
            if back is not None:
                print_line(f"{deed} {back}")
            else:
                told(f"left as it is: {one.statement}")
    if settings.format == "json":
        print_json({"dry_run": dry_run, "statements": ran, "left": left})
    else:
        more = f"; {len(left):,} left: {file} has the definitions from before" if left else ""
        print_line(f"{deed} {plural(len(ran), 'statement')}{more}")
    raise SystemExit(int(Exit.ERROR if left else Exit.OK))


def _tell_rest(found: Comparison) -> None:
    for one in found.deviations:
        if one.fix is None:
            told(f"{one.severity}: {one.item} is {one.found}, not {one.expected}: {one.advice}")


def _row(one: Deviation) -> dict[str, Any]:
    return {
        "item": one.item,
        "found": one.found,
        "expected": one.expected,
        "severity": one.severity,
        "fix": one.fix.statement if one.fix else one.advice,
    }


def _summary(found: Comparison) -> str:
    layout = f"layout {found.schema}{'' if found.told else ', read off the tables'}"
    bad = sum(one.severity != "note" for one in found.deviations)
    return f"{layout}: fine" if not bad else f"{layout}: {plural(bad, 'deviation')}"
