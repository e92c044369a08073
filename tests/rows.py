"""Looking at the tables directly, past everything under test."""

import itertools
import os
import signal
from collections.abc import Sequence
from typing import Any

from sent import listen
from stores import AnyStore
from wpbridge.store.database.connection import text
from wpbridge.store.running.runner_store import RunnerStore


def query(store: AnyStore, statement: str, **values: object) -> Sequence[Sequence[object]]:
    """Rows of a SELECT, dates as text."""
    return store.session.run(lambda c: c.execute(text(statement), values).fetchall())


def change(store: AnyStore, statement: str, **values: object) -> None:
    """Run an INSERT, UPDATE or DELETE, as another program would."""
    store.session.run(lambda c: c.execute(text(statement), values).rowcount)


def set_status(store: AnyStore, action_id: int, status: str) -> None:
    """Give an action another status, as another program would."""
    change(
        store,
        "UPDATE wp_actionscheduler_actions SET status = :s WHERE action_id = :i",
        s=status,
        i=action_id,
    )


def column(store: AnyStore, name: str, action_id: int) -> object:
    """One column of an action."""
    rows = query(
        store, f"SELECT {name} FROM wp_actionscheduler_actions WHERE action_id = :i", i=action_id
    )
    return rows[0][0]


def log_of(store: AnyStore, action_id: int) -> list[str]:
    """An action's log messages in order."""
    rows = query(
        store,
        "SELECT message FROM wp_actionscheduler_logs WHERE action_id = :i ORDER BY log_id",
        i=action_id,
    )
    return [str(row[0]) for row in rows]


def actions_of(store: RunnerStore) -> list[dict[str, Any]]:
    """All actions of MariaDB's table, each with its columns and the slug of its group."""
    columns = [str(r[0]) for r in query(store, "SHOW COLUMNS FROM wp_actionscheduler_actions")]
    names = ", ".join(f"a.{name}" for name in columns)
    rows = query(
        store,
        f"SELECT {names}, g.slug FROM wp_actionscheduler_actions a LEFT JOIN"
        " wp_actionscheduler_groups g ON g.group_id = a.group_id ORDER BY a.action_id",
    )
    return [dict(zip([*columns, "group_slug"], row, strict=True)) for row in rows]


def die_before(store: RunnerStore, number: int) -> None:
    """Have this process killed before its n-th statement from now on."""
    statements = itertools.count(1)

    def before(*_: object) -> None:
        if next(statements) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    listen(store.session, "before", before)
