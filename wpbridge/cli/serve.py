"""``serve``: the HTTP gateway."""

from importlib import import_module
from types import ModuleType
from typing import Any

import click

from wpbridge.cli.options import one_line_errors, settings_of, site_options
from wpbridge.cli.terminal import print_line
from wpbridge.daemon.log_setup import start_log
from wpbridge.errors import ConfigError
from wpbridge.site.web_kinds import Listen


@click.command(
    short_help="Take actions over HTTP: the gateway.",
    epilog="""
Examples:
  wpbridge serve --path /var/www/html
  wpbridge serve --path /var/www/html --listen 127.0.0.1:9000 --base-path /queue
  wpbridge serve --dsn sqlite:///queue.db --listen unix:/run/wpbridge/http.sock
""",
)
@site_options
@click.option(
    "--listen",
    "web_listen",
    metavar="HOST:PORT|unix:PATH",
    help="Where to listen (127.0.0.1:8787).",
)
@click.option("--socket-mode", "web_socket_mode", metavar="MODE", help="Of a Unix socket (0660).")
@click.option(
    "--base-path", "web_base_path", metavar="PATH", help="What stands before /v1 (nothing)."
)
@click.option(
    "--access-log",
    "web_access_log",
    type=click.Choice(["none", "text", "json"]),
    help="A line a request on stderr (none).",
)
@click.option("--dry-run", is_flag=True, help="Check everything; listen nowhere.")
@click.option("--log-format", type=click.Choice(["text", "json"]), help="Lines on stderr (text).")
@click.option("-v", "--verbose", count=True, help="Log more; twice for most.")
@click.pass_context
@one_line_errors
def serve(ctx: click.Context, *, dry_run: bool, verbose: int, **flags: Any) -> None:
    """Take actions over HTTP, answer 202 when they are committed, and show what becomes of them.

    It listens on this host only, unless --listen says otherwise, and speaks plain HTTP: put nginx
    or Caddy before it. TERM or INT: no new connections, what runs is answered, exit 0. Once more:
    end at once.
    """
    settings = settings_of(ctx, {**flags, "verbose": verbose or None})
    serving = gateway()
    start_log(settings)
    if dry_run:
        serving.check(settings)
        where = Listen.of(settings.web_listen)
        print_line(f"would listen on {where.told}{settings.web_base_path}")
        return
    serving.serve(
        settings,
        ready=lambda address: print_line(
            f"listening on {address}{settings.web_base_path}", err=True
        ),
    )


def gateway() -> ModuleType:
    """Return the module that serves; it needs an extra, which need not be there."""
    try:
        return import_module("wpbridge.web.serving")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the HTTP gateway needs {error.name}: install it with `pip install 'wpbridge[web]'`"
        ) from None
