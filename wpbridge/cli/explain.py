"""``explain``: why an action does not run."""

import os
from dataclasses import asdict
from datetime import UTC
from typing import TYPE_CHECKING, Any

import click

from wpbridge import app
from wpbridge.cli.filters import ids_of
from wpbridge.cli.options import one_line_errors, php_options, settings_of, site_options
from wpbridge.cli.terminal import print_json, print_line
from wpbridge.cli.times import times_in, tz_option
from wpbridge.clock import SystemClock
from wpbridge.doctor.explain import Explanation, gather
from wpbridge.doctor.explain import explain as explained
from wpbridge.errors import InputError
from wpbridge.executors.php.probe import interview
from wpbridge.queue.facade import Queue
from wpbridge.site.resolve import Site, resolve
from wpbridge.store.connect import open_site

if TYPE_CHECKING:
    from wpbridge.site.config import Settings


@click.command(
    short_help="Say why an action does not run.",
    epilog="""
Examples:
  wpbridge explain 4711
  wpbridge explain 4711 --handlers shop.hooks
  wpbridge explain 4711 --php --ask-wordpress
""",
)
@click.argument("action_id", metavar="ID")
@site_options
@click.option(
    "--handlers", multiple=True, metavar="MODULE", help="Python module with @hook functions."
)
@php_options
@click.option("--ask-wordpress", is_flag=True, help="Load WordPress once: has PHP a callback?")
@click.option(
    "--format", "format", type=click.Choice(["text", "json"]), help="How to print (text)."
)
@tz_option
@click.pass_context
@one_line_errors
def explain(ctx: click.Context, *, action_id: str, ask_wordpress: bool, **flags: Any) -> None:
    """Say what is in the way of an action, all of it, the most decisive first.

    Give --handlers and --php as the run gets them: they say what is run here. Handlers that only
    the settings file names are not loaded. Changes nothing; exit 1 when there is no such action.
    """
    ids = ids_of([action_id])
    if len(ids) != 1:
        raise InputError("one action id")
    settings = settings_of(ctx, flags)
    site = resolve(settings, os.environ)
    handlers, left_out = app.handlers_to_look(settings)
    with Queue(open_site(site), unique_by=settings.unique_by) as queue:
        known = _ask(settings, site, queue, ids[0]) if ask_wordpress else None
        zone = UTC if settings.format == "json" else times_in(settings, queue.store)
        facts = gather(
            queue,
            ids[0],
            settings,
            handlers,
            left_out=left_out,
            now=SystemClock().now(),
            callback=known,
            may_ask=site.folder is not None,
            zone=zone,
        )
    found = explained(facts)
    if settings.format == "json":
        print_json(asdict(found))
    else:
        _print(found)


def _ask(settings: "Settings", site: Site, queue: Queue, action_id: int) -> bool | None:
    hook = queue.get(action_id).hook
    start = app.php_launch(settings, site, queue.store, os.environ)
    return interview(start, {hook})[1].get(hook)


def _print(found: Explanation) -> None:
    print_line(found.verdict)
    for reason in found.reasons:
        print_line(f"  {reason.code}: {reason.text}")
        if reason.fix:
            print_line(f"    fix: {reason.fix}")
