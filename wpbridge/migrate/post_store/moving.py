"""The plugin's old post store into its tables: the plugin's own mapping, and less lost.

As `wp action-scheduler migrate`, but attempts and async actions are kept, and what cannot be read
stays a post. Each batch is one transaction, so what was moved is known by what is still a post; the
journal is for people. docs/how-to/move-the-post-store.md.
"""

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TextIO, TypeAlias

from wpbridge.action import ActionId, NewAction, Status
from wpbridge.clock import Clock, SystemClock, from_text, from_timestamp, to_text
from wpbridge.codec import args, schedule
from wpbridge.codec.schedule import Async, Canceled, ForeignSchedule
from wpbridge.errors import CodecError, Contention, SchemaError, SiteError
from wpbridge.migrate.journal import Journal
from wpbridge.migrate.post_store.deleted_posts import DeletedPosts
from wpbridge.queue.enqueue import HOOK_CHARACTERS
from wpbridge.store.moving.old_posts import GONE, LOG_TYPE, START, Post
from wpbridge.store.moving.posts import (
    CLEANUP_HOOK,
    LOGS_OPTION,
    MIGRATED,
    MIGRATION_OPTION,
    Batch,
    Moving,
    Posts,
)
from wpbridge.store.queueing.edits import STALE_SECONDS
from wpbridge.store.reading.survey import Rows
from wpbridge.store.running.runner_store import SqlStore
from wpbridge.store.structure.server import Server
from wpbridge.store.upkeep.cleaning import AWAY

KIND: Final = "post-store"
BATCH_SIZE: Final = 500
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
COMPLETING: Final = "completing"
"""The journal's step before the migration is marked complete."""
CLEANUP_AFTER: Final = timedelta(days=183)
_SAMPLES: Final = 500
_SAMPLES_A_BATCH: Final = 3
_NEW_FORM: Final = b"scheduled_timestamp"
"""A property that blobs of 3.0 and later have."""


@dataclass(slots=True)
class Summary:
    """What was done, or would be."""

    moved: Counter[str] = field(default_factory=Counter)
    """By the action's status."""
    left: Counter[str] = field(default_factory=Counter)
    """By the reason why they stay posts."""
    problems: list[str] = field(default_factory=list)
    """What the verification found."""
    samples: list[dict[str, Any]] = field(default_factory=list)
    is_complete: bool = False
    """No post is left, and the site knows."""

    @property
    def is_good(self) -> bool:
        """Nothing was left behind and nothing is wrong."""
        return not (self.left or self.problems)


@dataclass(frozen=True, slots=True)
class _Sample:
    """An action that was made, to be looked at again."""

    post: int
    action: ActionId
    hook: str
    args: str
    logs: int
    is_pending: bool


class PostStore:
    """One site's post store, and the tables beside it."""

    def __init__(
        self,
        store: SqlStore,
        *,
        in_progress: InProgress = "complete",
        batch_size: int = BATCH_SIZE,
        clock: Clock | None = None,
    ) -> None:
        """Looks at the tables.

        Args:
            store: the site's.
            in_progress: what becomes of actions whose PHP runner never came back.
            batch_size: posts a transaction.
            clock: of the dates that are written.

        Raises:
            SchemaError: the plugin's tables are missing or cannot be written.
            SiteError: there is no WordPress around them.
        """
        info = store.inspect()
        if not info.writable:
            raise SchemaError("; ".join(info.problems))
        self._store = store
        self._posts = Posts(store)
        self._old = self._posts.old
        if not self._old.is_there:
            raise SiteError(
                f"there are no tables {store.names.prefix}posts and {store.names.prefix}postmeta:"
                " no WordPress keeps a post store here"
            )
        self._in_progress = Status(in_progress)
        self._batch_size = batch_size
        self._clock = clock or SystemClock()
        self._seen: list[_Sample] = []
        self._gone = 0

    def counts(self) -> dict[str, int]:
        """Posts to be moved, by their status; those the plugin has moved do not count."""
        return {status: n for status, n in self._old.counts().items() if status != GONE}

    def check_alone(self) -> None:
        """Raises Contention while runners of PHP's are seen: they work on the same posts."""
        now = self._clock.now()
        seen = Rows(self._store, Server(self._store)).contexts(now - AWAY)
        names = sorted(set(seen) - {"wpbridge"})
        held = self._old.held_since(now - timedelta(seconds=STALE_SECONDS))
        signs = [f"{name} at {seen[name]:%H:%M:%S} UTC" for name in names]
        signs += [f"{held} post(s) held by a claim"] if held else []
        if signs:
            raise Contention(
                f"runners of PHP's are at work ({', '.join(signs)}): switch them off, wait ten"
                " minutes and try again, or say --force"
            )

    def look(self, advance: Callable[[int], None] = lambda _count: None) -> Summary:
        """What a migration would do with each post; changes nothing."""
        done = Summary()
        per_status: Counter[str] = Counter()
        for ids in self._batches():
            for post in self._old.read(ids):
                what = self._decide(post)
                if isinstance(what, str):
                    done.left[what] += 1
                    continue
                done.moved[what.status.value] += 1
                per_status[post.status] += 1
                if per_status[post.status] <= _SAMPLES_A_BATCH:
                    done.samples.append(_shown(post, what))
            advance(len(ids))
        return done

    def move(
        self,
        journal: Journal,
        side: TextIO,
        advance: Callable[[int], None] = lambda _count: None,
    ) -> Summary:
        """Move all that can be moved; what cannot stays a post and is written to ``side``.

        What is deleted is kept beside the journal. Killed at any moment, it goes on when it is
        called again.

        Raises:
            Contention: another move, or its undo, is at work on this site.
            InputError: the journal's move was undone, or its file is not there.
        """
        with self._posts.alone.held(), DeletedPosts(journal) as keeper:
            return self._all(journal, keeper, side, advance)

    # Steps

    def _all(
        self, journal: Journal, keeper: DeletedPosts, side: TextIO, advance: Callable[[int], None]
    ) -> Summary:
        done = Summary()
        posts = self._posts
        demarcation = posts.next_id()
        if demarcation is not None:
            posts.start_above(demarcation)
        for ids in self._batches():
            batch = self._move(journal, keeper, ids)
            self._note(journal, side, done, batch)
            advance(len(ids))
        posts.forget_keys()
        posts.recount_terms()
        self._verify(done)
        if done.is_good:
            self._complete(journal)
            done.is_complete = True
        journal.add(
            {
                "end": dict(done.moved),
                "left": dict(done.left),
                "problems": done.problems,
            }
        )
        return done

    def _batches(self) -> Iterator[list[int]]:
        """Ids of posts in the plugin's order of picking; neither all ids nor all posts are held."""
        found = self.counts()
        for status in [*STATUSES, *sorted(set(found) - set(STATUSES))]:
            cursor = START
            while status in found:
                ids, cursor = self._old.ids(status, cursor, self._batch_size)
                if not ids:
                    break
                yield from self._old.in_windows(ids)

    def _move(self, journal: Journal, keeper: DeletedPosts, ids: Sequence[int]) -> Batch:
        self._made: dict[int, Moving] = {}

        def decide(post: Post) -> Moving | str:
            what = self._decide(post)
            if isinstance(what, Moving):
                self._made[post.id] = what
            return what

        def tell(moved: Any) -> None:
            journal.add({"copied": {str(post): action for post, action in moved.items()}})

        return self._posts.move(ids, decide, self._clock.now(), keeper.add, tell)

    def _note(self, journal: Journal, side: TextIO, done: Summary, batch: Batch) -> None:
        self._gone += batch.gone
        taken = 0
        for post_id, action in batch.moved.items():
            what = self._made.get(post_id)
            if what is None:
                # Copied by a run that died before it could delete the post.
                done.moved["resumed"] += 1
                continue
            done.moved[what.status.value] += 1
            if taken < _SAMPLES_A_BATCH and len(self._seen) < _SAMPLES:
                taken += 1
                self._seen.append(_sample(post_id, action, what))
        for post, why in batch.left:
            done.left[why] += 1
            side.write(json.dumps(_as_row(post, why), ensure_ascii=False) + "\n")
        side.flush()
        journal.add(
            {
                "moved": {str(post): action for post, action in batch.moved.items()},
                "left": {str(post.id): why for post, why in batch.left},
            }
        )

    def _decide(self, post: Post) -> Moving | str:
        try:
            return self._plan(post)
        except CodecError as error:
            return str(error)

    def _plan(self, post: Post) -> Moving | str:
        """What becomes of a post, or why it stays one. CodecError for what cannot be read."""
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
        """The first of the reasons against it; empty for none."""
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
        """Under a claim that gave a sign of life of late."""
        modified = from_text(post.modified_gmt)
        fresh = self._clock.now() - timedelta(seconds=STALE_SECONDS)
        is_live = post.status in ("pending", "in-progress") and post.claim != ""
        return is_live and modified is not None and modified >= fresh

    def _interrupted(self, moving: Moving) -> Moving:
        to = self._in_progress
        words = INTERRUPTED.format(to.value)
        tried = None if to is Status.PENDING else moving.last_attempt_at
        return replace(moving, status=to, last_attempt_at=tried, after=(words, *moving.after))

    def _verify(self, done: Summary) -> None:
        """Are the posts gone that were moved, and the actions there?"""
        remain = sum(self.counts().values())
        left = sum(done.left.values())
        if remain > left:
            done.problems.append(
                f"{remain - left} post(s) came while this ran, or are still there: run it again"
            )
        for sample in self._seen:
            held = self._posts.hold(sample.action)
            if held is None:
                # What ended long ago may have been cleaned away meanwhile.
                wrong = sample.is_pending
            else:
                wrong = held[:2] != (sample.hook, sample.args) or held[2] < sample.logs
            if wrong:
                done.problems.append(
                    f"action {sample.action}, made of post {sample.post}, is not as it was written"
                )

    def _complete(self, journal: Journal) -> None:
        """As the plugin at the end of its own migration; the flag last.

        The journal is told before what there was, for the way back.
        """
        now = self._clock.now().replace(microsecond=0)
        has_logs = self._old.has_comment_logs()
        at = now + CLEANUP_AFTER
        journal.add(
            {
                COMPLETING: {
                    "cleanup": to_text(at) if has_logs else None,
                    "options": {
                        name: self._posts.option(name) for name in (MIGRATION_OPTION, LOGS_OPTION)
                    },
                }
            }
        )
        if has_logs:
            blob = schedule.encode(schedule.single(at))
            new = NewAction(hook=CLEANUP_HOOK, args="[]", schedule=blob, scheduled_at=at)
            self._posts.add_cleanup(new, now)
        if self._posts.has_options:
            options = self._store.parts.options
            options.write(LOGS_OPTION, "yes" if has_logs else "no")
            options.write(MIGRATION_OPTION, "complete")


def _date(timestamp: int) -> datetime:
    try:
        return from_timestamp(timestamp)
    except (OverflowError, ValueError, OSError):
        raise CodecError(f"its schedule's date {timestamp} is beyond the calendar") from None


def _last_attempt(status: Status, post: Post, at: datetime) -> datetime | None:
    """As the plugin dates them: only what is complete keeps the date of its end."""
    match status:
        case Status.PENDING:
            return None
        case Status.COMPLETE:
            return from_text(post.modified_gmt) or at
        case _:
            return at


def _sample(post: int, action: ActionId, what: Moving) -> _Sample:
    return _Sample(
        post,
        action,
        what.new.hook,
        args.columns(what.new.args)[0],
        len(what.before) + len(what.after),
        what.status is Status.PENDING,
    )


def _shown(post: Post, what: Moving) -> dict[str, Any]:
    return {
        "post": post.id,
        "hook": post.hook,
        "from": post.status,
        "to": what.status.value,
        "args": what.new.args[:200],
        "group": what.new.group,
        "attempts": what.attempts,
        "scheduled": f"{what.new.scheduled_at:%Y-%m-%dT%H:%M:%SZ}",
        "logs": sum(log.kind == LOG_TYPE for log in post.logs),
    }


def _as_row(post: Post, why: str) -> dict[str, Any]:
    """A post for the side file: all that was read of it."""
    return {
        "post": post.id,
        "reason": why,
        "status": post.status,
        "hook": post.hook,
        "args": post.args,
        "date_gmt": post.date_gmt,
        "modified_gmt": post.modified_gmt,
        "attempts": post.attempts,
        "claim": post.claim,
        "groups": list(post.groups),
        "schedules_base64": [base64.b64encode(one).decode() for one in post.schedules],
        "logs": [
            {"date_gmt": log.gmt, "type": log.kind, "message": log.message} for log in post.logs
        ],
    }
