"""Looking at the tables directly, past everything under test."""

from collections.abc import Sequence

from sqlalchemy import text

from wpbridge.store.running.runner_store import SqlStore


def query(store: SqlStore, statement: str, **values: object) -> Sequence[Sequence[object]]:
    """Rows of a SELECT, dates as text."""
    return store.session.run(lambda c: c.execute(text(statement), values).fetchall())


def change(store: SqlStore, statement: str, **values: object) -> None:
    """Run an INSERT, UPDATE or DELETE, as another program would."""
    store.session.run(lambda c: c.execute(text(statement), values).rowcount)


def column(store: SqlStore, name: str, action_id: int) -> object:
    """One column of an action."""
    rows = query(
        store, f"SELECT {name} FROM wp_actionscheduler_actions WHERE action_id = :i", i=action_id
    )
    return rows[0][0]


def log_of(store: SqlStore, action_id: int) -> list[str]:
    """An action's log messages in order."""
    rows = query(
        store,
        "SELECT message FROM wp_actionscheduler_logs WHERE action_id = :i ORDER BY log_id",
        i=action_id,
    )
    return [str(row[0]) for row in rows]
