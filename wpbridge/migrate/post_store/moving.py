"""Moves the plugin's old post store into its tables, with the plugin's own mapping.

As `wp action-scheduler migrate`, but attempts and async actions are kept, and what cannot be read
stays a post. Each batch is one transaction, so what was moved is known by what is still a post; the
journal is for people. docs/how-to/move-the-post-store.md.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import field
from datetime import timedelta
from typing import Any, Final, TextIO

from wpbridge.action import PLUGIN_TIMEOUT_SECONDS, ActionId, NewAction, Status
from wpbridge.clock import Clock, SystemClock, to_text
from wpbridge.codec import args, schedule
from wpbridge.dataclass import dataclass
from wpbridge.errors import Contention, SiteError
from wpbridge.migrate.journal import Journal
from wpbridge.migrate.post_store.deciding import STATUSES, Deciding, InProgress
from wpbridge.migrate.post_store.deleted_posts import DeletedPosts
from wpbridge.migrate.post_store.rows import left_as_row, shown
from wpbridge.store.opened import OpenStore
from wpbridge.store.posts.made import Batch, Moving
from wpbridge.store.posts.old_posts import GONE, START, Post
from wpbridge.store.posts.posts import CLEANUP_HOOK, LOGS_OPTION, MIGRATION_OPTION, Posts
from wpbridge.store.reading.survey import Rows
from wpbridge.store.upkeep.cleaning import AWAY

KIND: Final = "post-store"
BATCH_SIZE: Final = 500
COMPLETING: Final = "completing"
"""The journal's step before the migration is marked complete."""
CLEANUP_AFTER: Final = timedelta(days=183)
_SAMPLES: Final = 500
_SAMPLES_A_BATCH: Final = 3


@dataclass(slots=True)
class Summary:
    """What a move has done, or would do."""

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
        """Tell whether nothing was left behind and nothing is wrong."""
        return not (self.left or self.problems)


@dataclass(frozen=True, slots=True)
class _Sample:
    """An action that was made, and is to be looked at again."""

    post: int
    action: ActionId
    hook: str
    args: str
    logs: int
    is_pending: bool


class PostStore:
    """One site's post store, and the tables that it is moved to."""

    def __init__(
        self,
        store: OpenStore,
        *,
        in_progress: InProgress = "complete",
        batch_size: int = BATCH_SIZE,
        clock: Clock | None = None,
    ) -> None:
        """Look at the tables.

        Args:
            store: the site's.
            in_progress: what becomes of actions whose PHP runner never came back.
            batch_size: posts a transaction.
            clock: of the dates that are written.

        Raises:
            SchemaError: the plugin's tables are missing or cannot be written.
            SiteError: there is no WordPress around them.
        """
        store.check_writable()
        self._store = store
        self._posts = Posts(store)
        self._old = self._posts.old
        if not self._old.is_there:
            raise SiteError(
                f"there are no tables {store.names.prefix}posts and {store.names.prefix}postmeta:"
                " no WordPress keeps a post store here"
            )
        self._batch_size = batch_size
        self._clock = clock or SystemClock()
        self._deciding = Deciding(self._clock, in_progress)
        self._seen: list[_Sample] = []
        self._gone = 0

    def counts(self) -> dict[str, int]:
        """Count the posts to be moved, by their status.

        Posts that the plugin has moved do not count.
        """
        return {status: n for status, n in self._old.counts().items() if status != GONE}

    def check_alone(self) -> None:
        """Raise Contention while runners of PHP's are seen, which work on the same posts."""
        now = self._clock.now()
        seen = Rows(self._store.tables).contexts(now - AWAY)
        names = sorted(set(seen) - {"wpbridge"})
        held = self._old.claimed_since(now - timedelta(seconds=PLUGIN_TIMEOUT_SECONDS))
        signs = [f"{name} at {seen[name]:%H:%M:%S} UTC" for name in names]
        signs += [f"{held} post(s) held by a claim"] if held else []
        if signs:
            raise Contention(
                f"runners of PHP's are at work ({', '.join(signs)}): switch them off, wait ten"
                " minutes and try again, or say --force"
            )

    def look(self, advance: Callable[[int], None] = lambda _count: None) -> Summary:
        """Tell what a migration would do with each post. It changes nothing."""
        done = Summary()
        per_status: Counter[str] = Counter()
        for ids in self._batches():
            for post in self._old.read(ids):
                what = self._deciding.decide(post)
                if isinstance(what, str):
                    done.left[what] += 1
                    continue
                done.moved[what.status.value] += 1
                per_status[post.status] += 1
                if per_status[post.status] <= _SAMPLES_A_BATCH:
                    done.samples.append(shown(post, what))
            advance(len(ids))
        return done

    def move(
        self,
        journal: Journal,
        side: TextIO,
        advance: Callable[[int], None] = lambda _count: None,
    ) -> Summary:
        """Move all that can be moved. Other posts stay, and are written to ``side``.

        What is deleted is kept beside the journal. Killed at any moment, it goes on when it is
        called again.

        Raises:
            Contention: another move, or its undo, is at work on this site.
            InputError: the journal's move was undone, or its file is not there.
        """
        with self._posts.alone.locked(), DeletedPosts(journal) as keeper:
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
        """Read the ids of posts in the plugin's order, a batch at a time."""
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
            what = self._deciding.decide(post)
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
            side.write(json.dumps(left_as_row(post, why), ensure_ascii=False) + "\n")
        side.flush()
        journal.add(
            {
                "moved": {str(post): action for post, action in batch.moved.items()},
                "left": {str(post.id): why for post, why in batch.left},
            }
        )

    def _verify(self, done: Summary) -> None:
        """Check that the moved posts are gone, and that a sample of the actions is right."""
        remain = sum(self.counts().values())
        left = sum(done.left.values())
        if remain > left:
            done.problems.append(
                f"{remain - left} post(s) came while this ran, or are still there: run it again"
            )
        for sample in self._seen:
            held = self._posts.identity_of(sample.action)
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
        """Do what the plugin does at the end of its own migration. The flag is written last.

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
            options = self._store.options
            options.write(LOGS_OPTION, "yes" if has_logs else "no")
            options.write(MIGRATION_OPTION, "complete")


def _sample(post: int, action: ActionId, what: Moving) -> _Sample:
    return _Sample(
        post,
        action,
        what.new.hook,
        args.columns(what.new.args)[0],
        len(what.before) + len(what.after),
        what.status is Status.PENDING,
    )
