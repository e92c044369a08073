"""How fast the old post store moves into the tables and back: posts with two log rows each.

On MariaDB.

Prints one JSON object.
"""

import argparse
import io
import json
import tempfile
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from bench import connect
from bench_queue import fresh
from legacy_store import LegacyStore
from servers import MariaDB, private_mariadb
from wpbridge.codec import schedule
from wpbridge.migrate.journal import Journal
from wpbridge.migrate.post_store.moving import KIND, PostStore
from wpbridge.migrate.post_store.undo import Undo
from wpbridge.store.database.connection import Connection
from wpbridge.store.running.runner_store import RunnerStore

_PART = 2_000
_BEGAN = datetime(2026, 3, 1, 10, tzinfo=UTC)


def fill(store: RunnerStore, posts: int) -> None:
    """Complete and pending posts with a group, a schedule and two log comments each."""
    legacy = LegacyStore(store)
    legacy.run("INSERT INTO wp_terms (name, slug) VALUES ('bench', 'bench')")
    legacy.run("INSERT INTO wp_term_taxonomy (term_id, taxonomy) VALUES (1, 'action-group')")

    def add(connection: Connection, first: int) -> None:
        ids = range(first, min(first + _PART, posts + 1))
        rows: dict[str, list[tuple[object, ...]]] = {
            "posts (ID, post_date, post_date_gmt, post_content, post_title, post_status,"
            " post_modified, post_modified_gmt, menu_order, post_type)": [],
            "postmeta (post_id, meta_key, meta_value)": [],
            "term_relationships (object_id, term_taxonomy_id)": [],
            "comments (comment_post_ID, comment_date, comment_date_gmt, comment_content,"
            " comment_type)": [],
        }
        post, meta, term, comment = rows.values()
        for i in ids:
            at = _BEGAN + timedelta(seconds=i)
            date, status = f"{at:%Y-%m-%d %H:%M:%S}", ("publish", "pending")[i % 2]
            post.append(
                (
                    i,
                    date,
                    date,
                    f'[{i},"x"]',
                    f"bench_{i % 40}",
                    status,
                    date,
                    date,
                    1,
                    "scheduled-action",
                )
            )
            blob = schedule.encode(schedule.single(at)).decode()
            meta.append((i, "_action_manager_schedule", blob))
            term.append((i, 1))
            comment += [
                (i, date, date, f"action {word}", "action_log") for word in ("created", "complete")
            ]
        for table, some in rows.items():
            marks = ", ".join(["%s"] * len(some[0]))
            connection.exec_driver_sql(f"INSERT INTO wp_{table} VALUES ({marks})", some)

    for first in range(1, posts + 1, _PART):
        store.session.transact(partial(add, first=first))


def measure(server: MariaDB, posts: int) -> dict[str, object]:
    """Actions a second, each with two log rows and one of the migration's own, and posts back."""
    store = fresh(server, "bench_poststore")
    fill(store, posts)
    store.close()
    store = connect(server.url("bench_poststore"))
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "journal", kind=KIND, site="bench")
        with journal:
            started = time.perf_counter()
            done = PostStore(store.parts).move(journal, io.StringIO())
            seconds = time.perf_counter() - started
            started = time.perf_counter()
            back = Undo(store.parts, journal).run()
            back_seconds = time.perf_counter() - started
    assert (done.is_complete, back.is_good, back.restored) == (True, True, posts)
    store.close()
    return {
        "posts": posts,
        "actions_per_second": round(posts / seconds),
        "undone_per_second": round(posts / back_seconds),
    }


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--posts", type=int, default=50_000)
    given = parser.parse_args()
    with private_mariadb() as server:
        print(json.dumps(measure(server, given.posts)))


if __name__ == "__main__":
    main()
