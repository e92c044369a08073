"""Kinds of the values below ``[web]`` and ``[metrics]``: where and how wpbridge answers HTTP.

A kind is as in :mod:`wpbridge.site.value_kinds`.
"""

import ipaddress
import re
from pathlib import Path
from typing import Final

from wpbridge.dataclass import dataclass
from wpbridge.site import wake_kinds
from wpbridge.site.value_kinds import Origin, names

MASK: Final = (
    "*passw*",
    "pass",
    "*_pass",
    "*pwd*",
    "*secret*",
    "*token*",
    "*api_key*",
    "*apikey*",
    "*authorization*",
    "*cookie*",
    "*credential*",
    "*private_key*",
    "consumer_key",
    "*jwt*",
    "*card*",
    "cvc",
    "cvv",
    "iban",
)
"""Patterns of names of args whose values are not shown, unless the settings say otherwise."""
_UNIX: Final = "unix:"
_HOST: Final = "127.0.0.1"
_ORIGIN: Final = re.compile(r"https?://[a-z0-9.-]+(?::[0-9]{1,5})?")
_PART: Final = re.compile(r"[A-Za-z0-9_.-]*[A-Za-z0-9_-][A-Za-z0-9_.-]*")
"""A part of a path that means itself: neither empty, nor ``..``, nor in need of an escape."""
_HOST_NAME: Final = re.compile(r"[a-z0-9.-]+(?::[0-9]{1,5})?|\[[0-9a-f:.]+\](?::[0-9]{1,5})?")
_HEADER: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_TOKEN: Final = re.compile(r"[!-~]{16,}")
_HTTP_URL: Final = re.compile(r"https?://[!-?A-~]+")
"""Without a login, which belongs into a variable."""
_SENTRY_DSN: Final = re.compile(
    r"https?://[0-9A-Za-z]+(?::[0-9A-Za-z]*)?@[^/@\s]+(?:/[!-~]*)?/[0-9]+"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where the gateway listens: at a host and port, or on a Unix socket."""

    host: str = _HOST
    port: int = 8787
    socket: Path | None = None

    @classmethod
    def of(cls, told: str) -> "Listen":
        """Return the address that a checked setting means."""
        if told.startswith(_UNIX):
            return cls(socket=Path(told.removeprefix(_UNIX)))
        host, port = wake_kinds.split(told)
        return cls(host=host, port=port or 0)

    @property
    def told(self) -> str:
        """Return the address for people."""
        if self.socket is not None:
            return f"{_UNIX}{self.socket}"
        return f"http://{wake_kinds.joined(self.host, self.port)}"

    @property
    def is_loopback(self) -> bool:
        """Tell whether only this host can connect."""
        is_named = self.host in {"localhost", "::1"}
        return self.socket is not None or is_named or self.host.startswith("127.")


def listen(value: object, origin: Origin) -> str:
    """``HOST:PORT``, a port alone, or ``unix:PATH``."""
    told = str(value).strip() if isinstance(value, str | int) and value is not True else ""
    if told.startswith(_UNIX):
        return f"{_UNIX}{wake_kinds.socket_path(told.removeprefix(_UNIX), origin)}"
    if re.fullmatch(r":?[0-9]{1,5}", told):
        told = f"{_HOST}:{told.removeprefix(':')}"
    host, port = wake_kinds.split(told)
    if not host or port is None:
        raise ValueError("HOST:PORT such as 127.0.0.1:8787, or unix:PATH")
    return wake_kinds.joined(host, port)


def metrics_listen(value: object, origin: Origin) -> str:
    """``HOST:PORT``, or a port alone."""
    is_socket = str(value).strip().startswith(_UNIX)
    try:
        told = "" if is_socket else listen(value, origin)
    except ValueError:
        told = ""
    if not told:
        raise ValueError("HOST:PORT such as 127.0.0.1:9464")
    return told


def token(value: object, _origin: Origin) -> str:
    """A secret that a header can carry, and that nobody guesses."""
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise ValueError("16 or more visible characters of ASCII")
    return value


def base_path(value: object, _origin: Origin) -> str:
    """What stands before ``/v1``, without a slash at its end; empty for nothing."""
    told = value.rstrip("/") if isinstance(value, str) else "?"
    if told and not (told[0] == "/" and all(map(_PART.fullmatch, told[1:].split("/")))):
        raise ValueError("a path such as /queue")
    return told


def origins(value: object, origin: Origin) -> tuple[str, ...]:
    """Origins of web pages, such as ``https://shop.example``; ``*`` and paths are refused."""
    told = names(value, origin)
    for one in told:
        if not _ORIGIN.fullmatch(one):
            raise ValueError("origins such as https://shop.example, in lower case, without a path")
    return told


def hosts(value: object, origin: Origin) -> tuple[str, ...]:
    """Names of hosts as browsers send them, such as ``queue.example.com``."""
    told = tuple(one.lower() for one in names(value, origin))
    if not all(map(_HOST_NAME.fullmatch, told)):
        raise ValueError("names of hosts such as queue.example.com, perhaps with a port")
    return told


def header(value: object, _origin: Origin) -> str:
    """The name of a header that a proxy sends."""
    if not isinstance(value, str) or not _HEADER.fullmatch(value):
        raise ValueError("the name of a header such as X-Remote-User")
    return value


def addresses(value: object, origin: Origin) -> tuple[str, ...]:
    """Addresses or networks of proxies, such as ``10.0.0.5``; ``unix`` for the Unix socket."""
    told = names(value, origin)
    for one in told:
        if one != "unix":
            try:
                ipaddress.ip_network(one)
            except ValueError:
                raise ValueError("addresses such as 10.0.0.5 or 10.0.0.0/24, or unix") from None
    return told


def http_url(value: object, _origin: Origin) -> str:
    """An address of a server that speaks HTTP."""
    told = value.strip() if isinstance(value, str) else ""
    if not _HTTP_URL.fullmatch(told):
        raise ValueError("an address such as http://127.0.0.1:4318")
    return told


def sentry_dsn(value: object, _origin: Origin) -> str:
    """A DSN of Sentry."""
    told = value.strip() if isinstance(value, str) else ""
    if not _SENTRY_DSN.fullmatch(told):
        raise ValueError("a DSN such as https://KEY@HOST/PROJECT")
    return told
