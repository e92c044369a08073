"""The tables of wpbridge 0.1 as it made them, for tests of what became of them since.

Written down, not made by the code under test: a release that changes a definition must bring
these forward.
"""

import uuid

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


def lay(store: RunnerStore) -> None:
    """Put the tables of 0.1 in the place of those that are there."""
    store.parts.own.drop()
    is_mysql = store.parts.dialect.name == "mysql"
    for name, told in (MYSQL if is_mysql else SQLITE).items():
        table = f"{store.names.prefix}wpbridge_{name}"
        if is_mysql:
            end = " ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"
            change(store, f"CREATE TABLE {table} ({told}){end}")
        else:
            change(store, f'CREATE TABLE "{table}" ({told})')
    for name, column in () if is_mysql else SQLITE_INDEXES:
        table = f"{store.names.prefix}wpbridge_{name}"
        change(store, f'CREATE INDEX "{table}__{column}" ON "{table}" ("{column}")')
    store.parts.own.look()


def key_of_0_1(site_name: str, action_id: int) -> str:
    """What `context.idempotency_key` was in 0.1."""
    space = uuid.UUID("6c0a5b0e-0d0c-5d5e-9d0a-2f1c6a2f7b11")
    return str(uuid.uuid5(space, f"{site_name}/{action_id}"))
