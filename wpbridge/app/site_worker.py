"""Be the process of one of many sites: a worker of ``work`` as the site's user.

Its scheduler has started it as that user. Nothing of the site is read before it has made sure.
"""

import json
import os
import socket
from contextlib import suppress
from dataclasses import replace
from typing import Any, NoReturn

from wpbridge.app.worker import serve
from wpbridge.daemon.sites.packing import unpacked
from wpbridge.daemon.sites.users import limit
from wpbridge.errors import ConfigError, WpbridgeError
from wpbridge.site.config import Settings
from wpbridge.telling.reasons import one_line

REFUSED: int = 78
"""The exit code of a process whose site cannot be run."""


def serve_site(told: str) -> NoReturn:
    """Run one site's actions until told to stop, and leave the process.

    ``told`` is what the scheduler passes on: the descriptors of the link, and of a file with the
    site and its bounds.
    """
    descriptor, handed = _handed(told)
    try:
        settings = _settings(handed)
        _say(descriptor, event="php", workers=settings.php_workers if settings.php else 0)
        code = serve(settings, f"1:{descriptor}:")
    except WpbridgeError as error:
        _say(descriptor, event="refused", reason=one_line(error))
        code = REFUSED
    raise SystemExit(code)


def _handed(told: str) -> tuple[int, dict[str, Any]]:
    try:
        _, link, file = told.split(":")
        with open(int(file), "rb") as stream:  # noqa: PTH123 - a descriptor
            return int(link), json.load(stream)
    except (ValueError, OSError):
        raise ConfigError("--worker is for the supervisor of `wpbridge work` alone") from None


def _settings(handed: dict[str, Any]) -> Settings:
    """Return the settings of the site, within the bounds that all sites have."""
    uid = handed["uid"]
    if os.getresuid() != (uid, uid, uid):
        raise ConfigError(f"this process runs as {os.geteuid()}, and not as the user {uid}")
    limit(handed["max_memory"])
    entry = unpacked(handed["entry"])
    try:
        # As `wpbridge work` in that folder.
        os.chdir(entry.home)
    except OSError as error:
        raise ConfigError(f"{entry.home}: {error.strerror}") from None
    os.environ.pop("PWD", None)
    settings = entry.settings(os.environ)
    php = min(handed["php"], settings.php_workers or 1)
    return replace(
        settings,
        php=settings.php and php > 0,
        php_workers=php,
        metrics_listen=None,
        heartbeat_file=None,
        verbose=handed["verbose"],
        quiet=handed["quiet"],
        log_format=handed["log_format"],
    )


def _say(descriptor: int, **message: object) -> None:
    """Tell the scheduler something before, or after, the worker speaks by itself."""
    link = socket.socket(fileno=os.dup(descriptor))
    with link, suppress(OSError):
        link.sendall(json.dumps(message).encode() + b"\n")
