"""Read the URL of a callback: strictly, so that all who read it later see the same host in it."""

import re
from collections.abc import Collection
from typing import Final, Literal, cast

from wpbridge.codec.addresses import Address, address_of, reach_of
from wpbridge.dataclass import dataclass
from wpbridge.patterns import matches

MOST_CHARACTERS: Final = 2000
_URL: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<place>[^/?#]*)(?P<rest>[/?][^#]*)?(?P<fragment>#.*)?"
)
_CHARACTERS: Final = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")
"""Those of RFC 3986. Others are written as %XX, and hosts with them as xn--…."""
_PLACE: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::(?P<port>[0-9]{1,5}))?")
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""A last label such as these makes an address of IPv4, in one of its older spellings."""
_MOST_HOST: Final = 253
_MOST_PORT: Final = 65_535
_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackUrl:
    """Where a callback goes."""

    url: str
    scheme: Literal["https", "http"]
    host: str
    """In lower case; an address of IPv6 in its shortest form and without brackets."""
    port: int
    address: Address | None
    """The host, where it is an address."""


def callback_url(text: object) -> CallbackUrl:
    """Read a URL.

    Raises:
        ValueError: it is none to which a callback may go, whatever the key allows.
    """
    if not isinstance(text, str):
        raise ValueError("a text")  # noqa: TRY004 - one kind of error for all that is wrong
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"{MOST_CHARACTERS:,} characters at most, not {len(text):,}")
    if not _CHARACTERS.fullmatch(text):
        raise ValueError("it is empty, or holds a character that a URL cannot have")
    parts = _URL.fullmatch(text)
    scheme = parts["scheme"].lower() if parts else ""
    if parts is None or scheme not in _PORTS:
        raise ValueError("a URL that begins with https://")
    if parts["fragment"] is not None:
        raise ValueError("a fragment (#…) is never sent: leave it out")
    if "@" in parts["place"]:
        raise ValueError("no user and no password in it")
    place = _PLACE.fullmatch(parts["place"])
    port = int(place["port"]) if place and place["port"] else _PORTS[scheme]
    if place is None or not 1 <= port <= _MOST_PORT:
        raise ValueError("no valid host and port in it")
    host, address = _host(place["host"].lower())
    return CallbackUrl(
        url=text,
        scheme=cast("Literal['https', 'http']", scheme),
        host=host,
        port=port,
        address=address,
    )


def _host(text: str) -> tuple[str, Address | None]:
    if text.startswith("["):
        address = address_of(text[1:-1])
        if address is None or address.version == 4:  # noqa: PLR2004 - of IP
            raise ValueError("no valid address of IPv6 in its brackets")
        return str(address), address
    address = address_of(text)
    if address is not None:
        return text, address
    labels = text.split(".")
    if _NUMBER.fullmatch(labels[-1]) or len(text) > _MOST_HOST:
        raise ValueError("no valid host in it")
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("no valid host in it")
    return text, None


def refused(target: CallbackUrl, hosts: Collection[str], *, allow_private: bool) -> str | None:
    """Return why a key with these hosts may not call a URL; None where it may.

    A name may still lead to an address that is refused when the callback is made.
    """
    if not allows_host(hosts, target.host):
        return f"the host {target.host} is not among the callback hosts of this API key"
    reach = "unknown" if target.address is None else reach_of(target.address)
    is_plain = target.scheme == "http"
    if reach == "never":
        return f"no callback goes to {target.host}"
    if reach == "private" and not (allow_private or is_literal(hosts, target)):
        return f"{target.host} is a private address, and [web] allow_private_callbacks is off"
    if is_plain and (reach == "public" or (reach == "unknown" and not allow_private)):
        return "plain http goes to private hosts alone, which [web] allow_private_callbacks allows"
    return None


def allows_host(hosts: Collection[str], host: str) -> bool:
    """Tell whether a host is among those of a key, which may be patterns."""
    return any(matches(_plain(one), host) for one in hosts)


def is_literal(hosts: Collection[str], target: CallbackUrl) -> bool:
    """Tell whether the host is an address, and stands in the list of a key as that address."""
    return target.address is not None and target.host in map(_plain, hosts)


def _plain(host: str) -> str:
    """Return a host of a key's list as hosts of URLs are written here."""
    name = host.strip().lower()
    address = address_of(name[1:-1] if name.startswith("[") and name.endswith("]") else name)
    return name if address is None else str(address)
