"""``install``: has systemd or cron start wpbridge for a site."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

from wpbridge.cli.options import (
    format_option,
    handlers_option,
    one_line_errors,
    php_options,
    settings_of,
    site_options,
)
from wpbridge.cli.output import told
from wpbridge.cli.terminal import print_json, print_line, print_text
from wpbridge.cli.unrun import tell_unrun
from wpbridge.installing import forecast, unit_file, written
from wpbridge.installing.cron_line import CronLine, cron_line
from wpbridge.installing.started_site import StartedSite, started_site
from wpbridge.installing.unit import Unit, unit
from wpbridge.plugin import companion
from wpbridge.site.config import Settings
from wpbridge.site.resolve import Site, resolve
from wpbridge.site.wpconfig import constants, is_true

_DEEDS: Final = {"created": "write", "renewed": "renew"}
_DISABLED: Final = (
    "DISABLE_WP_CRON is set: visits do not start WP-Cron, so give it a line of its own (wp cron"
    " event run --due-now). "
)
_ENABLED: Final = "DISABLE_WP_CRON is not set: visits start WP-Cron. "
_WITHOUT_COMPANION: Final = (
    "The plugin's own runner goes on, from WP-Cron and from wp-admin; wp install-plugin keeps it"
    " off what wpbridge runs"
)
_WITH_COMPANION: Final = (
    "The plugin's own runner goes on, and the companion plugin keeps it off what wpbridge runs"
)
_OFF: Final = "The companion plugin has switched the plugin's own runner off"
_NO_FLOCK: Final = "no flock is needed: claims are exclusive, so runs that overlap share the work"


class _Asked(NamedTuple):
    """What a command was asked about."""

    settings: Settings
    wordpress: Site
    started: StartedSite


@click.group()
def install() -> None:
    """Have systemd or cron start wpbridge for a site.

    The user is the owner of wp-config.php, never root. Site options, handlers and PHP's options
    that are given here are repeated in what is started. What the settings file says need not be
    given.
    """


def _common(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that both commands have."""
    for option in (
        format_option("How to print (text)."),
        click.option("--run-as", metavar="USER", help="Who runs it (the owner of wp-config.php)."),
        click.option(
            "--name", metavar="NAME", help="A short name for the site (the name of its folder)."
        ),
        php_options,
        handlers_option,
        site_options,
    ):
        command = option(command)
    return command


@install.command(
    epilog="""
Examples:
  wpbridge install systemd --path /var/www/html --handlers shop_hooks --dry-run
  wpbridge install systemd --path /var/www/html --name shop
"""
)
@_common
@click.option(
    "--into",
    default=written.UNITS,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help=f"Folder of the units ({written.UNITS}).",
)
@click.option("--force", is_flag=True, help="Replace a unit of ours that was changed by hand.")
@click.option("--dry-run", is_flag=True, help="Show the unit, and why it is so; write nothing.")
@click.pass_context
@one_line_errors
def systemd(
    ctx: click.Context,
    *,
    name: str | None,
    run_as: str | None,
    into: Path,
    force: bool,
    dry_run: bool,
    **flags: Any,
) -> None:
    """Write the unit that runs a site's daemon, and explain it.

    The unit is deploy/systemd/wpbridge@.service with this site's values. The command never replaces
    a file that wpbridge did not write. It starts nothing, and prints the commands that do.
    """
    asked = _asked(ctx, flags, name=name, run_as=run_as)
    made = unit(asked.started, asked.settings)
    file = into / made.file_name
    change = unit_file.change_of(file, made, force=force)
    if not (dry_run or change == "unchanged"):
        unit_file.write(file, made)
    _print_unit(asked, made, file, change, dry_run=dry_run)


def _print_unit(asked: _Asked, made: Unit, file: Path, change: str, *, dry_run: bool) -> None:
    service = file.stem
    following = [
        asked.started.trial("work", "--dry-run"),
        "systemctl daemon-reload",
        f"systemctl {'restart' if change == 'renewed' else 'enable --now'} {service}",
        f"systemctl status {service}",
    ]
    notes = [*_notes(asked), *_others(asked, file)]
    if asked.settings.format == "json":
        print_json(
            {
                "file": str(file),
                "change": change,
                "dry_run": dry_run,
                "user": asked.started.user.pw_name,
                "unit": made.text,
                "why": [{"line": line, "why": why} for line, why in made.why.items()],
                "notes": notes,
                "next": following,
            }
        )
        return
    if dry_run and change != "unchanged":
        print_text(made.text)
        print_line("")
    deed = f"would {_DEEDS.get(change)}" if dry_run else change
    print_line(f"nothing to do: {file}" if change == "unchanged" else f"{deed} {file}")
    for line, why in made.why.items():
        print_line(f"  {line}")
        print_line(f"      {why}")
    for line in notes:
        told(f"note: {line}")
    print_line("next, as root:")
    for line in following:
        print_line(f"  {line}")


@install.command(
    epilog="""
Examples:
  wpbridge install cron --path /var/www/html --handlers shop_hooks
  wpbridge install cron --path /var/www/html --cron-d
"""
)
@_common
@click.option("--cron-d", is_flag=True, help="The form for a file in /etc/cron.d, with the user.")
@click.pass_context
@one_line_errors
def cron(
    ctx: click.Context, *, name: str | None, run_as: str | None, cron_d: bool, **flags: Any
) -> None:
    """Print the line of a crontab that runs a site's queue each minute. Changes nothing.

    The line, with a comment by which wpbridge recognises it, goes to standard output. What you
    should know about it goes to standard error.
    """
    asked = _asked(ctx, flags, name=name, run_as=run_as)
    made = cron_line(asked.started, names_user=cron_d)
    user = asked.started.user.pw_name
    place = f"/etc/cron.d/wpbridge-{asked.started.name}" if cron_d else f"crontab -u {user} -e"
    trial = asked.started.trial("check", is_bare=True)
    notes = [*_about_cron(asked, made), *_notes(asked), *forecast.full_home(asked.started)]
    if asked.settings.format == "json":
        print_json(
            {
                "mark": made.mark,
                "line": made.line,
                "user": user,
                "place": place,
                "notes": notes,
                "trial": trial,
            }
        )
        return
    print_line(made.mark)
    print_line(made.line)
    told(f"put both lines into {place}" if cron_d else f"put both lines into the crontab: {place}")
    told(f"try it first, as root: {trial}")
    for line in notes:
        told(f"note: {line}")


def _others(asked: _Asked, file: Path) -> list[str]:
    """Return what starts the same site already."""
    here = written.found(file.parent)
    return [
        f"{one.place} starts this site, too"
        for one in (*here.units, *here.cron_lines)
        if one.label == asked.started.label and one.place != file
    ]


def _about_cron(asked: _Asked, made: CronLine) -> list[str]:
    notes = [f"the user is {asked.started.user.pw_name}, {asked.started.why_user}", _NO_FLOCK]
    if made.seconds:
        notes.append(f"sleep {made.seconds}: not all sites of a host start in the same second")
    notes.append("with --quiet only errors are mailed: put MAILTO=you@example.com above the lines")
    file = asked.wordpress.path
    if file is not None:
        disabled = is_true(constants(file).get("DISABLE_WP_CRON"))
        notes.append(f"{_DISABLED if disabled else _ENABLED}{_runner_of_php(asked.wordpress)}")
    return notes


def _runner_of_php(wordpress: Site) -> str:
    """Say what the plugin's own runner does here."""
    ours = companion.told_of(wordpress)
    if ours is None:
        return _WITHOUT_COMPANION
    return _OFF if ours.owns_site else _WITH_COMPANION


def _asked(
    ctx: click.Context, flags: dict[str, Any], *, name: str | None, run_as: str | None
) -> _Asked:
    """Find the site, and refuse what its user's wpbridge would refuse."""
    settings = settings_of(ctx, flags)
    wordpress = resolve(settings, os.environ)
    started = started_site(settings, wordpress, name=name, run_as=run_as, env=os.environ)
    forecast.refuse_what_runs_nothing(settings)
    forecast.refuse_what_is_not_obeyed(started, settings)
    tell_unrun(settings, wordpress)
    return _Asked(settings, wordpress, started)


def _notes(asked: _Asked) -> Sequence[str]:
    """Return what the user should look at before anything is started."""
    settings, started = asked.settings, asked.started
    notes = forecast.unreadable(started, settings, asked.wordpress)
    notes += [
        f"the handlers' module {name} is not in the folder in which it is looked for"
        for name in forecast.missing_handlers(started, settings)
    ]
    if started.left_out:
        names = ", ".join(started.left_out)
        notes.append(f"set in this environment, and not there: {names}")
    return notes
