"""What a database reads for something: MariaDB counts rows, SQLite steps of its machine."""

import sqlite3
from collections.abc import Callable
from typing import TypeVar

from rows import change, query
from wpbridge.store.running.runner_store import RunnerStore

T = TypeVar("T")


def read_for(store: RunnerStore, work: Callable[[], T]) -> tuple[T, int]:
    """What the work returns, and how much was read for it on the store's connection."""
    count = _reads_of_mariadb if store.parts.dialect.name == "mysql" else _steps_of_sqlite
    return count(store, work)


def _reads_of_mariadb(store: RunnerStore, work: Callable[[], T]) -> tuple[T, int]:
    change(store, "FLUSH STATUS")
    done = work()
    rows = query(store, "SHOW SESSION STATUS LIKE 'Handler_read%'")
    return done, sum(int(str(row[1])) for row in rows)


def _steps_of_sqlite(store: RunnerStore, work: Callable[[], T]) -> tuple[T, int]:
    driver = store.session.run(lambda c: c.raw)
    assert isinstance(driver, sqlite3.Connection)
    hundreds: list[None] = []
    driver.set_progress_handler(lambda: hundreds.append(None), 100)
    done = work()
    driver.set_progress_handler(None, 0)
    return done, len(hundreds)
