"""Hears the statements that a session sends, and does something before or after one of them."""

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from wpbridge.store.database.connection import Connection, Result
from wpbridge.store.database.session import Session

Hears: TypeAlias = Callable[[str, Any], object]
"""Gets a statement as the driver gets it, and its values. Before the statement is sent, it may
return another one to be sent instead."""
When: TypeAlias = Literal["before", "after"]


def listen(session: Session, when: When, hears: Hears) -> Callable[[], None]:
    """Call ``hears`` for each statement from now on. Returns what ends that.

    An error that it raises counts as one of the driver.
    """
    listeners: list[tuple[When, Hears]] = session.__dict__.setdefault("heard_by", [])
    if not listeners:
        _watch(session, listeners)
    listeners.append((when, hears))
    return lambda: listeners.remove((when, hears))


def _watch(session: Session, listeners: list[tuple[When, Hears]]) -> None:
    connected = session._connected

    def watched() -> Connection:
        connection = connected()
        connection.__dict__.setdefault("_send", _heard(connection._send, listeners))
        return connection

    session.__dict__["_connected"] = watched


def _heard(
    send: Callable[..., Result], listeners: list[tuple[When, Hears]]
) -> Callable[..., Result]:
    def sends(sql: str, values: Any, *, is_many: bool) -> Result:
        for when, hears in list(listeners):
            sql = str((when == "before" and hears(sql, values)) or sql)
        result = send(sql, values, is_many=is_many)
        for when, hears in list(listeners):
            if when == "after":
                hears(sql, values)
        return result

    return sends
