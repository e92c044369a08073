"""Legacy post stores for tests and benchmarks: WordPress's tables, filled as the plugin fills them.

On MariaDB as WordPress makes them, on SQLite as its driver does.
"""

import random
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from servers import MariaDB, find_program
from stores import open_store
from wpbridge.codec import schedule
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.store.structure.server import Server

ZERO: Final = "0000-00-00 00:00:00"
BEGAN: Final = datetime(2026, 3, 1, 10, tzinfo=UTC)
_MYSQL: Final = {
    "posts": """ID bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
        post_author bigint unsigned NOT NULL DEFAULT 0,
        post_date datetime NOT NULL, post_date_gmt datetime NOT NULL,
        post_content longtext NOT NULL, post_title text NOT NULL,
        post_status varchar(20) NOT NULL, post_password varchar(255) NOT NULL DEFAULT '',
        post_modified datetime NOT NULL, post_modified_gmt datetime NOT NULL,
        menu_order int NOT NULL DEFAULT 0, post_type varchar(20) NOT NULL,
        comment_count bigint NOT NULL DEFAULT 0,
        KEY type_status_date (post_type, post_status, post_date, ID)""",
    "postmeta": """meta_id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
        post_id bigint unsigned NOT NULL, meta_key varchar(255), meta_value longtext,
        KEY post_id (post_id), KEY meta_key (meta_key(191))""",
    "terms": """term_id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
        name varchar(200) NOT NULL, slug varchar(200) NOT NULL""",
    "term_taxonomy": """term_taxonomy_id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
        term_id bigint unsigned NOT NULL, taxonomy varchar(32) NOT NULL,
        count bigint NOT NULL DEFAULT 0, KEY taxonomy (taxonomy)""",
    "term_relationships": """object_id bigint unsigned NOT NULL,
        term_taxonomy_id bigint unsigned NOT NULL, term_order int NOT NULL DEFAULT 0,
        PRIMARY KEY (object_id, term_taxonomy_id), KEY term_taxonomy_id (term_taxonomy_id)""",
    "comments": """comment_ID bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
        comment_post_ID bigint unsigned NOT NULL, comment_date datetime NOT NULL,
        comment_date_gmt datetime NOT NULL, comment_content text NOT NULL,
        comment_approved varchar(20) NOT NULL DEFAULT '1',
        comment_type varchar(20) NOT NULL, KEY comment_post_ID (comment_post_ID)""",
    "commentmeta": """meta_id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
        comment_id bigint unsigned NOT NULL, meta_key varchar(255), meta_value longtext,
        KEY comment_id (comment_id)""",
    "options": """option_id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
        option_name varchar(191) NOT NULL UNIQUE, option_value longtext NOT NULL,
        autoload varchar(20) NOT NULL DEFAULT 'yes'""",
}
_SQLITE: Final = {
    "posts": """ID INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, post_author INTEGER DEFAULT 0,
        post_date TEXT, post_date_gmt TEXT, post_content TEXT, post_title TEXT, post_status TEXT,
        post_password TEXT NOT NULL DEFAULT '', post_modified TEXT, post_modified_gmt TEXT,
        menu_order INTEGER NOT NULL DEFAULT 0, post_type TEXT,
        comment_count INTEGER NOT NULL DEFAULT 0""",
    "postmeta": """meta_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, post_id INTEGER,
        meta_key TEXT, meta_value TEXT""",
    "terms": "term_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, name TEXT, slug TEXT",
    "term_taxonomy": """term_taxonomy_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        term_id INTEGER, taxonomy TEXT, count INTEGER NOT NULL DEFAULT 0""",
    "term_relationships": """object_id INTEGER, term_taxonomy_id INTEGER,
        term_order INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (object_id, term_taxonomy_id)""",
    "comments": """comment_ID INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, comment_post_ID INTEGER,
        comment_date TEXT, comment_date_gmt TEXT, comment_content TEXT,
        comment_approved TEXT NOT NULL DEFAULT '1', comment_type TEXT""",
    "commentmeta": """meta_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, comment_id INTEGER,
        meta_key TEXT, meta_value TEXT""",
    "options": """option_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        option_name TEXT NOT NULL UNIQUE, option_value TEXT NOT NULL, autoload TEXT""",
}
TABLES: Final = tuple(_MYSQL)
STATUSES: Final = ("pending", "failed", "trash", "publish", "in-progress")


def make_tables(store: RunnerStore, names: Sequence[str], *, engine: str = "InnoDB") -> None:
    """Some of WordPress's tables, where they are missing."""
    is_mysql = store.parts.dialect.name == "mysql"
    for name in names:
        columns = (_MYSQL if is_mysql else _SQLITE)[name]
        of = engine if name != "options" else "InnoDB"
        more = f" ENGINE={of} DEFAULT CHARSET=utf8mb4" if is_mysql else ""
        statement = text(f"CREATE TABLE IF NOT EXISTS wp_{name} ({columns}){more}")
        store.session.run(lambda c, one=statement: c.execute(one))  # type: ignore[misc]


class LegacyStore:
    """A site's post store that is filled by hand."""

    def __init__(self, store: RunnerStore, *, engine: str = "InnoDB") -> None:
        """Makes WordPress's tables; the demarcation is at 1000."""
        self.store = store
        make_tables(store, TABLES, engine=engine)
        self.run(
            "INSERT INTO wp_options (option_name, option_value, autoload)"
            " VALUES ('action_scheduler_hybrid_store_demarkation', '1000', 'yes')"
        )
        self._groups: dict[str, int] = {}

    def run(self, statement: str, **values: object) -> int:
        done = self.store.session.run(lambda c: c.execute(text(statement), values))
        return int(done.lastrowid or 0)

    def query(self, statement: str, **values: object) -> Sequence[Sequence[Any]]:
        return self.store.session.run(lambda c: c.execute(text(statement), values).fetchall())

    def count(self, table: str, where: str = "1 = 1") -> int:
        return int(self.query(f"SELECT COUNT(*) FROM wp_{table} WHERE {where}")[0][0])

    def post(
        self,
        hook: str = "legacy",
        *,
        args: str = "[]",
        status: str = "pending",
        at: datetime = BEGAN,
        blob: bytes | None = None,
        group: str = "",
        attempts: int = 0,
        claim: str = "",
        modified: datetime = BEGAN,
        logs: Sequence[str] = ("action created",),
        **columns: object,
    ) -> int:
        """One action as a post; the schedule is single unless given, none if it is empty."""
        row: dict[str, object] = {
            "post_date": f"{at:%Y-%m-%d %H:%M:%S}",
            "post_date_gmt": f"{at:%Y-%m-%d %H:%M:%S}",
            "post_content": args,
            "post_title": hook,
            "post_status": status,
            "post_password": claim,
            "post_modified": f"{modified:%Y-%m-%d %H:%M:%S}",
            "post_modified_gmt": f"{modified:%Y-%m-%d %H:%M:%S}",
            "menu_order": attempts,
            "post_type": "scheduled-action",
            "comment_count": len(logs),
            **columns,
        }
        marks = ", ".join(f":{name}" for name in row)
        told = self.run(f"INSERT INTO wp_posts ({', '.join(row)}) VALUES ({marks})", **row)
        post = int(str(columns.get("ID", told)))
        blob = schedule.encode(schedule.single(at)) if blob is None else blob
        if blob:
            self.meta(post, "_action_manager_schedule", blob.decode())
        if group:
            self.relate(post, group)
        for place, message in enumerate(logs):
            self.comment(post, message, at + timedelta(seconds=place))
        return post

    def meta(self, post: int, key: str, value: str) -> int:
        return self.run(
            "INSERT INTO wp_postmeta (post_id, meta_key, meta_value) VALUES (:p, :k, :v)",
            p=post,
            k=key,
            v=value,
        )

    def comment(
        self, post: int, message: str, at: datetime, *, kind: str = "action_log", gmt: str = ""
    ) -> int:
        gmt = gmt or f"{at:%Y-%m-%d %H:%M:%S}"
        return self.run(
            "INSERT INTO wp_comments (comment_post_ID, comment_date, comment_date_gmt,"
            " comment_content, comment_type) VALUES (:p, :d, :d, :m, :t)",
            p=post,
            d=gmt,
            m=message,
            t=kind,
        )

    def relate(self, post: int, group: str) -> None:
        if group not in self._groups:
            term = self.run("INSERT INTO wp_terms (name, slug) VALUES (:g, :g)", g=group)
            self._groups[group] = self.run(
                "INSERT INTO wp_term_taxonomy (term_id, taxonomy, count)"
                " VALUES (:t, 'action-group', 99)",
                t=term,
            )
        self.run(
            "INSERT INTO wp_term_relationships (object_id, term_taxonomy_id) VALUES (:p, :t)",
            p=post,
            t=self._groups[group],
        )

    def fill(self, seed: int, size: int) -> dict[str, str]:
        """Posts of every kind; hook to post status."""
        choose = random.Random(seed)  # noqa: S311 - a reproducible choice
        made = {}
        for number in range(size):
            at = BEGAN + timedelta(seconds=choose.randrange(-10_000_000, 10_000_000))
            kinds = (
                schedule.single(at),
                schedule.interval(at, choose.randrange(1, 90_000)),
                schedule.cron_schedule(at, "30 4 1 * *"),
                schedule.Async(),
            )
            hook, status = f"hook_{number}", choose.choice(STATUSES)
            made[hook] = status
            self.post(
                hook,
                args=f'[{number},"{"x" * choose.choice((1, 30, 900))}"]',
                status=status,
                at=at,
                blob=schedule.encode(choose.choice(kinds)),
                attempts=choose.randrange(4),
                group=choose.choice(("", "alpha", "beta", "größe & co")),
                logs=[f"row {n}" for n in range(choose.randrange(4))],
            )
        return made


HANGING: Final = ("posts", "postmeta", "term_relationships", "comments", "commentmeta")


def snapshot(store: RunnerStore) -> dict[str, list[tuple[object, ...]]]:
    """All rows of the tables that posts are spread over."""

    def rows(connection: Connection, name: str) -> list[tuple[object, ...]]:
        found = connection.execute(text(f"SELECT * FROM wp_{name}"))
        return sorted((tuple(row) for row in found), key=repr)

    names = [name for name in HANGING if Server(store.parts.tables).has_table(f"wp_{name}")]
    return {name: store.session.run(partial(rows, name=name)) for name in names}


def load_golden(
    server: MariaDB, file: Path, store: RunnerStore, database: str, engine: str
) -> None:
    """The post store that the plugin wrote, with all of WordPress's columns.

    ``database``: where the server reads the file; a store on SQLite gets a copy of its tables.
    """
    client = find_program(("mariadb", "mysql"))
    assert client is not None
    command = [client, "-uroot", f"-S{server.socket}", "--default-character-set=utf8mb4", database]
    subprocess.run(command, input=file.read_bytes(), check=True)
    source = open_store(DatabaseAddress.from_dsn(server.url(database)), "wp_")
    for name in filter(lambda name: Server(source.parts.tables).has_table(f"wp_{name}"), TABLES):
        if store.parts.dialect.name == "sqlite":
            _copy(source, store, f"wp_{name}")
        elif name != "options":
            statement = text(f"ALTER TABLE wp_{name} ENGINE={engine}")
            store.session.run(lambda c, one=statement: c.execute(one))  # type: ignore[misc]
    source.close()


def _copy(source: RunnerStore, target: RunnerStore, table: str) -> None:
    found = source.session.run(lambda c: c.execute(text(f"SELECT * FROM {table}")))
    columns = found.columns
    told = [
        f'"{name}"' + " INTEGER PRIMARY KEY" * (place == 0) for place, name in enumerate(columns)
    ]
    if table == "wp_term_relationships":
        told = [f'"{name}"' for name in columns] + ["PRIMARY KEY (object_id, term_taxonomy_id)"]
    rows = [tuple(row) for row in found]

    def copy(connection: Connection) -> None:
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {table}")
        connection.exec_driver_sql(f"CREATE TABLE {table} ({', '.join(told)})")
        marks = ", ".join("?" * len(columns))
        for row in rows:
            connection.exec_driver_sql(f"INSERT INTO {table} VALUES ({marks})", row)

    target.session.run(copy)
