"""Connect to a host that a stranger has named, and to no address that he must not reach.

The host is looked up once. All of its addresses are judged, and then one of them is connected to.
So a name that leads elsewhere at the next look-up gains nothing.
"""

import ipaddress
import socket
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from wpbridge.codec.addresses import Address, reach_of
from wpbridge.codec.callback_urls import CallbackUrl
from wpbridge.errors import ExecutionError

Resolve: TypeAlias = Callable[[str, int], Sequence[Address]]
Connect: TypeAlias = Callable[[Address, int, float], socket.socket]
_LEAST_SECONDS: Final = 0.1


class AddressRefused(ExecutionError):
    """The host leads to an address to which no callback goes."""


def resolved(host: str, port: int) -> list[Address]:
    """Return all addresses of a host, in the order in which the system would try them.

    Raises:
        OSError: the host is not known.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # An address with a scope is link-local: it is judged without its scope.
    texts = [str(place[0]).partition("%")[0] for *_, place in found]
    return [ipaddress.ip_address(text) for text in dict.fromkeys(texts)]


def connected(address: Address, port: int, seconds: float) -> socket.socket:
    """Connect to an address. Raises OSError."""
    made = socket.create_connection((str(address), port), timeout=seconds)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def dial(
    target: CallbackUrl,
    seconds: float,
    *,
    may_be_private: bool,
    resolve: Resolve = resolved,
    connect: Connect = connected,
) -> socket.socket:
    """Return a connection to the host of a URL.

    Args:
        target: the URL.
        seconds: how long the attempts may take together.
        may_be_private: whether the host may be this one, or lie in a network of the operator's.
        resolve: looks the host up.
        connect: connects to an address, without a look-up.

    Raises:
        AddressRefused: one of the addresses is refused. Nothing was connected to.
        OSError: the host is not known, or no address answers.
    """
    over_at = time.monotonic() + seconds
    addresses = [target.address] if target.address else resolve(target.host, target.port)
    for address in addresses:
        if reason := _refusal(target, address, may_be_private=may_be_private):
            raise AddressRefused(reason)
    failure = OSError(f"{target.host} has no address")
    for address in addresses:
        try:
            return connect(address, target.port, max(_LEAST_SECONDS, over_at - time.monotonic()))
        except OSError as error:
            failure = error
    raise failure


def _refusal(target: CallbackUrl, address: Address, *, may_be_private: bool) -> str | None:
    reach = reach_of(address)
    if reach == "never":
        return f"refused: {target.host} leads to {address}, where no callback goes"
    if reach == "private" and not may_be_private:
        return f"refused: {target.host} leads to the private address {address}"
    if reach == "public" and target.scheme == "http":
        return f"refused: plain http, and {target.host} leads to the public address {address}"
    return None
