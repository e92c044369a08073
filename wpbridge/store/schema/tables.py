"""Describe the plugin's tables in its layouts 5 to 9, and wpbridge's own tables.

This is the one description of them. Tables are created, compared, repaired and read by it. The
plugin makes its tables with dbDelta, which adds and never drops. So a site that was upgraded has
more than its layout asks for.

Our own tables contain what the plugin's have no column for: docs/explain/own-tables.md. To change
an existing one, change it here and add a step in :mod:`wpbridge.store.structure.own_steps`.
"""

from typing import Final

from wpbridge.clock import ZERO_DATE
from wpbridge.store.schema.description import Column, Index, Table

_ID: Final = "bigint unsigned"
_DATE: Final = Column(type="datetime", null=True, default=ZERO_DATE)
_MOMENT: Final = Column(type="datetime")
_NAME: Final = Column(type="varchar(255)")
_KIND: Final = Column(type="varchar(10)")

# The plugin's

FRESH_LAYOUT: Final = 8
"""The layout that wpbridge makes on new sites. Its indexes also suit older and newer plugins."""

# Release 3.7.0 made the first two longer without a new number: a site at 7 may have either.
HOOK_INDEX: Final = Index(
    columns=("hook", "status", "scheduled_date_gmt"), lengths={"hook": 163}, since=8
)
DUE_INDEX: Final = Index(columns=("status", "scheduled_date_gmt"), since=8)
OLD_HOOK_INDEX: Final = Index(columns=("hook",), until=7)
GROUP_INDEX: Final = Index(columns=("group_id",))
DATE_CLAIM_INDEX: Final = Index(columns=("claim_id", "status", "scheduled_date_gmt"), until=7)
PRIORITY_CLAIM_INDEX: Final = Index(
    columns=("claim_id", "status", "priority", "scheduled_date_gmt"), since=8
)
ATTEMPT_INDEX: Final = Index(columns=("status", "last_attempt_gmt"), since=8)
CLAIMED_INDEX: Final = Index(columns=("status", "claim_id"), since=8)

ACTIONS: Final = Table(
    name="actions",
    key=("action_id",),
    columns={
        "action_id": Column(type=_ID, auto=True),
        "hook": Column(type="varchar(191)"),
        "status": Column(type="varchar(20)"),
        "scheduled_date_gmt": _DATE,
        "scheduled_date_local": _DATE,
        "priority": Column(type="tinyint unsigned", default="10", since=7, is_optional=True),
        "args": Column(type="varchar(191)", null=True),
        "schedule": Column(type="longtext", null=True),
        "group_id": Column(type=_ID, default="0"),
        "attempts": Column(type="int", default="0"),
        "last_attempt_gmt": _DATE,
        "last_attempt_local": _DATE,
        "claim_id": Column(type=_ID, default="0"),
        "extended_args": Column(type="varchar(8000)", null=True, is_optional=True),
        # The type is empty, so that it is not compared: the plugin has not released this layout.
        "unique_key": Column(type="", null=True, since=9, is_optional=True),
    },
    indexes=(
        HOOK_INDEX,
        DUE_INDEX,
        OLD_HOOK_INDEX,
        Index(columns=("status",), until=7),
        Index(columns=("scheduled_date_gmt",)),
        Index(columns=("args",)),
        GROUP_INDEX,
        Index(columns=("last_attempt_gmt",)),
        DATE_CLAIM_INDEX,
        PRIORITY_CLAIM_INDEX,
        ATTEMPT_INDEX,
        CLAIMED_INDEX,
    ),
)
CLAIMS: Final = Table(
    name="claims",
    key=("claim_id",),
    columns={"claim_id": Column(type=_ID, auto=True), "date_created_gmt": _DATE},
    indexes=(Index(columns=("date_created_gmt",)),),
)
GROUPS: Final = Table(
    name="groups",
    key=("group_id",),
    columns={"group_id": Column(type=_ID, auto=True), "slug": _NAME},
    indexes=(Index(columns=("slug",), lengths={"slug": 191}),),
)
LOGS: Final = Table(
    name="logs",
    key=("log_id",),
    columns={
        "log_id": Column(type=_ID, auto=True),
        "action_id": Column(type=_ID),
        "message": Column(type="text"),
        "log_date_gmt": _DATE,
        "log_date_local": _DATE,
    },
    indexes=(Index(columns=("action_id",)), Index(columns=("log_date_gmt",))),
)
PLUGIN: Final = (ACTIONS, CLAIMS, GROUPS, LOGS)
BY_NAME: Final = {table.name: table for table in PLUGIN}

CLAIM_INDEX: Final = Index(
    columns=("claim_id", "status", "priority", "attempts", "scheduled_date_gmt", "action_id"),
    called="wpbridge_claim",
)
"""The columns by which the plugin's claim selects, then those by which it sorts (action-scheduler
PR 1340). The plugin does not make this index; `migrate index` adds it."""

# Ours

RUNNERS: Final = Table(
    name="runners",
    key=("runner_id",),
    columns={
        "runner_id": Column(type=_ID, auto=True),
        "host": _NAME,
        "boot": _NAME,
        "pid": Column(type="bigint"),
        "pid_started": Column(type="varchar(64)"),
        "version": Column(type="varchar(32)"),
        "started_gmt": _MOMENT,
        "beat_gmt": _MOMENT,
        "claims": Column(type="text"),
        "once": Column(type="mediumtext"),
        "writes": Column(type="bigint", default="0"),
        "wake_address": Column(type="varchar(255)", default=""),
        "places": Column(type="int", null=True),
        "wish": Column(type="varchar(10)", default=""),
        "about": Column(type="text", null=True),
    },
    is_ours=True,
)
PAUSES: Final = Table(
    name="pauses",
    key=("kind", "name"),
    columns={
        "kind": _KIND,
        "name": _NAME,
        "until_gmt": Column(type="datetime", null=True),
        "reason": _NAME,
        "created_gmt": _MOMENT,
    },
    is_ours=True,
)
ZONES: Final = Table(
    name="zones",
    key=("action_id",),
    columns={
        "action_id": Column(type=_ID),
        "hook": Column(type="varchar(191)"),
        "args": Column(type="varchar(191)"),
        "group_id": Column(type=_ID),
        "expression": _NAME,
        "zone": Column(type="varchar(64)"),
    },
    is_ours=True,
)
WAITS: Final = Table(
    name="waits",
    key=("action_id", "after_id"),
    columns={"action_id": Column(type=_ID), "after_id": Column(type=_ID), "on_failed": _KIND},
    indexes=(Index(columns=("after_id",)),),
    is_ours=True,
)
KEYS: Final = Table(
    name="keys",
    key=("key_hash",),
    columns={
        "key_hash": Column(type="char(64)"),
        "action_id": Column(type=_ID),
        "created_gmt": _MOMENT,
    },
    indexes=(Index(columns=("action_id",)),),
    is_ours=True,
)
LIMITS: Final = Table(
    name="limits",
    key=("kind", "name"),
    columns={
        "kind": _KIND,
        "name": _NAME,
        "tokens": Column(type="double"),
        "refilled": Column(type="double"),
        "failures": Column(type="int"),
    },
    is_ours=True,
)
SUSPECTS: Final = Table(
    name="suspects",
    key=("action_id",),
    columns={"action_id": Column(type=_ID), "seen_gmt": _MOMENT},
    is_ours=True,
)
DUTIES: Final = Table(
    name="duties",
    key=("duty",),
    columns={
        "duty": Column(type="varchar(20)"),
        "holder": _NAME,
        "due_gmt": _MOMENT,
        "left_to": Column(type="varchar(64)"),
    },
    is_ours=True,
)
HELD: Final = Table(
    name="held",
    key=("hook",),
    columns={"hook": Column(type="varchar(191)"), "told_gmt": _MOMENT},
    is_ours=True,
)
SECRETS: Final = Table(
    name="secrets",
    key=("place",),
    columns={
        "place": _KIND,
        "secret": Column(type="char(64)"),
        "created_gmt": _MOMENT,
        "retired_gmt": Column(type="datetime", null=True),
    },
    is_ours=True,
)
RESULTS: Final = Table(
    name="results",
    key=("action_id",),
    columns={
        "action_id": Column(type=_ID),
        "result": Column(type="mediumtext", null=True),
        "progress": Column(type="double", null=True),
        "progress_text": Column(type="varchar(255)", default=""),
        "updated_gmt": _MOMENT,
    },
    indexes=(Index(columns=("updated_gmt",)),),
    is_ours=True,
)
JOBS: Final = Table(
    name="jobs",
    key=("uuid",),
    columns={
        "uuid": Column(type="char(36)"),
        "action_id": Column(type=_ID),
        "key_name": Column(type="varchar(64)"),
        "key_hash": Column(type="char(64)", default=""),
        "fingerprint": Column(type="char(64)"),
        "traceparent": Column(type="varchar(64)", default=""),
        "created_gmt": _MOMENT,
    },
    indexes=(
        Index(columns=("action_id",)),
        Index(columns=("key_hash",)),
        Index(columns=("key_name", "uuid")),
    ),
    is_ours=True,
)
API_KEYS: Final = Table(
    name="api_keys",
    key=("name",),
    columns={
        "name": Column(type="varchar(64)"),
        "secret_hash": Column(type="char(64)"),
        "previous_hash": Column(type="char(64)", default=""),
        "previous_until_gmt": Column(type="datetime", null=True),
        "rights": Column(type="text"),
        "created_gmt": _MOMENT,
        "expires_gmt": Column(type="datetime", null=True),
        "revoked_gmt": Column(type="datetime", null=True),
        "used_gmt": Column(type="datetime", null=True),
    },
    is_ours=True,
)
STATS: Final = Table(
    name="stats",
    key=("span", "begin_gmt", "hook", "group_id", "outcome"),
    columns={
        "span": _KIND,
        "begin_gmt": _MOMENT,
        "hook": Column(type="varchar(191)"),
        "group_id": Column(type=_ID),
        "outcome": _KIND,
        "actions": Column(type="bigint", default="0"),
        "duration_seconds": Column(type="double", default="0"),
        "wait_seconds": Column(type="double", default="0"),
        "durations": Column(type="text"),
        "waits": Column(type="text"),
    },
    indexes=(Index(columns=("span", "begin_gmt")),),
    is_ours=True,
)
TRACES: Final = Table(
    name="traces",
    key=("action_id",),
    columns={"action_id": Column(type=_ID), "traceparent": Column(type="varchar(64)")},
    is_ours=True,
)
AUDIT: Final = Table(
    name="audit",
    key=("audit_id",),
    columns={
        "audit_id": Column(type=_ID, auto=True),
        "at_gmt": _MOMENT,
        "who": _NAME,
        "verb": Column(type="varchar(40)"),
        "object": _NAME,
        "detail": Column(type="text"),
    },
    indexes=(Index(columns=("at_gmt",)),),
    is_ours=True,
)
ALERTS: Final = Table(
    name="alerts",
    key=("rule", "instance"),
    columns={
        "rule": Column(type="varchar(40)"),
        "instance": Column(type="varchar(191)"),
        "state": _KIND,
        "since_gmt": _MOMENT,
        "told_gmt": Column(type="datetime", null=True),
        "value": Column(type="double"),
        "owed": Column(type="mediumtext"),
    },
    is_ours=True,
)
SITE: Final = Table(
    name="site",
    key=("name",),
    columns={"name": Column(type="varchar(40)"), "value": _NAME},
    is_ours=True,
)
USERS: Final = Table(
    name="users",
    key=("name",),
    columns={
        "name": Column(type="varchar(100)"),
        "password_hash": Column(type="varchar(255)"),
        "role": _KIND,
        "created_gmt": _MOMENT,
        "changed_gmt": _MOMENT,
        "used_gmt": Column(type="datetime", null=True),
    },
    is_ours=True,
)
SESSIONS: Final = Table(
    name="sessions",
    key=("id_hash",),
    columns={
        "id_hash": Column(type="char(64)"),
        "person": _NAME,
        "source": _KIND,
        "role": _KIND,
        "created_gmt": _MOMENT,
        "expires_gmt": _MOMENT,
        "revoked_gmt": Column(type="datetime", null=True),
    },
    indexes=(
        Index(columns=("person",), lengths={"person": 191}),
        Index(columns=("expires_gmt",)),
    ),
    is_ours=True,
)
NONCES: Final = Table(
    name="nonces",
    key=("digest",),
    columns={"digest": Column(type="char(64)"), "until_gmt": _MOMENT},
    indexes=(Index(columns=("until_gmt",)),),
    is_ours=True,
)
FIRST: Final = (RUNNERS, PAUSES, ZONES, WAITS, KEYS, LIMITS, SUSPECTS, DUTIES)
"""Our tables that wpbridge 0.1 had. No runner works without them."""
LATER: Final = (HELD, SECRETS, RESULTS)
"""Our tables that came later. A runner whose account cannot make them works without them."""
OF_DOORS: Final = (JOBS, API_KEYS, STATS, AUDIT, TRACES, ALERTS, USERS, SESSIONS, NONCES)
"""Our tables that no runner needs. The doors make them, or `wpbridge init`."""
OWN: Final = (*FIRST, *LATER, *OF_DOORS, SITE)
"""All of our tables."""
