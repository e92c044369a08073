"""``migrate wp-cron``: WP-Cron's events into actions, and back."""

import uuid
from collections.abc import Sequence
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any, Final

import click

from wpbridge.app import cron_bridge as bridges
from wpbridge.cli.exit_codes import Exit
from wpbridge.cli.migrating import opened_with_places, undo_file
from wpbridge.cli.options import format_option, one_line_errors, settings_of, site_options
from wpbridge.cli.output import confirm, told
from wpbridge.cli.progress import counting
from wpbridge.cli.stopping import stoppable
from wpbridge.cli.terminal import print_json, print_line
from wpbridge.cli.times import times_in, tz_option
from wpbridge.clock import from_timestamp
from wpbridge.codec.wp_cron import Event
from wpbridge.errors import InputError
from wpbridge.migrate.file_locations import FileLocations
from wpbridge.migrate.journal import Journal, name_of
from wpbridge.migrate.wp_cron import left_events
from wpbridge.migrate.wp_cron.journal_steps import left_as_row
from wpbridge.migrate.wp_cron.moving import KIND, Moved, Mover, read
from wpbridge.migrate.wp_cron.plan import GROUP, Choice, Left, Plan, bytes_of, plan_of
from wpbridge.migrate.wp_cron.undo import Undo, Undone
from wpbridge.queue.facade import Queue
from wpbridge.site.config import Settings
from wpbridge.site.moments import iso, parse_duration
from wpbridge.site.resolve import Site
from wpbridge.telling.words import plural

SAMPLES: Final = 5
_FLUSH: Final = (
    "WordPress caches its options: with a persistent object cache run `wp cache flush` now, then"
    " this command once more"
)


@click.command(
    "wp-cron",
    short_help="Turn WP-Cron's events into actions.",
    epilog="""
Examples:
  wpbridge migrate wp-cron --path /var/www/html --dry-run
  wpbridge migrate wp-cron --path /var/www/html --hooks 'shop_*' --bridge --yes
  wpbridge migrate wp-cron --path /var/www/html --undo wpbridge-wp-cron-shop-wp.journal --yes
""",
)
@site_options
@click.option(
    "--hooks",
    multiple=True,
    metavar="PATTERN",
    help="Only hooks that match; * and ? are wildcards (all).",
)
@click.option("--with-core", is_flag=True, help="Also move events of WordPress's own hooks.")
@click.option(
    "--group", default=GROUP, metavar="SLUG", help="The group of the new actions (wp-cron)."
)
@click.option(
    "--file",
    metavar="FILE",
    help="Read the option's bytes from here; the site's option is left alone.",
)
@click.option(
    "--journal", metavar="FILE", help="The file that notes what is done (in the state folder)."
)
@click.option("--undo", metavar="JOURNAL", help="Put back the events that this journal names.")
@click.option(
    "--bridge",
    is_flag=True,
    help="Write a must-use plugin that shows the actions to PHP as events.",
)
@click.option(
    "--settle",
    default="10s",
    metavar="TIME",
    help="How long to watch for requests that put events back (10s).",
)
@click.option("--dry-run", is_flag=True, help="Say what would be moved; change nothing.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@format_option("How to print the summary (text).")
@tz_option
@click.pass_context
@one_line_errors
def wp_cron(
    ctx: click.Context,
    *,
    hooks: tuple[str, ...],
    with_core: bool,
    group: str,
    file: str | None,
    journal: str | None,
    undo: str | None,
    bridge: bool,
    settle: str,
    dry_run: bool,
    yes: bool,
    **flags: Any,
) -> None:
    """Turn WP-Cron's events into actions: single ones at their date, recurring ones by interval.

    WordPress's own events stay, unless you name them or give --with-core. Events that no action can
    hold stay where they are and are written to the journal's file with .left at its end. The exit
    code is 1 then.
    """
    choice = Choice(hooks=hooks, with_core=with_core)
    seconds = parse_duration(settle, "--settle").total_seconds()
    settings = settings_of(ctx, flags)
    with opened_with_places(settings) as (queue, places):
        if undo is not None:
            if hooks or file or with_core:
                raise InputError("--undo: it puts back all that its journal tells of")
            _undo(queue, places, settings, undo, seconds, dry_run=dry_run, yes=yes)
            return
        data = read(queue) if file is None else bytes_of(Path(file))
        found = plan_of(data, choice, group, file)
        if dry_run:
            _tell_plan(found, settings, times_in(settings, queue.store))
            raise SystemExit(int(Exit.ERROR if found.left else Exit.OK))
        queue.store.check_writable()
        noted = places.journal(journal, KIND)
        if found.events:
            confirm(f"Move {plural(len(found.events), 'event')} out of WP-Cron", yes=yes)
        with places.begun(noted, KIND, {"id": uuid.uuid4().hex}) as steps:
            mover = Mover(queue, steps, choice=choice, group=group)
            if found.events and file is None:
                _ready_php(queue, places, settings, found, group, steps if bridge else None)
            with stoppable(), counting("wp-cron", len(found.events), lines=True) as advance:
                mover.advance = advance
                mover.settling = lambda: told(_cached(places.site))
                done = mover.move(seconds) if file is None else mover.copy(data)
            left_events.write(done.left, noted)
            _tell_moved(done, found, noted, settings)
    raise SystemExit(int(Exit.ERROR if done.left or done.faults else Exit.OK))


def _ready_php(  # noqa: PLR0917 - what the bridge is written from
    queue: Queue,
    places: FileLocations,
    settings: Settings,
    found: Plan,
    group: str,
    steps: Journal | None,
) -> None:
    """Write the bridge; without a journal for it, say what PHP code may do without one."""
    if steps is None:
        told("PHP code that looks for these hooks in WP-Cron may schedule them anew: see --bridge")
        return
    bridges.install(queue, places.site, found, group, steps, trusted=settings.trusted)


def _undo(
    queue: Queue,
    places: FileLocations,
    settings: Settings,
    undo: str,
    settle_seconds: float,
    *,
    dry_run: bool,
    yes: bool,
) -> None:
    file, site = undo_file(places, undo), places.site
    if not dry_run:
        queue.store.check_writable()
    with Journal(file, kind=KIND, site=name_of(queue.store), is_old=True) as steps:
        it = Undo(queue, steps, bridged=bridges.leaving(queue, site, steps))
        # Looked at first where somebody is to be asked, or wants to know only.
        done = it.look() if dry_run or not yes else None
        if done is not None and done.changed and not dry_run:
            back = plural(done.restored + done.scheduled, "event")
            some = f"Cancel {plural(done.changed, 'action')}, put {back}"
            confirm(f"{some} back into WP-Cron", yes=yes)
        if done is None or not dry_run:
            with stoppable(), counting("undo", it.total, lines=True) as advance:
                done = it.run(advance)
        try:
            if not dry_run and site.mu_plugins is not None and not done.busy:
                bridges.remove(queue, site, steps, trusted=settings.trusted)
                it.finish(done, settle_seconds)
        finally:
            # What was put back is told whatever lies in the bridge's place.
            _tell_undone(done, settings, times_in(settings, queue.store), dry_run=dry_run)
            if not dry_run and done.restored + done.scheduled:
                told(_FLUSH)
    is_whole = not (done.busy or done.faults or done.left)
    raise SystemExit(int(Exit.OK if is_whole else Exit.ERROR))


def _cached(site: Site) -> str:
    """Say that a cache of options must be flushed, and whether there is one."""
    drop_in = None if site.folder is None else site.folder / "wp-content" / "object-cache.php"
    if drop_in is not None and drop_in.is_file():
        return f"{drop_in} is there. {_FLUSH}"
    return _FLUSH


# What is told


def _tell_plan(plan: Plan, settings: Settings, zone: tzinfo) -> None:
    by_hook = plan.by_hook()
    if settings.format == "json":
        told_plan = {"would_move": len(plan.events), "by_hook": dict(by_hook.most_common())}
        more = {"left": [left_as_row(one) for one in plan.left], "others": plan.others}
        print_json({**told_plan, **more, "samples": _samples(plan.events, UTC)})
        return
    for hook, count in by_hook.most_common():
        print_line(f"{count:>8,} {hook}")
    _tell_samples(plan.events, zone)
    _tell_left(plan.left)
    print_line(
        f"would move {plural(len(plan.events), 'event')}, leave {len(plan.left):,} that no action"
        f" can hold and {plan.others:,} not meant"
    )


def _samples(events: Sequence[Event], zone: tzinfo) -> list[dict[str, Any]]:
    return [
        {
            "hook": event.name(),
            "args": event.args(),
            "date": iso(from_timestamp(event.date), zone),
            "interval": event.interval() or None,
        }
        for event in events[:SAMPLES]
    ]


def _tell_samples(events: Sequence[Event], zone: tzinfo) -> None:
    for sample in _samples(events, zone):
        often = "once" if sample["interval"] is None else f"every {sample['interval']} s"
        print_line(f"e.g. {sample['hook']} {sample['args']} {sample['date']} {often}")


def _tell_left(left: list[Left]) -> None:
    for one in left[:SAMPLES]:
        place = f"{one.event.name()} at {str(one.event.date) or 'no date'}".strip()
        told(f"left in WP-Cron: {place}: {one.reason}")
    if len(left) > SAMPLES:
        told(f"left in WP-Cron: {len(left) - SAMPLES:,} more")


def _tell_moved(done: Moved, plan: Plan, journal: Path, settings: Settings) -> None:
    side = left_events.file_of(journal)
    counts: dict[str, Any] = {
        "moved": done.moved,
        "returned": done.returned,
        "merged": done.merged,
        "known": done.known,
        "left": len(done.left),
        "others": plan.others,
        "checked": done.checked,
        "faults": done.faults,
        "journal": str(journal),
    }
    if settings.format == "json":
        print_json(counts)
        return
    _tell_left(done.left)
    for fault in done.faults:
        told(fault)
    words = [f"moved {plural(done.moved, 'event')} of {plural(len(done.hooks), 'hook')}"]
    words += [f"{done.returned:,} that were moved before taken out again"] * bool(done.returned)
    words += [f"{done.merged:,} whose action stands already taken out"] * bool(done.merged)
    words += [f"{done.known:,} known from before"] * bool(done.known)
    words += [f"{done.checked:,} compared with their events"] * bool(done.checked)
    words += [f"{len(done.left):,} left, see {side}"] * bool(done.left)
    print_line(f"{', '.join(words)}; undo with --undo {journal}")


def _tell_undone(done: Undone, settings: Settings, zone: tzinfo, *, dry_run: bool) -> None:
    if settings.format == "json":
        counts: dict[str, Any] = {
            "would_restore" if dry_run else "restored": done.restored,
            "scheduled": done.scheduled,
            "present": done.present,
            "copies": done.copies,
            "ended": done.ended,
            "busy": done.busy,
            "left": [
                {"id": action_id, "hook": hook, "reason": reason}
                for action_id, hook, reason in done.left
            ],
        }
        more: dict[str, Any] = {"checked": done.checked, "faults": done.faults}
        if dry_run:
            more = {"samples": _samples(done.samples, UTC)}
        print_json(counts | more)
        return
    if dry_run:
        _tell_samples(done.samples, zone)
    for action_id, hook, reason in done.left[:SAMPLES]:
        told(f"left in the queue: action {action_id} ({hook}): {reason}")
    for fault in done.faults:
        told(fault)
    words = [f"{'would put' if dry_run else 'put'} {plural(done.restored, 'event')} back"]
    words += [f"{done.scheduled:,} that PHP has scheduled since"] * bool(done.scheduled)
    words += [f"{done.present:,} there already"] * bool(done.present)
    words += [f"{done.ended:,} not pending any more"] * bool(done.ended)
    copies = f"{plural(done.copies, 'action')} of a file {'would be ' * dry_run}canceled"
    words += [copies] * bool(done.copies)
    words += [f"{len(done.left):,} left in the queue"] * bool(done.left)
    words += [f"{done.busy:,} running: try again later"] * bool(done.busy)
    if not dry_run and done.changed:
        words.append("NOT verified" if done.faults else "verified")
    print_line(", ".join(words))
