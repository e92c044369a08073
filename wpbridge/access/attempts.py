"""How often somebody may try a password, counted in the memory of this process.

Each process of the gateway counts for itself, and forgets its counts when it ends. Application
passwords have 142 random bits, so the limit spares the host's time rather than the passwords.
"""

import ipaddress
import threading
from collections import OrderedDict
from copy import copy
from typing import Final

from wpbridge.access.caller import TooMany
from wpbridge.clock import Clock
from wpbridge.store.rows.wordpress_users import LOGIN_CHARACTERS

WINDOW_SECONDS: Final = 300.0
"""Failures count for so long, from the first one on."""
MOST_OF_BOTH: Final = 10
"""Failures of one user from one address."""
MOST_OF_ADDRESS: Final = 50
"""Failures of all users from one address. Behind a proxy of this host all have the same address, so
those of this host itself are not counted so."""
MOST_OF_USER: Final = 100
"""Failures of one user from all addresses. It is high, since others could lock a user out."""
_MOST: Final = 10_000
"""So many counts are remembered."""


class Attempts:
    """The failed attempts of late. It may be called from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.site = ""
        """Which of many sites; empty for the only one."""
        self._lock = threading.Lock()
        self._failures: OrderedDict[tuple[str, str, str], tuple[int, float]] = OrderedDict()
        """How many failures there were, and when the first was, by site, user and address."""

    def of_site(self, name: str) -> "Attempts":
        """Return the attempts at one of many sites. They are remembered here, beside the others.

        A gateway that closes and opens its sites does not forget by that who has tried.
        """
        found = copy(self)
        found.site = name
        return found

    def check(self, user: str, address: str) -> None:
        """Refuse an attempt after too many failures, whether or not the password is right.

        Raises:
            TooMany: with the time after which the failures no longer count.
        """
        now = self._clock.monotonic()
        with self._lock:
            for scope, most in _scopes(self.site, user, address):
                count, since = self._failures.get(scope, (0, now))
                left = since + WINDOW_SECONDS - now
                if count >= most and left > 0:
                    raise TooMany("too many failed logins", retry_after_seconds=left)

    def failed(self, user: str, address: str) -> None:
        """Count a failure."""
        now = self._clock.monotonic()
        with self._lock:
            for scope, _ in _scopes(self.site, user, address):
                count, since = self._failures.pop(scope, (0, now))
                if now - since >= WINDOW_SECONDS:
                    count, since = 0, now
                self._failures[scope] = (count + 1, since)
            while len(self._failures) > _MOST:
                self._failures.popitem(last=False)


def _scopes(site: str, user: str, address: str) -> list[tuple[tuple[str, str, str], int]]:
    # Logins that differ in letter case are the same user's.
    name = user.casefold()[:LOGIN_CHARACTERS]
    scopes = [((site, name, address), MOST_OF_BOTH), ((site, name, "*"), MOST_OF_USER)]
    return scopes if _is_here(address) else [*scopes, ((site, "", address), MOST_OF_ADDRESS)]


def _is_here(address: str) -> bool:
    """Tell whether an address is one of this host itself, or none, as with a Unix socket."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return True
