"""An action's texts to a call, or to the reason why there is none."""

from collections.abc import Callable

from wpbridge.action import Action
from wpbridge.codec import args, schedule
from wpbridge.errors import CodecError
from wpbridge.executors.base import Call, Executor
from wpbridge.outcome import Failed
from wpbridge.runner import wording


def dispatch(
    action: Action, executor: Executor, may_start: Callable[[], bool] = lambda: True
) -> Call | Failed:
    """Decode args and schedule; a row that cannot be read fails, and runs nothing."""
    try:
        schedule.decode(action.schedule)
    except CodecError as error:
        reason = wording.undecodable(action.id, f"has an invalid schedule: {error}")
        return Failed(reason=reason, error_type="CodecError")
    try:
        decoded = args.decode(action.args)
    except CodecError as error:
        reason = wording.undecodable(action.id, f"has invalid arguments: {error}")
        return Failed(reason=reason, error_type="CodecError")
    return Call(
        action=action,
        values=decoded.values,
        mapping=decoded.mapping,
        books=executor.books(action.hook, action.group),
        may_start=may_start,
    )
