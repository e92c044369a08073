"""Kinds of the values below ``[wake]``: where a daemon hears that PHP has enqueued something.

A kind is as in :mod:`wpbridge.site.value_kinds`.
"""

import ipaddress
import os
import re
from pathlib import Path
from typing import Final

from wpbridge.site import value_kinds as kinds
from wpbridge.site.value_kinds import Origin

OFF: Final = "off"
MOST_PATH_BYTES: Final = 107
"""The kernel takes no longer path of a Unix socket."""
_HIGHEST_PORT: Final = 65535
_HOST_AND_PORT: Final = re.compile(r"(?:\[([^\]\s]+)\]|([^:\s]+))(?::(\d{1,5}))?")


def socket_path(value: object, origin: Origin) -> Path:
    """The path of a Unix socket: absolute, and short enough for the kernel."""
    path = kinds.path(value, origin)
    if str(value).startswith("@") or "\0" in str(value):
        raise ValueError("a path of the file system")
    if len(os.fsencode(path)) > MOST_PATH_BYTES:
        raise ValueError(f"a path of {MOST_PATH_BYTES} bytes at the most")
    return path


def mode(value: object, _origin: Origin) -> str:
    """The mode of a file: octal digits in a text."""
    if not isinstance(value, str) or not re.fullmatch(r"0?[0-7]{3}", value):
        raise ValueError('an octal mode as a text, such as "0660"')
    return f"0{value[-3:]}"


def listen(value: object, _origin: Origin) -> str:
    """A numeric address and a port, or ``off``."""
    told = value.removeprefix("udp").strip(" :") if isinstance(value, str) else ""
    if told == OFF:
        return OFF
    host, port = split(told)
    if port is None or not _is_numeric(host):
        raise ValueError('off, or a numeric address and a port such as "127.0.0.1:9555"')
    return joined(host, port)


def announce(value: object, _origin: Origin) -> str:
    """A name or address, with or without a port."""
    told = value.removeprefix("udp:").strip() if isinstance(value, str) else ""
    host, port = split(told)
    if not host or port == 0:
        raise ValueError('a name or an address, and a port if it is another, such as "queue:9555"')
    return joined(host, port)


def split(told: str) -> tuple[str, int | None]:
    """Return host and port of a text. The host is empty for a text that has another form."""
    found = _HOST_AND_PORT.fullmatch(told)
    if found is None:
        return "", None
    port = None if found[3] is None else int(found[3])
    return ("", None) if port is not None and port > _HIGHEST_PORT else (found[1] or found[2], port)


def joined(host: str, port: int | None) -> str:
    """Return host and port as one text."""
    shown = f"[{host}]" if ":" in host else host
    return shown if port is None else f"{shown}:{port}"


def _is_numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
