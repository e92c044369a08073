"""How many bytes a table grows in a week, by the line that fits its last week best."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from wpbridge.store.rows.sizes import Size

WEEK: Final = timedelta(days=7)
LEAST: Final = timedelta(days=1)
"""A shorter time says nothing of a week."""


def growth_of(sizes: Iterable[Size]) -> dict[str, float]:
    """Return the growth of each table that is known for a day or more."""
    by_table: dict[str, list[Size]] = defaultdict(list)
    for size in sizes:
        by_table[size.table].append(size)
    return {
        table: _slope(told) * WEEK.total_seconds()
        for table, told in by_table.items()
        if told[-1].at - told[0].at >= LEAST
    }


def _slope(told: list[Size]) -> float:
    """Return the bytes per second of the line that fits best."""
    begin = told[0].at
    times = [(size.at - begin).total_seconds() for size in told]
    middle = sum(times) / len(times)
    mean = sum(size.bytes for size in told) / len(told)
    spread = sum((time - middle) ** 2 for time in times)
    products = (
        (time - middle) * (size.bytes - mean) for time, size in zip(times, told, strict=True)
    )
    return sum(products) / spread
