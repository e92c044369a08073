"""``serve``: the HTTP gateway."""

from typing import Any

import click

from wpbridge.cli.options import one_line_errors, settings_of, site_options
from wpbridge.cli.terminal import print_line
from wpbridge.daemon.log_setup import start_log
from wpbridge.errors import ConfigError


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
    default="127.0.0.1:8787",
    metavar="HOST:PORT|unix:PATH",
    help="Where to listen (127.0.0.1:8787).",
)
@click.option("--base-path", default="", metavar="PATH", help="What stands before /v1 (nothing).")
@click.option("--access-log", type=click.Choice(["none", "text", "json"]), default="none")
@click.option("--dry-run", is_flag=True, help="Check everything; listen nowhere.")
@click.option("--log-format", type=click.Choice(["text", "json"]), help="Lines on stderr (text).")
@click.option("-v", "--verbose", count=True, help="Log more; twice for most.")
@click.pass_context
@one_line_errors
def serve(
    ctx: click.Context,
    *,
    listen: str,
    base_path: str,
    access_log: str,
    dry_run: bool,
    verbose: int,
    **flags: Any,
) -> None:
    """Take actions over HTTP, answer 202 when they are committed, and show what becomes of them.

    It listens on this host only, unless --listen says otherwise, and speaks plain HTTP: put nginx
    or Caddy before it. TERM or INT: no new connections, what runs is answered, exit 0.
    """
    settings = settings_of(ctx, {**flags, "verbose": verbose or None})
    try:
        from wpbridge.web import serving  # noqa: PLC0415 - an extra, which need not be there
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"serve needs {error.name}: install it with `pip install 'wpbridge[web]'`"
        ) from None
    where = serving.listen_of(listen)
    base = serving.base_path_of(base_path)
    start_log(settings)
    if dry_run:
        serving.check(settings)
        print_line(f"would listen on {where.told}{base}")
        return
    serving.serve(
        settings,
        where,
        base_path=base,
        access_log=access_log != "none",
        ready=lambda address: print_line(f"listening on {address}{base}", err=True),
    )
