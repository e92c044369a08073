"""Insert rows into the actions and logs tables, many with one statement.

The caller has begun a transaction. The rows are byte for byte what the plugin's own insert writes:
attempts 0, no claim, zero dates for what never happened. Each statement names its columns.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from operator import attrgetter
from types import MappingProxyType
from typing import Final, NamedTuple

from wpbridge.action import ActionId, NewAction
from wpbridge.clock import ZERO_DATE, to_text
from wpbridge.codec.args import columns
from wpbridge.outcome import LogLine
from wpbridge.store.base import COMPLETED_MESSAGE, STARTED_MESSAGE
from wpbridge.store.database.connection import Connection, Result
from wpbridge.store.database.portions import SMALL, STATEMENT, portions, room, text_size
from wpbridge.store.rows.traces import Traces
from wpbridge.store.rows.zones import ZonedAction, Zones
from wpbridge.store.schema.charsets import to_text as php_text
from wpbridge.store.schema.tables import LOGS
from wpbridge.store.structure.tables import Tables

MESSAGE_BYTES: Final = 65_535
"""The size of the logs' text column. The plugin loses longer messages, wpbridge cuts them."""
ROWS_A_STATEMENT: Final = 500
LOGS_A_STATEMENT: Final = 1_000
_CONSTANT_MESSAGES: Final = frozenset({STARTED_MESSAGE, COMPLETED_MESSAGE})
NO_GROUPS: Final[Mapping[str, int]] = MappingProxyType({})


_GIVEN: Final = (
    "hook",
    "scheduled_date_gmt",
    "scheduled_date_local",
    "args",
    "schedule",
    "group_id",
    "priority",
    "extended_args",
)
"""The columns whose values differ between new actions. The others are the same for all."""


class _LogRow(NamedTuple):
    """A log row in a statement."""

    text: str
    values: tuple[object, ...]
    size: int
    """A guess of its bytes."""


_TEXT_OF, _VALUES_OF, _BYTES_OF = map(attrgetter, _LogRow._fields)


class Inserts:
    """Inserts into one site's tables."""

    def __init__(self, tables: Tables, zones: Zones, traces: Traces) -> None:
        names, layout, dialect, zone = tables.names, tables.layout, tables.dialect, tables.zone
        self.zone = zone
        self._zones = zones
        self._traces = traces
        self._names = names
        self._dialect = dialect
        self._layout = layout
        self._room = room(dialect.most_bytes)
        # A character may take more bytes in the statement than in the table.
        self._message_bytes = min(MESSAGE_BYTES, (dialect.most_bytes - STATEMENT) // 4)
        given = layout.present(*_GIVEN)
        same = {
            "status": "'pending'",
            "attempts": "0",
            "last_attempt_gmt": f"'{ZERO_DATE}'",
            "last_attempt_local": f"'{ZERO_DATE}'",
            "claim_id": "0",
        }
        mark = dialect.mark
        values = [*([mark] * len(given)), *same.values()]
        self._row = f"({', '.join(values)})"
        self._actions = f"INSERT INTO {names.actions} ({', '.join([*given, *same])}) VALUES "
        self._message = (names.logs, "message")
        self._log_row = f"({', '.join([mark] * len(LOGS.given))})"
        self._logs = LOGS.insert_start(names.logs)

    def actions(
        self,
        connection: Connection,
        actions: Sequence[NewAction],
        now: datetime,
        groups: Mapping[str, int] = NO_GROUPS,
    ) -> list[ActionId]:
        """Insert pending actions, each with its "action created" log row; return the new ids.

        ``groups`` gives ids by slug, for actions without a ``group_id``.
        """
        made: list[ActionId] = []
        rows = ((action, self._values(action, _group_of(action, groups))) for action in actions)
        for part in portions(rows, most=ROWS_A_STATEMENT, room=self._room, size_of=_size):
            added = [action for action, _ in part]
            values = [value for _, row in part for value in row]
            told = self._dialect.returning("action_id")
            done = self._run(connection, self._actions, self._row, len(part), values, told)
            given = self._dialect.new_ids(connection, done, len(part), self._names.actions)
            ids = [ActionId(one) for one in given]
            self._log_created(connection, ids, now)
            self._keep_zones(connection, ids, added, groups)
            traced = [(i, a.traceparent) for i, a in zip(ids, added, strict=True) if a.traceparent]
            self._traces.keep(connection, traced)
            made += ids
        return made

    def logs(self, connection: Connection, lines: Iterable[tuple[int, LogLine]]) -> None:
        """Insert log rows, in the order given."""
        self._log(connection, (self._line(connection, i, line) for i, line in lines))

    def raw_logs(
        self, connection: Connection, rows: Iterable[tuple[int, str, str | None, str | None]]
    ) -> None:
        r"""Insert log rows from action id, message and both dates, which are written unchanged.

        An action must not lose its ending because of a message. So a character that the table
        cannot hold is written as ``\u{1F600}``, and a message that is too long for the column or
        for a statement is cut.
        """
        self._log(connection, (self._raw_line(connection, *row) for row in rows))

    def _log(self, connection: Connection, rows: Iterable["_LogRow"]) -> None:
        for part in portions(rows, most=LOGS_A_STATEMENT, room=self._room, size_of=_BYTES_OF):
            values = tuple(chain.from_iterable(map(_VALUES_OF, part)))
            connection.exec_driver_sql(self._logs + ",".join(map(_TEXT_OF, part)), values)

    def _line(self, connection: Connection, action_id: int, line: LogLine) -> "_LogRow":
        gmt, local = self._log_dates(line.at)
        if line.message in _CONSTANT_MESSAGES:
            # Nearly all rows are such. Nothing in them comes from data, so nothing is quoted.
            return _LogRow(f"({int(action_id)},'{line.message}','{gmt}','{local}')", (), SMALL)
        return self._raw_line(connection, action_id, line.message, gmt, local)

    def _raw_line(
        self, connection: Connection, action_id: int, message: str, *dates: str | None
    ) -> "_LogRow":
        shown = self._layout.texts.shown(
            connection, self._message, message, octets=self._message_bytes
        )
        return _LogRow(self._log_row, (action_id, shown, *dates), SMALL + text_size(shown))

    def _log_created(self, connection: Connection, ids: Sequence[ActionId], now: datetime) -> None:
        """Insert the same log row for each action. Its values need no quoting."""
        gmt, local = self._log_dates(now)
        rows = ",".join([f"({i},'action created','{gmt}','{local}')" for i in ids])
        connection.exec_driver_sql(self._logs + rows)

    def _log_dates(self, at: datetime) -> tuple[str, str]:
        if not self._second <= at < self._next_second:
            # Nearly all rows of a batch are of the same second.
            self._second = at.replace(microsecond=0)
            self._next_second = self._second + timedelta(seconds=1)
            self._known_dates = (to_text(at), to_text(self.zone.log_local(at)))
        return self._known_dates

    _second = _next_second = datetime.min.replace(tzinfo=UTC)
    _known_dates = ("", "")

    def _values(self, action: NewAction, group_id: int) -> list[object]:
        short, extended = columns(action.args)
        due: str | None = None
        local: str | None = None
        if not action.is_waiting:
            at = action.scheduled_at
            due = to_text(at)
            local = to_text(self.zone.scheduled_local(at, action.is_async))
        values: list[object] = [
            action.hook,
            due,
            local,
            short,
            php_text(action.schedule),
            group_id,
        ]
        if self._layout.has_priority:
            values.append(action.priority)
        if self._layout.has_extended_args:
            values.append(extended)
        return values

    def _keep_zones(
        self,
        connection: Connection,
        ids: Sequence[ActionId],
        actions: Sequence[NewAction],
        groups: Mapping[str, int],
    ) -> None:
        rows = [
            ZonedAction(
                action_id=action_id,
                hook=action.hook,
                args=columns(action.args)[0],
                group_id=_group_of(action, groups),
                expression=action.zoned.expression,
                zone=action.zoned.zone,
            )
            for action_id, action in zip(ids, actions, strict=True)
            if action.zoned is not None
        ]
        self._zones.keep(connection, rows)

    @staticmethod
    def _run(  # noqa: PLR0917 - the parts of one statement
        connection: Connection,
        start: str,
        row: str,
        rows: int,
        values: Sequence[object],
        end: str = "",
    ) -> Result:
        """Run one INSERT of many rows."""
        return connection.exec_driver_sql(start + ",".join([row] * rows) + end, tuple(values))


def _group_of(action: NewAction, groups: Mapping[str, int]) -> int:
    return groups[action.group] if action.group_id is None else action.group_id


def _size(row: tuple[NewAction, list[object]]) -> int:
    """Return the bytes of a row in a statement, and of its log row in another."""
    return 2 * SMALL + text_size("".join([one for one in row[1] if isinstance(one, str)]))
