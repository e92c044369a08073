"""Reads, deletes and puts back posts with all that hangs on them, every column as it stands.

Of comments and meta the rows that were read are deleted, by their ids, and no others: what came
meanwhile stays. What is put back is added beside what is there; nothing is overwritten.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from wpbridge.dataclass import dataclass
from wpbridge.store.database.connection import Connection
from wpbridge.store.database.dialect import Dialect
from wpbridge.store.database.portions import portions, room
from wpbridge.store.database.texts import listed
from wpbridge.store.schema.ids import given

POST_TYPE: Final = "scheduled-action"
TAXONOMY: Final = "action-group"
HANGING: Final = {
    "postmeta": ("meta_id", "post_id"),
    "term_relationships": ("term_taxonomy_id", "object_id"),
    "comments": ("comment_ID", "comment_post_ID"),
    "commentmeta": ("meta_id", "comment_id"),
}
"""Tables of what hangs on a post, or on its comments: their own id, and whose they are."""
TABLES: Final = ("posts", *HANGING)
_MOST: Final = 500
_KEPT_BYTES: Final = 1 << 18
"""Of a post that may be kept for a look at the end, beside hundreds of others."""
_SMALL: Final = 20
"""Bytes of a number or a date."""

Row: TypeAlias = Sequence[Any]
Columns: TypeAlias = Mapping[str, Sequence[str]]
"""By table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WholePost:
    """One post's rows by table, in the order of :attr:`WholePosts.columns`."""

    id: int
    rows: Mapping[str, Sequence[Row]]

    @property
    def is_small(self) -> bool:
        """Whether many of its kind may be kept in memory."""
        return sum(_size(row) for rows in self.rows.values() for row in rows) <= _KEPT_BYTES


class WholePosts:
    """The rows of one site's posts. Its statements run in the caller's transaction."""

    def __init__(
        self, dialect: Dialect, tables: Mapping[str, str], columns: Columns | None = None
    ) -> None:
        """``tables`` names those that are there. ``columns`` are those of rows from elsewhere."""
        self._dialect = dialect
        self._tables = tables
        self._mark = dialect.mark
        self._ignore = dialect.insert_ignore
        self.columns = dict(columns or {})
        """In the order of the rows; set by reading."""

    def read(
        self, connection: Connection, ids: Sequence[int], *, lock: str = ""
    ) -> list[WholePost]:
        """Read the posts of the ids that are there, in their order. An id in two rows has both."""
        which = listed(ids)
        found: dict[int, dict[str, list[Row]]] = {}
        for row in self._select(
            connection, "posts", f"WHERE t.ID IN {which} AND t.post_type = '{POST_TYPE}'{lock}"
        ):
            of = found.setdefault(int(self.value("posts", row, "ID")), {n: [] for n in TABLES})
            of["posts"].append(row)
        if not found:
            return []
        which = listed(found)
        hanging = {
            "postmeta": f"WHERE t.post_id IN {which} ORDER BY t.meta_id",
            "comments": f"WHERE t.comment_post_ID IN {which}"
            " ORDER BY t.comment_date_gmt, t.comment_ID",
        }
        if "term_taxonomy" in self._tables:
            # Links of the old blogroll share the ids, under another taxonomy.
            hanging["term_relationships"] = (
                f"JOIN {self._tables['term_taxonomy']} x ON x.term_taxonomy_id ="
                f" t.term_taxonomy_id WHERE t.object_id IN {which} AND x.taxonomy = '{TAXONOMY}'"
            )
        for name, condition in hanging.items():
            for row in self._select(connection, name, condition):
                found[int(self.value(name, row, HANGING[name][1]))][name].append(row)
        self._read_comment_meta(connection, found)
        return [WholePost(id=i, rows=found[i]) for i in ids if i in found]

    def sizes(self, connection: Connection, ids: Sequence[int]) -> Counter[int]:
        """Estimate how many characters the rows of each post have, without reading them."""
        found: Counter[int] = Counter()
        for name in self._tables.keys() & set(TABLES) if ids else ():
            owner, joint = f"t.{HANGING[name][1] if name in HANGING else 'ID'}", ""
            if name == "commentmeta":
                if "comments" not in self._tables:
                    continue
                owner = "c.comment_post_ID"
                joint = f" JOIN {self._tables['comments']} c ON c.comment_ID = t.comment_id"
            rows = connection.exec_driver_sql(
                f"SELECT {owner}, SUM({self._length(connection, name)}) FROM {self._tables[name]} t"
                f"{joint} WHERE {owner} IN {listed(ids)} GROUP BY {owner}"
            )
            found.update({int(i): int(size or 0) for i, size in rows})
        return found

    def _length(self, connection: Connection, name: str) -> str:
        """Return an expression for the length of a row of this table."""
        told = connection.exec_driver_sql(f"SELECT t.* FROM {self._tables[name]} t LIMIT 0").columns
        quoted = [column.replace("`", "``") for column in told]
        return " + ".join(f"COALESCE(LENGTH(t.`{column}`), 0)" for column in quoted)

    def value(self, table: str, row: Row, column: str) -> Any:
        """Return one of a row's values."""
        return row[self.columns[table].index(column)]

    def types(self, connection: Connection, ids: Sequence[int]) -> dict[int, str]:
        """Return the post types of the ids that are taken."""
        if not ids:
            return {}
        rows = connection.exec_driver_sql(
            f"SELECT ID, post_type FROM {self._tables['posts']} WHERE ID IN {listed(ids)}"
        )
        return {int(i): str(kind) for i, kind in rows}

    def delete(
        self, connection: Connection, posts: Sequence[WholePost], post_type: str = POST_TYPE
    ) -> None:
        """Delete posts with what was read of them. The posts go last."""
        if not posts:
            return
        which = [post.id for post in posts]
        owners = dict.fromkeys(HANGING, which)
        owners["commentmeta"] = self._ids(posts, "comments")
        for name in reversed(HANGING):
            own, owner = HANGING[name]
            if some := self._ids(posts, name):
                # Their owners, too: without a primary key one id may be many rows'.
                connection.exec_driver_sql(
                    f"DELETE FROM {self._tables[name]} WHERE {own} IN {listed(some)}"
                    f" AND {owner} IN {listed(owners[name])}"
                )
        connection.exec_driver_sql(
            f"DELETE FROM {self._tables['posts']} WHERE ID IN {listed(which)}"
            f" AND post_type = '{post_type}'"
        )

    # Putting back

    def insert(self, connection: Connection, posts: Sequence[WholePost]) -> None:
        """Insert the posts' own rows. StoreError where one of the ids is taken."""
        rows = [row for post in posts for row in post.rows["posts"]]
        self._insert(connection, "posts", self.columns["posts"], rows)

    def reserve(self, connection: Connection, posts: Sequence[WholePost], post_type: str) -> None:
        """Insert them under another type, without a transaction. Taken ids are passed over."""
        place = self.columns["posts"].index("post_type")
        rows = [
            [*row[:place], post_type, *row[place + 1 :]]
            for post in posts
            for row in post.rows["posts"]
        ]
        self._insert(connection, "posts", self.columns["posts"], rows, is_taken_well=True)

    def hang(self, connection: Connection, posts: Sequence[WholePost]) -> None:
        """Insert what hangs on posts, as far as it is missing.

        An id that is another's by now becomes a new one: nothing but a comment's meta names it.
        """
        renamed: dict[int, int] = {}
        for name in HANGING:
            rows = [row for post in posts for row in post.rows.get(name, ())]
            if not rows:
                continue
            if name == "commentmeta":
                rows = [self._of_comment(row, renamed) for row in rows]
            is_link = name == "term_relationships"
            if not is_link:
                rows, homeless = self._missing(connection, name, rows)
                renamed |= self._renumber(connection, name, homeless)
            self._insert(connection, name, self.columns[name], rows, is_taken_well=is_link)

    def _missing(
        self, connection: Connection, name: str, rows: Sequence[Row]
    ) -> tuple[list[Row], list[Row]]:
        """Return rows that are not there, and among them those whose id somebody else has."""
        own, owner = (self.columns[name].index(column) for column in HANGING[name])
        told = connection.exec_driver_sql(
            f"SELECT {', '.join(HANGING[name])} FROM {self._tables[name]}"
            f" WHERE {HANGING[name][0]} IN {listed([int(row[own]) for row in rows])}"
        )
        there = {int(i): int(whose) for i, whose in told}
        missing = [row for row in rows if int(row[own]) not in there]
        homeless = [row for row in rows if there.get(int(row[own]), row[owner]) != int(row[owner])]
        return missing, homeless

    def _renumber(self, connection: Connection, name: str, rows: Sequence[Row]) -> dict[int, int]:
        """Add rows under new ids. Returns new ids by old ones, of comments."""
        own = self.columns[name].index(HANGING[name][0])
        rest = [column for place, column in enumerate(self.columns[name]) if place != own]
        made = {}
        for row in rows:
            values = [value for place, value in enumerate(row) if place != own]
            last = self._insert(connection, name, rest, [values])
            made[int(row[own])] = given(last, self._tables[name])
        return made if name == "comments" else {}

    def _of_comment(self, row: Row, renamed: Mapping[int, int]) -> Row:
        place = self.columns["commentmeta"].index("comment_id")
        return [*row[:place], renamed.get(int(row[place]), row[place]), *row[place + 1 :]]

    def _insert(
        self,
        connection: Connection,
        name: str,
        columns: Sequence[str],
        rows: Sequence[Row],
        *,
        is_taken_well: bool = False,
    ) -> int:
        """Add rows, and return the last id. With ``is_taken_well`` taken ids are passed over."""
        last, insert = 0, self._ignore if is_taken_well else "INSERT"
        marks = f"({', '.join([self._mark] * len(columns))})"
        named = ", ".join(f"`{column}`" for column in columns)
        for part in portions(rows, most=_MOST, room=room(self._dialect.most_bytes), size_of=_size):
            done = connection.exec_driver_sql(
                f"{insert} INTO {self._tables[name]} ({named})"
                f" VALUES {', '.join([marks] * len(part))}",
                tuple(value for row in part for value in row),
            )
            last = int(done.lastrowid or 0)
        return last

    # Reading

    def _read_comment_meta(
        self, connection: Connection, found: Mapping[int, Mapping[str, list[Row]]]
    ) -> None:
        whose = {
            int(self.value("comments", row, "comment_ID")): i
            for i, rows in found.items()
            for row in rows["comments"]
        }
        if whose:
            condition = f"WHERE t.comment_id IN {listed(whose)} ORDER BY t.meta_id"
            for row in self._select(connection, "commentmeta", condition):
                comment = int(self.value("commentmeta", row, "comment_id"))
                found[whose[comment]]["commentmeta"].append(row)

    def _select(self, connection: Connection, name: str, condition: str) -> list[Row]:
        if name not in self._tables:
            return []
        result = connection.exec_driver_sql(f"SELECT t.* FROM {self._tables[name]} t {condition}")
        self.columns[name] = result.columns
        return [tuple(row) for row in result]

    def _ids(self, posts: Sequence[WholePost], name: str) -> list[int]:
        """Return the rows' own ids."""
        return [
            int(self.value(name, row, HANGING[name][0]))
            for post in posts
            for row in post.rows.get(name, ())
        ]


def _size(row: Row) -> int:
    return sum(4 * len(v) if isinstance(v, str | bytes) else _SMALL for v in row)
