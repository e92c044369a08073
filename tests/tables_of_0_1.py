"""The tables of wpbridge 0.1 as it made them, for tests of what became of them since.

Written down, not made by the code under test: a release that changes a definition must bring
these forward. ``ADDED`` is what each later version added to them.
"""

import uuid
from typing import Final

from rows import change
from wpbridge.store.running.runner_store import RunnerStore

MYSQL = {
    "runners": """
        runner_id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
        host varchar(255) NOT NULL,
        boot varchar(255) NOT NULL,
        pid bigint NOT NULL,
        pid_started varchar(64) NOT NULL,
        version varchar(32) NOT NULL,
        started_gmt datetime NOT NULL,
        beat_gmt datetime NOT NULL,
        claims text NOT NULL,
        once mediumtext NOT NULL""",
    "pauses": """
        kind varchar(10) NOT NULL,
        name varchar(255) NOT NULL,
        until_gmt datetime NULL,
        reason varchar(255) NOT NULL,
        created_gmt datetime NOT NULL,
        PRIMARY KEY (kind, name)""",
    "zones": """
        action_id bigint unsigned NOT NULL PRIMARY KEY,
        hook varchar(191) NOT NULL,
        args varchar(191) NOT NULL,
        group_id bigint unsigned NOT NULL,
        expression varchar(255) NOT NULL,
        zone varchar(64) NOT NULL""",
    "waits": """
        action_id bigint unsigned NOT NULL,
        after_id bigint unsigned NOT NULL,
        on_failed varchar(10) NOT NULL,
        PRIMARY KEY (action_id, after_id), KEY after_id (after_id)""",
    "keys": """
        key_hash char(64) NOT NULL PRIMARY KEY,
        action_id bigint unsigned NOT NULL,
        created_gmt datetime NOT NULL, KEY action_id (action_id)""",
    "limits": """
        kind varchar(10) NOT NULL,
        name varchar(255) NOT NULL,
        tokens double NOT NULL,
        refilled double NOT NULL,
        failures int NOT NULL,
        PRIMARY KEY (kind, name)""",
    "suspects": """
        action_id bigint unsigned NOT NULL PRIMARY KEY,
        seen_gmt datetime NOT NULL""",
    "duties": """
        duty varchar(20) NOT NULL PRIMARY KEY,
        holder varchar(255) NOT NULL,
        due_gmt datetime NOT NULL,
        left_to varchar(64) NOT NULL""",
}
SQLITE = {
    "runners": """
        "runner_id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        "host" text NOT NULL, "boot" text NOT NULL, "pid" INTEGER NOT NULL,
        "pid_started" text NOT NULL, "version" text NOT NULL,
        "started_gmt" text NOT NULL, "beat_gmt" text NOT NULL,
        "claims" text NOT NULL, "once" text NOT NULL""",
    "pauses": """
        "kind" text NOT NULL, "name" text NOT NULL, "until_gmt" text,
        "reason" text NOT NULL, "created_gmt" text NOT NULL, PRIMARY KEY ("kind", "name")""",
    "zones": """
        "action_id" INTEGER NOT NULL PRIMARY KEY, "hook" text NOT NULL, "args" text NOT NULL,
        "group_id" INTEGER NOT NULL, "expression" text NOT NULL, "zone" text NOT NULL""",
    "waits": """
        "action_id" INTEGER NOT NULL, "after_id" INTEGER NOT NULL, "on_failed" text NOT NULL,
        PRIMARY KEY ("action_id", "after_id")""",
    "keys": """
        "key_hash" text NOT NULL PRIMARY KEY, "action_id" INTEGER NOT NULL,
        "created_gmt" text NOT NULL""",
    "limits": """
        "kind" text NOT NULL, "name" text NOT NULL, "tokens" REAL NOT NULL,
        "refilled" REAL NOT NULL, "failures" INTEGER NOT NULL, PRIMARY KEY ("kind", "name")""",
    "suspects": """
        "action_id" INTEGER NOT NULL PRIMARY KEY, "seen_gmt" text NOT NULL""",
    "duties": """
        "duty" text NOT NULL PRIMARY KEY, "holder" text NOT NULL, "due_gmt" text NOT NULL,
        "left_to" text NOT NULL""",
}
SQLITE_INDEXES = (("keys", "action_id"), ("waits", "after_id"))
ADDED: Final = {
    3: ("writes bigint NOT NULL DEFAULT '0'", "\"writes\" INTEGER NOT NULL DEFAULT '0'"),
    4: (
        "wake_address varchar(255) NOT NULL DEFAULT ''",
        "\"wake_address\" TEXT NOT NULL DEFAULT ''",
    ),
    5: ("places int NULL", '"places" INTEGER'),
    6: ("wish varchar(10) NOT NULL DEFAULT ''", "\"wish\" TEXT NOT NULL DEFAULT ''"),
    7: ("about text NULL", '"about" TEXT'),
}
"""The column of runners that a version added, for MySQL and for SQLite."""
SITE_TABLE: Final = (
    "name varchar(40) NOT NULL, value varchar(255) NOT NULL, PRIMARY KEY (name)",
    '"name" TEXT NOT NULL PRIMARY KEY, "value" TEXT NOT NULL',
)
"""The site's own table, which version 2 added."""
_MYSQL_END: Final = " ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"
KEY_OF_ORDER_1: Final = "0bafe22156d2698c143b86040446d366ead863ba600d5c924f3d15c786ef4057"
"""What 0.1 stored for the idempotency key "order-1"."""


def lay(store: RunnerStore) -> None:
    """Put the tables of 0.1 in the place of those that are there."""
    store.parts.own.drop()
    is_mysql = store.parts.dialect.name == "mysql"
    for name, told in (MYSQL if is_mysql else SQLITE).items():
        table = f"{store.names.prefix}wpbridge_{name}"
        if is_mysql:
            change(store, f"CREATE TABLE {table} ({told}){_MYSQL_END}")
        else:
            change(store, f'CREATE TABLE "{table}" ({told})')
    for name, column in () if is_mysql else SQLITE_INDEXES:
        table = f"{store.names.prefix}wpbridge_{name}"
        change(store, f'CREATE INDEX "{table}__{column}" ON "{table}" ("{column}")')
    store.parts.own.look()


def lay_version(store: RunnerStore, version: int) -> None:
    """Put the tables of a version in the place of those that are there: those that a runner needs.

    Version 0 is a site without any.
    """
    if version == 0:
        store.parts.own.drop()
        store.parts.own.look()
        return
    lay(store)
    is_mysql = store.parts.dialect.name == "mysql"
    prefix = f"{store.names.prefix}wpbridge_"
    if version >= 2:
        told, end = (SITE_TABLE[0], _MYSQL_END) if is_mysql else (SITE_TABLE[1], "")
        change(store, f"CREATE TABLE {prefix}site ({told}){end}")
        facts = {"site_id": str(uuid.uuid4()), "old_keys_until": 0, "version": version, "needs": 1}
        for name, value in facts.items():
            change(store, f"INSERT INTO {prefix}site VALUES (:n, :v)", n=name, v=str(value))
    for number, columns in ADDED.items():
        if number <= version:
            column = columns[0 if is_mysql else 1]
            change(store, f"ALTER TABLE {prefix}runners ADD COLUMN {column}")
    store.parts.own.look()


def fill(store: RunnerStore, ids: dict[str, int]) -> dict[str, dict[str, object]]:
    """Put a row into each table of 0.1, as 0.1 wrote it, and return the rows by table.

    ``ids`` has the ids of the actions a (keyed), b (paused), c (which waits for a) and d (zoned).
    """
    moment = "2026-11-24 10:00:00"
    rows: dict[str, dict[str, object]] = {
        "runners": {
            "host": "host-of-0.1",
            "boot": "boot",
            "pid": 7,
            "pid_started": "1",
            "version": "0.1.0",
            "started_gmt": moment,
            "beat_gmt": moment,
            "claims": "77",
            "once": "78",
        },
        "pauses": {"kind": "hook", "name": "b", "reason": "audit", "created_gmt": moment},
        "zones": {
            "action_id": ids["d"],
            "hook": "d",
            "args": "[]",
            "group_id": 0,
            "expression": "0 9 * * *",
            "zone": "Europe/Rome",
        },
        "waits": {"action_id": ids["c"], "after_id": ids["a"], "on_failed": "hold"},
        "keys": {"key_hash": KEY_OF_ORDER_1, "action_id": ids["a"], "created_gmt": moment},
        "limits": {"kind": "hook", "name": "a", "tokens": 2.5, "refilled": 1.5, "failures": 3},
        "suspects": {"action_id": ids["d"], "seen_gmt": moment},
        "duties": {"duty": "upkeep", "holder": "host-of-0.1", "due_gmt": moment, "left_to": ""},
    }
    for table, row in rows.items():
        columns, values = ", ".join(row), ", ".join(f":{name}" for name in row)
        change(
            store,
            f"INSERT INTO {store.names.prefix}wpbridge_{table} ({columns}) VALUES ({values})",
            **row,
        )
    return rows


def key_of_0_1(site_name: str, action_id: int) -> str:
    """What `context.idempotency_key` was in 0.1."""
    space = uuid.UUID("6c0a5b0e-0d0c-5d5e-9d0a-2f1c6a2f7b11")
    return str(uuid.uuid5(space, f"{site_name}/{action_id}"))
