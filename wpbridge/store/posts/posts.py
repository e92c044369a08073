"""Moves the plugin's old store into the rows of its tables.

Posts are read in batches and taken out of WordPress's tables in the transaction that adds the
actions, so a crash leaves a batch here or there. Where posts have no transactions (MyISAM),
:mod:`wpbridge.store.posts.copying` does it in steps.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from wpbridge.action import ActionId, NewAction
from wpbridge.clock import ZERO_DATE
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.opened import OpenStore
from wpbridge.store.posts.copying import PostCopies
from wpbridge.store.posts.exclusive import Alone
from wpbridge.store.posts.inserting import NewGroup, PostInserts
from wpbridge.store.posts.made import Batch, Decide, Keep
from wpbridge.store.posts.old_posts import OldPosts
from wpbridge.store.posts.whole_posts import POST_TYPE, TAXONOMY

MIGRATION_OPTION: Final = "action_scheduler_migration_status"
DEMARCATION_OPTION: Final = "action_scheduler_hybrid_store_demarkation"
LOGS_OPTION: Final = "as_has_wp_comment_logs"
CLEANUP_HOOK: Final = "action_scheduler/cleanup_wp_comment_logs"


class Posts:
    """The post store of one site."""

    def __init__(self, store: OpenStore) -> None:
        """Look at the tables. SchemaError where the plugin's are missing."""
        self._store = store
        self._parts = store
        self._session = store.session
        self._dialect = store.dialect
        self.alone = Alone(store)
        self.old = OldPosts(store)
        self.whole = self.old.whole
        self.tables = self.old.tables
        self._inserts = PostInserts(store, self.old)
        self._copies = PostCopies(store, self.alone, self.old, self._inserts)
        deleted = set(self.tables) - {"options", "terms"}
        self.is_transactional = self._session.run(
            lambda c: all(self._dialect.is_transactional(c, self.tables[n]) for n in deleted)
        )

    # Looking

    def identity_of(self, action_id: ActionId) -> tuple[str, str, int] | None:
        """Return hook, args column and number of log rows of an action."""
        names = self._store.names
        rows = self._all(
            f"SELECT hook, args, (SELECT COUNT(*) FROM {names.logs} l WHERE l.action_id ="
            f" a.action_id) FROM {names.actions} a WHERE action_id = :id",
            id=action_id,
        )
        return (str(rows[0][0]), str(rows[0][1]), int(rows[0][2])) if rows else None

    def next_id(self) -> int | None:
        """Return the demarcation: ids below it belong to posts. None where there are no posts."""
        told = self.option(DEMARCATION_OPTION)
        if told is not None and told.strip().isdigit():
            return int(told)
        top = self._all(f"SELECT MAX(ID) FROM {self.tables['posts']}")[0][0]
        return None if top is None else int(top) + 1

    def option(self, name: str) -> str | None:
        """Return one of WordPress's options. None when there is no such option."""
        told = self._parts.options.read(name) if self.has_options else None
        return None if told is None else told.decode("utf-8", "surrogateescape")

    @property
    def has_options(self) -> bool:
        """Whether there is a WordPress around the tables at all."""
        return "options" in self.tables

    # Changing

    def start_above(self, demarcation: int) -> None:
        """Let new actions get ids from there on. As the plugin does, a row is made and deleted.

        A server that was restarted may have forgotten it while the table was empty.
        """
        names = self._store.names
        top = self._all(f"SELECT MAX(action_id) FROM {names.actions}")[0][0]
        if int(top or 0) >= demarcation:
            return

        def advance(connection: Connection) -> None:
            connection.execute(
                text(
                    f"INSERT INTO {names.actions} (action_id, hook, status, scheduled_date_gmt,"
                    " scheduled_date_local, args, schedule, group_id, last_attempt_gmt,"
                    " last_attempt_local)"
                    " VALUES (:id, '', '', :zero, :zero, '', '', 0, :zero, :zero)"
                ),
                {"id": demarcation, "zero": ZERO_DATE},
            )
            connection.execute(
                text(f"DELETE FROM {names.actions} WHERE action_id = :id"), {"id": demarcation}
            )

        self._session.transact(advance)

    def move(
        self,
        ids: Sequence[int],
        decide: Decide,
        now: datetime,
        keep: Keep,
        copied: Callable[[Mapping[int, ActionId]], None] = lambda _moved: None,
    ) -> Batch:
        """Turn posts into actions and delete them, as far as ``decide`` lets it.

        One transaction: a crash leaves all of it or nothing. Where the posts have none, actions
        and keys are committed first, ``copied`` is told, and then the posts go. ``keep`` is called
        before any is deleted, and again when a transaction is tried again. Contention while another
        moves posts.
        """
        while True:
            self._inserts.learn_groups(ids)
            try:
                return self._try(ids, decide, now, keep, copied)
            except NewGroup:
                continue

    def copied(self) -> list[int]:
        """Return the posts that a move without transactions, which died, has copied already."""
        return [] if self.is_transactional else self._copies.copied()

    def forget_keys(self) -> None:
        """Forget the keys whose posts are gone: a crash came between the two."""
        if not self.is_transactional:
            self._copies.forget_keys()

    def recount_terms(self) -> None:
        """Count a term's posts as WordPress does: only published ones."""
        if not {"term_taxonomy", "term_relationships"} <= set(self.tables):
            return
        taxonomy, relations = self.tables["term_taxonomy"], self.tables["term_relationships"]
        self._change(
            f"UPDATE {taxonomy} SET count = (SELECT COUNT(*) FROM {relations} r JOIN"
            f" {self.tables['posts']} p ON p.ID = r.object_id WHERE r.term_taxonomy_id ="
            f" {taxonomy}.term_taxonomy_id AND p.post_type = '{POST_TYPE}'"
            f" AND p.post_status = 'publish') WHERE taxonomy = '{TAXONOMY}'"
        )

    def add_cleanup(self, new: NewAction, now: datetime) -> None:
        """Add the plugin's action that deletes the rest of the log comments, unless it waits."""
        group_id = self._parts.groups.ensure(new.group)
        waiting = text(
            f"SELECT 1 FROM {self._store.names.actions} WHERE hook = :hook"
            " AND status = 'pending' LIMIT 1"
        )

        def add(connection: Connection) -> None:
            if connection.execute(waiting, {"hook": new.hook}).scalar() is None:
                self._parts.inserts.actions(connection, [new], now, {new.group: group_id})

        self._session.transact(add)

    # The steps of a batch

    def _try(
        self,
        ids: Sequence[int],
        decide: Decide,
        now: datetime,
        keep: Keep,
        copied: Callable[[Mapping[int, ActionId]], None],
    ) -> Batch:
        if not self.is_transactional:
            return self._copies.move(ids, decide, now, keep, copied)
        attempts: list[Batch] = []
        return self.alone.transact(lambda c: self._move(c, ids, decide, now, keep, attempts))

    def _move(  # noqa: PLR0917 - of one call
        self,
        connection: Connection,
        ids: Sequence[int],
        decide: Decide,
        now: datetime,
        keep: Keep,
        attempts: list[Batch],
    ) -> Batch:
        lock = self._dialect.row_lock
        posts = self.old.on(connection, ids, lock=lock)
        if self._session.in_doubt and not attempts[-1].moved.keys() & {post.id for post in posts}:
            # The posts are gone: the commit was made, and only its answer was lost.
            return attempts[-1]
        batch, going = self._inserts.sorted_out(connection, posts, decide)
        batch.gone = len(ids) - len(posts)
        made = self._inserts.insert(connection, going, now)
        batch.moved = {one.post.id: one.action for one in made}
        if made:
            keep(made, self.whole.columns)
        self.whole.delete(connection, [one.post for one in made])
        attempts.append(batch)
        return batch

    def _all(self, statement: str, **values: object) -> Sequence[Sequence[Any]]:
        return self._session.run(lambda c: c.execute(text(statement), values).fetchall())

    def _change(self, statement: str) -> None:
        self._session.transact(lambda c: c.execute(text(statement)))
