r"""Hide the values of some names inside of texts: JSON in a text, a query, a header, PHP's forms.

A text may break off anywhere, and JSON may lie in JSON, with a backslash before each quote. So no
form is parsed: a name is looked for, then the end of the value behind it. What has no end is hidden
to the end of the text.
"""

import functools
import json
import re
from collections.abc import Sequence
from typing import Final

from wpbridge.patterns import compiled

MASK: Final = "••••••"
_QUOTED: Final = r"""(?:\\{0,40}(?:["']|u0022|u0027)|%2[27]|&quot;|&\#0?3[49];)"""
_HEX: Final = "[0-9A-Fa-f]{2}"
_NAMED: Final = re.compile(
    rf"(?:(?<![\w.\-%])|(?<=%{_HEX})|(?<=%)(?!{_HEX}))"
    rf"(?P<name>[\w.\-]+)(?:\]|\[\]|%5[Dd])?(?:{_QUOTED})?"
    r"\s{0,8}(?:=>|[=:]|%3[AaDd])\s{0,8}"
)
"""A whole name, and what stands between it and its value. A name begins nowhere else than at its
first character, so that a long word costs no more than its length."""
_SERIALIZED: Final = re.compile(r's:\d{1,6}:\\{0,40}"(?P<name>[^"\\]{1,100})\\{0,40}";')
"""A name as PHP serializes it. Its value follows at once."""
_OPTION: Final = re.compile(r"(?<![\w-])--(?P<name>[\w-]{1,100}) {1,8}(?![-\s])")
"""The name of an option of a command."""
_TAG: Final = re.compile(r"<(?:[\w.\-]{1,40}:)?(?P<name>[\w.\-]{1,100})(?:\s[^<>]{0,500})?>")
"""A name as XML has it."""
_HEAD: Final = re.compile(r"(?:[a-zA-Z]:(?:\d{1,6}:)?)?")
"""What stands before a serialized value: its kind, and its length."""
_BEARER: Final = re.compile(r"(?i)\b(bearer|basic)(\s{1,8})[A-Za-z0-9._~+/=-]{4,}")
_LOGIN: Final = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,20}://)[^\s/@?#]{1,500}@")
_JWT: Final = re.compile(r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*)?")
_LINES: Final = ("authorization", "cookie")
"""The values of headers whose names end so have several parts, and end with the line."""
_LINE: Final = re.compile(r"(?:(?!\\[rn])[^\r\n])*")
_OPEN: Final = {"{": "}", "[": "]", "(": ")"}
_ARRAY: Final = re.compile(r"[\w\\]{0,100}(?: Object)?\s{0,8}(?=\()")
"""What ``print_r()`` of PHP writes before the brackets of an array or an object."""
_PLAIN: Final = re.compile(r"[^\s&,;}\])\"'\\<>]*")
_QUOTE: Final = re.compile(_QUOTED)
_TOKEN: Final = re.compile(rf"(?P<quote>{_QUOTED})|[{{}}\[\]()]")


def is_hidden(name: str, patterns: Sequence[str]) -> bool:
    """Tell whether the values of a name are hidden. Letter case does not count, nor does ``-``."""
    folded = name.casefold()
    forms = {folded, folded.replace("-", "_"), folded.replace("-", "").replace("_", "")}
    hidden = _any_of(tuple(patterns))
    return any(hidden.fullmatch(form) for form in forms)


@functools.lru_cache(maxsize=8)
def _any_of(patterns: Sequence[str]) -> re.Pattern[str]:
    """Return what matches the names of all patterns: a text of many names asks it for each."""
    parts = [f"(?:{compiled(pattern.casefold()).pattern})" for pattern in patterns]
    return re.compile("|".join(parts) or "(?!)", re.DOTALL)


def hide(text: str, patterns: Sequence[str]) -> str:
    """Return a text without the values of names that fit a pattern, and without logins."""
    text = _BEARER.sub(rf"\1\2{MASK}", text)
    text = _LOGIN.sub(rf"\1{MASK}@", text)
    text = _JWT.sub(MASK, text)
    for names in (_SERIALIZED, _TAG, _OPTION, _NAMED):
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
            following = _end_of(text, begin, names, found["name"].casefold())
            parts += [text[shown:begin], MASK]
            shown = following
        found = names.search(text, following)
    return "".join(parts) + text[shown:]


def _end_of(text: str, begin: int, names: re.Pattern[str], name: str) -> int:
    """Return where the value of a name ends that begins here."""
    if names is _TAG:
        end = text.find("</", begin)
        return len(text) if end < 0 else end
    is_line = name.endswith(_LINES) and _QUOTE.match(text, begin) is None
    if is_line and text[begin : begin + 1] not in _OPEN and (line := _LINE.match(text, begin)):
        return line.end()
    if (array := _ARRAY.match(text, begin)) is not None:
        begin = array.end()
    return _end_of_value(text, begin)


def _end_of_value(text: str, begin: int) -> int:
    quote = _QUOTE.match(text, begin)
    if quote is not None:
        return _end_of_quotes(text, quote)
    if text[begin : begin + 1] in _OPEN:
        return _end_of_brackets(text, begin)
    plain = _PLAIN.match(text, begin)
    return begin if plain is None else plain.end()


def _end_of_quotes(text: str, quote: re.Match[str]) -> int:
    """Return where a quoted text ends; quotes in it have one backslash more."""
    end = text.find(quote[0], quote.end())
    while end > 0 and text[end - 1] == "\\":
        end = text.find(quote[0], end + 1)
    return len(text) if end < 0 else end + len(quote[0])


def _end_of_brackets(text: str, begin: int) -> int:
    """Return where the bracket closes that opens here."""
    try:
        return json.JSONDecoder().raw_decode(text, begin)[1]
    except (ValueError, RecursionError):
        pass
    depth, opens, place = 0, text[begin], begin
    while (token := _TOKEN.search(text, place)) is not None:
        place = _end_of_quotes(text, token) if token["quote"] else token.end()
        depth += (token[0] == opens) - (token[0] == _OPEN[opens])
        if not depth:
            return place
    return len(text)
