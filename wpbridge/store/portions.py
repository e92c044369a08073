"""Rows in portions that one statement may hold.

A server refuses what is over its max_allowed_packet (1 MiB in old ones) as if it had gone away.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


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
