"""Find recurring actions that failed and have no next run.

The plugin schedules no next run of a recurring action after it has failed too often in a row, and
none if the process died between the failure and the next row. Nobody is told: the work just never
comes again. A chain has one hook, one group and the same args. It has stopped where its newest
action is a failed one: whoever requeues, restarts or unschedules it adds a newer one.

The search is bounded: the newest failures of a month, and of each of their hooks so many actions.
"""

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Final, NamedTuple, TypeAlias

from wpbridge.clock import to_text
from wpbridge.codec import schedule
from wpbridge.store.database.args_columns import chosen_args
from wpbridge.store.database.connection import text
from wpbridge.store.database.texts import as_bytes
from wpbridge.store.schema.rows import reader
from wpbridge.store.schema.tables import ACTIONS
from wpbridge.store.structure.tables import Tables

SINCE: Final = timedelta(days=31)
"""Older failures are not looked at: what came after them may be deleted by then."""
FAILURES: Final = 1_000
"""At most so many failures are looked at."""
HOOKS: Final = 100
"""At most so many hooks of recurring failures are looked at."""
LATER: Final = {"pending": 500, "in-progress": 50, "complete": 50, "canceled": 50}
"""Of each hook so many actions, by status, are looked at, the last by date first."""

Chain: TypeAlias = tuple[str, int, bytes]
"""Hook, group and args."""


class _Failed(NamedTuple):
    """The columns that are read of a failed action, as the driver gives them."""

    action_id: object
    hook: object
    group_id: object
    args: object
    extended_args: object
    schedule: object


class _Later(NamedTuple):
    """The columns that are read of an action that may be a next run."""

    action_id: object
    hook: object
    group_id: object
    args: object
    extended_args: object


class StoppedChains:
    """The recurring actions of one site that failed and have no next run."""

    def __init__(self, tables: Tables) -> None:
        layout, dialect, actions = tables.layout, tables.dialect, tables.names.actions
        self._session = tables.session
        self._failed = reader(_Failed, ACTIONS, lacking=layout.lacking)
        self._later = reader(_Later, ACTIONS, lacking=layout.lacking)
        self._newest = text(
            f"SELECT {self._failed.columns} FROM {actions}"
            f"{dialect.use_index(layout.attempt_index)} WHERE status = 'failed'"
            f" AND last_attempt_gmt >= :since ORDER BY last_attempt_gmt DESC LIMIT {FAILURES}"
        )
        hinted = f"{actions}{dialect.use_index(layout.hook_index)}"
        self._of_hook = text(
            " UNION ALL ".join(
                f"SELECT * FROM (SELECT {self._later.columns} FROM {hinted} WHERE hook = :hook"
                f" AND status = '{status}' ORDER BY scheduled_date_gmt DESC LIMIT {most})"
                f" AS part_{place}"
                for place, (status, most) in enumerate(LATER.items())
            )
        )

    def find(self, now: datetime) -> list[Chain]:
        """Return the chains that have stopped."""
        newest: dict[str, dict[Chain, int]] = defaultdict(dict)
        given = {"since": to_text(now - SINCE)}
        rows = self._session.run(lambda c: c.execute(self._newest, given).fetchall())
        for row in self._failed.read(rows):
            if schedule.recurring(as_bytes(row.schedule)):
                chain, action = _chain(row), _number(row.action_id)
                chains = newest[chain[0]]
                chains[chain] = max(action, chains.get(chain, 0))
        return [
            chain for hook in sorted(newest)[:HOOKS] for chain in self._stopped(hook, newest[hook])
        ]

    def _stopped(self, hook: str, failed: dict[Chain, int]) -> list[Chain]:
        rows = self._session.run(lambda c: c.execute(self._of_hook, {"hook": hook}).fetchall())
        last: dict[Chain, int] = {}
        for row in self._later.read(rows):
            chain = _chain(row)
            last[chain] = max(_number(row.action_id), last.get(chain, 0))
        if len(rows) >= LATER["pending"]:
            # A next run may be among those that were not read.
            return []
        return [chain for chain, action in failed.items() if last.get(chain, 0) < action]


def _chain(row: _Failed | _Later) -> Chain:
    return str(row.hook), _number(row.group_id), chosen_args(row.args, row.extended_args)


def _number(value: object) -> int:
    return int(str(value or 0))
