"""``doctor``: what is wrong with a queue, and what can be mended."""

import sys
from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any, Final

import click

from wpbridge.cli.exit_codes import Exit
from wpbridge.cli.options import (
    format_option,
    handlers_option,
    one_line_errors,
    php_options,
    settings_of,
    site_options,
)
from wpbridge.cli.output import told
from wpbridge.cli.terminal import print_json, print_line, styled_printer
from wpbridge.cli.times import tz_option
from wpbridge.doctor import LEVELS, Examination, Finding, Repair, check_up
from wpbridge.telling.words import plural

_COLOURS: Final = {"problem": "bold red", "warning": "yellow", "note": "cyan", "ok": "green"}
_WIDTH: Final = 8


@click.command(
    short_help="Find what is wrong, and mend what is safe to mend.",
    epilog="""
Examples:
  wpbridge doctor --path /var/www/html
  wpbridge doctor --handlers shop.hooks --php
  wpbridge doctor --only backlog,runners --format json
  wpbridge doctor --fix --dry-run
""",
)
@site_options
@click.option("--fix", is_flag=True, help="Mend faults that can be mended safely.")
@click.option("--dry-run", is_flag=True, help="Say what --fix would do; change nothing.")
@click.option("--only", multiple=True, metavar="CHECK,…", help="Only these checks.")
@click.option("--verbose", "-v", is_flag=True, help="Also show the checks that found nothing.")
@handlers_option
@php_options
@format_option("How to print (text).")
@tz_option
@click.pass_context
@one_line_errors
def doctor(
    ctx: click.Context,
    *,
    fix: bool,
    dry_run: bool,
    only: Sequence[str],
    verbose: bool,
    **flags: Any,
) -> None:
    """Look through server, site and queue, and say what is wrong, why it matters and what mends it.

    Changes nothing without --fix. With --fix it frees claims of dead PHP runners, drops empty
    claims, deletes logs without an action, cancels free pending actions that nobody can read, takes
    unique keys from ended actions, and makes wpbridge's own tables. It never touches running
    actions or those that a live runner has in hand. The exit code is 1 if a problem is left.
    """
    names = frozenset(name.strip() for one in only for name in one.split(",") if name.strip())
    settings = settings_of(ctx, flags)
    done = check_up(settings, names, fix=fix, dry_run=dry_run)
    if settings.format == "json":
        _print_json(done.examination, done.repairs)
    else:
        if (fix or dry_run) and not (done.repairs or done.examination.skipped):
            print_line("nothing to mend")
        _print_text(done.examination, done.repairs, verbose=verbose, color=settings.color)
    raise SystemExit(int(Exit.OK if done.is_healthy else Exit.ERROR))


def _print_json(found: Examination, repairs: Sequence[Repair]) -> None:
    print_json(
        {
            "healthy": found.is_healthy,
            "findings": [asdict(finding) for finding in found.findings],
            "skipped": list(found.skipped),
            "fixes": [asdict(repair) for repair in repairs],
        }
    )


def _print_text(
    found: Examination, repairs: Sequence[Repair], *, verbose: bool, color: bool | None
) -> None:
    for repair in repairs:
        print_line(f"{repair.check}: {repair.done}")
    bad = [finding for finding in found.findings if finding.level != "ok"]
    worst_first = sorted(found.findings if verbose else bad, key=lambda f: -LEVELS.index(f.level))
    _print_blocks(worst_first, color=color)
    made = {finding.check for finding in found.findings}.difference(found.skipped)
    print_line(f"{plural(len(made), 'check')}, {plural(len(bad), 'finding')}")
    if found.skipped:
        told(f"{plural(len(found.skipped), 'check')} could not be made: see above")


def _print_blocks(findings: Collection[Finding], *, color: bool | None) -> None:
    is_terminal = sys.stdout.isatty() if color is None else color and sys.stdout.isatty()
    if not is_terminal:
        for finding in findings:
            for level, words in _lines(finding):
                print_line(f"{level:{_WIDTH}}{words}")
        return
    print_pieces = styled_printer(color=color)
    for finding in findings:
        for level, words in _lines(finding):
            print_pieces([(f"{level:{_WIDTH}}", _COLOURS.get(level, "dim")), (words, "default")])


def _lines(finding: Finding) -> list[tuple[str, str]]:
    """Return each line of a finding, with the word before it."""
    lines = [(str(finding.level), f"{finding.check}: {finding.cause}")]
    if finding.effect:
        lines.append(("", finding.effect))
    if finding.fix:
        more = "   (or: doctor --fix)" if finding.fixable else ""
        lines.append(("", f"fix: {finding.fix}{more}"))
    return lines
