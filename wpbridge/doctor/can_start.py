"""Check whether the next run can start: settings, store, rights, handlers, and WordPress in PHP."""

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from typing import Any

from wpbridge import app
from wpbridge.app import reporting
from wpbridge.dataclass import dataclass
from wpbridge.errors import ReadOnly, SchemaError
from wpbridge.plugin import companion
from wpbridge.plugin.unrun import unrun, ways_out
from wpbridge.site.config import Settings, sources_of
from wpbridge.site.resolve import Site, resolve
from wpbridge.store.connect import open_site
from wpbridge.store.opened import OpenStore
from wpbridge.store.structure.rights import Findings, find


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The facts that were read, and the problems."""

    facts: Mapping[str, Any]
    """As JSON has them: docs/reference/json.md."""
    problems: Sequence[str]
    """What keeps the next run from starting."""
    unrun: str
    """Why nobody would run PHP's actions, and what to do; empty where somebody does."""


def check(settings: Settings) -> Checked:
    """Check everything that a run needs; change nothing.

    Handlers are loaded only where the command line names them.

    Raises:
        ConfigError, SiteError: the settings mean no site, or its tables cannot be used.
        StoreUnavailable, WpCliError: the database or WordPress does not answer.
    """
    site = resolve(settings, os.environ)
    handlers, left_out = app.handlers_to_look(settings)
    # It is opened as for a run, which does not wait long for locks.
    with closing(_opened(site)) as store:
        info, found = store.info, _rights(store)
        missing = [table for table in store.names.of_runs if not store.own.has(table)]
        hello = app.ask_php(settings, site, store, os.environ) if settings.php else None
    problems = [*info.problems, *found.problems, *reporting.lacking(settings)]
    notes = [*info.notes, *found.notes]
    if hello is not None:
        refused, more = app.judge_php(settings, store, hello)
        problems += [refused] if refused else []
        notes += more
    notes += _notes(settings, site, store.names.prefix, handlers, left_out)
    facts = {
        "site": site.name,
        "configuration": None if site.config is None else f"{site.path}, {site.config.reader}",
        "database": site.database.safe,
        "table_prefix": store.names.prefix,
        **{name: getattr(info, name) for name in _OF_STORE},
        "tables_to_make": missing,
        "handlers": sorted(handlers),
        "handlers_not_loaded": list(left_out),
        "php": None if hello is None else asdict(hello),
        "problems": problems,
        "notes": notes,
        "settings": {n: where for n, where in sources_of(settings).items() if where != "default"},
    }
    reason = unrun(settings, site, store.names.prefix)
    told = f"{reason}: {ways_out(settings, site)}" if reason else ""
    return Checked(facts=facts, problems=problems, unrun=told)


_OF_STORE = ("server", "driver", "schema", "layout", "skip_locked", "zone")


def _opened(site: Site) -> OpenStore:
    """Open the store. SchemaError for a database so read-only that it cannot even be read."""
    try:
        return open_site(site, is_runner=True)
    except ReadOnly as error:
        raise SchemaError(str(error)) from error


def _rights(store: OpenStore) -> Findings:
    """Return what may be done with the tables. SchemaError for a database that is read-only."""
    try:
        return find(store.tables)
    except ReadOnly as error:
        raise SchemaError(str(error)) from error


def _notes(
    settings: Settings, site: Site, prefix: str, handlers: Iterable[str], left_out: Sequence[str]
) -> list[str]:
    """Return what is worth knowing, and what `wp install-plugin` would mend."""
    notes: list[str] = []
    if site.mu_plugins is not None and site.config is not None:
        command = companion.command_for(settings, site.folder)
        wanted = companion.owned(settings, handlers)
        found = companion.read(site.mu_plugins)
        elsewhere = site.config.content_dir / "mu-plugins"
        notes += companion.explain(found, prefix, wanted, command=command, left_out=left_out)
        notes += companion.condition(site.mu_plugins, elsewhere=elsewhere, command=command)
    if left_out:
        notes.append(app.not_loaded(left_out, settings))
    if settings.trusted:
        notes.append("WPBRIDGE_TRUST is set: wpbridge obeys files that others may write")
    return notes
