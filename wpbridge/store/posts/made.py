"""The actions that posts are about to become, and those that they have become."""

from collections.abc import Callable, Sequence
from dataclasses import field
from datetime import datetime
from typing import Any, Final, TypeAlias

from wpbridge.action import ActionId, NewAction, Status
from wpbridge.clock import ZERO_DATE, to_text
from wpbridge.codec.args import columns
from wpbridge.dataclass import dataclass
from wpbridge.site.zone import Zone
from wpbridge.store.bulk.rows import WholeRow
from wpbridge.store.posts.old_posts import Post
from wpbridge.store.posts.whole_posts import Columns, WholePost
from wpbridge.store.schema.charsets import to_text as php_text

MIGRATED: Final = (
    "Migrated action with ID {} in ActionScheduler_wpPostStore to ID %d in"
    " ActionScheduler_DBStoreMigrator"
)
"""In the plugin's words, the last log row of what is made; ``%d`` is filled in when it is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moving:
    """What becomes of a post."""

    new: NewAction
    status: Status
    attempts: int
    last_attempt_at: datetime | None
    before: tuple[str, ...] = ()
    """Log rows of this moment, before the old ones."""
    after: tuple[str, ...] = ()
    """And after them."""

    def row(self, zone: Zone) -> WholeRow:
        """Return the row that the tables will hold."""
        new = self.new
        short, extended = columns(new.args)
        tried = self.last_attempt_at
        return WholeRow(
            id=0,
            hook=new.hook,
            status=self.status.value,
            scheduled=to_text(new.scheduled_at),
            scheduled_local=to_text(zone.scheduled_local(new.scheduled_at, new.is_async)),
            args=short,
            extended_args=extended,
            schedule=php_text(new.schedule),
            group=new.group,
            priority=new.priority,
            attempts=self.attempts,
            last_attempt=ZERO_DATE if tried is None else to_text(tried),
            last_attempt_local=ZERO_DATE if tried is None else to_text(zone.attempt_local(tried)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """An action that a post became, as it was made, with the post itself."""

    post: WholePost
    action: ActionId
    hook: str
    status: str
    attempts: int
    scheduled: str
    last_attempt: str


Decide: TypeAlias = Callable[[Post], Moving | str]
"""What becomes of it, or why nothing can."""
Keep: TypeAlias = Callable[[Sequence[Made], Columns], None]
"""What is about to be deleted, to be written down; on the disk when it returns."""


@dataclass(slots=True)
class Batch:
    """What was done with some posts."""

    moved: dict[int, ActionId] = field(default_factory=dict)
    """Actions by posts."""
    left: list[tuple[Post, str]] = field(default_factory=list)
    gone: int = 0
    """Others took them meanwhile."""


def made_of(post: Post, action: ActionId, state: Sequence[Any]) -> Made:
    """Return a post with its action: status, attempts, date and last attempt."""
    status, attempts, scheduled, tried = state
    return Made(
        post=post.whole,
        action=action,
        hook=post.hook,
        status=str(status),
        attempts=int(attempts),
        scheduled=str(scheduled),
        last_attempt=str(tried),
    )
