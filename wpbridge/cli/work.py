"""``work``: the daemon; its supervisor, and in another process each of its workers."""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

import wpbridge
from wpbridge.cli import handed
from wpbridge.cli.loglines import start_log
from wpbridge.cli.options import (
    flags_of,
    format_option,
    handlers_option,
    one_line_errors,
    php_options,
    php_pool_options,
    settings_of,
    site_options,
)
from wpbridge.cli.output import plural
from wpbridge.cli.terminal import print_json, print_line
from wpbridge.daemon.child import starter
from wpbridge.daemon.notify import VARIABLES, Notifier
from wpbridge.daemon.supervisor import Supervisor, Terms
from wpbridge.errors import ConfigError
from wpbridge.site.config import Settings


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
""",
)
@site_options
@handlers_option
@click.option("--processes", type=click.IntRange(1, 64), help="Worker processes (1).")
@click.option("--concurrency", type=click.IntRange(1, 1000), help="Handlers a process (4).")
@click.option("--poll-interval", metavar="TIME", help="An idle worker looks this often (1s).")
@click.option("--batch-size", type=click.IntRange(1, 10_000), help="Actions a claim at most (25).")
@click.option("--hooks", metavar="A,B", help="Only these hooks, of those that have a handler.")
@click.option("--exclude-hooks", metavar="A,B", help="Not these hooks.")
@click.option("--group", "groups", metavar="A,B", help="Only these groups.")
@click.option("--exclude-groups", metavar="A,B", help="Not these groups.")
@click.option(
    "--drain-timeout", metavar="TIME", help="What runs may take at the end (30s; 0: all)."
)
@click.option("--max-age", metavar="TIME", help="Replace a worker process at this age.")
@click.option("--max-memory", metavar="SIZE", help="Replace a worker process that uses more.")
@click.option("--max-actions", type=click.IntRange(0), help="Replace one after so many actions.")
@click.option("--heartbeat-file", metavar="FILE", help="Written each second, for `probe`.")
@click.option("--reload", "watches", is_flag=True, help="Replace workers when a handler changes.")
@php_options
@click.option(
    "--php-workers",
    type=click.IntRange(1, 256),
    help="PHP processes a worker process (processors, shared out).",
)
@php_pool_options
@click.option("--dry-run", is_flag=True, help="Check everything, and show what would be started.")
@format_option("Of --dry-run (text).")
@click.option("--log-format", type=click.Choice(["text", "json"]), help="Lines on stderr (text).")
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
    **flags: Any,
) -> None:
    """Run due actions until stopped: worker processes, and a supervisor that keeps them running.

    TERM or INT: claim no more, finish what runs, free the rest. A second INT, or QUIT: end at once;
    what was held is put back by the next runner. HUP: read settings and handlers anew. USR2 or
    TSTP: claim no more; CONT: go on. USR1: tell what the workers hold, a line of JSON each. TTIN:
    their threads' stacks.
    """
    flags = {**flags, "verbose": verbose or None}

    if worker is not None:
        settings = handed.unpacked(worker, flags_of(ctx, flags), os.environ)
        start_log(settings, is_daemon=True)
        from wpbridge.cli.worker import serve  # noqa: PLC0415 - the supervisor needs no database

        raise SystemExit(serve(settings, worker))
    settings = settings_of(ctx, flags)
    start_log(settings, is_daemon=True)
    if dry_run:
        _plan(settings)
        return
    folder = handed.Folder(os.environ)

    def terms() -> Terms:
        folder.enter()
        read = settings_of(ctx, flags)
        start_log(read, is_daemon=True)
        return _terms(read, folder.name, watches=watches)

    given = _terms(settings, folder.name, watches=watches)
    if given.heartbeat_file is not None and not os.access(given.heartbeat_file.parent, os.W_OK):
        raise ConfigError(f"{given.heartbeat_file.parent} is no folder that can be written into")
    notifier = Notifier.of(os.environ)
    env = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    supervisor = Supervisor(
        given,
        starter(_words(), env),
        reload=terms,
        notifier=notifier,
        tell=lambda line: print_line(line, err=True),
    )
    raise SystemExit(supervisor.run())


def _words() -> Callable[[str], Sequence[str]]:
    """This command once more, with the same options and what makes it a worker."""
    # As a script does, and unlike -m: a file of the working folder named like a library's module
    # must not take its place. Unless that is where wpbridge itself lies.
    is_here = Path(wpbridge.__file__).parent.parent == Path.cwd()
    python = [sys.executable] if is_here else [sys.executable, "-P"]
    return lambda told: [*python, "-m", "wpbridge", *sys.argv[1:], "--worker", told]


def _terms(settings: Settings, folder: str, *, watches: bool) -> Terms:
    drain = settings.drain_timeout
    return Terms(
        processes=settings.processes,
        drain_seconds=None if drain is None else drain.total_seconds(),
        heartbeat_file=settings.heartbeat_file,
        watches=watches,
        handed=handed.packed(settings, folder),
    )


def _plan(settings: Settings) -> None:
    """Look at everything a worker looks at, and print what there would be."""
    from wpbridge.cli.misspelled import tell_unclaimed  # noqa: PLC0415 - the supervisor asks no database
    from wpbridge.cli.worker import php_workers, prepared  # noqa: PLC0415
    from wpbridge.store.connect import open_site  # noqa: PLC0415
    from wpbridge.store.structure.rights import refuse_read_only  # noqa: PLC0415

    parts = prepared(settings)
    with closing(open_site(parts.site, is_runner=True)) as store:
        refuse_read_only(store.tables)
        tell_unclaimed(store, settings, parts.routes)
    hooks = sorted(parts.routes.hooks() or ())
    site = parts.site.name
    told = {
        "site": site,
        "processes": settings.processes,
        "concurrency": settings.concurrency,
        "php_workers": php_workers(settings),
        "poll_interval_seconds": _seconds(settings.poll_interval),
        "drain_timeout_seconds": _seconds(settings.drain_timeout),
        "hooks": hooks,
    }
    if settings.format == "json":
        print_json(told)
        return
    php = f", {php_workers(settings)} in PHP" if settings.php else ""
    print_line(
        f"would start {plural(settings.processes, 'worker')} for {site}:"
        f" each runs {plural(settings.concurrency, 'handler')} at once{php}"
    )
    for hook in hooks:
        print_line(hook)


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()
