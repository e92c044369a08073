"""Reads a queue as the lines of a file."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from wpbridge.migrate.transfer.lines import ACTIONS, END, VERSION
from wpbridge.migrate.transfer.row_to_line import line_of
from wpbridge.site.moments import iso
from wpbridge.store.opened import OpenStore
from wpbridge.store.records import Query


def lines_of(
    store: OpenStore,
    query: Query,
    *,
    now: datetime,
    logs: bool = True,
    origin: str | None = None,
    count: int | None = None,
    tick: Callable[[int], None] = lambda _count: None,
) -> Iterator[dict[str, Any]]:
    """Read a queue as lines: a header, the actions by id, and an end.

    Args:
        store: whose.
        query: which actions; its order and limit do not count.
        now: for the header.
        logs: with their log rows.
        origin: what the actions are known by where they are added; the server's own name and the
            prefix unless given.
        count: how many there are about, for who reads the lines.
        tick: told of each window read.
    """
    parts = store
    yield {
        "wpbridge": ACTIONS,
        "version": VERSION,
        "origin": origin or parts.whole_rows.identity(),
        "prefix": store.names.prefix,
        "schema": store.layout.describe(),
        "zone": str(parts.inserts.zone),
        "logs": logs,
        "made": iso(now),
        "count": count,
    }
    statuses: Counter[str] = Counter()
    for window in parts.whole_rows.read(query, logs=logs):
        for row in window:
            line = line_of(row)
            statuses[line["status"]] += 1
            yield line
        tick(len(window))
    yield {"wpbridge": END, "actions": statuses.total(), "statuses": dict(statuses)}
