"""The one table of changes that people and programs may make: who may, by which function.

The pages of the dashboard and the HTTP gateway are made from :data:`COMMANDS`. To add a change, add
a row. Commands of the command line call the same methods of the queue.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

from wpbridge.dataclass import dataclass
from wpbridge.errors import InputError
from wpbridge.queue import deeds, fields
from wpbridge.queue.deeds import Told
from wpbridge.queue.fields import Field
from wpbridge.queue.jobs import JobQueue
from wpbridge.queue.noting import counted
from wpbridge.site.rules import Right, Role
from wpbridge.store.records import Change, Query

Which: TypeAlias = Iterable[int] | Query
"""Actions by their ids or by a query; nothing for what is not done to actions."""
Kind: TypeAlias = Literal["actions", "action", "queue"]
"""Done to any number of actions, to one action, or to the queue as a whole."""
_REASON: Final = Field(
    name="reason", kind="text", words="Reason", hint="The log keeps it.", most=255
)
_CRON: Final = Field(
    name="cron", kind="text", words="Cron expression", hint="Such as 0 3 * * *.", most=255
)
_TZ: Final = Field(
    name="tz", kind="text", words="Time zone", hint="In which cron is read; UTC without.", most=64
)
_INTERVAL: Final = Field(
    name="interval", kind="duration", words="Interval", hint="Seconds, or such as 1h30m."
)
_SCOPE: Final = (
    Field(name="hook", kind="text", words="Hook", most=191),
    Field(name="group", kind="text", words="Group", most=255),
    Field(name="everything", kind="flag", words="Everything"),
)
_RUNNER: Final = (Field(name="runner", kind="number", words="Runner", is_required=True),)
_NAMED_IDS: Final = 5
"""So many ids of actions stand in the name of what was changed; the row has more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One change that may be made."""

    verb: str
    """What it is called in addresses and in the audit table."""
    role: Role
    """Whose role allows it in the dashboard."""
    kind: Kind
    function: Callable[[JobQueue, Which, Told], Change]
    """Makes the change; the values of the fields come as :func:`wpbridge.queue.fields.read`
    returns them."""
    words: str
    """What stands on its button."""
    summary: str
    """What it does, in one sentence."""
    done: str
    """What was done to the actions: "3 actions were …"."""
    fields: tuple[Field, ...] = ()
    statuses: tuple[str, ...] = ()
    """Statuses of actions that it can change; none for any."""
    counted: Callable[[object], int] = counted
    """Given what a transaction has returned, says how many things it has changed."""

    @property
    def right(self) -> Right:
        """Return the right that a caller of the HTTP gateway needs."""
        return "administer" if self.role == "admin" else "operate"

    @property
    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of its fields."""
        return fields.schema_of(self.fields)

    def read(self, told: Mapping[str, Any], now: datetime, zone: tzinfo = UTC) -> dict[str, Any]:
        """Return the values of its fields; InputError names the field that is wrong."""
        return fields.read(self.fields, told, now, zone)


_TABLE: Final = (
    Command(
        verb="run",
        role="operator",
        kind="actions",
        function=deeds.run,
        words="Run now",
        summary="Make a pending action due now.",
        done="made due now",
        statuses=("pending",),
    ),
    Command(
        verb="cancel",
        role="operator",
        kind="actions",
        function=deeds.cancel,
        words="Cancel",
        summary="Cancel a pending action.",
        done="canceled",
        fields=(_REASON,),
        statuses=("pending",),
    ),
    Command(
        verb="requeue",
        role="operator",
        kind="actions",
        function=deeds.requeue,
        words="Requeue",
        summary="Add a new action for one that has ended.",
        done="requeued",
        fields=(
            Field(name="at", kind="moment", words="Date", hint="Now, if it is left empty."),
            Field(name="again", kind="flag", words="Also actions that were requeued before"),
        ),
        statuses=("failed", "canceled", "complete"),
    ),
    Command(
        verb="reschedule",
        role="operator",
        kind="actions",
        function=deeds.reschedule,
        words="Reschedule",
        summary="Move a pending action to another date.",
        done="rescheduled",
        fields=(
            Field(name="at", kind="moment", words="Date", hint="A date, or +2h.", is_required=True),
        ),
        statuses=("pending",),
    ),
    Command(
        verb="priority",
        role="operator",
        kind="actions",
        function=deeds.priority,
        words="Set priority",
        summary="Give a pending action another priority.",
        done="given another priority",
        fields=(
            Field(
                name="priority",
                kind="number",
                words="Priority",
                hint="0 to 255; lower runs first.",
                is_required=True,
                most=255,
            ),
        ),
        statuses=("pending",),
    ),
    Command(
        verb="delete",
        role="admin",
        kind="actions",
        function=deeds.delete,
        words="Delete",
        summary="Delete an action and its log for good.",
        done="deleted",
    ),
    Command(
        verb="edit-schedule",
        role="admin",
        kind="action",
        function=deeds.edit_schedule,
        words="Edit schedule",
        summary="Give a recurring action another recurrence.",
        done="given another schedule",
        fields=(
            _INTERVAL,
            _CRON,
            _TZ,
            Field(name="at", kind="moment", words="Next run", hint="By the schedule, if empty."),
        ),
        statuses=("pending",),
    ),
    Command(
        verb="pause",
        role="operator",
        kind="queue",
        function=deeds.pause,
        words="Pause",
        summary="Pause a hook, a group, or everything.",
        done="paused",
        fields=(
            *_SCOPE,
            Field(
                name="for", kind="duration", words="For so long", hint="Such as 2h. Else for good."
            ),
            _REASON,
        ),
    ),
    Command(
        verb="resume",
        role="operator",
        kind="queue",
        function=deeds.resume,
        words="Resume",
        summary="Resume a hook, a group, or everything.",
        done="resumed",
        fields=_SCOPE,
    ),
    Command(
        verb="enqueue",
        role="operator",
        kind="queue",
        function=deeds.enqueue,
        counted=deeds.added,
        words="Enqueue",
        summary="Add an action.",
        done="added",
        fields=(
            Field(name="hook", kind="text", words="Hook", is_required=True, least=1, most=191),
            Field(name="args", kind="args", words="Args", hint="A JSON list.", is_noted=False),
            Field(name="group", kind="text", words="Group", most=255),
            Field(name="at", kind="moment", words="Date", hint="Now, if it is left empty."),
            _INTERVAL,
            _CRON,
            _TZ,
            Field(
                name="priority",
                kind="number",
                words="Priority",
                hint="0 to 255; lower runs first. 10 without.",
                most=255,
            ),
            Field(name="unique", kind="flag", words="Only if none like it is pending or running"),
        ),
    ),
    Command(
        verb="quiet-worker",
        role="operator",
        kind="queue",
        function=deeds.quiet_worker,
        words="Quiet",
        summary="Make a runner claim nothing more; running actions go on.",
        done="told to be quiet",
        fields=_RUNNER,
    ),
    Command(
        verb="wake-worker",
        role="operator",
        kind="queue",
        function=deeds.wake_worker,
        words="Wake",
        summary="Let a quiet runner claim actions again.",
        done="told to work",
        fields=_RUNNER,
    ),
    Command(
        verb="stop-worker",
        role="admin",
        kind="queue",
        function=deeds.stop_worker,
        words="Stop",
        summary="Make a runner end after its running actions; a daemon ends as a whole.",
        done="told to stop",
        fields=_RUNNER,
    ),
)
COMMANDS: Final[Mapping[str, Command]] = MappingProxyType({one.verb: one for one in _TABLE})
"""Every change by its verb."""


def command_of(verb: str) -> Command:
    """Return a command; InputError where there is none of this name."""
    found = COMMANDS.get(verb)
    if found is None:
        raise InputError(f"verb: one of {', '.join(COMMANDS)}")
    return found


def carry_out(
    queue: JobQueue,
    verb: str,
    which: Which,
    told: Mapping[str, Any],
    *,
    who: str,
    address: str = "",
    zone: tzinfo = UTC,
) -> Change:
    """Make a change, and note in its own transaction who made it, of how many and from where.

    Whether the person or the program may is asked before.

    Args:
        queue: the queue that is changed.
        verb: one of :data:`COMMANDS`.
        which: the actions; nothing for what is done to the queue as a whole.
        told: the fields as they were given.
        who: such as ``user:anna`` or ``key:shop``.
        address: from where it was asked; empty where nobody knows.
        zone: the zone of a date that names none.

    Raises:
        InputError: a field cannot be read (the message begins with its name), or the change cannot
            be made.
        ActionNotFound: one of the ids is not there.
    """
    command = command_of(verb)
    meant = which if isinstance(which, Query) else list(which)
    if command.kind == "action" and (isinstance(meant, Query) or len(meant) != 1):
        raise InputError(f"{verb}: it is for one action")
    values = command.read(told, queue.now(), zone)
    with queue.noted(
        who=who,
        verb=verb,
        thing=_thing(command, meant, values),
        address=address,
        counted=command.counted,
        detail=fields.noted(command.fields, values),
    ):
        return command.function(queue, meant, values)


def _thing(command: Command, which: Query | list[int], values: Told) -> str:
    """Return what is changed, as the audit table names it."""
    if command.kind == "queue":
        return deeds.scope_of(values)
    if isinstance(which, Query):
        return "actions by a filter"
    some = ", ".join(map(str, which[:_NAMED_IDS]))
    if len(which) == 1:
        return f"action {some}"
    return f"actions {some}{', …' if len(which) > _NAMED_IDS else ''}"
