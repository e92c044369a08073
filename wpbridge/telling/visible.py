r"""Makes data safe to be shown to people, on a terminal or in a log.

Anybody may have chosen the name of a hook or the text of an error. A terminal obeys control
characters (C0, DEL and C1), bidirectional characters change the order of what is read, and a line
separator makes one line look like two. So each character that is neither printable nor a plain
blank is shown as an escape: ``\x1b``, ``\x9b``, ``\u202e``, ``\n``. That includes lone surrogates,
format characters without a width, and characters that this Python does not know.
"""

import json
from collections.abc import Callable
from typing import Any

from wpbridge.codec import jsontext


def visible(text: str) -> str:
    """Return a text as one line, with an escape for each character that is not printable."""
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
    """Return a value as JSON in which every character that is not printable is escaped.

    The escapes are those of JSON, so a reader gets the same value. The only control character in
    it is the newline that ``indent`` makes.
    """
    text = jsontext.dumps(
        value, ensure_ascii=False, indent=indent, separators=separators, default=default
    )
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)
