"""``keys callback-secret``: what a receiver of callbacks checks their signatures with."""

from typing import Any

import click

from wpbridge.access import changing
from wpbridge.cli.options import format_option, one_line_errors, settings_of, site_options
from wpbridge.cli.terminal import print_json, print_line
from wpbridge.errors import InputError
from wpbridge.queue.facade import opened


@click.command(
    "callback-secret",
    short_help="Print the secret that signs the callbacks of an API key.",
    epilog="""
Examples:
  wpbridge keys callback-secret shop
  wpbridge keys callback-secret shop --format json
""",
)
@click.argument("name")
@site_options
@format_option("How to print the secret (text).")
@click.pass_context
@one_line_errors
def callback_secret(ctx: click.Context, *, name: str, **flags: Any) -> None:
    """Print the secret with which a receiver checks callbacks, in the form of Standard Webhooks.

    It is derived from the site's signing secret. After `keys rotate-signing` there is a new one,
    and callbacks are signed with both until the next rotation.
    """
    settings = settings_of(ctx, flags)
    with opened(settings) as queue:
        changing.known(queue.store, name)
        found = queue.store.signing.callback_secrets(name)
    if not found:
        raise InputError("the site has no signing secret: run `wpbridge init`")
    if settings.format == "json":
        print_json({"name": name, "secret": found[0], "previous": [*found[1:]]})
    else:
        print_line(found[0])
