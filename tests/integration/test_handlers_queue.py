"""The queue that handlers enqueue into: one for a run, whose connection ends with the run."""

import gc
from pathlib import Path
from typing import Any

import pytest

from databases import empty_queue
from wpbridge.app import executors
from wpbridge.site.config import load
from wpbridge.site.resolve import resolve
from wpbridge.store import connect


def test_its_connection_ends_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dsn = empty_queue(tmp_path / "queue.db")
    settings = load({"dsn": dsn}, {}, tmp_path)
    opened: list[Any] = []
    closed: list[Any] = []
    open_site = connect.open_site

    def watched(*given: Any, **more: Any) -> Any:
        store = open_site(*given, **more)
        close = store.close

        def noted(self: Any) -> None:
            closed.append(self)
            close()

        monkeypatch.setattr(type(store), "close", noted)
        opened.append(store)
        return store

    monkeypatch.setattr(executors, "open_site", watched)
    open_queue = executors._opener(settings, resolve(settings, {}), 1.0)
    assert open_queue() is open_queue()
    assert (len(opened), closed) == (1, [])
    del open_queue
    gc.collect()
    assert closed == opened
