"""``work``: the daemon; its supervisor, and in another process each of its workers."""

import os
from contextlib import ExitStack, closing
from datetime import timedelta
from typing import Any

import click

from wpbridge.cli.metrics import check_metrics, measured, metrics_option
from wpbridge.cli.options import (
    NumberOrBounds,
    flags_of,
    format_option,
    handlers_option,
    narrowing_options,
    one_line_errors,
    php_options,
    php_pool_options,
    settings_of,
    site_options,
)
from wpbridge.cli.serve import be_gateway, gateway
from wpbridge.cli.sites_daemon import (
    be_site_or_host,
    check_for_many,
    plan_sites,
    run_sites,
    sites_daemon_options,
)
from wpbridge.cli.terminal import print_json, print_line
from wpbridge.daemon.handover import unpacked
from wpbridge.daemon.heartbeat import refuse_unwritable
from wpbridge.daemon.log_setup import start_log
from wpbridge.daemon.service import Gateway, supervise
from wpbridge.daemon.worker_process import GATEWAY
from wpbridge.site.bounds import Bounds
from wpbridge.site.config import Settings
from wpbridge.telling.words import plural


@click.command(
    "work",
    short_help="Run due actions for ever: the daemon.",
    epilog="""
Examples:
  wpbridge work --path /var/www/html --handlers shop.hooks
  wpbridge work --path /var/www/html --handlers shop.hooks --processes 2 --concurrency 8
  wpbridge work --path /var/www/html --php --php-workers 4 --drain-timeout 2m
  wpbridge work --dsn sqlite:///queue.db --handlers hooks --reload -v
  wpbridge work --path . --handlers hooks --processes 2 --dry-run
  wpbridge work --sites /etc/wpbridge/sites.toml --max-running 8 --max-php 8
""",
)
@site_options
@handlers_option
@click.option(
    "--processes",
    type=NumberOrBounds(1, 64),
    help="Worker processes (1), or bounds within which the daemon chooses: 1..8.",
)
@click.option(
    "--concurrency",
    type=NumberOrBounds(1, 1000),
    help="Handlers at once in each process (4), or bounds: 2..32.",
)
@click.option("--poll-interval", metavar="TIME", help="An idle worker looks this often (1s).")
@click.option(
    "--batch-size", type=click.IntRange(1, 10_000), help="Actions in each claim, at most (500)."
)
@narrowing_options
@click.option(
    "--drain-timeout",
    metavar="TIME",
    help="How long running actions may take at the end (30s; 0: no limit).",
)
@click.option("--max-age", metavar="TIME", help="Replace a worker process at this age.")
@click.option("--max-memory", metavar="SIZE", help="Replace a worker process that uses more.")
@click.option(
    "--max-actions", type=click.IntRange(0), help="Replace a worker process after so many actions."
)
@click.option("--heartbeat-file", metavar="FILE", help="A file to write each second, for `probe`.")
@click.option("--reload", "watches", is_flag=True, help="Replace workers when a handler changes.")
@php_options
@click.option(
    "--php-workers",
    type=click.IntRange(1, 256),
    help="PHP processes for each worker process (the processors, shared out).",
)
@php_pool_options
@click.option(
    "--serve",
    "serves",
    is_flag=False,
    flag_value="",
    metavar="[HOST:PORT]",
    help="Also take actions over HTTP, as `serve` does.",
)
@metrics_option("metrics_listen")
@sites_daemon_options
@click.option("--dry-run", is_flag=True, help="Check everything, and show what would be started.")
@format_option("How --dry-run prints (text).")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    help="How to write log lines to stderr (text).",
)
@click.option("--quiet", is_flag=True, default=None, help="Log warnings and errors only.")
@click.option("-v", "--verbose", count=True, help="Log each action; twice for more.")
@click.option("--worker", hidden=True, help="What a worker process is told by its supervisor.")
@click.pass_context
@one_line_errors
def work(
    ctx: click.Context,
    *,
    dry_run: bool,
    watches: bool,
    verbose: int,
    worker: str | None,
    serves: str | None,
    **flags: Any,
) -> None:
    """Run due actions until stopped: worker processes, and a supervisor that keeps them running.

    On TERM or INT the daemon claims no more, finishes what runs and frees the rest. On a second
    INT, or on QUIT, it ends at once, and the next runner puts back what it had in hand. On HUP it
    reads settings and handlers anew. On USR2 or TSTP it claims no more, and on CONT it goes on. On
    USR1 it prints a line of JSON for each worker, with what the worker has in hand, and on TTIN the
    stacks of the workers' threads.
    """
    flags = {**flags, "verbose": verbose or None, "web_listen": serves or None}

    if worker is not None:
        be_site_or_host(worker)
    if worker is not None and worker.startswith(f"{GATEWAY}:"):
        be_gateway(flags_of(ctx, flags), worker)
    if worker is not None:
        settings = unpacked(worker, flags_of(ctx, flags), os.environ)
        start_log(settings, is_daemon=True)
        from wpbridge.app.worker import serve  # noqa: PLC0415 - the supervisor needs no database

        raise SystemExit(serve(settings, worker))
    settings = settings_of(ctx, flags)
    if settings.sites is not None:
        check_for_many(flags_of(ctx, flags), watches=watches)
    start_log(settings, is_daemon=True)
    if dry_run:
        check_metrics(settings.metrics_listen, settings)
        plan = _plan if settings.sites is None else plan_sites
        plan(settings)
        return

    def read() -> Settings:
        anew = settings_of(ctx, flags)
        start_log(anew, is_daemon=True)
        return anew

    if settings.sites is not None:
        raise SystemExit(run_sites(settings, read))
    with ExitStack() as stack:
        beside = None
        if serves is not None:
            gateway("serving")
            ear = stack.enter_context(closing(gateway("listening").opened(settings)))
            print_line(f"listening on {ear.told}{settings.web_base_path}", err=True)
            beside = Gateway(ear.sock.fileno(), is_beside=True)
        code = supervise(
            settings,
            read,
            watches=watches,
            tell=lambda line: print_line(line, err=True),
            gateway=beside,
            measured=stack.enter_context(measured(settings.metrics_listen, settings)),
        )
    raise SystemExit(code)


def _plan(settings: Settings) -> None:
    """Look at everything a worker looks at, and print what there would be."""
    if settings.heartbeat_file is not None:
        refuse_unwritable(settings.heartbeat_file)
    from wpbridge.app.parts import prepared  # noqa: PLC0415
    from wpbridge.cli.misspelled import tell_unclaimed  # noqa: PLC0415
    from wpbridge.cli.unrun import tell_unrun  # noqa: PLC0415 - for the dry run alone
    from wpbridge.store.structure.rights import refuse_read_only  # noqa: PLC0415

    with closing(prepared(settings, is_daemon=True)) as parts:
        refuse_read_only(parts.store.tables)
        tell_unclaimed(parts.store, settings, parts.routes)
        tell_unrun(settings, parts.site, parts.store.names.prefix)
        hooks = sorted(parts.routes.hooks() or ())
        site = parts.site.name
    processes, concurrency = settings.processes, settings.concurrency
    workers = settings.php_workers_each(processes.most)
    told = {
        "site": site,
        "processes": processes.told,
        "concurrency": concurrency.told,
        "php_workers": workers,
        "poll_interval_seconds": _seconds(settings.poll_interval),
        "drain_timeout_seconds": _seconds(settings.drain_timeout),
        "hooks": hooks,
    }
    if settings.format == "json":
        print_json(told)
        return
    php = f", {workers} in PHP" if settings.php else ""
    print_line(
        f"would start {_count(processes, 'worker')} for {site}:"
        f" each runs {_count(concurrency, 'handler')} at once{php}"
    )
    for hook in hooks:
        print_line(hook)


def _count(bounds: Bounds, noun: str) -> str:
    return f"{bounds} {noun}s" if bounds.is_open else plural(bounds.least, noun)


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()
