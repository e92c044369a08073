"""Copies actions from one queue straight to another."""

from collections.abc import Callable
from dataclasses import replace

from wpbridge.errors import InputError
from wpbridge.migrate.journal import Journal
from wpbridge.migrate.transfer.exporting import lines_of
from wpbridge.migrate.transfer.files import Line
from wpbridge.migrate.transfer.importing import Import
from wpbridge.migrate.transfer.wishes import Report, Wishes
from wpbridge.store.opened import OpenStore
from wpbridge.store.records import Query


def copy_queue(
    source_store: OpenStore,
    query: Query,
    target: OpenStore,
    wishes: Wishes,
    reject: Callable[[Line, str], None],
    *,
    logs: bool = True,
    origin: str | None = None,
    tick: Callable[[int], None] = lambda _count: None,
    journal: Journal | None = None,
) -> Report:
    """Copy actions from one queue to another, under the keys that a file would give them.

    InputError where source and target are the same queue.
    """
    if source_store.whole_rows.identity() == target.whole_rows.identity():
        raise InputError("source and target are the same queue")
    lines = lines_of(source_store, query, now=wishes.now, logs=logs, origin=origin)
    numbered = (Line(number=n, value=line) for n, line in enumerate(lines, 1))
    return Import(target, replace(wishes, into_itself=False), reject, tick, journal).run(numbered)
