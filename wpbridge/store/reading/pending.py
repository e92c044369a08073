"""Read pending rows one by one: find those that cannot be decoded, and chains that exist twice."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from wpbridge.action import ActionId
from wpbridge.codec import args, schedule
from wpbridge.dataclass import dataclass
from wpbridge.errors import CodecError
from wpbridge.store.database.args_columns import chosen_args
from wpbridge.store.database.texts import as_bytes

_Fault: TypeAlias = tuple[str, bool]
"""What is wrong, and whether PHP finds it wrong too."""


class Columns(NamedTuple):
    """The columns that are read of a pending action, as the driver gives them."""

    action_id: object
    hook: object
    args: object
    extended_args: object
    schedule: object
    group_id: object
    claim_id: object
    scheduled_date_gmt: object


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingRow:
    """A pending action, as far as it is read here."""

    id: ActionId
    hook: str
    args: bytes
    """``extended_args`` where it is used, else ``args``."""
    schedule: bytes
    group_id: int
    is_claimed: bool
    is_dated: bool
    """False for a date that is NULL."""

    @classmethod
    def of(cls, row: Columns) -> "PendingRow":
        """Make it from the row's columns."""
        return cls(
            id=ActionId(int(str(row.action_id))),
            hook=str(row.hook),
            args=chosen_args(row.args, row.extended_args),
            schedule=as_bytes(row.schedule),
            group_id=int(str(row.group_id or 0)),
            is_claimed=bool(int(str(row.claim_id or 0))),
            is_dated=row.scheduled_date_gmt is not None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A pending action that cannot be run as it is."""

    id: ActionId
    hook: str
    why: str
    is_claimed: bool
    is_hopeless: bool
    """Whether PHP cannot read it either; then the plugin, since 4.0, would cancel it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was found in the first pending rows."""

    unreadable: tuple[Unreadable, ...]
    twins: tuple[str, ...]
    """The hook of every recurring action beyond the first of its kind."""
    is_whole: bool
    """False where there are more pending rows than were read."""


def read(rows: Iterable[PendingRow], *, is_whole: bool) -> Reading:
    """Find what cannot be run, and recurring actions that exist more than once, among the rows."""
    bad: list[Unreadable] = []
    chains: Counter[tuple[object, ...]] = Counter()
    for row in rows:
        fault = fault_of(row.args, row.schedule)
        if fault is not None:
            bad.append(
                Unreadable(
                    id=row.id,
                    hook=row.hook,
                    why=fault[0],
                    is_claimed=row.is_claimed,
                    is_hopeless=fault[1],
                )
            )
        elif row.is_dated and (found := schedule.recurring(row.schedule)):
            chains[row.hook, row.args, row.group_id, found.period] += 1
    twins = [str(chain[0]) for chain, count in chains.items() for _ in range(count - 1)]
    return Reading(unreadable=tuple(bad), twins=tuple(twins), is_whole=is_whole)


def fault_of(args_text: bytes, blob: bytes) -> _Fault | None:
    """Return what is wrong with an action's args or else its schedule; None when nothing is."""
    return _args_fault(args_text) or _schedule_fault(blob)


def _args_fault(text: bytes) -> _Fault | None:
    try:
        args.decode(text)
    except CodecError as error:
        return str(error), error.offset is not None
    return None


def _schedule_fault(blob: bytes) -> _Fault | None:
    """Return what is wrong with a schedule. The class of another plugin is no fault."""
    try:
        schedule.decode(blob)
    except CodecError as error:
        # An error without a place is of a value that PHP may understand, such as a date in words.
        return str(error), error.offset is not None
    return None
