"""Application passwords of WordPress: whether one fits its hash; pure.

WordPress has two kinds of hashes for them. Up to 6.7 they are portable hashes of phpass: rounds of
MD5 with a salt. From 6.8 on they are BLAKE2b, since the passwords are random. A hash of any other
kind fits no password here.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final

from wpbridge.access.caller import Caller
from wpbridge.site.rules import Right
from wpbridge.store.rows.wordpress_users import WordPressUser

_ALPHABET: Final = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PHPASS: Final = re.compile(r"\$[PH]\$(.)(.{8})(.{22})", re.ASCII)
_PHPASS_POWERS: Final = range(7, 17)
"""Powers of two for the rounds. WordPress has 13; with many more, a hash would keep us busy."""
_BLAKE: Final = "$generic$"
_BLAKE_KEY: Final = b"wp_fast_hash_6.8+"
_BLAKE_BYTES: Final = 30


def bare(password: str) -> str:
    """Return a password without what WordPress ignores in it: all but ASCII letters and digits."""
    return re.sub(r"[^a-zA-Z0-9]", "", password)


def fits(password: str, stored: str) -> bool:
    """Tell whether a bare password fits a stored hash. The comparison itself tells no time."""
    made = _blake(password) if stored.startswith(_BLAKE) else _phpass(password, stored)
    return made is not None and hmac.compare_digest(made.encode(), stored.encode())


def caller_of(user: WordPressUser, roles: Mapping[str, tuple[Right, ...]]) -> Caller:
    """Return the caller that a user of WordPress is.

    Args:
        user: as WordPress knows it.
        roles: the rights that a capability or a role allows. Others allow nothing.
    """
    return Caller(
        name=f"user:{user.login}",
        key_name=f"user:{user.id}",
        rights=frozenset(right for name in user.capabilities for right in roles.get(name, ())),
        hooks=("*",),
        groups=("*",),
    )


def _blake(password: str) -> str:
    """Return the hash that ``wp_fast_hash()`` makes."""
    digest = hashlib.blake2b(password.encode(), key=_BLAKE_KEY, digest_size=_BLAKE_BYTES).digest()
    return _BLAKE + base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _phpass(password: str, stored: str) -> str | None:
    """Return the portable hash of phpass with the salt of a stored one; None where that is none."""
    match = _PHPASS.fullmatch(stored)
    power = _ALPHABET.find(match[1]) if match else -1
    if match is None or power not in _PHPASS_POWERS:
        return None
    given = password.encode()
    digest = _md5(match[2].encode() + given)
    for _ in range(1 << power):
        digest = _md5(digest + given)
    return stored[:12] + _encode64(digest)


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def _encode64(data: bytes) -> str:
    """Write bytes as phpass does: groups of three, the lowest six bits first."""
    found = []
    for start in range(0, len(data), 3):
        part = data[start : start + 3]
        value = int.from_bytes(part, "little")
        found += [_ALPHABET[value >> 6 * place & 0x3F] for place in range(len(part) + 1)]
    return "".join(found)
