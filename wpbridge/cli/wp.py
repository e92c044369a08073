"""``wp install-plugin``: the must-use plugin that is put into the WordPress itself."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from wpbridge import app
from wpbridge.cli.options import handlers_option, one_line_errors, settings_of, site_options
from wpbridge.cli.output import told
from wpbridge.cli.terminal import print_line
from wpbridge.errors import ConfigError
from wpbridge.plugin import companion, entrance, own_hooks
from wpbridge.site.config import Settings
from wpbridge.site.resolve import Site, resolve
from wpbridge.store.connect import connect_site

_DEEDS = {"created": "write", "renewed": "renew", "removed": "remove"}


@click.group()
def wp() -> None:
    """What wpbridge puts into the WordPress itself."""


@wp.command(
    "install-plugin", epilog="Example: wpbridge wp install-plugin --path /var/www/html --dry-run"
)
@site_options
@handlers_option
@click.option(
    "--owns-site/--no-owns-site", default=None, help="Switch the plugin's PHP runners off."
)
@click.option(
    "--yes", "-y", is_flag=True, help="Write it even if PHP gets back what wpbridge has owned."
)
@click.option("--remove", is_flag=True, help="Remove the plugin.")
@click.option("--dry-run", is_flag=True, help="Say what would be done.")
@click.pass_context
@one_line_errors
def install_plugin(
    ctx: click.Context, *, yes: bool, remove: bool, dry_run: bool, **flags: Any
) -> None:
    """Write the must-use plugin that keeps PHP's runners off the actions that wpbridge runs.

    The command refuses to give hooks, routes or the whole site back to PHP's runners, unless you
    give --yes or --no-owns-site.
    """
    settings = settings_of(ctx, flags)
    site = resolve(settings, os.environ)
    folder = site.plugins_to_write(trusted=settings.trusted)
    prefix = _prefix(site)
    change: companion.Change
    if remove:
        change = companion.remove(folder, prefix, dry_run=dry_run)
        what = f"the companion plugin of {prefix}"
    else:
        if blocked := entrance.blocked(settings):
            raise ConfigError(blocked)
        ownership = companion.owned(settings, app.handlers_of(settings))
        _refuse_loss(settings, folder, prefix, ownership, may_lose=yes or dry_run)
        change = companion.install(folder, prefix, ownership, dry_run=dry_run)
        what = _in_words(prefix, ownership)
    file = folder / companion.FILE_NAME
    if change == "unchanged":
        print_line(f"nothing to do: {file}")
    else:
        did = f"would {_DEEDS[change]}" if dry_run else change
        print_line(f"{did} {file}: {what}")
    if remove and not (dry_run or own_hooks.forget_sign(site) or change == "unchanged"):
        told(
            f"the option {own_hooks.SIGN} could not be deleted: callbacks and bulks would go to PHP"
        )


def _refuse_loss(
    settings: Settings,
    folder: Path,
    prefix: str,
    ownership: companion.Ownership,
    *,
    may_lose: bool,
) -> None:
    """Refuse, or at least tell, what PHP's runners would get back."""
    found = companion.read(folder)
    before = found.sites.get(prefix) if found else None
    if before is None:
        return
    if settings.sources.get("owns_site") == "flag":
        before = replace(before, owns_site=False)
    if not (lost := companion.given_up(before, ownership)):
        return
    if not may_lose:
        raise ConfigError(
            f"PHP's runners would get back {', '.join(lost)}: give the settings, --handlers and"
            " --owns-site that the plugin in place was written with, or add --yes"
        )
    told(f"PHP's runners get back {', '.join(lost)}")


def _prefix(site: Site) -> str:
    """Return the site's table prefix; only a network's URL is looked up in the database."""
    way = connect_site(site)
    way.close()
    return way.names.prefix


def _in_words(prefix: str, ownership: companion.Ownership) -> str:
    shown = "; the dashboard is at /wpbridge/ of the site" if ownership.dashboard.on_site else ""
    if ownership.owns_site:
        return f"on {prefix} wpbridge owns the site, PHP's runners are off{shown}"
    hooks, routes = len(ownership.hooks), len(ownership.rules)
    counts = f"leave {hooks} hook(s) with a handler to wpbridge, and follow {routes} route(s)"
    return f"on {prefix} PHP's runners {counts}{shown}"
