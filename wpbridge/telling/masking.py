"""Takes args out of the messages of errors, before these leave for other services.

An error's message often repeats what its action was called with: a name, an address, an amount.
:func:`masked` puts ``<arg>`` in place of each word of the args, and masks what differs from one
occurrence to the next, as :mod:`wpbridge.telling.fingerprint` does. Data that a handler has looked
up elsewhere is not known here, so it stays.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from wpbridge.action import Action
from wpbridge.codec import args
from wpbridge.telling.fingerprint import fingerprint

MASK: Final = "<arg>"
_WORD: Final = re.compile(r"[^\W_]{2,}")
_SEVERAL: Final = re.compile(rf"{MASK}(?:[\W_]{{1,3}}{MASK})+")
_MOST_CHARS: Final = 2000
"""Of a message. What lies beyond is not looked at."""
_MOST_WORDS: Final = 500
"""With more words in the args no message is sent, since nearly every word might be one of them."""
_CERTAIN_CHARS: Final = 4
"""So long a word of the args is also found inside of a longer word, and by its beginning."""


def masked(message: str, action: Action | None) -> str:
    """Return the message of an action's error without args; empty if they cannot be read."""
    if action is None:
        return ""
    try:
        words = {word.lower() for word in _words(args.decode(action.args).mapping)}
    except Exception:  # noqa: BLE001 - whatever the row holds, it is not sent
        return ""
    if len(words) > _MOST_WORDS:
        return ""

    def mask(found: re.Match[str]) -> str:
        word = found[0].lower()
        return MASK if word in words or any(_is_part(word, one) for one in words) else found[0]

    text = _WORD.sub(mask, message[:_MOST_CHARS])
    return fingerprint(_SEVERAL.sub(MASK, text))


def _is_part(word: str, arg: str) -> bool:
    """Return whether a word of a message holds a word of the args, or the beginning of one."""
    is_cut = len(word) >= _CERTAIN_CHARS and arg.startswith(word)
    return is_cut or (len(arg) >= _CERTAIN_CHARS and arg in word)


def _words(value: Any) -> Iterator[str]:
    """Yield the words of all texts and numbers in a value, also as they look when escaped.

    Names that a program could have given stay: they say what is missing, and not whose it is.
    """
    match value:
        case dict():
            for key, one in value.items():
                yield from () if str(key).isidentifier() else _words(key)
                yield from _words(one)
        case list() | tuple():
            for one in value:
                yield from _words(one)
        case str():
            for form in {value, ascii(value), json.dumps(value)}:
                yield from _WORD.findall(form)
        case bool() | None:
            return
        case _:
            yield from _WORD.findall(str(value))
