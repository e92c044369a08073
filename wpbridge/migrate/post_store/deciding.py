"""Decides what becomes of one post: the action that is made of it, or why it stays a post."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from wpbridge.action import PLUGIN_TIMEOUT_SECONDS, NewAction, Status
from wpbridge.clock import Clock, from_text, from_timestamp
from wpbridge.codec import args, schedule
from wpbridge.codec.schedule import Async, Canceled, ForeignSchedule
from wpbridge.errors import CodecError
from wpbridge.queue.enqueue import HOOK_CHARACTERS
from wpbridge.store.posts.made import MIGRATED, Moving
from wpbridge.store.posts.old_posts import LOG_TYPE, Post

InProgress: TypeAlias = Literal["complete", "failed", "pending"]
IN_PROGRESS: Final[tuple[InProgress, ...]] = ("complete", "failed", "pending")
STATUSES: Final = {
    "pending": Status.PENDING,
    "failed": Status.FAILED,
    "trash": Status.CANCELED,
    "publish": Status.COMPLETE,
    "in-progress": Status.IN_PROGRESS,
}
"""By post status, in the plugin's order of picking; within one the earliest date goes first."""
INTERRUPTED: Final = "action was in-progress when it was migrated and has been marked as {}"
_NEW_FORM: Final = b"scheduled_timestamp"
"""A property that blobs of 3.0 and later have."""


class Deciding:
    """Maps posts to actions as the plugin does, but keeps attempts and async actions."""

    def __init__(self, clock: Clock, in_progress: InProgress) -> None:
        """``in_progress`` is what becomes of actions whose PHP runner never came back."""
        self._clock = clock
        self._in_progress = Status(in_progress)

    def decide(self, post: Post) -> Moving | str:
        """Return what becomes of a post, or why it stays one."""
        try:
            return self._plan(post)
        except CodecError as error:
            return str(error)

    def _plan(self, post: Post) -> Moving | str:
        """Return the same; CodecError where something in the post cannot be read."""
        if reason := self._refusal(post):
            return reason
        try:
            found = schedule.decode(post.schedules[0])
            blob = post.schedules[0]
            is_old = _NEW_FORM not in blob and not isinstance(found, Async | ForeignSchedule)
            blob = schedule.encode(found) if is_old else blob
        except CodecError as error:
            return f"its schedule cannot be read: {error.args[0]}"
        try:
            text = args.canonical(args.decode(post.args.encode("utf-8", "replace")).mapping)
        except CodecError as error:
            return f"its args cannot be read: {error.args[0]}"
        args.columns(text)
        at = from_text(post.date_gmt)
        if at is None:
            at = self._clock.now() if found.timestamp is None else _date(found.timestamp)
        status = STATUSES[post.status]
        is_async = isinstance(found, Async)
        if status is Status.CANCELED and not isinstance(found, ForeignSchedule):
            blob = schedule.encode(Canceled(timestamp=found.timestamp or int(at.timestamp())))
        new = NewAction(
            hook=post.hook,
            args=text,
            schedule=blob,
            scheduled_at=at,
            is_async=is_async,
            group=post.groups[0] if post.groups else "",
        )
        moving = Moving(
            new=new,
            status=status,
            attempts=max(0, post.attempts),
            last_attempt_at=_last_attempt(status, post, at),
            after=(MIGRATED.format(post.id),),
        )
        if status is Status.CANCELED:
            return replace(moving, before=("action canceled",))
        return self._interrupted(moving) if status is Status.IN_PROGRESS else moving

    def _refusal(self, post: Post) -> str:
        """Return the first reason against moving the post. It is empty if there is none."""
        size = len(post.hook)
        reasons = {
            "its id stands in two rows": post.is_twice,
            f"unknown status {post.status!r}": post.status not in STATUSES,
            f"its hook has {size} characters, not 1 to {HOOK_CHARACTERS}": (
                not 1 <= size <= HOOK_CHARACTERS
            ),
            "it has no schedule": not post.schedules,
            "it has comments that are no log rows": any(log.kind != LOG_TYPE for log in post.logs),
            "a runner of PHP's holds it": self._is_held(post),
        }
        return next((reason for reason, holds in reasons.items() if holds), "")

    def _is_held(self, post: Post) -> bool:
        """Tell whether the post is under a claim that gave a sign of life lately."""
        modified = from_text(post.modified_gmt)
        fresh = self._clock.now() - timedelta(seconds=PLUGIN_TIMEOUT_SECONDS)
        is_live = post.status in ("pending", "in-progress") and post.claim != ""
        return is_live and modified is not None and modified >= fresh

    def _interrupted(self, moving: Moving) -> Moving:
        to = self._in_progress
        words = INTERRUPTED.format(to.value)
        tried = None if to is Status.PENDING else moving.last_attempt_at
        return replace(moving, status=to, last_attempt_at=tried, after=(words, *moving.after))


def _date(timestamp: int) -> datetime:
    try:
        return from_timestamp(timestamp)
    except (OverflowError, ValueError, OSError):
        raise CodecError(f"its schedule's date {timestamp} is beyond the calendar") from None


def _last_attempt(status: Status, post: Post, at: datetime) -> datetime | None:
    """Return the plugin's date: only a complete action keeps the date of its end."""
    match status:
        case Status.PENDING:
            return None
        case Status.COMPLETE:
            return from_text(post.modified_gmt) or at
        case _:
            return at
