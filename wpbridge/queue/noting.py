"""The method of a queue that notes who changes it, in the transaction of the change."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from wpbridge.action import ActionId
from wpbridge.queue.connection import QueueConnection
from wpbridge.store.database.connection import Connection
from wpbridge.store.database.session import CommittedBefore

if TYPE_CHECKING:
    from wpbridge.store.rows.audit import AuditRow

_MOST_IDS: Final = 100
"""So many ids of changed actions a row of the audit table holds."""


def counted(result: object) -> int:
    """Count what a transaction has changed, by what it has returned.

    Work that returns nothing has changed one thing; other work returns ids, or how many.
    """
    match result:
        case None:
            return 1
        case bool() | int():
            return int(result)
        case list() | tuple() | dict() | set() | frozenset():
            return len(result)
        case _:
            return 1 if result else 0


class QueueNoting(QueueConnection):
    """Note changes in the audit table."""

    def now(self) -> datetime:
        """Return the present time by the queue's clock, in aware UTC."""
        return self._now()

    @property
    def left(self) -> Mapping[ActionId, str]:
        """Return what a change leaves as it is, with the reasons, in its transaction in hand."""
        return self._left

    @contextlib.contextmanager
    def noted(
        self,
        *,
        who: str,
        verb: str,
        thing: str | Callable[[object], str],
        address: str = "",
        counted: Callable[[object], int] = counted,
        detail: Mapping[str, object] | Callable[[object], Mapping[str, object]] | None = None,
    ) -> Iterator[None]:
        """Note in the audit table who makes the changes of this block.

        A row is written in each transaction that changes something. It holds how many things were
        changed, and the ids of the first 100 of them. Where a COMMIT gets no answer, the row tells
        whether it was done, so that nothing is done twice.

        Args:
            who: such as ``key:shop``.
            verb: what is done, such as ``cancel``.
            thing: what it is done to, such as ``action 17``; or what says so, given what the
                transaction has returned.
            address: from where it was asked; empty where nobody knows.
            counted: says how many things a transaction has changed, given what it has returned.
            detail: what else is worth keeping, or what says so; no secrets.
        """
        with self._turn() as parts:
            audit = parts.audit
            audit.prepare()

            written: list[tuple[AuditRow, object]] = []

            def note(connection: Connection, result: object) -> None:
                if not parts.session.in_doubt:
                    written.clear()
                elif written and audit.is_there(connection, written[-1][0]):
                    raise CommittedBefore(written[-1][1])
                changed = counted(result)
                if not changed:
                    return
                more = detail(result) if callable(detail) else detail
                row = audit.add(
                    connection,
                    who=who,
                    verb=verb,
                    thing=thing(result) if callable(thing) else thing,
                    detail={
                        **(more or {}),
                        "changed": changed,
                        **({"ids": ids} if (ids := _ids(result)) else {}),
                        **({"address": address} if address else {}),
                    },
                )
                written.append((row, result))

            with parts.session.witnessed(note):
                yield


def _ids(result: object) -> list[int]:
    """Return the ids of the first actions that were changed, where the transaction says which."""
    rows = list(result) if isinstance(result, list | tuple | dict) else []
    return [one for one in rows[:_MOST_IDS] if type(one) is int]
