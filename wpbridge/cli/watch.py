"""``watch``: look whether alerts fire, and tell people."""

import os
import select
from typing import Any

import click

from wpbridge.cli.exit_codes import Exit
from wpbridge.cli.options import one_line_errors, settings_of, site_options
from wpbridge.cli.terminal import print_line, print_text
from wpbridge.daemon.log_setup import start_log
from wpbridge.daemon.signals import STOPS, caught
from wpbridge.errors import ConfigError
from wpbridge.monitor.messages import trial
from wpbridge.monitor.rule_texts import summary, title
from wpbridge.monitor.watched_site import name_of, targets_of, watcher_of
from wpbridge.monitor.watching import Look, Watcher
from wpbridge.monitor.watching import watch as run
from wpbridge.site.config import Settings
from wpbridge.site.resolve import resolve


@click.command(
    short_help="Send alerts by mail, Slack and the like.",
    epilog="""
Examples:
  wpbridge watch --path /var/www/html
  wpbridge watch --path /var/www/html --once
  wpbridge watch --path /var/www/html --test
  wpbridge watch --path /var/www/html --dry-run
""",
)
@site_options
@click.option("--once", is_flag=True, help="Look once; exit 1 if something fires, else 0.")
@click.option("--dry-run", is_flag=True, help="Look once; print what would be sent.")
@click.option("--test", "is_test", is_flag=True, help="Send a test message to each target.")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    help="How to write log lines to stderr (text).",
)
@click.option("-v", "--verbose", count=True, help="Log each message; twice for more.")
@click.pass_context
@one_line_errors
def watch(
    ctx: click.Context, *, once: bool, dry_run: bool, is_test: bool, verbose: int, **flags: Any
) -> None:
    """Look each minute whether alerts fire, and tell people by mail, Slack and the like.

    The settings [alerts] name the recipients. Several watchers of a site may run: one of them
    sends, and another takes over when it ends. TERM or INT ends a watcher, with exit code 0.

    With --once it looks once, for a cron job or a script: it prints what is above its threshold,
    sends the messages that are due, and exits with 1 if something is above its threshold, even if
    that has not lasted long enough for a message.
    """
    settings = settings_of(ctx, {**flags, "verbose": verbose or None})
    start_log(settings)
    if is_test:
        _test(settings)
        return
    watcher = watcher_of(settings)
    if dry_run or (once and not settings.alerts_to):
        seen = watcher.preview()
        watcher.close()
        _print(seen)
        if dry_run:
            _print_messages(seen)
        elif seen.firing:
            raise SystemExit(Exit.ERROR)
    elif once:
        seen = watcher.look_once()
        _print(seen)
        if seen.firing:
            raise SystemExit(Exit.ERROR)
    elif settings.alerts_to:
        _watch(watcher)
    else:
        raise ConfigError(
            'nobody would be told: set [alerts] to = ["mailto://…"], or WPBRIDGE_ALERTS_TO; or look'
            " once with --once"
        )


def _watch(watcher: Watcher) -> None:
    with caught(STOPS) as signals:
        run(watcher, lambda seconds: bool(select.select([signals], [], [], seconds)[0]))


def _test(settings: Settings) -> None:
    """Send a test to each target; exit 1 unless all of them take it."""
    site = resolve(settings, os.environ)
    targets = targets_of(settings, site)
    if not targets:
        raise ConfigError("there is nobody to tell: set [alerts] to, or WPBRIDGE_ALERTS_TO")
    message, refused = trial(name_of(site)), 0
    for target in targets:
        is_sent = target.send(*message)
        refused += not is_sent
        print_line(f"{'sent to' if is_sent else 'not taken by'} {target.shown}")
    if refused:
        raise SystemExit(Exit.ERROR)


def _print(seen: Look) -> None:
    for one in seen.firing:
        print_line(f"{title(one.rule, one.of)}: {summary(one)} {one.rule.advice}")


def _print_messages(seen: Look) -> None:
    for message in seen.messages:
        print_line(f"would send: {message.title}")
        print_text(message.body)
    if not seen.messages:
        print_line("nothing would be sent now")
