"""Keep which alerts fire, and which messages have yet to reach their targets.

One watcher of the site writes the table: the one that has the duty ``alerts``. What it owes is
written before it is sent, and struck out afterwards. So a crash between the two repeats one message
and loses none.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from wpbridge.clock import from_text, to_text
from wpbridge.dataclass import dataclass
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.texts import date
from wpbridge.store.schema.tables import ALERTS
from wpbridge.store.structure.tables import Tables

State: TypeAlias = Literal["pending", "firing", "resolved"]
"""Above the threshold, but not for long enough; firing; over."""
_KEY: Final = ", ".join(ALERTS.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """A message that has yet to reach some targets."""

    state: Literal["firing", "resolved"]
    at: datetime
    """Aware UTC: since when it is so."""
    text: str
    """What is the case, in one sentence."""
    to: tuple[str, ...]
    """The ids of the targets that have not got it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One instance of a rule that is, or was, above its threshold."""

    rule: str
    of: str
    """The hook or the table; empty for the whole queue."""
    state: State
    since: datetime
    """Aware UTC: since when it is in this state."""
    value: float
    told: datetime | None = None
    """When people were last told that it fires. None: they do not know that it does."""
    owed: tuple[Owed, ...] = ()
    """In the order in which they are to be sent."""

    @property
    def key(self) -> tuple[str, str]:
        """Return what tells one alert from another."""
        return self.rule, self.of


class Alerts:
    """The alerts of one site."""

    def __init__(self, tables: Tables) -> None:
        self._session = tables.session
        self._own = tables.own
        self._table = table = tables.names.alerts
        changed = [name for name in ALERTS.given if name not in ALERTS.key]
        self._write = text(ALERTS.insert_into(table) + tables.dialect.or_update(_KEY, *changed))
        self._read = text(f"SELECT {', '.join(ALERTS.given)} FROM {table} ORDER BY {_KEY}")
        self._delete = text(f"DELETE FROM {table} WHERE rule = :rule AND instance = :instance")

    def all(self) -> list[Alert]:
        """Return all of them, by rule and instance; none without the table."""
        if not self._own.has(self._table):
            return []
        return self._session.run(
            lambda c: [_alert(row) for row in c.execute(self._read, {}).fetchall()]
        )

    def write(self, alerts: Iterable[Alert], over: Iterable[tuple[str, str]] = ()) -> None:
        """Write alerts, and delete those that are over, by their keys, in one transaction."""
        kept, gone = list(alerts), list(over)
        if not (kept or gone):
            return
        self._own.ensure(self._table)

        def write(connection: Connection) -> None:
            for alert in kept:
                connection.execute(self._write, _values(alert))
            for rule, of in gone:
                connection.execute(self._delete, {"rule": rule, "instance": of})

        self._session.transact(write)


def _values(alert: Alert) -> dict[str, object]:
    owed = [
        {"state": one.state, "at": to_text(one.at), "text": one.text, "to": list(one.to)}
        for one in alert.owed
    ]
    return {
        "rule": alert.rule,
        "instance": alert.of,
        "state": alert.state,
        "since_gmt": to_text(alert.since),
        "told_gmt": None if alert.told is None else to_text(alert.told),
        "value": min(alert.value, 1e300),
        "owed": json.dumps(owed),
    }


def _alert(row: Sequence[object]) -> Alert:
    rule, of, state, since, told, value, owed = row
    at = date(since)
    assert at is not None
    known: State = "pending" if state == "pending" else "firing"
    return Alert(
        rule=str(rule),
        of=str(of),
        state="resolved" if state == "resolved" else known,
        since=at,
        told=date(told),
        value=float(str(value)),
        owed=tuple(_owed(str(owed), at)),
    )


def _owed(told: str, since: datetime) -> Iterable[Owed]:
    """Read what is owed; a damaged text counts as nothing."""
    try:
        found: Any = json.loads(told)
        for one in found:
            yield Owed(
                state="resolved" if one["state"] == "resolved" else "firing",
                at=from_text(one["at"]) or since,
                text=str(one["text"]),
                to=tuple(map(str, one["to"])),
            )
    except (ValueError, TypeError, KeyError, RecursionError):
        return
