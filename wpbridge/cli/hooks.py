"""``hooks``: the routing table, applied to what is in the queue."""

import os
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import click

from wpbridge import app
from wpbridge.cli.options import (
    handlers_option,
    one_line_errors,
    php_options,
    settings_of,
    site_options,
)
from wpbridge.cli.output import list_options, print_rows, told
from wpbridge.cli.times import times_in, tz_option
from wpbridge.clock import SystemClock
from wpbridge.executors.handlers import Handler
from wpbridge.executors.php.probe import interview
from wpbridge.executors.routes import Routes
from wpbridge.site.config import Settings
from wpbridge.site.resolve import Site, resolve
from wpbridge.store.base import QueuedHook
from wpbridge.store.connect import open_site
from wpbridge.store.opened import OpenStore


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    hook: str
    group: str
    to: str
    why: str
    pending: int = 0
    due: int = 0
    running: int = 0
    held: int = 0
    next_at: datetime | None = None
    callback: bool | None = None
    """Whether PHP knows the hook; None when it was not asked."""


FIELDS = ("hook", "group", "to", "why", "pending", "due", "running", "held", "next_at", "callback")
_SHOWN = ("hook", "group", "to", "pending", "due", "running", "next_at", "why")


@click.command(
    short_help="Show what happens to each hook in the queue, and why.",
    epilog="""
Examples:
  wpbridge hooks --path /var/www/html
  wpbridge hooks --path /var/www/html --php --ask-wordpress
  wpbridge hooks --path . --handlers shop.hooks --format json
""",
)
@site_options
@handlers_option
@php_options
@click.option("--ask-wordpress", is_flag=True, help="Load WordPress once: has PHP a callback?")
@list_options(FIELDS)
@tz_option
@click.pass_context
@one_line_errors
def hooks(
    ctx: click.Context, *, ask_wordpress: bool, fields: str | None, field: str | None, **flags: Any
) -> None:
    """Show for each hook and group in the queue whether Python, a webhook or PHP runs it.

    What is left alone stays for the plugin's own runner. Handlers are loaded that --handlers names;
    what depends on others is unknown. Changes nothing.
    """
    settings = settings_of(ctx, flags)
    site = resolve(settings, os.environ)
    handlers, left_out = app.handlers_to_look(settings)
    routes = app.routes_of(settings, handlers, left_out=left_out)
    store = open_site(site)
    try:
        queued = store.reading.queued(SystemClock().now())
        known = _ask(settings, site, store, queued) if ask_wordpress else {}
        zone = times_in(settings, store)
    finally:
        store.close()
    lines = _lines(queued, handlers, routes, known)
    as_table = settings.format in ("text", "table")
    rows = [{**asdict(line), "why": _why(line) if as_table else line.why} for line in lines]
    if lines or not as_table:
        print_rows(
            rows,
            fields=FIELDS,
            shown_fields=_SHOWN,
            style=settings.format,
            chosen=fields,
            field=field,
            zone=zone,
        )
    else:
        told("no pending or running actions, and no handlers")
    if left_out:
        told(app.not_loaded(left_out))


def _ask(
    settings: Settings, site: Site, store: OpenStore, queued: list[QueuedHook]
) -> dict[str, bool]:
    names = {one.hook for one in queued}
    _, known = interview(app.php_launch(settings, site, store, os.environ), names)
    return known


def _lines(
    queued: list[QueuedHook],
    handlers: dict[str, Handler],
    routes: Routes,
    known: dict[str, bool],
) -> list[_Line]:
    found = [
        _Line(
            hook=one.hook,
            group=one.group,
            to=routes.decide(one.hook, one.group).to,
            why=routes.decide(one.hook, one.group).why,
            pending=one.pending,
            due=one.due,
            running=one.running,
            held=one.held,
            next_at=one.next_at,
            callback=known.get(one.hook),
        )
        for one in queued
    ]
    idle = sorted(set(handlers) - {one.hook for one in queued})
    for hook in idle:
        decision = routes.decide(hook, "")
        found.append(_Line(hook=hook, group="", to=decision.to, why=decision.why))
    return sorted(found, key=lambda line: (line.to, line.hook, line.group))


def _why(line: _Line) -> str:
    if line.callback is None:
        return line.why
    return f"{line.why}; WordPress has {'a' if line.callback else 'NO'} callback"
