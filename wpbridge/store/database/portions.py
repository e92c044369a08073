"""Divide rows into portions that each fit into one statement.

A server closes the connection when a statement is longer than its max_allowed_packet (1 MiB in old
servers). That looks as if the server had gone away. So rows are sent in portions of :func:`room`
bytes, and a session refuses to send a longer statement at all
(:mod:`wpbridge.store.database.mysql_engine`).
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

T = TypeVar("T")

BYTES_A_STATEMENT: Final = 1 << 19
"""Longer statements are no faster."""
SMALL: Final = 100
"""The bytes that the numbers and dates of one row take."""
STATEMENT: Final = 1_000
"""The bytes that an INSERT takes beside its rows."""


def room(most_bytes: int) -> int:
    """Return how many bytes of rows, by :func:`text_size`, to send in one statement.

    ``most_bytes`` is the longest statement that the database takes. Half of it is used, because the
    size of a text is a guess, and every character of it may be a quote that is escaped.
    """
    return max(1, min(BYTES_A_STATEMENT, (most_bytes - STATEMENT) // 2))


def text_size(*texts: str | bytes | None) -> int:
    """Estimate the bytes that texts take in a statement. At most twice as many are sent."""
    size = 0
    for text in texts:
        if text:
            is_short = isinstance(text, bytes) or text.isascii()
            size += len(text) + (len(text) >> 2) if is_short else 4 * len(text)
    return size


def escaped_size(*texts: str | bytes | None) -> int:
    """Return the most bytes that texts can take in a statement."""
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
    """Yield the rows in their order, in portions of at most ``most`` rows and ``room`` bytes.

    A row that is larger than ``room`` makes a portion of its own.
    """
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
