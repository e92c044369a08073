"""What travels between the process pool and its children: one JSON object a line.

Plain values only, so that nothing a child writes can run code here. JSON in Python keeps ints and
floats apart, ints of any size, and the shortest text of a float that reads back as the same one.
"""

from datetime import datetime, timedelta
from typing import Any, Final, assert_never

from wpbridge.action import Action, ActionId, ClaimId, Status
from wpbridge.dataclass import dataclass
from wpbridge.executors.base import Call
from wpbridge.outcome import (
    Booked,
    Canceled,
    Completed,
    Failed,
    LogLine,
    Outcome,
    Progress,
    Retried,
    Snoozed,
    Unrun,
)

CHANNEL_LOST: Final = 76
"""Exit code of a child whose handler closed the pipes to wpbridge."""
_TICK: Final = timedelta(microseconds=1)


# Calls


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A call as a child gets it."""

    action: Action
    """Without its args and schedule, which are read already."""
    values: list[Any]
    mapping: Any
    limit: timedelta | None
    is_stopping: bool
    """The runner wants to end already."""
    traceparent: str = ""
    """Names the span of the attempt; empty for none."""


def run_frame(call: Call, limit: timedelta | None, *, is_stopping: bool) -> dict[str, Any]:
    """Make the request that runs a call."""
    action = call.action
    return {
        "do": "run",
        "id": action.id,
        "hook": action.hook,
        "group": action.group,
        "attempts": action.attempts,
        "key": action.idempotency_key,
        "scheduled_at": action.scheduled_at and action.scheduled_at.isoformat(),
        "values": list(call.values),
        "mapping": call.mapping,
        "limit": None if limit is None else limit // _TICK,
        "stopping": is_stopping,
        "traceparent": call.traceparent,
    }


def order_of(frame: dict[str, Any]) -> Order:
    """Read a request as an order."""
    told = frame["scheduled_at"]
    action = Action(
        id=ActionId(frame["id"]),
        hook=frame["hook"],
        status=Status.PENDING,
        scheduled_at=datetime.fromisoformat(told) if told else None,
        priority=0,
        args=b"",
        schedule=b"",
        group_id=0,
        group=frame["group"],
        attempts=frame["attempts"],
        claim_id=ClaimId(0),
        make_key=lambda: str(frame["key"]),
    )
    limit = frame["limit"]
    return Order(
        action=action,
        values=frame["values"],
        mapping=frame["mapping"],
        limit=None if limit is None else limit * _TICK,
        is_stopping=frame["stopping"],
        traceparent=frame["traceparent"],
    )


# Outcomes


def outcome_frame(outcome: Outcome) -> dict[str, Any]:
    """An outcome, as part of an answer."""
    match outcome:
        case Completed(result=result, left_out=left_out):
            return {"as": "complete", "result": result, "left_out": left_out}
        case Failed(reason=reason, error_type=error_type, detail=detail):
            return {"as": "failed", "reason": reason, "type": error_type, "detail": detail}
        case Retried(after=after, reason=reason):
            return {"as": "retry", "after": after // _TICK, "reason": str(reason)}
        case Snoozed(until=until, reason=reason):
            return {"as": "snooze", "until": until.isoformat(), "reason": str(reason)}
        case Canceled(reason=reason):
            return {"as": "cancel", "reason": str(reason)}
        case Unrun() | Booked():
            raise AssertionError("no handler says that")
        case _:
            assert_never(outcome)


def outcome_of_frame(frame: dict[str, Any]) -> Outcome:
    """Read a part of an answer as an outcome. ValueError, TypeError or KeyError when it is none."""
    match frame["as"]:
        case "complete":
            result = frame["result"]
            return Completed(
                result=None if result is None else str(result), left_out=str(frame["left_out"])
            )
        case "failed":
            return Failed(
                reason=str(frame["reason"]),
                error_type=str(frame["type"]),
                detail=str(frame["detail"]),
            )
        case "retry":
            return Retried(after=frame["after"] * _TICK, reason=str(frame["reason"]))
        case "snooze":
            until = datetime.fromisoformat(frame["until"])
            return Snoozed(until=until, reason=str(frame["reason"]))
        case "cancel":
            return Canceled(reason=str(frame["reason"]))
        case other:
            raise ValueError(f"{other!r} is no outcome")


# Log lines


def log_frame(said: LogLine) -> dict[str, Any]:
    """A row for the action's log, sent as it is written."""
    return {"is": "log", "message": said.message, "at": said.at.isoformat()}


def progress_frame(step: Progress) -> dict[str, Any]:
    """How far an action is, sent as it is said."""
    return {
        "is": "progress",
        "fraction": step.fraction,
        "text": step.text,
        "at": step.at.isoformat(),
    }


def progress_of(frame: dict[str, Any]) -> Progress:
    """Read a frame as how far an action is."""
    at = datetime.fromisoformat(frame["at"])
    return Progress(fraction=float(frame["fraction"]), text=str(frame["text"]), at=at)


def log_line(frame: dict[str, Any]) -> LogLine:
    """Read a frame as a log row."""
    return LogLine(message=str(frame["message"]), at=datetime.fromisoformat(frame["at"]))
