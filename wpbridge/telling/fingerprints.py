"""Fingerprints of very many messages: each kind of message is worked out once.

Messages of one kind mostly differ in numbers and ids alone. :func:`shape` writes a message with all
such digits as ones, and messages of the same shape have the same fingerprint, unless digits are
left in it. So the masks of :mod:`wpbridge.telling.fingerprint`, which take a third of a millisecond
a message, are tried once for each shape.
"""

import re
from typing import Final

from wpbridge.telling.fingerprint import READ_CHARS, fingerprint

_MOST: Final = 20_000
"""So many shapes are remembered."""
_APART: Final = "\0\0"
"""Stands for the fingerprint of a shape whose messages have fingerprints of their own."""

# An id counts as one only where nothing beside it can begin or continue another mask: a sign or a
# currency before it makes its first digits an amount.
_BEFORE: Final = (
    r"(?:\A|(?<=[ \"'(\[{<=#]))(?<![^\x00-\x23\x25-\x7f] )"
    r"(?<!(?:AUD|CAD|CHF|CZK|DKK|EUR|GBP|INR|JPY|NOK|NZD|PLN|SEK|USD) )"
)
_AFTER: Final = r"(?=[.:]?(?:\Z|[ \"')\]}>,;#]))"
_KEPT: Final = (
    # What a fingerprint keeps, or may keep, as it is: codes, hosts, digits of a word.
    r"(?i:(?:HTTP(?:/\d(?:\.\d)?)?|status|code)(?:[ ](?:error|response))?\W{0,3}[0-9]{3}"
    r"|cURL[ ]error[ ][0-9]{1,3}|errno:?[ ][0-9]{1,3}|SQLSTATE\[\w{5})(?!\d)"
    r"|[A-Za-z][A-Za-z0-9+.-]{1,15}://[^\s/?#\"'<>]*|(?<=[A-Za-z])[0-9]{1,3}(?!\d)|0(?=[xX])"
)
_UUID: Final = rf"{_BEFORE}[0-9a-fA-F]{{8}}-(?:[0-9a-fA-F]{{4}}-){{3}}[0-9a-fA-F]{{12}}{_AFTER}"
_HEX: Final = (
    rf"{_BEFORE}(?:(?=[a-fA-F]*[0-9])(?=[0-9]*[a-fA-F])[0-9a-fA-F]{{8,}}|0x[0-9a-fA-F]+){_AFTER}"
)
_PART: Final = re.compile(rf"(?P<uuid>{_UUID})|(?P<hex>{_HEX})|(?P<kept>{_KEPT})|(?P<n>[0-9]+)")
_ANY_UUID: Final = "xxxxxxxa-xxxx-xxxx-xxxx-xxxxxxxxxxxx"


def shape(message: str, digit: str = "1") -> str:
    """Return a message, as far as a fingerprint reads it, with one digit for what masks cover."""

    def written(found: re.Match[str]) -> str:
        part = found[0]
        if found.lastgroup == "uuid":
            return _ANY_UUID.replace("x", digit)
        if found.lastgroup == "hex":
            begin = "0x" if part[1] == "x" else "a"
            return begin + digit * (len(part) - len(begin))
        return part if found.lastgroup == "kept" else digit * len(part)

    return _PART.sub(written, " ".join(message[:READ_CHARS].split()))


class Fingerprints:
    """Makes fingerprints and remembers some. Its methods may be called by one thread at a time."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def of(self, message: str) -> str:
        """Return what :func:`~wpbridge.telling.fingerprint.fingerprint` returns."""
        key = form = shape(message)
        if self._known.get(form) == _APART:
            key = f"{_APART}{message[:READ_CHARS]}"
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _MOST:
                self._known.clear()
            known = fingerprint(message)
            others = () if key != form else (form, shape(message, "7"))
            if any(fingerprint(other) != known for other in others):
                # Another message of this shape has other digits in its fingerprint.
                self._known[form] = _APART
                key = f"{_APART}{message[:READ_CHARS]}"
            self._known[key] = known
        return known
