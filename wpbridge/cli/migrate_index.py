"""``migrate index``: the index that claims are quick with."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from wpbridge.cli.options import format_option, one_line_errors, settings_of, site_options
from wpbridge.cli.progress import percents
from wpbridge.cli.stopping import stoppable
from wpbridge.cli.terminal import print_json, print_line, write_data
from wpbridge.errors import InputError
from wpbridge.migrate.file_locations import FileLocations
from wpbridge.migrate.schema import mending
from wpbridge.migrate.schema.index_for_claims import ClaimIndex, check_online, claim_index
from wpbridge.site.config import Settings
from wpbridge.site.moments import parse_duration
from wpbridge.site.resolve import resolve
from wpbridge.store.connect import connect_site
from wpbridge.store.schema.tables import CLAIM_INDEX
from wpbridge.store.structure.definitions import Definitions
from wpbridge.telling.words import plural

MIB = 1 << 20
LOCK_WAIT = click.option(
    "--lock-wait",
    default="5s",
    metavar="TIME",
    help="How long to wait for the table; other statements wait as long (5s).",
)
JOURNAL = click.option(
    "--journal",
    metavar="FILE",
    help="The file that notes what was there and what is done (in the state folder).",
)


@contextmanager
def definitions_of(settings: Settings) -> Iterator[tuple[Definitions, FileLocations]]:
    """Open the site's tables, with a second connection to watch from, and the places for files."""
    site = resolve(settings, os.environ)
    way, watcher = connect_site(site), connect_site(site)
    try:
        yield Definitions(way, watcher), FileLocations.of(settings, site, way)
    finally:
        way.close()
        watcher.close()


def lock_wait_seconds(told: str) -> float:
    """Read --lock-wait; InputError for less than a second or more than an hour."""
    seconds = parse_duration(told, "--lock-wait").total_seconds()
    if not 1 <= seconds <= 3600:  # noqa: PLR2004 - seconds of an hour
        raise InputError("--lock-wait: a second at least, an hour at most")
    return seconds


@contextmanager
def changes(
    definitions: Definitions, places: FileLocations, journal: Path, lock_wait_seconds: float
) -> Iterator[mending.Changes]:
    """Note what is run within in the journal; it can be stopped."""
    with places.begun(journal, mending.KIND) as steps, stoppable():
        yield mending.Changes(definitions, steps, lock_wait_seconds=lock_wait_seconds)


@click.command(
    short_help="Add an index that makes the plugin's claims fast.",
    epilog="""
Examples:
  wpbridge migrate index --dry-run
  wpbridge migrate index --sql
  wpbridge migrate index
  wpbridge migrate index --drop
""",
)
@site_options
@click.option("--drop", is_flag=True, help="Remove the index.")
@LOCK_WAIT
@JOURNAL
@click.option("--sql", is_flag=True, help="Print the statement; run nothing.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; change nothing.")
@format_option("How to print (text).")
@click.pass_context
@one_line_errors
def index(
    ctx: click.Context,
    *,
    drop: bool,
    lock_wait: str,
    journal: str | None,
    sql: bool,
    dry_run: bool,
    **flags: Any,
) -> None:
    """Add an index in the order of the plugin's claims, so that no claim sorts all due actions.

    Claims go on meanwhile. Others wait only at the beginning and at the end, --lock-wait at most.
    Updates of the plugin keep the index. --drop removes it.
    """
    seconds = lock_wait_seconds(lock_wait)
    settings = settings_of(ctx, flags)
    with definitions_of(settings) as (definitions, places):
        there = claim_index(definitions)
        statement = there.drop if drop else there.add
        if sql:
            write_data(f"{statement};\n")
            return
        noted = None
        is_needed = there.is_ours if drop else there.name is None
        if is_needed:
            check_online(definitions)
            if not dry_run:
                what = "drop index" if drop else "add index"
                noted = places.journal(journal, mending.KIND)
                with changes(definitions, places, noted, seconds) as steps, percents(what) as tell:
                    steps.run(definitions.names.actions, statement, tell)
        used, sorts = definitions.explain_claim()
    facts: dict[str, Any] = {
        "table": definitions.names.actions,
        "columns": list(CLAIM_INDEX.columns),
        "index": there.name,
        "rows": there.rows,
        "size_bytes": there.size_bytes,
        "changed": is_needed and not dry_run,
        "needed": is_needed,
        "dry_run": dry_run,
        "statement": statement if is_needed else None,
        "claim_uses": used,
        "claim_sorts": sorts,
    }
    if settings.format == "json":
        print_json(facts)
    else:
        _print(facts, _deed(there, drop=drop, dry_run=dry_run), noted)


def _print(facts: Mapping[str, Any], deed: str, noted: Path | None) -> None:
    if facts["dry_run"] and facts["needed"]:
        print_line(f"would run {facts['statement']}")
    where = f"; noted in {noted}" if noted else ""
    size = f"about {plural(facts['rows'], 'row')}, {facts['size_bytes'] / MIB:,.0f} MiB"
    print_line(
        f"{deed} on {facts['table']} ({size}); the plugin's claim uses"
        f" {facts['claim_uses'] or 'no index'} and"
        f" {'sorts' if facts['claim_sorts'] else 'sorts nothing'}{where}"
    )


def _deed(there: ClaimIndex, *, drop: bool, dry_run: bool) -> str:
    name = there.name or "the claim index"
    if drop:
        if there.name is None:
            return "nothing to drop: there is no claim index"
        if not there.is_ours:
            return f"left {name}: somebody else made it"
        return f"{'would drop' if dry_run else 'dropped'} {name}"
    if there.name is not None:
        return f"nothing to add: {name} is there"
    return f"{'would add' if dry_run else 'added'} the claim index"
