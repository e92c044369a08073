"""``init``, ``uninstall``, ``status`` and ``check``."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import click

from wpbridge.cli.exits import Exit
from wpbridge.cli.options import (
    format_option,
    handlers_option,
    one_line_errors,
    php_options,
    settings_of,
    site_options,
)
from wpbridge.cli.output import plural
from wpbridge.cli.terminal import print_json, print_line
from wpbridge.cli.times import times_in, tz_option
from wpbridge.clock import SystemClock
from wpbridge.errors import ConfigError, ReadOnly, SchemaError, StoreMissing
from wpbridge.site.config import Settings, sources_of
from wpbridge.site.moments import iso
from wpbridge.site.resolve import Site, resolve
from wpbridge.store.connect import connect_site, open_site
from wpbridge.store.opened import OpenStore, open_tables
from wpbridge.store.running.ownership import runners as runners_of
from wpbridge.store.structure.creation import create_tables, drop_tables
from wpbridge.store.structure.rights import Findings, find
from wpbridge.store.structure.tables import Connected

DUE_CAP = 100_000
_SHOWN_HOOKS = 3
"""Due actions are counted up to here."""


@click.command(
    short_help="Prepare a queue: wpbridge's own tables, on SQLite all tables.",
    epilog="""
Examples:
  wpbridge init --dsn sqlite:///queue.db
  wpbridge init --path /var/www/html --dry-run
""",
)
@site_options
@click.option("--with-tables", is_flag=True, help="On MySQL too: create the plugin's tables.")
@click.option("--dry-run", is_flag=True, help="Say what would be created.")
@click.pass_context
@one_line_errors
def init(ctx: click.Context, *, with_tables: bool, dry_run: bool, **flags: Any) -> None:
    """Create wpbridge's own tables; a stand-alone SQLite queue gets its file and all tables.

    The database of a WordPress on SQLite must be there, with the plugin's tables: only PHP makes
    those in a way that PHP knows.
    """
    settings = settings_of(ctx, flags)
    site = resolve(settings, os.environ)
    on_sqlite = site.database.driver == "sqlite"
    if with_tables and on_sqlite and site.database.of_wordpress:
        raise ConfigError(
            "--with-tables is not for a WordPress on SQLite: the plugin makes its tables there"
            " when a page of wp-admin is opened"
        )
    everything = with_tables or (on_sqlite and not site.database.of_wordpress)
    what = "the queue's tables and wpbridge's own" if everything else "wpbridge's own tables"
    way = connect_site(site)
    try:
        if not everything:
            open_tables(way)
        names = _to_make(way, everything=everything)
        if names:
            print_line(f"{'would make' if dry_run else 'making'} {', '.join(names)}")
        if not dry_run:
            create_tables(way, everything=everything)
    finally:
        way.close()
    done = "would create" if dry_run else "created"
    where = site.database.safe
    print_line(f"{done} {what} in {where}" if names else f"{what} are there in {where}")


def _to_make(way: Connected, *, everything: bool) -> list[str]:
    """The tables that are not there yet, of wpbridge's own and with ``everything`` the plugin's."""
    names = way.names
    plugins = (names.actions, names.claims, names.groups, names.logs) if everything else ()
    try:
        there = {table.lower() for table in way.session.run(way.dialect.tables)}
    except StoreMissing:
        there = set()
    return [table for table in (*plugins, *names.own) if table.lower() not in there]


@click.command(
    short_help="Remove wpbridge's own tables.",
    epilog="""
Examples:
  wpbridge uninstall --path /var/www/html --dry-run
  wpbridge uninstall --path /var/www/html --yes
""",
)
@site_options
@click.option("--dry-run", is_flag=True, help="Say what would be removed.")
@click.option("--yes", "-y", is_flag=True, help="Although pauses, waits or time zones are lost.")
@click.pass_context
@one_line_errors
def uninstall(ctx: click.Context, *, dry_run: bool, yes: bool, **flags: Any) -> None:
    """Remove wpbridge's own tables; the plugin's tables stay as they are.

    Refuses while a runner holds claims. With the tables go pauses, idempotency keys, what waiting
    actions wait for (they never run then) and the time zones of cron chains (UTC counts then).
    """
    settings = settings_of(ctx, flags)
    store = open_site(resolve(settings, os.environ))
    try:
        holding = [runner for runner in runners_of(store.tables) if runner.claims]
        if holding:
            raise ConfigError(
                f"{len(holding)} runner(s) still hold claims (pid"
                f" {', '.join(str(r.pid) for r in holding)}): stop them, then run claim-and-run"
                " once so that what dead ones left is put back"
            )
        there = [name for name in store.names.own if store.own.has(name)]
        lost = [words for count, words in _in_use(store) if count]
        if lost and not (yes or dry_run):
            raise ConfigError(f"still in use: {', '.join(lost)}; add --yes to remove them too")
        if not dry_run:
            drop_tables(store.tables)
    finally:
        store.close()
    for words in lost:
        print_line(f"{'would lose' if dry_run else 'lost'} {words}", err=True)
    names = ", ".join(there) or "nothing: there are none of wpbridge's tables"
    print_line(f"{'would remove' if dry_run else 'removed'} {names}")


def _in_use(store: OpenStore) -> list[tuple[int, str]]:
    """What goes with our tables, in words, with how many there are."""
    waiting, zoned = store.reading.own_counts()
    pauses = len(store.pauses.in_force(SystemClock().now()))
    return [
        (pauses, plural(pauses, "pause")),
        (waiting, f"{plural(waiting, 'waiting action')}, which would never run"),
        (zoned, f"the time zones of {plural(zoned, 'cron action')}"),
    ]


@click.command(
    short_help="Show how many actions there are, by status.",
    epilog="""
Examples:
  wpbridge status --path /var/www/html
  wpbridge status --path /var/www/html --format json
""",
)
@site_options
@format_option("How to print.")
@tz_option
@click.pass_context
@one_line_errors
def status(ctx: click.Context, **flags: Any) -> None:
    """Show how many actions there are by status, how many are due, what is paused, who runs."""
    settings = settings_of(ctx, flags)
    store = open_site(resolve(settings, os.environ))
    now = SystemClock().now()
    try:
        counts = store.reading.statuses()
        hooks = store.held.hooks()
        held = store.due.held(now, hooks)
        due = store.due.count(now, cap=DUE_CAP, held=held)
        oldest = store.due.oldest(now, hooks=hooks)
        runners = runners_of(store.tables)
        pauses = store.pauses.in_force(now)
        zone = times_in(settings, store)
    finally:
        store.close()
    if settings.format == "json":
        rows = [
            {
                "host": r.host,
                "pid": r.pid,
                "beat_age_seconds": r.beat_age_seconds,
                "claims": list(r.claims),
            }
            for r in runners
        ]
        print_json(
            {
                "counts": counts,
                "due": due,
                "due_is_capped": due == DUE_CAP,
                "oldest_due": iso(oldest.at if oldest else None),
                "held": held,
                "runners": rows,
                "pauses": [
                    {"kind": p.kind, "name": p.name, "until": iso(p.until), "reason": p.reason}
                    for p in pauses
                ],
            }
        )
        return
    for name in ("pending", "in-progress", "complete", "failed", "canceled"):
        print_line(f"{name:12} {counts.get(name, 0):>10,}")
    print_line(f"{'due now':12} {due:>10,}{'+' if due == DUE_CAP else ''}")
    if oldest is not None:
        print_line(f"{'oldest due':12} {iso(oldest.at, zone)}")
    if held:
        names = ", ".join(sorted(hooks)[:_SHOWN_HOOKS])
        more = ", …" if len(hooks) > _SHOWN_HOOKS else ""
        print_line(f"{'held':12} {held:>10,} no callback in WordPress for {names}{more}")
    for one in pauses:
        end = "until resumed" if one.until is None else f"until {iso(one.until, zone)}"
        print_line(f"paused {one.kind} {one.name} {end}")
    for runner in runners:
        print_line(
            f"runner {runner.host} pid {runner.pid}, beat {runner.beat_age_seconds:.0f} s ago"
        )


@click.command(
    short_help="Check settings and store; changes nothing.",
    epilog="""
Examples:
  wpbridge check --path /var/www/html --handlers shop.hooks
  wpbridge check --path /var/www/html --php --format json
""",
)
@site_options
@handlers_option
@php_options
@format_option("How to print.")
@click.pass_context
@one_line_errors
def check(ctx: click.Context, **flags: Any) -> None:
    """Check settings, store, handlers and, with --php, WordPress; changes nothing.

    Handlers are loaded that --handlers names; those of the settings file are named, and not run.

    Exit 78 when something keeps the next run from starting: a right that the account lacks, a
    database that takes no writes, tables that are not as they should be. Exit 69 when the database
    or WordPress does not answer.
    """
    from wpbridge import app  # noqa: PLC0415 - the other commands run nothing

    settings = settings_of(ctx, flags)
    site = resolve(settings, os.environ)
    handlers, left_out = app.handlers_to_look(settings)
    # As a run opens it, which waits for no lock for long.
    store = open_site(site, is_runner=True)
    try:
        info, found = store.info, _rights(store)
        own = store.own
        missing = [table for table in store.names.own if not own.has(table)]
        hello = app.ask_php(settings, site, store, os.environ) if settings.php else None
    finally:
        store.close()
    problems, notes = [*info.problems, *found.problems], [*info.notes, *found.notes]
    if hello is not None:
        refused, more = app.judge_php(settings, store, hello)
        problems += [refused] if refused else []
        notes += more
    if site.mu_plugins is not None:
        notes += _about_companion(settings, site, store.names.prefix, handlers, left_out)
    if left_out:
        notes.append(app.not_loaded(left_out))
    if settings.trusted:
        notes.append("WPBRIDGE_TRUST is set: files are obeyed whoever may write them")
    facts = {
        "site": site.name,
        "configuration": None if site.config is None else f"{site.path}, {site.config.reader}",
        "database": site.database.safe,
        "table_prefix": store.names.prefix,
        "server": info.server,
        "schema": info.schema,
        "layout": info.layout,
        "skip_locked": info.skip_locked,
        "zone": info.zone,
        "tables_to_make": missing,
        "handlers": sorted(handlers),
        "handlers_not_loaded": list(left_out),
        "php": None if hello is None else asdict(hello),
        "problems": problems,
        "notes": notes,
        "settings": {
            name: where for name, where in sources_of(settings).items() if where != "default"
        },
    }
    if settings.format == "json":
        print_json(facts)
    else:
        for name, value in facts.items():
            print_line(f"{name:13} {_plain(value)}")
    if problems:
        raise SchemaError(problems[0])
    raise SystemExit(int(Exit.OK))


def _rights(store: OpenStore) -> Findings:
    """What may be done with the tables. SchemaError for a database that is read-only."""
    try:
        return find(store.tables)
    except ReadOnly as error:
        raise SchemaError(str(error)) from error


def _about_companion(
    settings: Settings, site: Site, prefix: str, handlers: Iterable[str], left_out: Sequence[str]
) -> list[str]:
    """What `wp install-plugin` would mend, in sentences."""
    from wpbridge.plugin import companion  # noqa: PLC0415 - the other commands run nothing

    if site.mu_plugins is None or site.config is None:
        return []
    command = companion.command_for(settings, site.folder)
    wanted = companion.owned(settings, handlers)
    found = companion.read(site.mu_plugins)
    return [
        *companion.explain(found, prefix, wanted, command=command, left_out=left_out),
        *companion.condition(
            site.mu_plugins, elsewhere=site.config.content_dir / "mu-plugins", command=command
        ),
    ]


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} ({v})" for k, v in value.items() if v is not None) or "all default"
    if value is None:
        return "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)
