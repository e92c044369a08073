"""``claim-and-run``: one run, as cron starts it."""

import signal
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import click

from wpbridge import app
from wpbridge.action import Claim
from wpbridge.app.named_run import judge, put_back, unasked
from wpbridge.app.parts import plan, prepared
from wpbridge.cli.exit_codes import Exit
from wpbridge.cli.filters import ids_of
from wpbridge.cli.metrics import textfile, textfile_option
from wpbridge.cli.misspelled import tell_unclaimed
from wpbridge.cli.options import (
    format_option,
    handlers_option,
    narrowing_options,
    one_line_errors,
    php_options,
    php_pool_options,
    settings_of,
    site_options,
)
from wpbridge.cli.output import told
from wpbridge.cli.progress import counting_run
from wpbridge.cli.stopping import EXITS, draining
from wpbridge.cli.terminal import print_cells, print_json, print_line
from wpbridge.clock import SystemClock
from wpbridge.errors import WpCliError
from wpbridge.runner.in_hand import Totals
from wpbridge.runner.loop import Runner
from wpbridge.site.config import Settings
from wpbridge.store.base import ClaimFilter
from wpbridge.store.opened import OpenStore
from wpbridge.store.records import Record
from wpbridge.telling.words import plural


def _outcome_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say what a run prints, logs and exits with."""
    for option in (
        click.option(
            "--log-format", type=click.Choice(["text", "json"]), help="How to log (text)."
        ),
        click.option("-v", "--verbose", count=True, help="Log to stderr; twice for more."),
        click.option("--quiet", is_flag=True, default=None, help="Print errors only."),
        format_option("How to print (text)."),
        click.option("--fail-on-error", is_flag=True, help="Exit 3 when an action failed."),
    ):
        command = option(command)
    return command


@click.command(
    "claim-and-run",
    short_help="Claim due actions and run them.",
    epilog="""
Examples:
  wpbridge claim-and-run --path /var/www/html --handlers shop.hooks --quiet
  wpbridge claim-and-run --dsn sqlite:///queue.db --handlers hooks --max-time 55s
  wpbridge claim-and-run --path /var/www/html --php --max-time 55s --quiet
  wpbridge claim-and-run --path . --php --wp "docker exec -i site wp" --php-workers 4
  wpbridge claim-and-run --path . --handlers hooks --dry-run
""",
)
@site_options
@handlers_option
@click.option(
    "--batch-size", type=click.IntRange(1, 10_000), help="Actions in each claim (25 to 500)."
)
@click.option("--batches", type=click.IntRange(0), help="Claims at most (0: until none is due).")
@click.option("--max-actions", type=click.IntRange(0), help="Actions at most (0: no limit).")
@click.option("--max-time", metavar="TIME", help="Claim no more after this: 55s, 10m.")
@narrowing_options
@click.option(
    "--concurrency", type=click.IntRange(1, 1000), help="Handlers that run at the same time (4)."
)
@php_options
@click.option(
    "--php-workers",
    type=click.IntRange(1, 256),
    help="PHP processes at once (one for each processor).",
)
@php_pool_options
@textfile_option
@click.option("--dry-run", is_flag=True, help="Show what would be claimed; change nothing.")
@_outcome_options
@click.pass_context
@one_line_errors
def claim_and_run(
    ctx: click.Context, *, dry_run: bool, fail_on_error: bool, verbose: int, **flags: Any
) -> None:
    """Claim due actions, run their handlers, and write the tables as the plugin would."""
    settings = settings_of(ctx, {**flags, "verbose": verbose or None})
    with (
        closing(prepared(settings)) as parts,
        textfile(settings, parts.store, site=parts.site.label) as counts,
    ):
        if dry_run or not (settings.quiet or settings.log_format == "json"):
            tell_unclaimed(parts.store, settings, parts.routes)
        if dry_run:
            _print_plan(plan(parts, settings), settings.format)
            return
        runner = app.make_runner(settings, parts.site, parts.store, parts.handlers, only=parts.only)
        counts(runner.counter)
        caught = _drive(runner, settings)
        if not (settings.quiet or runner.totals.claimed):
            _tell_pauses(parts.store)
    _finish(runner, settings, caught, fail_on_error=fail_on_error)


@click.command(
    "run",
    short_help="Run these actions now, whatever their date.",
    epilog="""
Examples:
  wpbridge run 4711 --path /var/www/html --handlers shop.hooks
  wpbridge run 4711 4712 --path /var/www/html --php
  wpbridge run 4711 --path . --handlers hooks --dry-run
""",
)
@click.argument("targets", metavar="ID…", nargs=-1, required=True)
@site_options
@handlers_option
@php_options
@click.option("--dry-run", is_flag=True, help="Say which actions would run; change nothing.")
@_outcome_options
@click.pass_context
@one_line_errors
def run_ids(
    ctx: click.Context,
    targets: Sequence[str],
    *,
    dry_run: bool,
    fail_on_error: bool,
    verbose: int,
    **flags: Any,
) -> None:
    """Run pending actions now, even if they are not due yet or are paused.

    Actions that are not pending, or that a runner has claimed, are left as they are, and the exit
    code is 1. The same holds for actions without a callback in WordPress; with --missing-callback
    fail they fail, as with the plugin. A recurring action that runs before its date keeps that date
    for the next time, as with the plugin. For actions that have ended use `requeue`.
    """
    ids = list(dict.fromkeys(ids_of(targets)))
    settings = settings_of(ctx, {**flags, "verbose": verbose or None})
    runner: Runner | None = None
    caught: list[signal.Signals] = []
    held: Sequence[Record] = ()
    claimed = 0
    with closing(prepared(settings, any_hooks=True)) as parts:
        named = judge(parts.store, ids, parts.routes)
        for action_id, why in named.left.items():
            told(f"action {action_id} left as it is: {why}")
        only = ClaimFilter(ids=frozenset(named.wanted), upkeep=True)
        settings = replace(settings, batch_size=max(1, len(named.wanted)), batches=1)
        if dry_run:
            claim = plan(parts, settings, only)
            claimed = len(claim.actions) if claim else 0
            _print_plan(claim, settings.format)
            if settings.missing_callback != "fail":
                _tell_unasked(unasked(named, parts.routes))
        elif named.wanted:
            runner = app.make_runner(
                settings, parts.site, parts.store, parts.handlers, only=only, kind="run"
            )
            caught = _drive(runner, settings)
            claimed = runner.totals.claimed
            held = put_back(parts.store, named.wanted, runner)
    _tell_held(held)
    if claimed < len(named.wanted) and not caught:
        told(f"{plural(len(named.wanted) - claimed, 'action')} left: a runner was quicker")
    if runner is not None:
        _finish(runner, settings, caught, fail_on_error=fail_on_error)
    elif not dry_run and not settings.quiet:
        _print_totals(Totals(), settings.format)
    if held or claimed < len(ids):
        raise SystemExit(int(Exit.ERROR))


def _tell_pauses(store: OpenStore) -> None:
    """Say what is paused: a run may have found nothing for that."""
    for pause in store.pauses.in_force(SystemClock().now()):
        what = "everything" if pause.kind == "all" else f"{pause.kind} {pause.name}"
        told(f"{what} is paused")


def _tell_unasked(records: Sequence[Record]) -> None:
    for record in records:
        told(
            f"action {record.id}: not asked whether WordPress has a callback for"
            f" {record.hook}; wpbridge explain {record.id} --php --ask-wordpress asks"
        )


def _tell_held(records: Sequence[Record]) -> None:
    for record in records:
        told(
            f"action {record.id} was not run, and is pending as before: WordPress has no callback"
            f" for {record.hook}"
        )


def _drive(runner: Runner, settings: Settings) -> list[signal.Signals]:
    """Run to the end; returns the signals that came meanwhile."""
    with (
        draining(runner) as caught,
        counting_run(runner, quiet=bool(settings.quiet or settings.verbose)),
    ):
        runner.run()
    return caught


def _finish(
    runner: Runner, settings: Settings, caught: list[signal.Signals], *, fail_on_error: bool
) -> None:
    """Print the totals, and end with the exit code that says how it went."""
    totals = runner.totals
    if not settings.quiet:
        _print_totals(totals, settings.format)
    if caught:
        raise SystemExit(int(EXITS[caught[0]]))
    if trouble := runner.trouble():
        raise WpCliError(trouble)
    if fail_on_error and totals.failed:
        raise SystemExit(int(Exit.SOME_FAILED))


def _print_totals(totals: Totals, style: str) -> None:
    numbers = {
        "claimed": totals.claimed,
        "complete": totals.complete,
        "failed": totals.failed,
        "retried": totals.retried,
        "released": totals.released,
        "held": totals.held,
        "canceled": totals.canceled,
        "lost": totals.lost,
        "reclaimed": totals.reclaimed,
        "seconds": round(totals.seconds, 3),
    }
    if style == "json":
        print_json(numbers)
        return
    always = ("claimed", "complete", "failed")
    parts = [f"{n} {v}" for n, v in numbers.items() if n != "seconds" and (v or n in always)]
    print_line(f"{', '.join(parts)} in {totals.seconds:.2f} s")


def _print_plan(claim: Claim | None, style: str) -> None:
    actions = claim.actions if claim else ()
    if style == "json":
        rows = [{"id": a.id, "hook": a.hook, "group": a.group} for a in actions]
        print_json({"would_claim": len(rows), "actions": rows})
        return
    print_line(f"would claim {plural(len(actions), 'action')}")
    for action in actions:
        print_cells((str(action.id), action.hook, action.group))
