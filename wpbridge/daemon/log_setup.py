"""The log of a process that runs actions: how much of it, in which form, and of which site."""

import logging
import os
from dataclasses import replace

from wpbridge.errors import WpbridgeError
from wpbridge.site.config import Settings
from wpbridge.site.resolve import Site, resolve
from wpbridge.telling import lines


def start_log(settings: Settings, site: Site | None = None, *, is_daemon: bool = False) -> None:
    """Write log lines to stderr from now on.

    ``site`` is known after the settings; a supervisor, which needs none, asks no PHP for it.
    """
    label = _label(settings) if site is None else site.label
    lines.set_up(settings.verbose, settings.log_format, site=label)
    if settings.web_access_log != "none":
        lines.set_up_access(settings.web_access_log, site=label)
    # Starts and ends are few, and what an operator looks for first.
    if is_daemon and not settings.quiet and not settings.verbose:
        logging.getLogger("wpbridge.daemon").setLevel(logging.INFO)


def _label(settings: Settings) -> str:
    try:
        return resolve(replace(settings, ask_php="never"), os.environ).label
    except WpbridgeError:
        # A worker says what is wrong with it.
        return settings.url or str(settings.path or "")
