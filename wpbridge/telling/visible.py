r"""The one rule for data that is shown to people, on a terminal or in a log.

Anybody may have named a hook or worded an error. A terminal obeys control characters (C0, DEL and
C1), bidirectional ones change the order of what is read, and a line separator makes one line look
like two. Each character that is neither printable nor a plain blank is shown as an escape instead:
``\x1b``, ``\x9b``, ``\u202e``, ``\n``. That holds also for lone surrogates, for format
characters without a width, and for characters that this Python does not know.
"""

import json
from collections.abc import Callable
from typing import Any

from wpbridge.codec import jsontext


def visible(text: str) -> str:
    """Return the text with each character that is not printable as an escape: one line."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def visible_json(
    value: object,
    *,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    default: Callable[[Any], Any] | None = None,
) -> str:
    """Return a value as JSON in which letters stand as they are and all else is escaped.

    JSON's own escapes are used, so a reader gets the very same value. The only raw control
    character is the newline that ``indent`` makes.
    """
    text = jsontext.dumps(
        value, ensure_ascii=False, indent=indent, separators=separators, default=default
    )
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)
