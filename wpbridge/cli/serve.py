"""``serve``: the HTTP gateway."""

import os
from collections.abc import Mapping
from contextlib import closing
from importlib import import_module
from types import ModuleType
from typing import Any, NoReturn

import click

from wpbridge.cli.exit_codes import Exit
from wpbridge.cli.metrics import check_metrics, measured, metrics_option, sites_measured
from wpbridge.cli.options import flags_of, one_line_errors, settings_of, site_options
from wpbridge.cli.sites import check_one_or_many, listed_of, sites_option
from wpbridge.cli.terminal import print_line
from wpbridge.daemon.handover import unpacked
from wpbridge.daemon.log_setup import start_log
from wpbridge.daemon.service import Gateway, supervise
from wpbridge.errors import ConfigError
from wpbridge.site.config import Settings
from wpbridge.site.web_kinds import Listen


@click.command(
    short_help="Take actions over HTTP: the gateway.",
    epilog="""
Examples:
  wpbridge serve --path /var/www/html
  wpbridge serve --path /var/www/html --listen 127.0.0.1:9000 --base-path /queue
  wpbridge serve --dsn sqlite:///queue.db --listen unix:/run/wpbridge/http.sock
  wpbridge serve --sites /etc/wpbridge/sites.toml --home office
""",
)
@site_options
@sites_option
@click.option(
    "--home",
    "web_home",
    metavar="NAME",
    help="The site of the list whose admins see the index of all sites.",
)
@click.option(
    "--listen",
    "web_listen",
    metavar="HOST:PORT|unix:PATH",
    help="Where to listen (127.0.0.1:8787).",
)
@click.option(
    "--socket-mode", "web_socket_mode", metavar="MODE", help="The mode of a Unix socket (0660)."
)
@click.option("--base-path", "web_base_path", metavar="PATH", help="The path before /v1 (none).")
@click.option(
    "--access-log",
    "web_access_log",
    type=click.Choice(["none", "text", "json"]),
    help="Write a line for each request to stderr (none).",
)
@click.option(
    "--workers",
    "web_workers",
    type=click.IntRange(1, 64),
    help="How many processes answer requests (1).",
)
@click.option("--ui/--no-ui", "web_ui", default=None, help="Show the dashboard, too (shown).")
@metrics_option("web_metrics")
@click.option("--dry-run", is_flag=True, help="Check everything; listen nowhere.")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    help="How to write log lines to stderr (text).",
)
@click.option("--worker", hidden=True, help="What a process is told by its supervisor.")
@click.option("-v", "--verbose", count=True, help="Log more; twice for most.")
@click.pass_context
@one_line_errors
def serve(
    ctx: click.Context, *, dry_run: bool, worker: str | None, verbose: int, **flags: Any
) -> None:
    """Take actions over HTTP, answer 202 when they are committed, and show what becomes of them.

    The gateway listens on this host only, unless --listen says otherwise, and speaks plain HTTP:
    put nginx or Caddy in front of it. On TERM or INT it accepts no new connections, answers the
    requests that run, and exits with 0. On a second one it ends at once. On HUP, with several
    workers, it reads the settings anew.

    With --sites it serves each site of a list below /s/NAME/, and an index of all sites below
    /sites/. Each site has its own people, keys and cookies.
    """
    flags = {**flags, "verbose": verbose or None}
    if worker is not None:
        be_gateway(flags_of(ctx, flags), worker)
    settings = settings_of(ctx, flags)
    check_one_or_many(settings)
    serving = gateway("serving")
    start_log(settings)
    if dry_run:
        _check(settings)
        return

    def ready(address: str) -> None:
        print_line(f"listening on {address}{settings.web_base_path}", err=True)

    if settings.web_workers == 1:
        if settings.sites is None:
            app = serving.application(settings)
            telling = measured(settings.web_metrics, settings, also=app.state.metrics.numbers)
        else:
            app = gateway("many.serving").many_sites(settings)
            telling = sites_measured(settings.web_metrics, settings, strict=True)
        with telling:
            serving.serve(app, settings, ready=ready)
        return
    if settings.sites is None:
        telling = measured(settings.web_metrics, settings, has_places=False)
    else:
        # Each process asks the same once more. Here it is told before there are any.
        gateway("many.serving").many_sites(settings)
        telling = sites_measured(settings.web_metrics, settings, strict=True)
    with closing(gateway("listening").opened(settings)) as ear, telling as numbers:
        ready(ear.told)
        code = supervise(
            settings,
            lambda: settings_of(ctx, flags),
            watches=False,
            tell=lambda line: print_line(line, err=True),
            gateway=Gateway(ear.sock.fileno(), is_beside=False),
            measured=numbers,
        )
    # To be told to stop is no failure of a server.
    raise SystemExit(0 if code in {Exit.INTERRUPTED, Exit.TERMINATED} else code)


def _check(settings: Settings) -> None:
    """Find out whether it could be served, and say so. Nothing listens."""
    check_metrics(settings.web_metrics, settings)
    if settings.sites is None:
        gateway("serving").check(settings)
    else:
        gateway("many.serving").many_sites(settings)
        listed_of(settings).refuse()
    where = Listen.of(settings.web_listen)
    print_line(f"would listen on {where.told}{settings.web_base_path}")


def be_gateway(flags: Mapping[str, Any], worker: str) -> NoReturn:
    """Be a process of the gateway, as its supervisor has said."""
    settings = unpacked(worker, flags, os.environ)
    start_log(settings)
    raise SystemExit(gateway("supervised").serve(settings, worker))


def gateway(name: str) -> ModuleType:
    """Return a module of the gateway, which needs an extra that need not be there.

    Raises:
        ConfigError: it is not there.
    """
    try:
        return import_module(f"wpbridge.web.{name}")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the HTTP gateway needs {error.name}: install it with `pip install 'wpbridge[web]'`"
        ) from None
