"""The plugin's old store becomes rows of its tables.

Posts are read in batches and taken out of WordPress's tables in the transaction that adds the
actions, so a crash leaves a batch here or there. Where posts have no transactions (MyISAM) a key of
each post goes with its action: what was added and not yet deleted is known by it.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import Connection, text

from wpbridge.action import ActionId, NewAction, Status
from wpbridge.clock import ZERO_DATE, from_text, to_text
from wpbridge.codec.args import columns
from wpbridge.errors import InputError
from wpbridge.site.zone import Zone
from wpbridge.store.bulk.bulk import WholeRow
from wpbridge.store.database.texts import listed
from wpbridge.store.opened import OpenStore
from wpbridge.store.posts.exclusive import Alone
from wpbridge.store.posts.old_posts import LOG_TYPE, OldPosts, Post
from wpbridge.store.posts.whole_posts import POST_TYPE, TAXONOMY, Columns, WholePost
from wpbridge.store.schema.charsets import to_text as php_text

MIGRATION_OPTION: Final = "action_scheduler_migration_status"
DEMARCATION_OPTION: Final = "action_scheduler_hybrid_store_demarkation"
LOGS_OPTION: Final = "as_has_wp_comment_logs"
CLEANUP_HOOK: Final = "action_scheduler/cleanup_wp_comment_logs"
CHANGED: Final = "somebody changed it while it was moved"
CHANGED_BOTH: Final = "somebody changed it while it was moved, and its action {} has run"
MIGRATED: Final = (
    "Migrated action with ID {} in ActionScheduler_wpPostStore to ID %d in"
    " ActionScheduler_DBStoreMigrator"
)
"""In the plugin's words, the last log row of what is made; ``%d`` is filled in when it is known."""
KEY: Final = "post-store-"
"""Before the post's id, where posts have no transactions."""
_SETTLED: Final = "9999-12-31 00:00:00"
"""The date of a key whose post is about to be deleted: from then on its action is what counts."""


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
        """As the tables will hold it."""
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


class _NewGroup(Exception):
    """A post got a group after the groups had been looked at: all again."""


@dataclass(slots=True)
class Batch:
    """What was done with some posts."""

    moved: dict[int, ActionId] = field(default_factory=dict)
    """Actions by posts."""
    left: list[tuple[Post, str]] = field(default_factory=list)
    gone: int = 0
    """Others took them meanwhile."""


class Posts:
    """The post store of one site."""

    def __init__(self, store: OpenStore) -> None:
        """Looks at the tables. SchemaError where the plugin's are missing."""
        self._store = store
        self._layout = store.layout
        self._parts = store
        self._session = store.session
        self._dialect = store.dialect
        self.alone = Alone(store)
        self.old = OldPosts(store)
        self.whole = self.old.whole
        self.tables = self.old.tables
        self._mark = "%s" if self._dialect.name == "mysql" else "?"
        self._groups: dict[str, int] = {}
        deleted = set(self.tables) - {"options", "terms"}
        self.is_transactional = self._session.run(
            lambda c: all(self._dialect.is_transactional(c, self.tables[n]) for n in deleted)
        )

    # Looking

    def hold(self, action_id: ActionId) -> tuple[str, str, int] | None:
        """Hook, args column and number of log rows of an action."""
        names = self._store.names
        rows = self._all(
            f"SELECT hook, args, (SELECT COUNT(*) FROM {names.logs} l WHERE l.action_id ="
            f" a.action_id) FROM {names.actions} a WHERE action_id = :id",
            id=action_id,
        )
        return (str(rows[0][0]), str(rows[0][1]), int(rows[0][2])) if rows else None

    def next_id(self) -> int | None:
        """The demarcation: ids below it are posts'. None without any."""
        told = self.option(DEMARCATION_OPTION)
        if told is not None and told.strip().isdigit():
            return int(told)
        top = self._all(f"SELECT MAX(ID) FROM {self.tables['posts']}")[0][0]
        return None if top is None else int(top) + 1

    def option(self, name: str) -> str | None:
        """One of WordPress's; None when there is no such option."""
        told = self._parts.options.read(name) if self.has_options else None
        return None if told is None else told.decode("utf-8", "surrogateescape")

    @property
    def has_options(self) -> bool:
        """Whether there is a WordPress around the tables at all."""
        return "options" in self.tables

    # Changing

    def start_above(self, demarcation: int) -> None:
        """New actions get ids from there on, as the plugin sees to it: a row made and deleted.

        A server that was restarted may have forgotten it while the table was empty.
        """
        names = self._store.names
        top = self._all(f"SELECT MAX(action_id) FROM {names.actions}")[0][0]
        if int(top or 0) >= demarcation:
            return

        def advance(connection: Connection) -> None:
            extra = ", group_id" if self._dialect.name == "sqlite" else ""
            zero = ", 0" if extra else ""
            connection.execute(
                text(
                    f"INSERT INTO {names.actions} (action_id, hook, status, scheduled_date_gmt,"
                    " scheduled_date_local, args, schedule, last_attempt_gmt, last_attempt_local"
                    f"{extra}) VALUES (:id, '', '', :zero, :zero, '', '', :zero, :zero{zero})"
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
            self._learn_groups(ids)
            try:
                return self._try(ids, decide, now, keep, copied)
            except _NewGroup:
                continue

    def copied(self) -> list[int]:
        """Posts that have their actions already, of a move that died; without transactions only."""
        keys = self._store.names.keys
        if self.is_transactional or not self._parts.own.has(keys):
            return []
        rows = self._all(f"SELECT key_hash FROM {keys} WHERE key_hash LIKE '{KEY}%'")
        return sorted(int(str(row[0])[len(KEY) :]) for row in rows)

    def forget_keys(self) -> None:
        """Keys whose posts are gone: a crash came between the two."""
        keys = self._store.names.keys
        if self.is_transactional or not self._parts.own.has(keys):
            return
        posts = self.tables["posts"]
        number = "UNSIGNED" if self._dialect.name == "mysql" else "INTEGER"
        start = len(KEY) + 1
        self._change(
            f"DELETE FROM {keys} WHERE key_hash LIKE '{KEY}%' AND CAST(SUBSTR(key_hash, {start})"
            f" AS {number}) NOT IN (SELECT ID FROM {posts} WHERE post_type = '{POST_TYPE}')"
        )

    def recount_terms(self) -> None:
        """As WordPress counts a term's posts: the published ones."""
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
        """The plugin's action that deletes what is left of the log comments, unless it waits."""
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
        if self.is_transactional:
            attempts: list[Batch] = []
            return self.alone.transact(lambda c: self._move(c, ids, decide, now, keep, attempts))
        self._parts.own.ensure(self._store.names.keys)
        batch, posts, made = self.alone.transact(lambda c: self._copy(c, ids, decide, now))
        copied(batch.moved)
        if made:
            keep(made, self.whole.columns)
        self._finish(batch, posts)
        return batch

    def _move(  # noqa: PLR0917 - of one call
        self,
        connection: Connection,
        ids: Sequence[int],
        decide: Decide,
        now: datetime,
        keep: Keep,
        attempts: list[Batch],
    ) -> Batch:
        lock = " FOR UPDATE" if self._dialect.name == "mysql" else ""
        posts = self.old.on(connection, ids, lock=lock)
        if self._session.in_doubt and not attempts[-1].moved.keys() & {post.id for post in posts}:
            # The posts are gone: the commit was made, and only its answer was lost.
            return attempts[-1]
        batch, going = self._sorted(connection, posts, decide)
        batch.gone = len(ids) - len(posts)
        made = self._insert(connection, going, now)
        batch.moved = {one.post.id: one.action for one in made}
        if made:
            keep(made, self.whole.columns)
        self.whole.delete(connection, [one.post for one in made])
        attempts.append(batch)
        return batch

    def _copy(
        self, connection: Connection, ids: Sequence[int], decide: Decide, now: datetime
    ) -> tuple[Batch, list[Post], list[Made]]:
        """Without transactions: the actions, and their posts' keys."""
        posts = self.old.on(connection, ids)
        known = self._known(connection, ids)
        new = [post for post in posts if post.id not in known]
        batch, going = self._sorted(connection, new, decide)
        batch.gone = len(ids) - len(posts)
        made = self._insert(connection, going, now)
        batch.moved = {one.post.id: one.action for one in made}
        if batch.moved:
            connection.execute(
                text(
                    f"INSERT INTO {self._store.names.keys} (key_hash, action_id, created_gmt)"
                    " VALUES (:key, :id, :now)"
                ),
                [
                    {"key": f"{KEY}{post}", "id": action_id, "now": to_text(now)}
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
        """Actions of a run that died, as they are now: what has run since has log rows of it."""
        if not posts:
            return []
        which = listed([known[post.id] for post in posts])
        rows = connection.exec_driver_sql(
            "SELECT action_id, status, attempts, scheduled_date_gmt, last_attempt_gmt FROM"
            f" {self._store.names.actions} WHERE action_id IN {which}"
        )
        found = {int(row[0]): row for row in rows}
        gone = (0, "", 0, "", "")
        return [_made(post, known[post.id], found.get(known[post.id], gone)[1:]) for post in posts]

    def _finish(self, batch: Batch, posts: Sequence[Post]) -> None:
        """Without transactions: delete what was copied, if it is what was copied.

        Each step can be done again: what is decided stands in the keys before a post goes.
        """
        same = self.alone.run(lambda c: self._same(c, posts))
        settled = self.alone.transact(lambda c: self._settle(c, batch.moved, same))
        self.alone.run(lambda c: self._delete(c, batch.moved, posts))
        for post in posts:
            if post.id not in settled:
                self._give_up(batch, post)

    def _same(self, connection: Connection, posts: Sequence[Post]) -> list[int]:
        """Posts that are as they were read."""
        table, mark = self.tables["posts"], self._mark
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
        """Have the actions of these posts count; returns whose do, of all that were moved."""
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
        """The posts whose actions count, then their keys."""
        settled = self._settled(connection, moved)
        self.whole.delete(connection, [post.whole for post in posts if post.id in settled])
        if settled:
            connection.exec_driver_sql(
                f"DELETE FROM {self._store.names.keys} WHERE key_hash IN {_keys(settled)}"
            )

    def _give_up(self, batch: Batch, post: Post) -> None:
        """Without transactions: one that was changed meanwhile, or taken by another move."""
        action_id = batch.moved[post.id]
        match self.alone.transact(lambda c: self._take_back(c, post, action_id)):
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
        """The action goes again, unless it was begun, or is the one that counts."""
        lock = " FOR UPDATE" if self._dialect.name == "mysql" else ""
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
        """Actions by posts, as the keys tell."""
        if not ids:
            return {}
        rows = connection.exec_driver_sql(
            f"SELECT key_hash, action_id FROM {self._store.names.keys}"
            f" WHERE key_hash IN {_keys(ids)}{more}"
        )
        return {int(str(key)[len(KEY) :]): ActionId(int(i)) for key, i in rows}

    def _learn_groups(self, ids: Sequence[int]) -> None:
        """Ids of the groups, made before the transaction: others must see them, or would, too."""
        terms = self._session.run(lambda c: self.old.groups(c, ids)) if ids else {}
        for slug in {"", *(names[0] for names in terms.values())} - set(self._groups):
            # Posts whose group the tables cannot hold are left where they are.
            with contextlib.suppress(InputError):
                self._groups[slug] = self._parts.groups.ensure(slug)

    def _sorted(
        self, connection: Connection, posts: Iterable[Post], decide: Decide
    ) -> tuple[Batch, list[tuple[Post, Moving]]]:
        batch = Batch()
        going = []
        for post in posts:
            what = decide(post)
            if isinstance(what, Moving):
                row = what.row(self._parts.inserts.zone)
                what = self._parts.bulk.fault(connection, row) or what
            if isinstance(what, Moving):
                going.append((post, what))
            else:
                batch.left.append((post, what))
        return batch, going

    def _insert(
        self, connection: Connection, going: Sequence[tuple[Post, Moving]], now: datetime
    ) -> list[Made]:
        rows = [one.row(self._parts.inserts.zone) for _, one in going]
        if not self._groups.keys() >= {row.group for row in rows}:
            raise _NewGroup
        ids = self._parts.bulk.insert_rows(connection, rows, self._groups)
        self._parts.inserts.raw_logs(connection, self._log_rows(going, ids, now))
        return [
            _made(post, i, (row.status, row.attempts, row.scheduled, row.last_attempt))
            for (post, _), i, row in zip(going, ids, rows, strict=True)
        ]

    def _log_rows(
        self, going: Sequence[tuple[Post, Moving]], ids: Sequence[ActionId], now: datetime
    ) -> Iterator[tuple[int, str, str, str]]:
        gmt = to_text(now)
        local = to_text(self._parts.inserts.zone.log_local(now))
        for (post, one), i in zip(going, ids, strict=True):
            for message in one.before:
                yield i, message, gmt, local
            for log in post.logs:
                if log.kind == LOG_TYPE:
                    yield i, log.message, *self._log_dates(log.gmt)
            for message in one.after:
                yield i, message.replace("%d", str(i)), gmt, local

    def _log_dates(self, gmt: str) -> tuple[str, str]:
        at = from_text(gmt)
        if at is None:
            return ZERO_DATE, ZERO_DATE
        return gmt[:19], to_text(self._parts.inserts.zone.log_local(at))

    def _all(self, statement: str, **values: object) -> Sequence[Sequence[Any]]:
        return self._session.run(lambda c: c.execute(text(statement), values).fetchall())

    def _change(self, statement: str) -> None:
        self._session.transact(lambda c: c.execute(text(statement)))


def _made(post: Post, action: ActionId, state: Sequence[Any]) -> Made:
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


def _keys(ids: Iterable[int]) -> str:
    """Posts' keys, as a list in SQL."""
    told = ", ".join(f"'{KEY}{i}'" for i in sorted(ids))
    return f"({told})"
