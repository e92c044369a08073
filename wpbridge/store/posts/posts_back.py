"""Makes posts again of actions that were posts, while they are as they were made.

One transaction: an action goes and its post is there. Where posts have none (MyISAM), a post is
first written under a type that nobody looks for; a transaction deletes its action and leaves a key
that says so; then the post gets its type. So at no moment do both count, and what a crash leaves
is told by the key: with it the post is to be shown, without it the action still counts.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple, TypeAlias

from wpbridge.action import ActionId, Status
from wpbridge.clock import to_text
from wpbridge.dataclass import dataclass
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.texts import listed
from wpbridge.store.opened import OpenStore
from wpbridge.store.posts.copying import KEY
from wpbridge.store.posts.made import MIGRATED, Made
from wpbridge.store.posts.posts import CLEANUP_HOOK, Posts
from wpbridge.store.posts.whole_posts import POST_TYPE, Columns, WholePost, WholePosts
from wpbridge.store.schema.rows import reader
from wpbridge.store.schema.tables import ACTIONS, KEYS

HIDDEN: Final = "wpbridge-undo"
"""The type of a post whose action may still be there."""
BACK: Final = "post-back-"
"""Before the post's id: its action was deleted for it."""
_NEVER: Final = "9999-12-31 00:00:00"
"""The date of such keys: the upkeep forgets old keys whose actions are gone."""

Fate: TypeAlias = Literal["back", "present", "stayed", "busy", "taken", "gone"]
"""What becomes of a post: put back, there already; its action has changed since, is being run, or
its id is another's by now; neither is there any more."""


class _ActionRow(NamedTuple):
    """What an undo asks of an action that a post became."""

    action_id: int
    status: str
    attempts: int
    scheduled_date_gmt: str
    last_attempt_gmt: str
    claim_id: int
    hook: str


_ROWS: Final = reader(_ActionRow, ACTIONS)


@dataclass(frozen=True, slots=True)
class _Action:
    """How an action stands now."""

    state: tuple[str, int, str, str]
    """As in :class:`Made`."""
    is_in_hand: bool
    is_untouched: bool
    """Its log is as the move left it, and nobody waits for it."""


@dataclass(slots=True)
class _Found:
    """What the database has of a batch."""

    actions: Mapping[int, _Action]
    """By post; those that are of these posts."""
    types: Mapping[int, str]
    keys: Mapping[str, int]


class PostsBack:
    """Puts back one site's posts."""

    def __init__(self, store: OpenStore, posts: Posts) -> None:
        self._session = store.session
        self._names = store.names
        self._parts = store
        self._posts = posts
        self._alone = posts.alone
        self._dialect = store.dialect
        self._dialect = store.dialect

    def look(self, made: Sequence[Made]) -> dict[int, Fate]:
        """Tell what would become of them. It changes nothing."""
        return self._session.run(lambda c: self._fates(c, made))

    def put_back(self, made: Sequence[Made], columns: Columns) -> dict[int, Fate]:
        """Put back those that can be, and tell what became of each. A second call does the rest.

        ``columns``: of the posts' rows. Contention while another moves posts.
        """
        whole = WholePosts(self._dialect, self._posts.tables, columns)
        if self._posts.is_transactional:
            attempts: list[dict[int, Fate]] = []
            return self._alone.transact(lambda c: self._swap(c, made, whole, attempts))
        self._parts.own.ensure(self._names.keys)
        fates = self._alone.run(lambda c: self._write(c, made, whole))
        won = self._alone.transact(lambda c: self._decide(c, made, fates))
        return self._alone.run(lambda c: self._show(c, made, whole, won))

    def differing(self, made: Sequence[Made], columns: Columns) -> list[int]:
        """Return the posts whose own row, or number of rows that hang on it, is not as it was."""
        ids = [one.post.id for one in made]
        reader = WholePosts(self._dialect, self._posts.tables)
        there = {post.id: post for post in self._session.run(lambda c: reader.read(c, ids))}
        return [
            one.post.id
            for one in made
            if one.post.id not in there
            or _shape(there[one.post.id], reader.columns) != _shape(one.post, columns)
        ]

    def forget_cleanup(self, at: datetime | None) -> None:
        """Delete the action that a move added at its end, while it waits.

        ``at``: its date; None for whoever added it.
        """
        dated = "" if at is None else " AND scheduled_date_gmt = :at"
        which = text(
            f"SELECT action_id FROM {self._names.actions} WHERE hook = :hook AND status = 'pending'"
            f" AND claim_id = 0 AND attempts = 0{dated}{self._dialect.row_lock}"
        )
        values = {"hook": CLEANUP_HOOK} | ({} if at is None else {"at": to_text(at)})

        def forget(connection: Connection) -> None:
            rows = connection.execute(which, values)
            self._parts.retention.remove(connection, [ActionId(int(row[0])) for row in rows])

        self._session.transact(forget)

    # With transactions

    def _swap(
        self,
        connection: Connection,
        made: Sequence[Made],
        whole: WholePosts,
        attempts: list[dict[int, Fate]],
    ) -> dict[int, Fate]:
        found = self._look(connection, made, lock=True)
        fates = {one.post.id: self._fate(one, found) for one in made}
        going = [one for one in made if fates[one.post.id] == "back"]
        if self._session.in_doubt and not going and attempts:
            # The commit was made, and only its answer was lost.
            return attempts[-1]
        self._parts.retention.remove(connection, [one.action for one in going])
        posts = [one.post for one in going]
        whole.insert(connection, [post for post in posts if post.id not in found.types])
        whole.hang(connection, posts)
        attempts.append(fates)
        return fates

    # Without

    def _write(
        self, connection: Connection, made: Sequence[Made], whole: WholePosts
    ) -> dict[int, Fate]:
        """Write the posts under a hidden type, with all that hangs on them."""
        fates = self._fates(connection, made)
        going = [one.post for one in made if fates[one.post.id] == "back"]
        whole.reserve(connection, going, HIDDEN)
        types = whole.types(connection, [post.id for post in going])
        for post in going:
            # Somebody may have taken the id a moment ago; of a move that died the post may stand.
            if types.get(post.id) not in (HIDDEN, POST_TYPE):
                fates[post.id] = "taken"
        whole.hang(connection, [post for post in going if fates[post.id] == "back"])
        return fates

    def _decide(
        self, connection: Connection, made: Sequence[Made], written: Mapping[int, Fate]
    ) -> dict[int, Fate]:
        """Decide in one transaction whether the post or the action counts."""
        found = self._look(connection, made, lock=True)
        fates = {**written}
        going = []
        for one in made:
            if written[one.post.id] == "back" and f"{BACK}{one.post.id}" not in found.keys:
                fates[one.post.id] = self._fate(one, found)
                if fates[one.post.id] == "back":
                    going.append(one)
        self._parts.retention.remove(connection, [one.action for one in going])
        if going:
            connection.execute(
                text(KEYS.insert_into(self._names.keys)),
                [
                    {
                        "key_hash": f"{BACK}{one.post.id}",
                        "action_id": one.action,
                        "created_gmt": _NEVER,
                    }
                    for one in going
                ],
            )
        return fates

    def _show(
        self,
        connection: Connection,
        made: Sequence[Made],
        whole: WholePosts,
        fates: dict[int, Fate],
    ) -> dict[int, Fate]:
        """Give the type to posts whose actions are gone, and delete the other hidden ones."""
        keys = self._keys(connection, made)
        shown = [one.post.id for one in made if f"{BACK}{one.post.id}" in keys]
        if shown:
            connection.exec_driver_sql(
                f"UPDATE {self._posts.tables['posts']} SET post_type = '{POST_TYPE}' WHERE ID IN"
                f" {listed(shown)} AND post_type = '{HIDDEN}'"
            )
        types = whole.types(connection, [one.post.id for one in made])
        lost = [one.post for one in made if types.get(one.post.id) == HIDDEN]
        whole.delete(connection, lost, HIDDEN)
        if shown:
            told = ", ".join(f"'{BACK}{i}'" for i in sorted(shown))
            connection.exec_driver_sql(f"DELETE FROM {self._names.keys} WHERE key_hash IN ({told})")
        return fates

    # What is there

    def _fates(self, connection: Connection, made: Sequence[Made]) -> dict[int, Fate]:
        found = self._look(connection, made)
        return {one.post.id: self._fate(one, found) for one in made}

    def _fate(self, one: Made, found: _Found) -> Fate:
        kind = found.types.get(one.post.id)
        action = found.actions.get(one.post.id)
        if f"{BACK}{one.post.id}" in found.keys:
            # A server that died may have lost what was written without a transaction.
            return "back" if kind in (None, HIDDEN) else "present"
        if action is None:
            return "present" if kind == POST_TYPE else "gone"
        if action.is_in_hand:
            return "busy"
        state = (one.status, one.attempts, one.scheduled, one.last_attempt)
        if action.state != state or not action.is_untouched:
            return "stayed"
        # A move that died has left both, and a key that says so.
        is_ours = kind == POST_TYPE and found.keys.get(f"{KEY}{one.post.id}") == one.action
        return "back" if kind in (None, HIDDEN) or is_ours else "taken"

    def _look(self, connection: Connection, made: Sequence[Made], *, lock: bool = False) -> _Found:
        actions = self._actions(connection, made, lock=lock)
        types = self._posts.whole.types(connection, [one.post.id for one in made])
        return _Found(actions=actions, types=types, keys=self._keys(connection, made))

    def _actions(
        self, connection: Connection, made: Sequence[Made], *, lock: bool
    ) -> dict[int, _Action]:
        which = listed([one.action for one in made])
        by_key, ending = self._dialect.by_key, self._dialect.row_lock if lock else ""
        rows = connection.exec_driver_sql(
            f"SELECT {_ROWS.columns} FROM {self._names.actions}{by_key} WHERE action_id IN {which}"
            f" ORDER BY action_id{ending}"
        )
        there = {row.action_id: row for row in _ROWS.read(rows)}
        told = self._told(connection, which)
        others = {action for action, _ in told}
        last = self._last_logs(connection, which)
        awaited = self._awaited(connection, which)
        found = {}
        for one in made:
            row = there.get(one.action)
            log = told.get((one.action, MIGRATED.format(one.post.id) % one.action))
            if row is None or (log is None and (one.action in others or row.hook != one.hook)):
                # An id that was given up with its transaction may be another action's.
                continue
            found[one.post.id] = _Action(
                state=(
                    str(row.status),
                    int(row.attempts),
                    str(row.scheduled_date_gmt),
                    str(row.last_attempt_gmt),
                ),
                is_in_hand=bool(row.claim_id) or row.status == Status.IN_PROGRESS,
                is_untouched=(
                    log is not None and last.get(one.action) == log and one.action not in awaited
                ),
            )
        return found

    def _told(self, connection: Connection, which: str) -> dict[tuple[int, str], int]:
        """Return log rows of migrations, by action and words."""
        statement = text(
            f"SELECT action_id, message, log_id FROM {self._names.logs} WHERE action_id IN {which}"
            " AND message LIKE :start"
        )
        values = {"start": f"{MIGRATED.partition('{')[0]}%"}
        return {(int(i), str(m)): int(log) for i, m, log in connection.execute(statement, values)}

    def _last_logs(self, connection: Connection, which: str) -> dict[int, int]:
        rows = connection.exec_driver_sql(
            f"SELECT action_id, MAX(log_id) FROM {self._names.logs} WHERE action_id IN {which}"
            " GROUP BY action_id"
        )
        return {int(i): int(log) for i, log in rows}

    def _awaited(self, connection: Connection, which: str) -> set[int]:
        """Return actions that others wait for, and would take for failed if they were gone."""
        if not self._parts.own.has(self._names.waits):
            return set()
        rows = connection.exec_driver_sql(
            f"SELECT after_id FROM {self._names.waits} WHERE after_id IN {which}"
        )
        return {int(row[0]) for row in rows}

    def _keys(self, connection: Connection, made: Sequence[Made]) -> dict[str, int]:
        """Return actions by the keys of a move or an undo that died."""
        if not self._parts.own.has(self._names.keys):
            return {}
        told = ", ".join(f"'{KEY}{one.post.id}', '{BACK}{one.post.id}'" for one in made)
        rows = connection.exec_driver_sql(
            f"SELECT key_hash, action_id FROM {self._names.keys} WHERE key_hash IN ({told})"
        )
        return {str(key): int(action) for key, action in rows}


def _shape(post: WholePost, columns: Columns) -> tuple[object, ...]:
    own = [
        {name: str(value) for name, value in zip(columns["posts"], row, strict=True)}
        for row in post.rows["posts"]
    ]
    return own, {name: len(rows) for name, rows in post.rows.items() if rows}
