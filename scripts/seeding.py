"""Put rows into the tables of a queue on SQLite, past everything that would refuse them."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from wpbridge.codec import schedule as schedule_codec
from wpbridge.store.schema.description import Column, Table
from wpbridge.store.schema.tables import ACTIONS, GROUPS, LOGS, OWN, PLUGIN

PREFIX = "wp_"
_TABLES = {table.name: table for table in (*PLUGIN, *OWN)}


def date_text(at: datetime) -> str:
    """A date as the tables have it."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


class Seeder:
    """Fills one database, in one transaction, until the block ends."""

    def __init__(self, file: Path, now: datetime) -> None:
        self.now = now
        self._connection = sqlite3.connect(file)
        self._groups: dict[Any, int] = {"": 0}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        with closing(self._connection):
            if error is None:
                self._connection.commit()

    def row(self, table: str, **values: Any) -> int:
        """Add a row; what is not given is empty, zero, none or now. Bytes stand there as text."""
        described = _TABLES[table]
        told = {
            name: self._default(column)
            for name, column in described.columns.items()
            if not column.auto and column.type
        } | values
        marks = ["CAST(? AS TEXT)" if isinstance(one, bytes) else "?" for one in told.values()]
        name = f"{PREFIX}{_folder(described)}_{table}"
        statement = f"INSERT INTO {name} ({', '.join(told)}) VALUES ({', '.join(marks)})"
        return self._connection.execute(statement, list(told.values())).lastrowid or 0

    def _default(self, column: Column) -> Any:
        if column.null and column.type != "datetime":
            return None
        if column.type == "datetime":
            return column.default if column.null else date_text(self.now)
        is_number = column.type.startswith(("int", "bigint", "tinyint", "double"))
        return (column.default or 0) if is_number else (column.default or "")

    def group(self, slug: Any) -> int:
        """The id of a group, which is made once."""
        if slug not in self._groups:
            self._groups[slug] = self.row(GROUPS.name, slug=slug)
        return self._groups[slug]

    def action(
        self,
        hook: Any,
        status: Any = "pending",
        *,
        due: float = 0.0,
        args: Any = "[]",
        group: Any = "",
        every: int | None = None,
        cron: str | None = None,
        **more: Any,
    ) -> int:
        """Add an action that is due so many seconds from now."""
        at = self.now + timedelta(seconds=due)
        schedule: schedule_codec.Schedule = schedule_codec.single(at)
        if every is not None:
            schedule = schedule_codec.interval(at, every)
        if cron is not None:
            schedule = schedule_codec.cron_schedule(at, cron)
        is_long = len(args) > 191  # noqa: PLR2004 - what the column holds
        dates = {"scheduled_date_gmt": date_text(at), "scheduled_date_local": date_text(at)}
        told = {
            "hook": hook,
            "status": status,
            "args": "0" * 32 if is_long else args,
            "extended_args": args if is_long else None,
            "schedule": schedule_codec.encode(schedule),
            "group_id": self.group(group),
            "priority": 10,
        }
        return self.row(ACTIONS.name, **dates, **{**told, **more})

    def log(self, action: int, message: Any, *, at: float = 0.0) -> None:
        """Add a line to an action's log, so many seconds from now."""
        told = date_text(self.now + timedelta(seconds=at))
        self.row(
            LOGS.name, action_id=action, message=message, log_date_gmt=told, log_date_local=told
        )


def _folder(table: Table) -> str:
    return "wpbridge" if table.is_ours else "actionscheduler"
