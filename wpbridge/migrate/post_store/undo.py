"""The way back of ``migrate post-store``: actions become the posts again that they were.

What was deleted lies beside the journal (:mod:`wpbridge.migrate.post_store.deleted_posts`). An
action that has changed since stays one. The plugin's clean-up goes first, since it would delete the
logs that come back. The mark that the migration is complete goes last: until then PHP does not look
at posts, and runs none. docs/how-to/move-the-post-store.md.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from typing import Any

from wpbridge.clock import SystemClock, from_text
from wpbridge.dataclass import dataclass
from wpbridge.errors import ConfigError, InputError
from wpbridge.migrate.journal import Journal
from wpbridge.migrate.post_store.deleted_posts import (
    UNDONE,
    DeletedPosts,
    Kept,
    batches,
    file_of,
    read,
    steps,
    unwritten,
)
from wpbridge.migrate.post_store.moving import COMPLETING
from wpbridge.store.opened import OpenStore
from wpbridge.store.posts.made import Made
from wpbridge.store.posts.posts import LOGS_OPTION, MIGRATION_OPTION, Posts
from wpbridge.store.posts.posts_back import Fate, PostsBack
from wpbridge.store.posts.whole_posts import Columns

_SAMPLES_A_BATCH = 3
_SAMPLES = 500
_COMPLETE = b"complete"
_PLAIN = re.compile(r"[A-Za-z0-9_.-]{0,64}")


@dataclass(slots=True)
class Undone:
    """What an undo has done, or would do."""

    restored: int = 0
    present: int = 0
    """Posts that were there already."""
    stayed: int = 0
    """Actions that have changed since."""
    busy: int = 0
    """Actions that somebody runs, or is about to."""
    taken: int = 0
    """Actions whose posts' ids are others' by now."""
    gone: int = 0
    """Neither is there any more: ended and cleaned away, or deleted."""
    damaged: int = 0
    """Posts whose part of the file cannot be read."""
    unwritten: int = 0
    """Posts that were moved by a version that kept nothing."""
    problems: list[str] = field(default_factory=list)
    """What the verification found."""
    samples: list[dict[str, Any]] = field(default_factory=list)
    """Some of what would be put back."""
    is_reopened: bool = False
    """The migration is no longer marked complete."""

    @property
    def is_good(self) -> bool:
        """Tell whether all that was moved is back, and nothing is wrong."""
        left = self.stayed + self.busy + self.taken + self.damaged + self.unwritten
        return not (left or self.problems)


@dataclass(frozen=True, slots=True)
class _Mark:
    """What a move did when it was complete."""

    cleanup: datetime | None
    """The date of the clean-up that it planned."""
    options: Mapping[str, str | None]
    """As they were before."""


class Undo:
    """The undo of the moves that one journal tells of."""

    def __init__(self, store: OpenStore, journal: Journal) -> None:
        """Look whether there is something to undo.

        Raises:
            ConfigError: the tables of actions have no transactions.
            InputError: nothing was kept, the file is not there, or the journal is damaged.
        """
        if store.layout.plain_tables:
            raise ConfigError(
                "the actions table has no transactions, so a crash could lose rows: move it to"
                " InnoDB first (wpbridge migrate schema fix)"
            )
        self._store = store
        self._journal = journal
        self._posts = Posts(store)
        self._back = PostsBack(store, self._posts)
        self._file = file_of(journal.file)
        self._unwritten = unwritten(steps(journal))
        self._has_file = any(step.is_begun for step in steps(journal))
        self._marks = [mark for mark in journal.meanings(_mark) if mark is not None]
        if self._unwritten and not self._has_file:
            raise InputError(
                f"journal {journal.file}: written by a version that kept nothing of the posts it"
                " deleted; they cannot be put back but from a backup"
            )
        if self._has_file and not self._file.is_file():
            raise InputError(f"{self._file} is missing: what was deleted lies in it")

    @property
    def total(self) -> int:
        """How many posts were moved, as far as the journal tells."""
        return sum(batch.count for batch in batches(steps(self._journal)))

    def look(self, advance: Callable[[int], None] = lambda _count: None) -> Undone:
        """Tell what would be put back. It changes nothing."""
        done = Undone(unwritten=self._unwritten)
        shown: dict[int, dict[str, Any]] = {}
        per_status: Counter[str] = Counter()

        def look(made: Sequence[Made], columns: Columns) -> dict[int, Fate]:
            fates = self._back.look(made)
            for one in made:
                if fates[one.post.id] == "back" and per_status[one.status] < _SAMPLES_A_BATCH:
                    per_status[one.status] += one.post.id not in shown
                    shown[one.post.id] = _shown(one, columns)
            return fates

        self._go(done, look, advance)
        done.samples += shown.values()
        return done

    def run(self, advance: Callable[[int], None] = lambda _count: None) -> Undone:
        """Put back all that can be. After a crash it goes on when it is called again.

        If anything was moved with this journal, nothing is from here on. Contention while a move,
        or another undo, is at work on this site.
        """
        with self._posts.alone.locked():
            return self._all(advance)

    # Steps

    def _all(self, advance: Callable[[int], None]) -> Undone:
        done = Undone(unwritten=self._unwritten)
        if not any(step.is_undone for step in steps(self._journal)):
            self._end_the_move()
            if self.total:
                self._journal.add({UNDONE: "begun"})
        for mark in self._marks:
            if mark.cleanup is not None:
                self._back.forget_cleanup(mark.cleanup)
        sample: list[tuple[Made, Columns]] = []

        def put(made: Sequence[Made], columns: Columns) -> dict[int, Fate]:
            fates = self._back.put_back(made, columns)
            back = [one for one in made if fates[one.post.id] == "back" and one.post.is_small]
            if len(sample) < _SAMPLES:
                sample.extend((one, columns) for one in back[:_SAMPLES_A_BATCH])
            return fates

        self._go(done, put, advance)
        self._posts.recount_terms()
        self._verify(done, sample)
        if self._posts.has_options and (done.restored or done.present):
            done.is_reopened = self._reopen(self._marks[0].options if self._marks else None)
        if self.total:
            self._journal.add({UNDONE: "end", "restored": done.restored, "problems": done.problems})
        return done

    def _end_the_move(self) -> None:
        """Finish a move without transactions that died while some posts were in both places."""
        ids = self._posts.copied()
        if not ids:
            return
        with DeletedPosts(self._journal) as keeper:
            self._has_file = True
            now = SystemClock().now()
            for some in self._posts.old.in_windows(ids):
                batch = self._posts.move(some, lambda _post: "it was not copied", now, keeper.add)
                self._journal.add({"moved": batch.moved})
        self._posts.forget_keys()

    def _go(
        self,
        done: Undone,
        work: Callable[[Sequence[Made], Columns], dict[int, Fate]],
        advance: Callable[[int], None],
    ) -> None:
        """Work through the batches. A post whose batch has no noted end may come once more."""
        doubtful: dict[int, Fate] = {}
        fates: Counter[Fate] = Counter()
        for count, kept, is_sure in self._kept():
            if kept is None:
                done.damaged += count
            else:
                made = [one for one in kept.made if doubtful.get(one.post.id, "gone") == "gone"]
                told = work(made, kept.columns) if made else {}
                for post, fate in told.items():
                    doubtful.pop(post, None)
                    if is_sure:
                        fates[fate] += 1
                    else:
                        doubtful[post] = fate
            advance(count)
        fates.update(doubtful.values())
        done.restored, done.present = fates["back"], fates["present"]
        done.stayed, done.busy = fates["stayed"], fates["busy"]
        done.taken, done.gone = fates["taken"], fates["gone"]

    def _kept(self) -> Iterator[tuple[int, Kept | None, bool]]:
        """Read each batch: its count, its rows, and whether the journal tells of its end."""
        if not self._has_file:
            return
        try:
            stream = self._file.open("rb")
        except OSError as error:
            raise InputError(f"{self._file}: {error.strerror}") from None
        with stream:
            for batch in batches(steps(self._journal)):
                yield batch.count, read(stream, batch), batch.moved is not None

    def _verify(self, done: Undone, sample: Sequence[tuple[Made, Columns]]) -> None:
        for one, columns in sample:
            if self._back.differing([one], columns):
                done.problems.append(f"post {one.post.id} is not as it was")

    def _reopen(self, before: Mapping[str, str | None] | None) -> bool:
        """Set the options to what they were before the migration was complete. The mark comes last.

        None where somebody else marked it: another journal's move, or the plugin. Then that mark's
        clean-up goes, too: the next one plans its own. True if that was the mark's end.
        """
        options = self._store.options
        was_complete = options.read(MIGRATION_OPTION) == _COMPLETE
        if before is None:
            if not was_complete:
                return False
            before = dict.fromkeys((LOGS_OPTION, MIGRATION_OPTION))
            self._back.forget_cleanup(None)
        for name in (LOGS_OPTION, MIGRATION_OPTION):
            now, old = options.read(name), before[name]
            if name == MIGRATION_OPTION and old == _COMPLETE.decode():
                # It was marked before, too, and PHP would look at none of these posts.
                old = None
            if now is not None and old is None:
                options.remove(name, now)
            elif now is not None and old is not None:
                options.swap(name, now, old.encode())
        return was_complete and options.read(MIGRATION_OPTION) != _COMPLETE


def _shown(one: Made, columns: Columns) -> dict[str, Any]:
    of = dict(zip(columns["posts"], one.post.rows["posts"][-1], strict=True))
    return {
        "post": one.post.id,
        "hook": one.hook,
        "args": str(of.get("post_content", ""))[:200],
        "action": one.action,
        "from": one.status,
        "to": str(of.get("post_status", "")),
        "scheduled": f"{one.scheduled[:19].replace(' ', 'T')}Z",
        "logs": len(one.post.rows.get("comments", ())),
    }


def _is_plain(value: object) -> bool:
    """Tell whether an option may get this value.

    WordPress unserializes what looks like an object.
    """
    return value is None or (isinstance(value, str) and _PLAIN.fullmatch(value) is not None)


def _mark(step: Mapping[str, Any]) -> _Mark | None:
    """Return what a step tells of the move's end. None if it tells nothing of it."""
    if COMPLETING not in step:
        return None
    cleanup = step[COMPLETING]["cleanup"]
    at = from_text(cleanup)
    options = {name: step[COMPLETING]["options"][name] for name in (LOGS_OPTION, MIGRATION_OPTION)}
    if (cleanup and at is None) or not all(map(_is_plain, options.values())):
        raise TypeError
    return _Mark(cleanup=at, options=options)
