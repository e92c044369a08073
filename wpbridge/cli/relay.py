"""``relay``: hand actions over to Celery's workers."""

from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from wpbridge import app
from wpbridge.app.parts import prepared
from wpbridge.app.relay import listening, relay_filter
from wpbridge.cli.options import (
    format_option,
    handlers_option,
    narrowing_options,
    one_line_errors,
    settings_of,
    site_options,
)
from wpbridge.cli.output import told
from wpbridge.cli.stopping import EXITS, draining
from wpbridge.cli.terminal import print_json, print_line
from wpbridge.daemon.log_setup import start_log
from wpbridge.errors import ConfigError
from wpbridge.executors.celery.opening import open_broker
from wpbridge.queue.facade import opened
from wpbridge.site.config import Settings

if TYPE_CHECKING:
    from wpbridge.executors.celery.broker import Broker


@click.command(
    "relay",
    short_help="Hand actions over to Celery's workers.",
    epilog="""
Examples:
  wpbridge relay --path /var/www/html --handlers shop.hooks
  wpbridge relay --path /var/www/html --handlers shop.hooks --window 5000
  wpbridge relay --path . --handlers hooks --dry-run
  wpbridge relay --path . --drain
""",
)
@site_options
@handlers_option
@click.option(
    "--window",
    "celery_window",
    type=click.IntRange(1, 100_000),
    help="How many actions may be handed over and not started (1000).",
)
@click.option("--poll-interval", metavar="TIME", help="An idle relay looks this often (1s).")
@narrowing_options
@click.option(
    "--drain", "drains", is_flag=True, help="Stop all relays, and bring back what was handed over."
)
@click.option("--dry-run", is_flag=True, help="Check everything, and show what would be done.")
@format_option("How --dry-run and --drain print (text).")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    help="How to write log lines to stderr (text).",
)
@click.option("--quiet", is_flag=True, default=None, help="Log warnings and errors only.")
@click.option("-v", "--verbose", count=True, help="Log each claim; twice for more.")
@click.pass_context
@one_line_errors
def relay(ctx: click.Context, *, drains: bool, dry_run: bool, verbose: int, **flags: Any) -> None:
    """Claim the due actions whose route says celery, and send messages for them to its workers.

    Start the workers with celery -A wpbridge.celery_app worker and the same settings. On TERM or
    INT the relay hands over no more, and frees the actions that no worker has started.

    --drain stops all relays of the site, drops the messages that named their actions, and makes
    rows of the actions that only messages hold. Actions that workers run just now end as usual.
    """
    settings = settings_of(ctx, {**flags, "verbose": verbose or None})
    if not any(route.to == "celery" for route in settings.routes):
        raise ConfigError('no route of the settings has to = "celery": there is nothing to relay')
    broker = open_broker(settings)
    if drains:
        _drain(settings, broker, dry_run=dry_run)
        return
    with closing(prepared(settings, is_daemon=True)) as parts:
        only = relay_filter(parts.only, parts.routes)
        if dry_run:
            broker.check()
            _plan(settings, parts.site.name, broker.address)
            return
        runner = app.make_runner(
            settings,
            parts.site,
            parts.store,
            parts.handlers,
            only=only,
            daemon=True,
            kind="relay",
        )
        with draining(runner) as caught, listening(parts.store, runner.wake):
            runner.run()
    raise SystemExit(int(EXITS[caught[0]]) if caught else 0)


def _drain(settings: Settings, broker: "Broker", *, dry_run: bool) -> None:
    from wpbridge.app import draining  # noqa: PLC0415 - loads kombu

    start_log(settings)
    with opened(settings) as queue:
        if dry_run:
            found = {
                "relays": len(draining.relays(queue.store)),
                "messages": sum(broker.depth(name) for name in draining.queues_of(settings)),
                "running": draining.running(queue.store),
            }
            broker.close()
            words = (
                f"would stop {found['relays']} relay(s) and take {found['messages']} message(s)"
                f" from the broker; workers of Celery run {found['running']} action(s)"
            )
        else:
            done = draining.drain(settings, queue.store, broker, tell=told)
            found = asdict(done)
            words = (
                f"stopped {done.relays} relay(s), dropped {done.dropped} message(s), made rows of"
                f" {done.rows} action(s), left {done.others} other message(s); workers of Celery"
                f" still run {done.running} action(s)"
            )
    if settings.format == "json":
        print_json(found)
    else:
        print_line(words)


def _plan(settings: Settings, site: str, broker: str) -> None:
    routes = [
        {"hook": one.hook, "group": one.group, "queue": one.queue, "priority": one.priority}
        for one in settings.routes
        if one.to == "celery"
    ]
    plan = {"site": site, "broker": broker, "window": settings.celery_window, "routes": routes}
    if settings.format == "json":
        print_json(plan)
        return
    print_line(f"would hand over actions of {site} to {broker}")
    for one in routes:
        what = " ".join(
            f"{name} {one[name]}" for name in ("hook", "group") if one[name] is not None
        )
        print_line(f"{what}: queue {one['queue']}")
