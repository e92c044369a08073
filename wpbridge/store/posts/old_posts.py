"""Reads the plugin's old store: actions that are posts, with their meta, terms and comments."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias

from wpbridge.clock import ZERO_DATE, to_text
from wpbridge.dataclass import dataclass
from wpbridge.store.bulk.reading import WINDOW_BYTES
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.portions import portions
from wpbridge.store.database.texts import listed
from wpbridge.store.opened import OpenStore
from wpbridge.store.posts.whole_posts import POST_TYPE, TAXONOMY, WholePost, WholePosts
from wpbridge.store.structure.server import Server

SCHEDULE_META: Final = "_action_manager_schedule"
LOG_TYPE: Final = "action_log"
GONE: Final = "migrated"
"""Posts that the plugin has moved and could not delete."""

Cursor: TypeAlias = tuple[str, int]
"""Date and id of the last post seen."""
START: Final[Cursor] = (ZERO_DATE, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PostLog:
    """One comment on a post."""

    id: int
    kind: str
    message: str
    gmt: str
    """As stored; may be the zero date."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """An action as a post, unread."""

    id: int
    hook: str
    args: str
    status: str
    date_gmt: str
    modified_gmt: str
    attempts: int
    claim: str
    schedules: tuple[bytes, ...]
    """The values of its schedule meta, by meta id: PHP reads the first."""
    groups: tuple[str, ...]
    """Names of its terms; PHP reads the first."""
    logs: tuple[PostLog, ...]
    whole: WholePost
    """All its rows."""

    @property
    def is_twice(self) -> bool:
        """Tell whether its id stands in two rows, as in a table without a primary key."""
        return len(self.whole.rows["posts"]) > 1

    @property
    def guard(self) -> tuple[object, ...]:
        """What is compared to see whether the post is still as it was read."""
        return (self.id, self.status, self.modified_gmt, self.claim)


class OldPosts:
    """The posts of one site's actions. ``is_there`` tells whether there can be any."""

    def __init__(self, store: OpenStore) -> None:
        """Look at the tables."""
        self._session = store.session
        server = Server(store.tables)
        names = (
            "posts",
            "postmeta",
            "comments",
            "commentmeta",
            "terms",
            "term_taxonomy",
            "term_relationships",
            "options",
        )
        prefix = store.names.prefix
        self.tables = {n: f"{prefix}{n}" for n in names if server.has_table(f"{prefix}{n}")}
        """WordPress's, as far as they are there."""
        self.is_there = {"posts", "postmeta"} <= set(self.tables)
        self.whole = WholePosts(store.dialect, self.tables)

    def counts(self) -> Counter[str]:
        """Count all posts by their status."""
        if not self.is_there:
            return Counter()
        rows = self._all(
            f"SELECT post_status, COUNT(DISTINCT ID) FROM {self.tables['posts']}"
            f" WHERE post_type = '{POST_TYPE}' GROUP BY post_status"
        )
        return Counter({str(status): int(count) for status, count in rows})

    def ids(self, status: str, after: Cursor, size: int) -> tuple[list[int], Cursor]:
        """Return the next posts of a status by their date, and where they end."""
        rows = self._all(
            f"SELECT ID, post_date FROM {self.tables['posts']} WHERE post_type = '{POST_TYPE}'"
            " AND post_status = :status AND post_date >= :date AND (post_date > :date OR ID > :id)"
            " ORDER BY post_date, ID LIMIT :size",
            status=status,
            date=after[0],
            id=after[1],
            size=size,
        )
        end = (str(rows[-1][1]), int(rows[-1][0])) if rows else after
        # An id that stands twice is one post that is left.
        return list(dict.fromkeys(int(row[0]) for row in rows)), end

    def in_windows(self, ids: Sequence[int]) -> Iterator[list[int]]:
        """Yield ids in their order, as many at a time as their posts may be read at once."""
        sizes = self._session.run(lambda c: self.whole.sizes(c, ids))
        yield from portions(
            ids, most=max(1, len(ids)), room=WINDOW_BYTES, size_of=lambda one: sizes[one]
        )

    def read(self, ids: Sequence[int]) -> list[Post]:
        """Read whole posts, in the order of the ids."""
        return self._session.run(lambda c: self.on(c, ids))

    def claimed_since(self, moment: datetime) -> int:
        """Count posts under a claim whose holder gave a sign of life since then."""
        if not self.is_there:
            return 0
        rows = self._all(
            f"SELECT COUNT(*) FROM {self.tables['posts']} WHERE post_type = '{POST_TYPE}'"
            " AND post_status IN ('pending', 'in-progress') AND post_password <> ''"
            " AND post_modified_gmt >= :since",
            since=to_text(moment),
        )
        return int(rows[0][0])

    def has_comment_logs(self) -> bool:
        """Tell whether any comment of any post is a log row."""
        if "comments" not in self.tables:
            return False
        table = self.tables["comments"]
        return bool(self._all(f"SELECT 1 FROM {table} WHERE comment_type = '{LOG_TYPE}' LIMIT 1"))

    # Of the rows

    def on(self, connection: Connection, ids: Sequence[int], *, lock: str = "") -> list[Post]:
        """Read the same in the caller's transaction. ``lock`` ends the SELECT of the posts."""
        if not ids:
            return []
        # First the posts, under their lock: a transaction sees all others as they were when it
        # read the first row without one.
        posts = self.whole.read(connection, ids, lock=lock)
        groups = self.groups(connection, ids)
        return [self._post(whole, tuple(groups.get(whole.id, ()))) for whole in posts]

    def _post(self, whole: WholePost, groups: tuple[str, ...]) -> Post:
        """Return what the rows mean. Of an id in two rows the last one counts."""
        of = dict(zip(self.whole.columns["posts"], whole.rows["posts"][-1], strict=True))
        metas = self._each(whole, "postmeta", "meta_key", "meta_value")
        logs = self._each(
            whole, "comments", "comment_ID", "comment_type", "comment_content", "comment_date_gmt"
        )
        return Post(
            id=whole.id,
            hook=str(of["post_title"]),
            args=str(of["post_content"]),
            status=str(of["post_status"]),
            date_gmt=str(of["post_date_gmt"]),
            modified_gmt=str(of["post_modified_gmt"]),
            attempts=int(of["menu_order"]),
            claim=str(of["post_password"]),
            groups=groups,
            whole=whole,
            schedules=tuple(_bytes(value) for key, value in metas if key == SCHEDULE_META),
            logs=tuple(
                PostLog(id=int(i), kind=str(kind), message=str(message), gmt=str(gmt))
                for i, kind, message, gmt in logs
            ),
        )

    def _each(self, whole: WholePost, name: str, *columns: str) -> Iterator[tuple[Any, ...]]:
        """Read some columns of what hangs on the posts."""
        if rows := whole.rows[name]:
            places = [self.whole.columns[name].index(column) for column in columns]
            for row in rows:
                yield tuple(row[place] for place in places)

    def groups(self, connection: Connection, ids: Sequence[int]) -> dict[int, list[str]]:
        """Return the names of the posts' terms."""
        if not {"terms", "term_taxonomy", "term_relationships"} <= set(self.tables):
            return {}
        rows = connection.exec_driver_sql(
            f"SELECT r.object_id, t.name FROM {self.tables['term_relationships']} r JOIN"
            f" {self.tables['term_taxonomy']} x ON x.term_taxonomy_id = r.term_taxonomy_id JOIN"
            f" {self.tables['terms']} t ON t.term_id = x.term_id WHERE r.object_id IN"
            f" {listed(ids)} AND x.taxonomy = '{TAXONOMY}' ORDER BY t.name, t.term_id"
        )
        return {i: [str(one[1]) for one in some] for i, some in _by_post(rows).items()}

    def _all(self, statement: str, **values: object) -> Sequence[Sequence[Any]]:
        return self._session.run(lambda c: c.execute(text(statement), values).fetchall())


def _by_post(rows: Iterable[Sequence[Any]]) -> dict[int, list[Sequence[Any]]]:
    found: dict[int, list[Sequence[Any]]] = {}
    for row in rows:
        found.setdefault(int(row[0]), []).append(row)
    return found


def _bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    return b"" if value is None else str(value).encode("utf-8", "surrogateescape")
