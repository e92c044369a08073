"""What fits into one statement, and rows in portions that do.

A server cuts the connection of who sends more than its max_allowed_packet (1 MiB in old servers),
as if it had gone away. So rows are sent in portions of :func:`room` bytes, and a session refuses to
send a longer statement at all (:mod:`wpbridge.store.database.mysql_engine`).
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

T = TypeVar("T")

BYTES_A_STATEMENT: Final = 1 << 19
"""Larger statements are no faster."""
SMALL: Final = 100
"""Bytes of the numbers and dates of a row."""
STATEMENT: Final = 1_000
"""Bytes of an INSERT beside its rows."""


def room(most_bytes: int) -> int:
    """How many bytes of rows, by :func:`text_size`, to send in one statement.

    ``most_bytes``: of one statement, as the database says. Half of them, since the size of a text
    is a guess, and every character of it may be a quote that is escaped.
    """
    return max(1, min(BYTES_A_STATEMENT, (most_bytes - STATEMENT) // 2))


def text_size(*texts: str | bytes | None) -> int:
    """About as many bytes as texts take in a statement; at most twice as many are sent."""
    size = 0
    for text in texts:
        if text:
            is_short = isinstance(text, bytes) or text.isascii()
            size += len(text) + (len(text) >> 2) if is_short else 4 * len(text)
    return size


def escaped_size(*texts: str | bytes | None) -> int:
    """How many bytes texts take in a statement, at most."""
    size = 0
    for text in texts:
        if text:
            data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
            size += len(data) + sum(data.count(one) for one in _ESCAPED)
    return size


_ESCAPED: Final = tuple(bytes([one]) for one in b"\\'\"\0\n\r\x1a")


def portions(
    rows: Iterable[T], *, most: int, room: int, size_of: Callable[[T], int]
) -> Iterator[list[T]]:
    """In their order: at most ``most`` rows, whose sizes add up to ``room``; one at least."""
    part: list[T] = []
    size = 0
    for row in rows:
        own = size_of(row)
        if part and (len(part) == most or size + own > room):
            yield part
            part, size = [], 0
        part.append(row)
        size += own
    if part:
        yield part
