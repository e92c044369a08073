"""Moves posts whose tables have no transactions (MyISAM).

Actions and keys are committed first, then the posts go. Each step can be done again: what is
decided stands in the keys before a post goes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal

from wpbridge.action import ActionId
from wpbridge.clock import to_text
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.texts import listed
from wpbridge.store.opened import OpenStore
from wpbridge.store.posts.exclusive import Alone
from wpbridge.store.posts.inserting import PostInserts
from wpbridge.store.posts.made import Batch, Decide, Keep, Made, made_of
from wpbridge.store.posts.old_posts import OldPosts, Post
from wpbridge.store.posts.whole_posts import POST_TYPE
from wpbridge.store.schema.tables import KEYS

CHANGED: Final = "somebody changed it while it was moved"
CHANGED_BOTH: Final = "somebody changed it while it was moved, and its action {} has run"
KEY: Final = "post-store-"
"""Before the post's id, where posts have no transactions."""
_SETTLED: Final = "9999-12-31 00:00:00"
"""The date of a key whose post is about to be deleted: from then on its action is what counts."""


class PostCopies:
    """Copies posts to actions, and deletes what was copied."""

    def __init__(self, store: OpenStore, alone: Alone, old: OldPosts, inserts: PostInserts) -> None:
        self._store = store
        self._parts = store
        self._session = store.session
        self._dialect = store.dialect
        self._alone = alone
        self._old = old
        self._inserts = inserts
        self._mark = store.dialect.mark

    def move(
        self,
        ids: Sequence[int],
        decide: Decide,
        now: datetime,
        keep: Keep,
        copied: Callable[[Mapping[int, ActionId]], None],
    ) -> Batch:
        """Copy posts and delete them. ``copied`` is told between the two."""
        self._parts.own.ensure(self._store.names.keys)
        batch, posts, made = self._alone.transact(lambda c: self._copy(c, ids, decide, now))
        copied(batch.moved)
        if made:
            keep(made, self._old.whole.columns)
        self._finish(batch, posts)
        return batch

    def copied(self) -> list[int]:
        """Return the posts that have their actions already, of a move that died."""
        keys = self._store.names.keys
        if not self._parts.own.has(keys):
            return []
        statement = text(f"SELECT key_hash FROM {keys} WHERE key_hash LIKE '{KEY}%'")
        rows = self._session.run(lambda c: c.execute(statement).fetchall())
        return sorted(int(str(row[0])[len(KEY) :]) for row in rows)

    def forget_keys(self) -> None:
        """Forget the keys whose posts are gone: a crash came between the two."""
        keys = self._store.names.keys
        if not self._parts.own.has(keys):
            return
        number = self._dialect.whole_number
        statement = text(
            f"DELETE FROM {keys} WHERE key_hash LIKE '{KEY}%'"
            f" AND CAST(SUBSTR(key_hash, {len(KEY) + 1}) AS {number}) NOT IN"
            f" (SELECT ID FROM {self._old.tables['posts']} WHERE post_type = '{POST_TYPE}')"
        )
        self._session.transact(lambda c: c.execute(statement))

    def _copy(
        self, connection: Connection, ids: Sequence[int], decide: Decide, now: datetime
    ) -> tuple[Batch, list[Post], list[Made]]:
        """Add the actions and their posts' keys."""
        posts = self._old.on(connection, ids)
        known = self._known(connection, ids)
        new = [post for post in posts if post.id not in known]
        batch, going = self._inserts.sorted_out(connection, new, decide)
        batch.gone = len(ids) - len(posts)
        made = self._inserts.insert(connection, going, now)
        batch.moved = {one.post.id: one.action for one in made}
        if batch.moved:
            connection.execute(
                text(KEYS.insert_into(self._store.names.keys)),
                [
                    {
                        "key_hash": f"{KEY}{post}",
                        "action_id": action_id,
                        "created_gmt": to_text(now),
                    }
                    for post, action_id in batch.moved.items()
                ],
            )
        done = [post for post in posts if post.id in known]
        batch.moved |= {post.id: known[post.id] for post in done}
        made += self._made_before(connection, done, known)
        return batch, [post for post, _ in going] + done, made

    def _made_before(
        self, connection: Connection, posts: Sequence[Post], known: Mapping[int, ActionId]
    ) -> list[Made]:
        """Return actions of a run that died, as they are now.

        What has run since has log rows of it.
        """
        if not posts:
            return []
        which = listed([known[post.id] for post in posts])
        rows = connection.exec_driver_sql(
            "SELECT action_id, status, attempts, scheduled_date_gmt, last_attempt_gmt FROM"
            f" {self._store.names.actions} WHERE action_id IN {which}"
        )
        found = {int(row[0]): row for row in rows}
        gone = (0, "", 0, "", "")
        return [
            made_of(post, known[post.id], found.get(known[post.id], gone)[1:]) for post in posts
        ]

    def _finish(self, batch: Batch, posts: Sequence[Post]) -> None:
        """Delete the posts that are still as they were copied.

        Each step can be done again: what is decided stands in the keys before a post goes.
        """
        same = self._alone.run(lambda c: self._same(c, posts))
        settled = self._alone.transact(lambda c: self._settle(c, batch.moved, same))
        self._alone.run(lambda c: self._delete(c, batch.moved, posts))
        for post in posts:
            if post.id not in settled:
                self._give_up(batch, post)

    def _same(self, connection: Connection, posts: Sequence[Post]) -> list[int]:
        """Return the posts that are as they were read."""
        table, mark = self._old.tables["posts"], self._mark
        same = " AND ".join(
            f"{name} = {mark}"
            for name in ("ID", "post_status", "post_modified_gmt", "post_password")
        )
        statement = f"SELECT 1 FROM {table} WHERE {same} AND post_type = '{POST_TYPE}'"
        return [
            post.id
            for post in posts
            if connection.exec_driver_sql(statement, post.guard).scalar() is not None
        ]

    def _settle(
        self, connection: Connection, moved: Mapping[int, ActionId], ids: Sequence[int]
    ) -> set[int]:
        """Have the actions of these posts count. Returns all moved posts whose actions do."""
        known = self._known(connection, ids)
        if mine := [i for i in ids if known.get(i) == moved[i]]:
            connection.exec_driver_sql(
                f"UPDATE {self._store.names.keys} SET created_gmt = '{_SETTLED}'"
                f" WHERE key_hash IN {_keys(mine)}"
            )
        return self._settled(connection, moved)

    def _settled(self, connection: Connection, moved: Mapping[int, ActionId]) -> set[int]:
        found = self._known(connection, list(moved), f" AND created_gmt = '{_SETTLED}'")
        return {post for post, action in found.items() if moved[post] == action}

    def _delete(
        self, connection: Connection, moved: Mapping[int, ActionId], posts: Sequence[Post]
    ) -> None:
        """Delete the posts whose actions count, then their keys."""
        settled = self._settled(connection, moved)
        self._old.whole.delete(connection, [post.whole for post in posts if post.id in settled])
        if settled:
            connection.exec_driver_sql(
                f"DELETE FROM {self._store.names.keys} WHERE key_hash IN {_keys(settled)}"
            )

    def _give_up(self, batch: Batch, post: Post) -> None:
        """Settle a post that was changed meanwhile, or taken by another move."""
        action_id = batch.moved[post.id]
        match self._alone.transact(lambda c: self._take_back(c, post, action_id)):
            case "gone":
                del batch.moved[post.id]
                batch.left.append((post, CHANGED))
            case "begun":
                batch.left.append((post, CHANGED_BOTH.format(action_id)))
            case "settled":
                pass

    def _take_back(
        self, connection: Connection, post: Post, action_id: ActionId
    ) -> Literal["gone", "begun", "settled"]:
        """Delete the action, unless it was begun, or is the one that counts."""
        lock = self._dialect.row_lock
        found = connection.exec_driver_sql(
            f"SELECT claim_id, attempts FROM {self._store.names.actions}"
            f" WHERE action_id = {action_id:d}{lock}"
        ).first()
        if found is None:
            return "gone"
        if self._known(connection, [post.id]).get(post.id) != action_id:
            # Without its key it is nobody's to take back: another move has ended what we began.
            return "settled"
        if (int(found[0]), int(found[1])) != (0, max(0, post.attempts)):
            return "begun"
        self._parts.retention.remove(connection, [action_id])
        return "gone"

    def _known(
        self, connection: Connection, ids: Sequence[int], more: str = ""
    ) -> dict[int, ActionId]:
        """Return actions by their posts, as the keys tell."""
        if not ids:
            return {}
        rows = connection.exec_driver_sql(
            f"SELECT key_hash, action_id FROM {self._store.names.keys}"
            f" WHERE key_hash IN {_keys(ids)}{more}"
        )
        return {int(str(key)[len(KEY) :]): ActionId(int(i)) for key, i in rows}


def _keys(ids: Iterable[int]) -> str:
    """Return posts' keys as a list in SQL."""
    told = ", ".join(f"'{KEY}{i}'" for i in sorted(ids))
    return f"({told})"
