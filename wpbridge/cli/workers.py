"""``workers``: who runs the queue, and what people wish of them."""

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any, Final

import click

from wpbridge.cli.exit_codes import Exit
from wpbridge.cli.options import one_line_errors, settings_of, site_options
from wpbridge.cli.output import check_fields, list_options, print_rows, told
from wpbridge.cli.terminal import print_line
from wpbridge.cli.times import times_in, tz_option
from wpbridge.clock import SystemClock
from wpbridge.dashboard.workers import ShownRunner, workers_of
from wpbridge.errors import InputError
from wpbridge.queue.commands import carry_out
from wpbridge.queue.facade import opened
from wpbridge.queue.jobs import JobQueue
from wpbridge.queue.workers import check_wish
from wpbridge.store.running.wishes import Wish
from wpbridge.system.trusted_files import owner_name

FIELDS: Final = (
    "id",
    "host",
    "pid",
    "kind",
    "life",
    "state",
    "wish",
    "obeyed",
    "places",
    "running",
    "handed",
    "claims",
    "done",
    "memory",
    "beat_age_seconds",
    "started",
    "version",
    "supervisor",
    "executors",
    "restarts",
)
SHOWN: Final = FIELDS[:15]
_WISHES: Final[Mapping[str, Wish]] = {"quiet": "quiet", "wake": "", "stop": "stop"}
_EXAMPLES: Final = """
Examples:
  wpbridge workers {verb} 17
  wpbridge workers {verb} 17 --dry-run
  wpbridge workers {verb} --all
"""


@click.group()
def workers() -> None:
    """Who runs the queue: show them, have them claim nothing for a while, or end."""


@workers.command(
    "list",
    short_help="Show the runners of wpbridge on all hosts.",
    epilog="""
Examples:
  wpbridge workers list
  wpbridge workers list --format json
""",
)
@site_options
@list_options(FIELDS)
@tz_option
@click.pass_context
@one_line_errors
def list_(ctx: click.Context, *, fields: str | None, field: str | None, **flags: Any) -> None:
    """Show the runners of wpbridge on all hosts, as this host sees them.

    A wish that is not obeyed belongs to a runner that has not beaten since, that is dead, or that
    is of an older release.
    """
    check_fields(FIELDS, fields, field)
    settings = settings_of(ctx, flags)
    with opened(settings) as queue:
        zone = times_in(settings, queue.store)
        seen = workers_of(queue.store, SystemClock().now())
    print_rows(
        [_row(one) for one in seen.runners],
        fields=FIELDS,
        shown_fields=SHOWN,
        style=settings.format,
        chosen=fields,
        field=field,
        zone=zone,
    )
    if seen.more_runners:
        told(f"not shown: {seen.more_runners:,} more")


def _row(one: ShownRunner) -> dict[str, Any]:
    return {
        "id": one.id,
        "host": one.host,
        "pid": one.pid,
        "kind": one.about.kind or None,
        "life": one.life,
        "state": one.about.state or None,
        "wish": one.wish or None,
        "obeyed": one.has_obeyed if one.wish else None,
        "places": one.places,
        "running": len(one.running),
        "handed": one.handed,
        "claims": len(one.claims),
        "done": sum(one.about.done.values()),
        "memory": one.about.memory_bytes,
        "beat_age_seconds": round(one.beat_age_seconds),
        "started": one.started_at,
        "version": one.version,
        "supervisor": one.about.supervisor,
        "executors": _words(one.about.executors.items()),
        "restarts": _words(one.about.restarts.items()),
    }


def _words(counts: Any) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts)


def _wish_command(verb: str, short_help: str, text: str, done: str) -> Callable[..., None]:
    """Make the command that wishes something of runners."""

    @workers.command(verb, short_help=short_help, help=text, epilog=_EXAMPLES.format(verb=verb))
    @click.argument("ids", metavar="ID…", nargs=-1, type=click.IntRange(1))
    @site_options
    @click.option("--all", "everyone", is_flag=True, help="Address every runner of this queue.")
    @click.option("--dry-run", is_flag=True, help="Check everything; change nothing.")
    @click.pass_context
    @one_line_errors
    def command(
        ctx: click.Context, ids: Sequence[int], *, everyone: bool, dry_run: bool, **flags: Any
    ) -> None:
        if bool(ids) == everyone:
            raise InputError("name runners by their ids (wpbridge workers list), or give --all")
        settings = settings_of(ctx, flags)
        with closing(JobQueue.of(settings)) as queue:
            wanted = list(dict.fromkeys(ids)) or _everyone(queue, verb)
            wish = _would_wish if dry_run else _wished
            refused = [one for one in wanted if not wish(queue, one, verb, done)]
        if not wanted:
            told("there is no runner")
        if refused:
            raise SystemExit(int(Exit.ERROR))

    return command


def _everyone(queue: JobQueue, verb: str) -> list[int]:
    seen = workers_of(queue.store, SystemClock().now())
    return [one.id for one in seen.runners if verb != "stop" or one.can_stop]


def _wished(queue: JobQueue, runner: int, verb: str, done: str) -> bool:
    """Wish something of one runner, and say so; return False where that is refused."""
    try:
        change = carry_out(queue, f"{verb}-worker", (), {"runner": runner}, who=_who())
    except InputError as error:
        told(str(error))
        return False
    print_line(f"runner {runner} is {done if change.count else 'as it was'}")
    return True


def _would_wish(queue: JobQueue, runner: int, verb: str, done: str) -> bool:
    """Say what the wish would change; return False where it would be refused."""
    try:
        is_new = check_wish(queue, runner, _WISHES[verb])
    except InputError as error:
        told(str(error))
        return False
    print_line(f"runner {runner} would be {f'told {done}' if is_new else 'as it was'}")
    return True


def _who() -> str:
    return f"cli:{owner_name(os.getuid())}@{socket.gethostname()}"


quiet = _wish_command(
    "quiet",
    "Make runners claim nothing more; running actions go on.",
    "Make runners claim nothing more until you wake them. Running actions go on.\n\n"
    "A runner obeys at its next beat, 15 seconds later at most. When a daemon replaces a quiet"
    " worker, the new one is quiet, too.",
    "to be quiet",
)
wake = _wish_command(
    "wake",
    "Let quiet runners claim again.",
    "Let quiet runners claim actions again.",
    "to work",
)
stop = _wish_command(
    "stop",
    "Make runners end after their running actions.",
    "Make runners claim nothing more and end after their running actions, as on TERM.\n\n"
    "If you stop a worker of `wpbridge work`, its whole daemon ends. Its service manager may start"
    " it again. You cannot take this back.",
    "to stop",
)
