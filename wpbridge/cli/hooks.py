"""``hooks``: the routing table, applied to what is in the queue."""

import json
import os
import sys
from dataclasses import asdict, dataclass
from typing import Any, Literal

import click

from wpbridge import app
from wpbridge.cli.options import one_line_errors, php_options, settings_of, site_options
from wpbridge.clock import SystemClock
from wpbridge.config import Settings
from wpbridge.executors.php_probe import interview
from wpbridge.handlers import Handler
from wpbridge.routes import Routes
from wpbridge.site import Site, resolve
from wpbridge.store.base import QueuedHook
from wpbridge.store.connect import open_site
from wpbridge.store.sqlstore import SqlStore


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    hook: str
    group: str
    to: str
    why: str
    pending: int = 0
    due: int = 0
    running: int = 0
    next_at: str | None = None
    callback: bool | None = None
    """Whether PHP knows the hook; None when it was not asked."""


@click.command(short_help="Show what happens to each hook in the queue, and why.", epilog="""
Examples:
  wpbridge hooks --path /var/www/html
  wpbridge hooks --path /var/www/html --php --ask-wordpress
  wpbridge hooks --path . --handlers shop.hooks --format json
""")  # fmt: skip
@site_options
@click.option(
    "--handlers", multiple=True, metavar="MODULE", help="Python module with @hook functions."
)
@php_options
@click.option("--ask-wordpress", is_flag=True, help="Load WordPress once: has PHP a callback?")
@click.option(
    "--format", "format", type=click.Choice(["text", "json"]), help="How to print (text)."
)
@click.pass_context
@one_line_errors
def hooks(ctx: click.Context, *, ask_wordpress: bool, **flags: Any) -> None:
    """Show for each hook and group in the queue whether Python, a webhook or PHP runs it.

    What is left alone stays for the plugin's own runner. Changes nothing.
    """
    settings = settings_of(ctx, flags)
    site = resolve(settings, os.environ)
    handlers = app.handlers_of(settings)
    routes = app.routes_of(settings, handlers)
    store = open_site(site)
    try:
        store.inspect()
        queued = store.parts.reading.queued(SystemClock().now())
        known = _ask(settings, site, store, queued) if ask_wordpress else {}
    finally:
        store.close()
    lines = _lines(queued, handlers, routes, known)
    if settings.format == "json":
        click.echo(json.dumps([asdict(line) for line in lines]))
    elif lines:
        _print_table(lines)
    else:
        click.echo("no pending or running actions, and no handlers", err=True)


def _ask(
    settings: Settings, site: Site, store: SqlStore, queued: list[QueuedHook]
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
            next_at=one.next_at.isoformat() if one.next_at else None,
            callback=known.get(one.hook),
        )
        for one in queued
    ]
    idle = sorted(set(handlers) - {one.hook for one in queued})
    for hook in idle:
        decision = routes.decide(hook, "")
        found.append(_Line(hook=hook, group="", to=decision.to, why=decision.why))
    return sorted(found, key=lambda line: (line.to, line.hook, line.group))


def _print_table(lines: list[_Line]) -> None:
    head = ["hook", "group", "to", "pending", "due", "running", "next", "why"]
    rows = [
        [_shown(line.hook), _shown(line.group), line.to, f"{line.pending:,}", f"{line.due:,}",
         f"{line.running:,}", line.next_at or "", _shown(_why(line))]
        for line in lines
    ]  # fmt: skip
    if not sys.stdout.isatty():
        for row in (head, *rows):
            click.echo("\t".join(row))
        return
    from rich.console import Console  # noqa: PLC0415 - loads only for a terminal
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False)
    for name in head:
        side: Literal["left", "right"] = (
            "right" if name in ("pending", "due", "running") else "left"
        )
        # Folded and never cut: a name is there to be copied into a route.
        table.add_column(name, justify=side, overflow="fold")
    for row in rows:
        # A hook such as "[red]" is a name, and no markup.
        table.add_row(*map(Text, row))
    Console().print(table)


def _shown(text: str) -> str:
    """Anybody may have named a hook: nothing in it may steer a terminal or break a line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _why(line: _Line) -> str:
    if line.callback is None:
        return line.why
    return f"{line.why}; WordPress has {'a' if line.callback else 'NO'} callback"
