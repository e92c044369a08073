"""Say how far an IP address is away, for requests to places that strangers name.

The networks are written down here, since the standard library's lists differ between releases.
"""

import ipaddress
from typing import Final, Literal, TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Reach: TypeAlias = Literal["public", "private", "never"]
"""private: this host, or a network of the operator's. never: no receiver can live there."""

_PRIVATE_4: Final = tuple(
    map(
        ipaddress.IPv4Network,
        ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
    )
)
_NEVER_4: Final = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",
            "169.254.0.0/16",  # link-local, with the metadata services of clouds
            "192.0.0.0/24",
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # relays of 6to4
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",
        ),
    )
)
_PRIVATE_6: Final = tuple(map(ipaddress.IPv6Network, ("::1/128", "fc00::/7")))
_PUBLIC_6: Final = ipaddress.IPv6Network("2000::/3")
"""All of IPv6 that was ever given away. What lies outside is mapped IPv4, NAT64, link-local,
site-local, multicast or unassigned."""
_NEVER_6: Final = tuple(
    map(
        ipaddress.IPv6Network,
        (
            "2001::/23",  # Teredo, ORCHID and other protocols
            "2001:db8::/32",
            "2002::/16",  # 6to4, which holds an address of IPv4
            "3fff::/20",
        ),
    )
)


def address_of(text: str) -> Address | None:
    """Return the address that a text is, as ``inet_pton`` reads it; None for any other text.

    An address with a scope, such as ``fe80::1%eth0``, is none here.
    """
    try:
        return None if "%" in text else ipaddress.ip_address(text)
    except ValueError:
        return None


def reach_of(address: Address) -> Reach:
    """Return how far away an address is."""
    if isinstance(address, ipaddress.IPv4Address):
        if any(address in network for network in _NEVER_4):
            return "never"
        return "private" if any(address in network for network in _PRIVATE_4) else "public"
    if any(address in network for network in _PRIVATE_6):
        return "private"
    is_public = address in _PUBLIC_6 and not any(address in network for network in _NEVER_6)
    return "public" if is_public else "never"
