"""Decodes the texts of an action and makes the call of it, or the reason why there is none."""

from collections.abc import Callable

from wpbridge.action import Action
from wpbridge.codec import args, schedule
from wpbridge.executors.base import Call, Executor
from wpbridge.outcome import Failed, class_name, plain
from wpbridge.runner import log_texts


def dispatch(
    action: Action, executor: Executor, may_start: Callable[[], bool] = lambda: True
) -> Call | Failed:
    """Make the call of an action; a row that cannot be read fails, and runs nothing."""
    decoded = _decoded(action)
    if isinstance(decoded, Failed):
        return decoded
    return Call(
        action=action,
        values=decoded.values,
        mapping=decoded.mapping,
        start_mark=executor.start_mark(action.hook, action.group),
        may_start=may_start,
    )


def is_readable(action: Action) -> bool:
    """Return whether :func:`dispatch` makes a call of the action."""
    return not isinstance(_decoded(action), Failed)


def _decoded(action: Action) -> args.Args | Failed:
    """Decode schedule and args, or tell why that does not work."""
    has = "an invalid schedule"
    try:
        schedule.decode(action.schedule)
        has = "invalid arguments"
        return args.decode(action.args)
    except Exception as error:  # noqa: BLE001 - whatever a row holds ends its action alone
        told = plain(error) or class_name(error)
        reason = log_texts.undecodable(action.id, f"has {has}: {told}")
        return Failed(reason=reason, error_type="CodecError")
