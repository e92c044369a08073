"""``clean``, ``dedupe`` and ``release-claims``."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta, tzinfo
from typing import TYPE_CHECKING, Any

import click

from wpbridge.action import Status
from wpbridge.cli.filters import MANY, ids_of, span_from
from wpbridge.cli.names import tell_unknown
from wpbridge.cli.options import one_line_errors, settings_of, site_options
from wpbridge.cli.output import confirm, plural, told
from wpbridge.cli.progress import counting
from wpbridge.cli.terminal import print_json, print_line
from wpbridge.cli.times import times_in, tz_option
from wpbridge.clock import SystemClock
from wpbridge.errors import InputError
from wpbridge.patterns import is_pattern, matches
from wpbridge.queue.facade import Queue, opened
from wpbridge.site.config import Settings
from wpbridge.site.moments import iso, parse_duration, parse_moment
from wpbridge.store.records import Query
from wpbridge.store.running.ownership import runners as runners_of
from wpbridge.store.upkeep.retention import Expiry
from wpbridge.upkeep import cleanup

if TYPE_CHECKING:
    from datetime import datetime

    from wpbridge.site.rules import Keep

_FORMAT = click.option(
    "--format", "format", type=click.Choice(["text", "json"]), help="How (text)."
)
_ENDED = ("complete", "failed", "canceled")


@click.command(
    short_help="Delete what ended long ago, by the plugin's rule or yours.",
    epilog="""
Examples:
  wpbridge clean --dry-run
  wpbridge clean --yes
  wpbridge clean --status complete --older-than 7d --hook 'wc_*' --yes
  wpbridge clean --status failed --before 2026-06-01 --yes
  wpbridge clean --orphan-logs --dry-run
""",
)
@site_options
@click.option(
    "--status",
    "statuses",
    multiple=True,
    metavar="STATUS",
    help="Only these: complete, canceled, failed (complete and canceled).",
)
@click.option("--hook", "hooks", multiple=True, metavar="PATTERN", help="Only these; * and ?.")
@click.option("--group", "groups", multiple=True, metavar="SLUG", help="Only these groups.")
@click.option("--older-than", metavar="TIME", help="Last attempt so long ago (31d; failed 93d).")
@click.option("--before", metavar="DATE", help="Last attempt before this date.")
@click.option(
    "--batch-size",
    type=click.IntRange(1, 10_000),
    default=cleanup.BATCH_SIZE,
    help="Rows a transaction (500).",
)
@click.option("--batches", type=click.IntRange(0), default=0, help="Batches at most (0: no limit).")
@click.option("--pause", "pause_", default="0", metavar="TIME", help="Between batches (0).")
@click.option("--orphan-logs", is_flag=True, help="Instead: log rows whose action is gone.")
@click.option("--dry-run", is_flag=True, help="Count what would go; change nothing.")
@click.option("--quiet", is_flag=True, default=None, help="Print errors only, as cron likes it.")
@tz_option
@click.option("--yes", "-y", is_flag=True, help=f"Do not ask about more than {MANY}.")
@_FORMAT
@click.pass_context
@one_line_errors
def clean(
    ctx: click.Context,
    *,
    statuses: Sequence[str],
    hooks: Sequence[str],
    groups: Sequence[str],
    older_than: str | None,
    before: str | None,
    batch_size: int,
    batches: int,
    pause_: str,
    orphan_logs: bool,
    dry_run: bool,
    yes: bool,
    **flags: Any,
) -> None:
    """Delete ended actions and their logs, oldest first, in small batches beside running claims.

    By default the plugin's own rule: complete and canceled ones 31 days after their last attempt;
    failed ones only when asked for, 93 days after it. [[retention]] in the settings goes first.
    """
    settings = settings_of(ctx, flags)
    pause = parse_duration(pause_, "--pause")
    if pause > timedelta(days=1):
        raise InputError("--pause: a day at most")
    if orphan_logs and any((statuses, hooks, groups, older_than, before, batches, pause)):
        raise InputError("--orphan-logs: it goes alone, or with --dry-run, --yes and --format")
    with opened(settings) as queue:
        zone = times_in(settings, queue.store)
        if orphan_logs:
            _clean_logs(queue, dry_run=dry_run, yes=yes, style=settings.format)
            return
        wanted = expiries_of(queue, settings, statuses, hooks, groups, older_than, before)
        counts = [queue.store.retention.count(expiry) for expiry in wanted]
        if not dry_run:
            if sum(counts) > MANY:
                confirm(f"delete {plural(sum(counts), 'action')}", yes=yes)
            with counting("clean", sum(counts)) as advance:
                counts = _delete(queue, wanted, batch_size, batches, pause.total_seconds(), advance)
            long_ago = SystemClock().now() - cleanup.ORPHAN_KEY_AGE
            queue.store.retention.forget_keys(long_ago)
    if not wanted:
        told("nothing is meant: there is no such hook, or a rule keeps its actions")
    if dry_run or not settings.quiet:
        _print_cleaned(wanted, counts, dry_run=dry_run, style=settings.format, zone=zone)


def _delete(  # noqa: PLR0917 - the command's options
    queue: Queue,
    wanted: Sequence[Expiry],
    batch_size: int,
    batches: int,
    pause_seconds: float,
    advance: Callable[[int], None],
) -> list[int]:
    """How many of each went; ``batches`` at most for all of them together."""
    counts: list[int] = []
    done = 0

    def tick(count: int) -> None:
        nonlocal done
        done += 1
        advance(count)

    for expiry in wanted:
        is_over = batches > 0 and done >= batches
        counts.append(
            0
            if is_over
            else cleanup.delete_expired(
                queue.store,
                expiry,
                batch_size=batch_size,
                batches=batches - done if batches else 0,
                pause_seconds=pause_seconds,
                tick=tick,
            )
        )
    return counts


def expiries_of(  # noqa: PLR0917 - the command's filters
    queue: Queue,
    settings: Settings,
    statuses: Sequence[str],
    hooks: Sequence[str],
    groups: Sequence[str],
    older_than: str | None,
    before: str | None,
) -> list[Expiry]:
    """What these options mean by old."""
    now = SystemClock().now()
    if older_than is not None and before is not None:
        raise InputError("--older-than and --before: give one of them")
    names = [name.strip() for told_one in statuses for name in told_one.split(",")]
    for name in names:
        if name not in _ENDED:
            raise InputError(f"--status: {name!r} is none of {', '.join(_ENDED)}")
    chosen = tuple(Status(name) for name in names) or cleanup.PLUGIN_STATUSES
    end: datetime | None = None
    if older_than is not None:
        end = span_from(now, older_than, "--older-than", -1)
    elif before is not None:
        end = parse_moment(before, now, name="--before")
    if end is not None and end > now:
        raise InputError("that date is not past: nothing has ended before it yet")
    rules: Sequence[Keep] = () if end is not None else settings.retention
    known = _hooks(queue, hooks, [rule.hook for rule in rules if rule.hook])
    _tell_names(queue, settings, hooks, groups, known)
    found = cleanup.expiries(rules, now=now, hooks=known, statuses=chosen)
    if end is not None:
        found = [replace(expiry, before=end) for expiry in found]
    if names:
        found = [expiry for expiry in found if expiry.status in chosen]
    if hooks:
        named = {hook for hook in known if any(matches(p, hook) for p in hooks)}
        found = [_only(expiry, named) for expiry in found]
        found = [expiry for expiry in found if expiry.hooks]
    return [replace(expiry, groups=tuple(groups)) for expiry in found]


def _tell_names(
    queue: Queue,
    settings: Settings,
    hooks: Sequence[str],
    groups: Sequence[str],
    known: Sequence[str],
) -> None:
    """Name what is misspelled, and patterns that add nothing to the others."""
    exact = [hook for hook in hooks if not is_pattern(hook)]
    for_people = settings.format != "json" and not settings.quiet
    tell_unknown(queue.store, exact, groups, for_people=for_people)
    patterns = [hook for hook in hooks if is_pattern(hook)]
    unmatched = [p for p in patterns if not any(matches(p, hook) for hook in known)]
    if for_people and len(unmatched) < len(hooks):
        for pattern in unmatched:
            told(f"no hook matches `{pattern}`")


def _hooks(queue: Queue, named: Sequence[str], ruled: Sequence[str]) -> list[str]:
    """The hooks that patterns are held against; looked for only where there are patterns."""
    for names in (named, [*named, *ruled]):
        if (names or not ruled) and not any(map(is_pattern, names)):
            return sorted(set(names))
    found = queue.store.reading.hook_names()
    if found is None:
        raise InputError("too many hooks to look for patterns: name them exactly, with --hook")
    return found


def _only(expiry: Expiry, named: set[str]) -> Expiry:
    """Narrowed to these hooks."""
    hooks = named & set(expiry.hooks) if expiry.hooks else named - set(expiry.except_hooks)
    return replace(expiry, hooks=tuple(sorted(hooks)), except_hooks=())


def _print_cleaned(
    wanted: Sequence[Expiry], counts: Sequence[int], *, dry_run: bool, style: str, zone: tzinfo
) -> None:
    if style == "json":
        rows = [
            {
                "status": expiry.status.value,
                "before": iso(expiry.before),
                "hooks": list(expiry.hooks),
                "deleted": 0 if dry_run else count,
                "count": count,
            }
            for expiry, count in zip(wanted, counts, strict=True)
        ]
        print_json({"dry_run": dry_run, "count": sum(counts), "rules": rows})
        return
    for expiry, count in zip(wanted, counts, strict=True):
        some = f", {plural(len(expiry.hooks), 'hook')}" if expiry.hooks else ""
        print_line(
            f"{'would delete' if dry_run else 'deleted'} {count:,} {expiry.status.value}, last"
            f" attempt until {iso(expiry.before, zone)}{some}"
        )


def _clean_logs(queue: Queue, *, dry_run: bool, yes: bool, style: str) -> None:
    parts = queue.store
    if not (dry_run or yes):
        with counting("look", None) as advance:
            count = cleanup.delete_orphan_logs(parts, dry_run=True, tick=advance)
        if count > MANY:
            confirm(f"delete {plural(count, 'log row')}", yes=False)
    with counting("look", None) as advance:
        count = cleanup.delete_orphan_logs(parts, dry_run=dry_run, tick=advance)
    if style == "json":
        print_json({"dry_run": dry_run, "count": count})
    else:
        deed = "would delete" if dry_run else "deleted"
        print_line(f"{deed} {plural(count, 'log row')} whose action is gone")


@click.command(
    short_help="End recurring chains that exist more than once.",
    epilog="""
Examples:
  wpbridge dedupe --dry-run
  wpbridge dedupe --hook nightly_report --yes
""",
)
@site_options
@click.option("--hook", "hooks", multiple=True, metavar="HOOK", help="Only these hooks.")
@click.option("--group", "groups", multiple=True, metavar="SLUG", help="Only these groups.")
@click.option("--dry-run", is_flag=True, help="Say which; change nothing.")
@click.option("--yes", "-y", is_flag=True, help=f"Do not ask about more than {MANY}.")
@_FORMAT
@click.pass_context
@one_line_errors
def dedupe(
    ctx: click.Context,
    *,
    hooks: Sequence[str],
    groups: Sequence[str],
    dry_run: bool,
    yes: bool,
    **flags: Any,
) -> None:
    """Cancel duplicates of recurring actions (same hook, args, group and recurrence).

    The one that is due first goes on; the others say so in their log.
    """
    settings = settings_of(ctx, flags)
    query = Query(hooks=tuple(hooks), groups=tuple(groups))
    with opened(settings) as queue:
        tell_unknown(queue.store, hooks, groups, for_people=settings.format != "json")
        chains = cleanup.duplicate_chains(queue.store, query)
        extra = [record.id for chain in chains for record in chain.extra]
        if not dry_run:
            if len(extra) > MANY:
                confirm(f"cancel {plural(len(extra), 'action')}", yes=yes)
            extra = list(cleanup.end_duplicates(queue.store, chains, now=SystemClock().now()))
    if settings.format == "json":
        rows = [
            {"hook": c.keep.hook, "keep": c.keep.id, "cancel": [r.id for r in c.extra]}
            for c in chains
        ]
        print_json({"dry_run": dry_run, "count": len(extra), "chains": rows})
        return
    for chain in chains:
        ids = " ".join(str(record.id) for record in chain.extra)
        print_line(f"{chain.keep.hook}: keeps {chain.keep.id}, ends {ids}")
    print_line(f"{'would cancel' if dry_run else 'canceled'} {plural(len(extra), 'action')}")


@click.command(
    "release-claims",
    short_help="Free what dead PHP runners hold.",
    epilog="""
Examples:
  wpbridge release-claims --stale --dry-run
  wpbridge release-claims 812
  wpbridge release-claims --empty
""",
)
@click.argument("claim_ids", metavar="[CLAIM…]", nargs=-1)
@site_options
@click.option("--stale", is_flag=True, help="All whose holder gave no sign for 300 s.")
@click.option("--empty", is_flag=True, help="Rows of claims that hold nothing, 300 s old.")
@click.option("--dry-run", is_flag=True, help="Say which; change nothing.")
@_FORMAT
@click.pass_context
@one_line_errors
def release_claims(
    ctx: click.Context,
    claim_ids: Sequence[str],
    *,
    stale: bool,
    empty: bool,
    dry_run: bool,
    **flags: Any,
) -> None:
    """Free waiting actions whose runner is gone, as the plugin's cleaner does after 300 seconds.

    What gave a sign of life since is left alone, and so is what runs. Claims of dead wpbridge
    runners are put back by claim-and-run.
    """
    ids = {int(i) for i in ids_of(claim_ids, "claim id")}
    if not (ids or stale or empty):
        raise InputError("name claims, or give --stale or --empty")
    settings = settings_of(ctx, flags)
    with opened(settings) as queue:
        found = queue.store.reading.claims()
        ours = frozenset(c for runner in runners_of(queue.store.tables) for c in runner.claims)
        unknown = ids - {claim.id for claim in found}
        if unknown:
            raise InputError(f"there is no claim {', '.join(map(str, sorted(unknown)))}")
        wanted = [c for c in found if c.id in ids or (empty if c.is_orphan else stale)]
        freed = cleanup.free_claims(
            queue.store, wanted, ours=ours, now=SystemClock().now(), dry_run=dry_run
        )
    if settings.format == "json":
        print_json(
            {
                "dry_run": dry_run,
                "actions": list(freed.actions),
                "claims": list(freed.claims),
                "left": {str(claim): why for claim, why in freed.left.items()},
            }
        )
    else:
        freeing, dropping = ("would free", "would drop") if dry_run else ("freed", "dropped")
        actions = plural(len(freed.actions), "action")
        print_line(f"{freeing} {actions}, {dropping} {plural(len(freed.claims), 'empty claim')}")
        for claim, why in freed.left.items():
            if claim in ids or not empty:
                told(f"claim {claim} left as it is: {why}")
    if ids & set(freed.left):
        raise SystemExit(1)
