"""A post store that the real plugin wrote becomes what its own migration made of it, and more.

Different on purpose, and listed here: attempts are kept, log dates are the true ones, and
cancelling is logged once (fixtures/golden/README.md names the plugin's faults).
"""

import io
import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from rows import actions_of, query
from servers import MariaDB, find_program
from stores import again
from wpbridge.migrate.journal import Journal
from wpbridge.migrate.post_store.moving import PostStore, Summary
from wpbridge.store.running.runner_store import RunnerStore

ATTEMPTS = {"legacy_failed": 1, "legacy_done": 1}
BERLIN = ZoneInfo("Europe/Berlin")


def migrated(
    server: MariaDB, dsn: str, golden: Path, folder: Path, opened: Callable[[str], RunnerStore]
) -> tuple[RunnerStore, Summary]:
    store = opened(dsn)
    database = dsn.partition("localhost/")[2].partition("?")[0]
    client = find_program(("mariadb", "mysql"))
    assert client is not None
    command = [client, "-uroot", f"-S{server.socket}", "--default-character-set=utf8mb4", database]
    subprocess.run(command, input=(golden / "legacy/before.sql").read_bytes(), check=True)
    # The options came with the file, and tell the site's time zone.
    store = again(store)
    with Journal(folder / "journal", kind="post-store", site="golden") as journal:
        return store, PostStore(store.parts).move(journal, io.StringIO())


def test_the_tables_are_as_the_plugin_migrates_them(
    mariadb: MariaDB,
    mysql_dsn: str,
    golden_dir: Path,
    tmp_path: Path,
    open_queue: Callable[[str], RunnerStore],
) -> None:
    began = datetime.now(UTC).replace(microsecond=0)
    store, done = migrated(mariadb, mysql_dsn, golden_dir, tmp_path, open_queue)
    ended = datetime.now(UTC)
    after = json.loads((golden_dir / "legacy/after.json").read_text("utf-8"))
    rows = {str(row["hook"]): row for row in actions_of(store)}
    expected = {r["hook"]: r for r in after["actions"] if r["hook"].startswith("legacy_")}
    assert done.is_complete
    assert [*rows] == [*expected]
    assert min(int(row["action_id"]) for row in rows.values()) > 1000
    for hook, wanted in expected.items():
        found = rows[hook]
        assert found["attempts"] == ATTEMPTS.get(hook, 0)
        for name in set(wanted) - {"action_id", "group_id", "attempts"}:
            if wanted[name] == "NOW":
                assert found[name] == "2026-11-23 18:40:12", (hook, name)
            elif wanted[name] == "NOW_LOCAL":
                assert found[name] == "2026-11-23 19:40:12", (hook, name)
            else:
                value = "0000-00-00 00:00:00" if wanted[name] == "ZERO" else wanted[name]
                assert found[name] == value, (hook, name)
        logs = _logs(store, int(str(found["action_id"])))
        told = [r for r in after["logs"] if r["action_id"] == wanted["action_id"]]
        if hook == "legacy_canceled":
            del told[0]
        for old, new in zip(told, logs, strict=True):
            words = old["message"].replace(
                f"ID {wanted['action_id']} ", f"ID {found['action_id']} "
            )
            assert new[0] == words
            at = datetime.fromisoformat(new[1]).replace(tzinfo=UTC)
            assert datetime.fromisoformat(new[2]) == at.astimezone(BERLIN).replace(tzinfo=None)
            if old["log_date_gmt"] == "NOW":
                assert began <= at <= ended
            else:
                # The plugin took the local date for UTC.
                assert new[2] == old["log_date_gmt"]
    assert not query(store, "SELECT 1 FROM wp_posts WHERE post_type = 'scheduled-action'")
    assert not query(store, "SELECT 1 FROM wp_comments")
    assert not query(store, "SELECT 1 FROM wp_postmeta")
    told_options = query(store, "SELECT option_name, option_value FROM wp_options")
    options = {str(row[0]): row[1] for row in told_options}
    assert options["action_scheduler_migration_status"] == "complete"
    assert options["as_has_wp_comment_logs"] == "no"
    counts = query(store, "SELECT count FROM wp_term_taxonomy WHERE taxonomy = 'action-group'")
    assert [row[0] for row in counts] == [0, 0]
    assert query(store, "SELECT count FROM wp_term_taxonomy WHERE taxonomy = 'category'") == [(1,)]


def _logs(store: RunnerStore, action_id: int) -> list[tuple[str, str, str]]:
    rows = query(
        store,
        "SELECT message, log_date_gmt, log_date_local FROM wp_actionscheduler_logs"
        " WHERE action_id = :i ORDER BY log_id",
        i=action_id,
    )
    return [(str(a), str(b), str(c)) for a, b, c in rows]
