"""From which addresses the header of a proxy counts; pure."""

import ipaddress
from collections.abc import Sequence
from typing import Final

UNIX: Final = "unix"
"""Stands in the settings for the Unix socket, whose callers have no address."""


class Proxies:
    """The addresses that the settings name."""

    def __init__(self, told: Sequence[str]) -> None:
        self._has_unix = UNIX in told
        self._networks = tuple(ipaddress.ip_network(one) for one in told if one != UNIX)

    def has(self, address: str) -> bool:
        """Tell whether a proxy may stand at an address; empty for a Unix socket."""
        if not address:
            return self._has_unix
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        # A socket for both families shows addresses of IPv4 in the form of IPv6.
        mapped = getattr(found, "ipv4_mapped", None)
        plain = found if mapped is None else mapped
        return any(plain in network for network in self._networks)
