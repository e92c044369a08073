"""Hosts in the list of an API key, in one spelling; pure."""

import ipaddress
import re
from typing import Final

_NAME: Final = re.compile(r"(?!-)[a-z0-9_*?-]{1,63}(?:\.[a-z0-9_*?-]{1,63})*")
_MOST: Final = 253


def plain_host(told: str) -> str | None:
    """Return a host in its one spelling; None for what is no host.

    Names are in lower case, in ASCII (IDNA) and without a dot at the end. Addresses are written as
    short as they can be, IPv6 without brackets. Patterns (``*`` and ``?``) stay as they are.
    """
    text = told.strip().lower().removesuffix(".")
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        pass
    if bare != text:
        return None
    if not text.isascii():
        try:
            text = text.encode("idna").decode("ascii")
        except UnicodeError:
            return None
    return text if len(text) <= _MOST and _NAME.fullmatch(text) else None
