"""What the accounts do that make tables, let people in and move queues."""

from typing import TYPE_CHECKING, Final

import pytest

from accounts import ACTIONS, Account, by_name, done
from accounts_of_runners import know_the_zone, opened
from factories import insert, make_new
from rows import change, query
from stores import way_of
from tables_of_0_1 import lay
from wpbridge.codec import php
from wpbridge.codec.wp_cron import CronOption, Event, key_of
from wpbridge.store.posts.exclusive import Alone
from wpbridge.store.structure.creation import create_tables, drop_tables

if TYPE_CHECKING:
    from legacy_store import LegacyStore


def make_tables(account: Account) -> None:
    drop_tables(way_of(account.store))
    try:
        done(account.site("init"))
        done(account.site("init"))
    finally:
        create_tables(way_of(account.store), everything=False)


def bring_forward(account: Account) -> None:
    """The tables of wpbridge 0.1, of a site with queued actions."""
    insert(account.store, make_new("h"))
    drop_tables(way_of(account.store))
    lay(account.store)
    try:
        done(account.site("init"))
    finally:
        create_tables(way_of(account.store), everything=False)


def say_who_may_call(account: Account) -> None:
    done(account.site("keys", "add", "shop", "--allow", "read"))
    done(account.site("keys", "list"))
    done(account.site("keys", "rotate", "shop"))
    done(account.site("keys", "revoke", "shop", "--yes"))
    for _ in range(2):
        done(account.site("keys", "rotate-signing", "--yes"))
    done(account.site("keys", "rotate-signing", "--yes", "--drop-previous"))


def say_who_may_sign_in(account: Account) -> None:
    word = "correct horse battery"
    done(account.site("users", "add", "anna", "--role", "viewer", "--password-stdin", input=word))
    done(account.site("users", "password", "anna", "--password-stdin", input=word))
    done(account.site("users", "role", "anna", "admin"))
    sessions = account.store.names.sessions
    change(
        account.store,
        f"INSERT INTO {sessions} VALUES ('x', 'user:anna', 'user', 'admin', UTC_TIMESTAMP(),"
        " UTC_TIMESTAMP() + INTERVAL 1 DAY, NULL)",
    )
    done(account.site("users", "sessions"))
    done(account.site("users", "list"))
    done(account.site("users", "remove", "anna", "--yes"))


CONFIG: Final = """<?php
define( 'DB_NAME', 'x' );
define( 'DB_USER', 'x' );
define( 'DB_PASSWORD', '' );
define( 'DB_HOST', 'x' );
$table_prefix = 'wp_';
require_once ABSPATH . 'wp-settings.php';
"""
"""The folder of a WordPress. The database is the one that the environment names."""


def uninstall(account: Account) -> None:
    """With an action that waits, one of wpbridge's own hooks, and what a dead runner had in hand."""
    store = account.store
    dead = store.names.runners
    first, held = insert(store, make_new("h"), make_new("h"))
    done(account.root("enqueue", "h", "--after", str(first)))
    insert(store, make_new("wpbridge_bulk", group="wpbridge"))
    change(
        store,
        f"INSERT INTO {dead} (host, boot, pid, pid_started, version, started_gmt, beat_gmt, claims,"
        " once) VALUES ('gone', 'b', 1, '1', '1', '2020-01-01', '2020-01-01', '77', '')",
    )
    change(store, "INSERT INTO wp_actionscheduler_claims VALUES (77, UTC_TIMESTAMP())")
    change(
        store,
        f"UPDATE {ACTIONS} SET claim_id = 77, status = 'in-progress' WHERE action_id = {held}",
    )
    change(
        store,
        "INSERT INTO wp_options (option_name, option_value) VALUES ('wpbridge_companion', '1')",
    )
    folder = account.root.folder / "site"
    (folder / "wp-content").mkdir(parents=True, exist_ok=True)
    (folder / "wp-config.php").write_text(CONFIG)
    (folder / "wp-settings.php").write_text("<?php\n")
    try:
        done(account.site("uninstall", "--yes", f"--path={folder}"))
        assert query(store, "SHOW TABLES LIKE 'wp_wpbridge%'") == []
        assert account.statuses("h") == ["pending", "pending", "canceled"]
        assert account.ids("wpbridge_bulk") == []
        assert query(store, "SELECT 1 FROM wp_options WHERE option_name LIKE 'wpbr%'") == []
    finally:
        change(store, "DELETE FROM wp_options WHERE option_name = 'wpbridge_companion'")
        create_tables(way_of(store), everything=False)
        account.root.ok("init")


def _seed(account: Account) -> list[int]:
    ids = insert(account.store, *(make_new("h", args=(n,), group="g") for n in range(3)))
    done(account.root("enqueue", "h", "--cron", "0 3 * * *", "--tz", "Europe/Rome", "--key", "k"))
    done(account.root("enqueue", "h", "--after", str(ids[0])))
    return [int(one) for one in ids]


def take_a_queue_along(account: Account) -> None:
    _seed(account)
    folder = account.root.folder
    for file in folder.glob("q.jsonl*"):
        file.unlink()
    done(account.site("migrate", "export", "--output", "q.jsonl"))
    account.empty()
    told = ("migrate", "import", "--input", "q.jsonl", "--yes", "--journal", "q.journal")
    done(account.site(*told, "--into-itself"))
    assert len(account.ids("h")) == 5
    done(account.site("migrate", "import", "--undo", "q.journal", "--yes"))
    assert account.ids("h") == []
    (folder / "q.journal").unlink()


def archive(account: Account) -> None:
    _seed(account)
    change(
        account.store,
        f"UPDATE {ACTIONS} SET status = 'complete', last_attempt_gmt = '2020-01-01'",
    )
    for file in account.root.folder.glob("old.jsonl*"):
        file.unlink()
    done(account.site("migrate", "archive", "--output", "old.jsonl.gz", "--yes"))
    assert account.ids("h") == []


def add_the_index(account: Account) -> None:
    done(account.site("migrate", "index"))
    done(account.site("migrate", "index", "--drop"))


def mend_the_tables(account: Account) -> None:
    change(account.store, f"ALTER TABLE {ACTIONS} DROP INDEX args, ALTER attempts DROP DEFAULT")
    for table in ("claims", "groups", "logs"):
        name = f"wp_actionscheduler_{table}"
        change(account.store, f"ALTER TABLE {name} ENGINE=MyISAM")
    try:
        done(account.site("migrate", "schema", "fix", "--yes"))
        assert account.root("migrate", "schema", "verify").code == 0
    finally:
        account.root("migrate", "schema", "fix", "--yes")


IDS: Final = (
    ("actionscheduler_claims", "claim_id"),
    ("actionscheduler_groups", "group_id"),
    ("actionscheduler_logs", "log_id"),
    ("actionscheduler_actions", "action_id"),
    ("wpbridge_runners", "runner_id"),
    ("wpbridge_audit", "audit_id"),
)


def give_ids(account: Account) -> None:
    """Tables that lost their keys in an import, each with a row that got no id."""
    for name, column in IDS:
        table = f"wp_{name}"
        change(account.store, f"ALTER TABLE {table} MODIFY {column} bigint unsigned NOT NULL")
        change(
            account.store,
            f"INSERT INTO {table} SET {column} = 0" + FILLED.get(name, ""),
        )
    try:
        done(account.site("migrate", "schema", "fix", "--yes"))
    finally:
        account.root("migrate", "schema", "fix", "--yes")


FILLED: Final = {
    "actionscheduler_groups": ", slug = 'x'",
    "actionscheduler_logs": ", action_id = 1, message = 'x'",
    "actionscheduler_actions": ", hook = 'x', status = 'failed'",
    "wpbridge_runners": ", host = '', boot = '', pid = 0, pid_started = '', version = '',"
    " started_gmt = '2020-01-01', beat_gmt = '2020-01-01', claims = '', once = ''",
    "wpbridge_audit": ", at_gmt = '2020-01-01', who = '', verb = '', object = '', detail = ''",
}
"""Columns without a default."""


def keep_others_out_on_a_cluster(account: Account) -> None:
    """Where the server refuses GET_LOCK, a row of the site's table is the lock."""
    with opened(account) as store, pytest.MonkeyPatch.context() as patch:
        patch.setattr(Alone, "_make_sure", lambda *_: False)
        for _ in range(2):
            Alone(store).transact(lambda _: None)
    site = account.store.names.site
    change(account.store, f"DELETE FROM {site} WHERE name = 'posts_moves'")


def move_wp_cron(account: Account) -> None:
    options = account.store.names.options
    change(account.store, f"DELETE FROM {options} WHERE option_name = 'cron'")
    args: php.PhpArray = {}
    value = php.encode({b"schedule": False, b"args": args})
    option = CronOption({b"version": 2})
    option.add([Event(date=1_900_000_000, hook=b"shop", key=key_of(args), value=value)])
    change(
        account.store,
        f"INSERT INTO {options} (option_name, option_value, autoload) VALUES ('cron', :v, 'yes')",
        v=option.encode().decode(),
    )
    for file in account.root.folder.glob("cron.journal*"):
        file.unlink()
    move = ("migrate", "wp-cron", "--settle", "0s", "--yes")
    told = done(account.site(*move, "--journal", "cron.journal"))
    assert account.statuses("shop") == ["pending"], told
    done(account.site("migrate", "wp-cron", "--settle", "0s", "--undo", "cron.journal", "--yes"))
    assert b"shop" in (account.store.parts.options.read("cron") or b"")


def move_the_post_store(account: Account) -> None:
    names = ("posts", "postmeta", "terms", "term_taxonomy", "term_relationships", "comments")
    for table in (*names, "commentmeta"):
        change(account.store, f"DELETE FROM wp_{table}")
    legacy: LegacyStore = account.more["legacy"]
    legacy._groups.clear()
    one = legacy.post("one", status="publish", group="g")
    change(
        account.store,
        "INSERT INTO wp_commentmeta (comment_id, meta_key, meta_value)"
        f" SELECT comment_ID, 'k', 'v' FROM wp_comments WHERE comment_post_ID = {one}",
    )
    legacy.post("two")
    for file in account.root.folder.glob("posts.journal*"):
        file.unlink()
    done(account.site("migrate", "post-store", "--journal", "posts.journal"))
    assert account.statuses("two") == ["pending"]
    done(account.site("migrate", "post-store", "--undo", "posts.journal", "--yes"))
    assert account.ids("two") == []


def move_posts_without_transactions(account: Account) -> None:
    for table in ("posts", "postmeta"):
        change(account.store, f"ALTER TABLE wp_{table} ENGINE=MyISAM")
    try:
        move_the_post_store(account)
    finally:
        for table in ("posts", "postmeta"):
            change(account.store, f"ALTER TABLE wp_{table} ENGINE=InnoDB")


INIT: Final = by_name(
    know_the_zone, make_tables, bring_forward, say_who_may_call, say_who_may_sign_in, uninstall
)
MIGRATIONS: Final = by_name(
    take_a_queue_along,
    archive,
    add_the_index,
    mend_the_tables,
    give_ids,
    move_wp_cron,
    move_the_post_store,
    move_posts_without_transactions,
    keep_others_out_on_a_cluster,
)
