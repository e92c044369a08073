r"""Hide the values of some names inside of texts: JSON in a text, a query, a header, PHP's forms.

A text may break off anywhere, and JSON may lie in JSON, with a backslash before each quote. So no
form is parsed: a name is looked for, then the end of the value behind it. What has no end is hidden
to the end of the text.
"""

import re
from collections.abc import Sequence
from typing import Final

from wpbridge.patterns import matches

MASK: Final = "••••••"
_QUOTED: Final = r"""\\{0,40}["']"""
_NAMED: Final = re.compile(
    rf"""(?P<name>[\w.\-]{{1,100}})(?:\]|\[\])?(?:{_QUOTED})?\s{{0,8}}(?:=>|[=:])\s{{0,8}}"""
)
"""A name, and what stands between it and its value."""
_SERIALIZED: Final = re.compile(r's:\d{1,6}:\\{0,40}"(?P<name>[^"\\]{1,100})\\{0,40}";')
"""A name as PHP serializes it. Its value follows at once."""
_HEAD: Final = re.compile(r"(?:[a-zA-Z]:(?:\d{1,6}:)?)?")
"""What stands before a serialized value: its kind, and its length."""
_BEARER: Final = re.compile(r"(?i)\b(bearer|basic)(\s{1,8})[A-Za-z0-9._~+/=-]{4,}")
_LOGIN: Final = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,20}://)[^\s/@?#]{1,500}@")
_OPEN: Final = {"{": "}", "[": "]", "(": ")"}
_PLAIN: Final = re.compile(r"[^\s&,;}\])\"'\\<>]*")


def is_hidden(name: str, patterns: Sequence[str]) -> bool:
    """Tell whether the values of a name are hidden. Letter case does not count, nor does ``-``."""
    folded = name.casefold()
    forms = {folded, folded.replace("-", "_"), folded.replace("-", "").replace("_", "")}
    return any(matches(pattern.casefold(), form) for pattern in patterns for form in forms)


def hide(text: str, patterns: Sequence[str]) -> str:
    """Return a text without the values of names that fit a pattern, and without logins."""
    text = _BEARER.sub(rf"\1\2{MASK}", text)
    text = _LOGIN.sub(rf"\1{MASK}@", text)
    for names in (_SERIALIZED, _NAMED):
        text = _hide(text, names, patterns)
    return text


def _hide(text: str, names: re.Pattern[str], patterns: Sequence[str]) -> str:
    parts, shown = [], 0
    found = names.search(text)
    while found is not None:
        following = found.end()
        if is_hidden(found["name"], patterns):
            begin = following
            if names is _SERIALIZED and (head := _HEAD.match(text, begin)):
                begin = head.end()
            following = _end_of_value(text, begin)
            parts += [text[shown:begin], MASK]
            shown = following
        found = names.search(text, following)
    return "".join(parts) + text[shown:]


def _end_of_value(text: str, begin: int) -> int:
    """Return where the value ends that begins here."""
    quote = re.compile(_QUOTED).match(text, begin)
    if quote is not None:
        end = text.find(quote[0], quote.end())
        return len(text) if end < 0 else end + len(quote[0])
    if text[begin : begin + 1] in _OPEN:
        return _end_of_brackets(text, begin)
    plain = _PLAIN.match(text, begin)
    return begin if plain is None else plain.end()


def _end_of_brackets(text: str, begin: int) -> int:
    """Return where the bracket closes that opens here; brackets in texts count, too."""
    depth, opens = 0, text[begin]
    for place in range(begin, len(text)):
        if text[place] == opens:
            depth += 1
        elif text[place] == _OPEN[opens]:
            depth -= 1
            if not depth:
                return place + 1
    return len(text)
