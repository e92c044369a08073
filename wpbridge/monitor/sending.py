"""Send alerts to people, through apprise. This is the one module that knows it.

The addresses of targets hold tokens and passwords. They are never shown or logged, and neither is
what apprise says about them.
"""

import hashlib
import logging
import warnings
from collections.abc import Sequence
from typing import Any, Final

import apprise

from wpbridge.errors import ConfigError

_DIGITS: Final = 16


class Target:
    """Where messages go to."""

    def __init__(self, number: int, url: str, *, salt: str) -> None:
        """Take an address.

        Args:
            number: its place in the settings, from 1 on.
            url: its address.
            salt: of the site: the same for all of its watchers.

        Raises:
            ConfigError: apprise does not know such an address.
        """
        asset = apprise.AppriseAsset(app_id="wpbridge", app_desc="wpbridge", async_mode=False)
        service: Any = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
        if service is None:
            raise ConfigError(
                f"[alerts] to: number {number} is no address that apprise knows; see"
                " https://appriseit.com for their forms"
            )
        self._service = service
        self.id = hashlib.sha256(f"{salt} {url}".encode()).hexdigest()[:_DIGITS]
        """By this the table of alerts knows the target."""
        self.shown = f"number {number} ({service.service_name})"
        """For people: no part of the address."""

    def send(self, title: str, body: str) -> bool:
        """Send one message; return whether the target has taken it."""
        try:
            return bool(self._service.notify(title=title, body=body, body_format="text"))
        except Exception:  # noqa: BLE001 - a plugin of apprise may raise anything
            return False


def targets(urls: Sequence[str], *, salt: str) -> list[Target]:
    """Return the targets of the settings.

    Raises:
        ConfigError: apprise does not know one of them.
    """
    logging.getLogger("apprise").disabled = True
    with warnings.catch_warnings():
        # It loads all of its services, and what they import of Python's may be old.
        warnings.simplefilter("ignore", DeprecationWarning)
        return [Target(number, url, salt=salt) for number, url in enumerate(urls, 1)]
