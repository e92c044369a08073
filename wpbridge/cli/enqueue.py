"""``enqueue`` and ``generate``: new actions, one or many."""

from collections.abc import Mapping, Sequence
from datetime import UTC, tzinfo
from itertools import islice
from typing import Any, Final

import click

from wpbridge.action import ActionId
from wpbridge.cli.filters import ids_of, moment_of_flags, read_args
from wpbridge.cli.options import one_line_errors, settings_of, site_options
from wpbridge.cli.output import told
from wpbridge.cli.progress import counting
from wpbridge.cli.terminal import print_line, write_data
from wpbridge.cli.times import times_in
from wpbridge.clock import SystemClock
from wpbridge.errors import InputError
from wpbridge.queue.enqueue import LAST_SECOND, Enqueue
from wpbridge.queue.facade import BULK, Queue, opened
from wpbridge.queue.many import add_batches
from wpbridge.site.moments import iso, parse_duration, parse_moment
from wpbridge.telling.words import plural

_ONE_ONLY: Final = (
    "args",
    "at",
    "in_",
    "interval",
    "cron",
    "tz",
    "group",
    "priority",
    "unique",
    "key",
    "after",
    "after_failed",
)


@click.command(
    short_help="Add an action, or many from JSON lines.",
    epilog="""
Examples:
  wpbridge enqueue send_mail --args '{"order": 17}' --group mail
  wpbridge enqueue send_mail --args '[17]' --in 10m --unique
  wpbridge enqueue nightly_report --cron '0 3 * * *' --tz Europe/Rome
  wpbridge enqueue sync_stock --at 2026-12-01T06:00Z --interval 1h
  wpbridge enqueue ship_order --args '[17]' --after 4711 --key ship-17
  wpbridge enqueue send_mail --args @order.json --dry-run
  wpbridge enqueue --jsonl orders.jsonl --porcelain
""",
)
@click.argument("hook", required=False)
@site_options
@click.option("--args", "args", metavar="JSON|@FILE|-", help="A JSON list or object ([]).")
@click.option("--at", metavar="DATE", help="When it is due: 2026-12-01T09:00Z, +2h, @1796000000.")
@click.option("--in", "in_", metavar="TIME", help="How long from now it is due: 10m, 2h, 7d.")
@click.option("--interval", metavar="TIME", help="Repeat it so long after each run: 3600, 1h.")
@click.option(
    "--cron", metavar="EXPRESSION", help="Repeat it by a cron expression, as the plugin reads it."
)
@click.option(
    "--tz",
    metavar="ZONE",
    help="Read --cron (and --at) in this zone, and show when it is due: Europe/Rome.",
)
@click.option("--group", metavar="SLUG", help="The action's group.")
@click.option("--priority", type=int, metavar="0-255", help="Lower runs first (10).")
@click.option(
    "--unique", is_flag=True, help="Add nothing while the same action is pending or running."
)
@click.option(
    "--unique-by",
    type=click.Choice(["auto", "group", "args"]),
    help="What makes two actions the same: hook and group, or args as well.",
)
@click.option("--key", metavar="TEXT", help="Idempotency key: a second call adds nothing.")
@click.option(
    "--after", multiple=True, metavar="ID", help="Start it only when this action has ended."
)
@click.option(
    "--after-failed",
    type=click.Choice(["hold", "run", "cancel"]),
    help="If that one fails: go on waiting, run all the same, or cancel (hold).",
)
@click.option(
    "--jsonl",
    metavar="FILE|-",
    help="Add many: one JSON object a line, whose keys are named as the flags.",
)
@click.option("--porcelain", is_flag=True, help="Print ids only.")
@click.option("--dry-run", is_flag=True, help="Say what would be added; change nothing.")
@click.pass_context
@one_line_errors
def enqueue(
    ctx: click.Context,
    hook: str | None,
    *,
    jsonl: str | None,
    porcelain: bool,
    dry_run: bool,
    **flags: Any,
) -> None:
    """Add an action to the queue, as the as_enqueue_* and as_schedule_* functions do.

    Without a date, an interval or a cron expression the action is due at once. Prints the id of the
    action. With --unique, nothing is added while the same action is pending or running. Dates
    without a zone are UTC, or in the zone of --tz.
    """
    own = {name: flags.pop(name) for name in _ONE_ONLY}
    settings = settings_of(ctx, flags)
    if jsonl is not None:
        # By what it is: a priority of 0 is given, too.
        is_given = any(not (v is None or v is False or v == ()) for v in own.values())
        if hook is not None or is_given:
            raise InputError("--jsonl: hook, args and the rest stand in the lines")
        with opened(settings) as queue:
            _many(queue, jsonl, porcelain=porcelain, dry_run=dry_run)
        return
    if hook is None:
        raise InputError("name a hook, or give --jsonl")
    new = _one(hook, own)
    with opened(settings) as queue:
        zone = times_in(settings, queue.store) if own["tz"] is None else _zone(own["tz"])
        if dry_run:
            _print_plan(queue, new, zone)
            return
        old = queue.refusal(new) if new.key else None
        action_id = queue.enqueue(new)
        if action_id is None:
            told(f"not added: the same action, {queue.refusal(new)}, has not ended yet")
        elif porcelain:
            print_line(action_id)
        else:
            record = queue.get(action_id)
            when = iso(record.scheduled_at, zone) or "when what it waits for has ended"
            print_line(f"action {action_id}: {record.hook}, due {when}")
            if action_id == old:
                told("not added: that action was made with this key before")


def _one(hook: str, own: Mapping[str, Any]) -> Enqueue:
    if own["tz"] is not None and own["cron"] is None and own["at"] is None:
        raise InputError("--tz: it is for --cron or --at")
    if own["after_failed"] is not None and not own["after"]:
        raise InputError("--after-failed: it is for --after")
    now = SystemClock().now()
    return Enqueue(
        hook=hook,
        args=[] if own["args"] is None else read_args(own["args"]),
        at=moment_of_flags(own["at"], own["in_"], now, _zone(own["tz"])),
        interval=own["interval"],
        cron=own["cron"],
        tz=own["tz"] if own["cron"] is not None else None,
        group=own["group"] or "",
        priority=10 if own["priority"] is None else own["priority"],
        unique=own["unique"],
        key=own["key"] or "",
        after=tuple(ids_of(own["after"])),
        after_failed=own["after_failed"] or "hold",
    )


def _zone(name: str | None) -> tzinfo:
    if name is None:
        return UTC
    from wpbridge.codec import zoned  # noqa: PLC0415 - only where a zone is named
    from wpbridge.errors import CronError  # noqa: PLC0415

    try:
        return zoned.zone_named(name)
    except CronError as error:
        raise InputError(f"--tz: {error}") from error


def _print_plan(queue: Queue, new: Enqueue, zone: tzinfo) -> None:
    action = queue.check(new)
    same = queue.refusal(new)
    if same is not None:
        print_line(f"would add nothing: the same action, {same}, is there already")
        return
    due = "when what it waits for has ended" if new.after else iso(action.scheduled_at, zone)
    print_line(f"would add 1 action: {action.hook} {action.args}, due {due}")


# Many


def _many(queue: Queue, source: str, *, porcelain: bool, dry_run: bool) -> None:
    """Add the actions of a file's lines; all are checked before the first one is written."""
    from wpbridge.cli import enqueue_lines  # noqa: PLC0415 - one action needs none of it

    with enqueue_lines.spooled(source) as lines:
        start = lines.tell()
        count = enqueue_lines.check(queue, lines)
        if dry_run:
            print_line(f"would add {plural(count, 'action')}")
            return
        lines.seek(start)
        with counting("enqueue", count) as advance:

            def tell(ids: Sequence[ActionId | None]) -> None:
                if porcelain:
                    write_data("".join(f"{i}\n" for i in ids if i is not None))
                advance(len(ids))

            done = add_batches(queue, enqueue_lines.batches(lines, count), tell)
    if not porcelain:
        print_line(f"added {plural(done.added, 'action')}")
        if done.refused:
            told(f"{plural(done.refused, 'line')} left out: their like is pending or running")
        if done.known:
            told(f"{plural(done.known, 'line')} left out: their key was used before")


@click.command(
    short_help="Add test actions.",
    epilog="""
Examples:
  wpbridge generate test_hook now --count 1000 --interval 60
  wpbridge generate test_hook 2026-12-01 --count 5 --group test --dry-run
""",
)
@click.argument("hook")
@click.argument("start")
@site_options
@click.option("--count", type=click.IntRange(1, 10_000_000), default=1, help="How many (1).")
@click.option("--interval", default="0", metavar="TIME", help="The time between their dates (0).")
@click.option("--args", "args", metavar="JSON|@FILE|-", help="The actions' args ([]).")
@click.option("--group", default="", metavar="SLUG", help="The actions' group.")
@click.option("--priority", type=int, default=10, metavar="0-255", help="Lower runs first (10).")
@click.option("--dry-run", is_flag=True, help="Say what would be added; change nothing.")
@click.pass_context
@one_line_errors
def generate(
    ctx: click.Context,
    hook: str,
    start: str,
    *,
    count: int,
    interval: str,
    args: str | None,
    group: str,
    priority: int,
    dry_run: bool,
    **flags: Any,
) -> None:
    """Add single actions for tests: COUNT of them, INTERVAL apart, from START on."""
    first = parse_moment(start, SystemClock().now(), name="START")
    step = parse_duration(interval, "--interval")
    if first.timestamp() + step.total_seconds() * (count - 1) > LAST_SECOND:
        raise InputError("--interval: the last one would be due after the year 9999")
    values = [] if args is None else read_args(args)
    new = (
        Enqueue(hook=hook, args=values, at=first + step * n, group=group, priority=priority)
        for n in range(count)
    )
    with opened(settings_of(ctx, flags)) as queue:
        if dry_run:
            queue.check(next(new))
            print_line(f"would add {plural(count, 'action')}")
            return
        with counting("generate", count) as advance:
            while part := list(islice(new, BULK)):
                advance(len(queue.enqueue_many(part)))
    print_line(f"added {plural(count, 'action')}")
