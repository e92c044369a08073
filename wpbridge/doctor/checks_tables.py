"""Check the tables: columns, indexes, plans, ids, sizes."""

import re
from typing import Final

from wpbridge.clock import to_text
from wpbridge.doctor.examination import Check
from wpbridge.doctor.examined_site import (
    DEMARCATION_OPTION,
    LOGGER_OPTION,
    MIGRATION_OPTION,
    ExaminedSite,
)
from wpbridge.doctor.findings import Finding, note, number, ok, problem, some, warning
from wpbridge.errors import SchemaError
from wpbridge.store.running.plans import Step, plans
from wpbridge.store.schema.found import NO_TRANSACTIONS
from wpbridge.store.schema.ids import complaint
from wpbridge.store.schema.layout import NEWEST_SCHEMA, OLDEST_SCHEMA
from wpbridge.store.schema.tables import ACTIONS, FRESH_LAYOUT, PLUGIN

REPAIR: Final = "wp action-scheduler fix-schema"
MANY_ROWS: Final = 1_000_000
MANY_BYTES: Final = 10 << 30
FEW_ROWS: Final = 1_000
"""A plan that reads all of so few rows does no harm."""


def schema(examined: ExaminedSite) -> Finding:
    """Have the tables a layout that wpbridge knows?"""
    try:
        info = examined.info
    except SchemaError as error:
        return problem(str(error), "there is no queue to run", fix=REPAIR)
    if info.schema is not None:
        return _numbered(examined, info.schema)
    if examined.has_options:
        cause = "no option tells the plugin's schema number"
        return note(cause, "the plugin makes its tables anew", fix=REPAIR)
    return ok(f"no WordPress around the queue; layout: {info.layout}")


def _numbered(examined: ExaminedSite, found: int) -> Finding:
    if found > NEWEST_SCHEMA:
        cause = f"store schema {found} is newer than wpbridge knows ({NEWEST_SCHEMA})"
        return problem(cause, "wpbridge only reads", fix="pip install --upgrade wpbridge")
    if found < OLDEST_SCHEMA:
        cause = f"store schema {found} is older than wpbridge supports ({OLDEST_SCHEMA})"
        return problem(cause, "wpbridge only reads; update Action Scheduler")
    layout = examined.store.layout
    missing = [
        column
        for column in ACTIONS.columns_of(found)
        if column not in ACTIONS.needed and not getattr(layout, f"has_{column}")
    ]
    if missing:
        return warning(
            f"store schema is {found}, but the actions table lacks {', '.join(missing)}",
            "the plugin's upgrade failed: its own inserts fail, wpbridge's do without",
            fix=REPAIR,
            count=len(missing),
        )
    logger = examined.options.get(LOGGER_OPTION, "").partition(".")[0] or "unknown"
    return ok(f"store schema {found}, logger schema {logger}; {examined.info.layout}")


def engine(examined: ExaminedSite) -> Finding:
    """Have the tables transactions?"""
    found = [
        name
        for name, table in sorted(examined.sizes.items())
        if table.engine.lower() in NO_TRANSACTIONS
    ]
    if not found:
        return ok("the tables have transactions")
    say = problem if examined.store.names.actions in found else warning
    return say(
        f"without transactions: {', '.join(found)}",
        "a crash may leave half-written changes; wpbridge only reads such tables",
        fix=f"wp db query 'ALTER TABLE {found[0]} ENGINE=InnoDB'",
        count=len(found),
    )


def indexes(examined: ExaminedSite) -> Finding:
    """Have the tables all indexes of a fresh install?"""
    there = examined.server.indexes()
    missing = [
        f"{examined.store.names.of(table)} ({', '.join(index.columns)})"
        for table in PLUGIN
        for index in table.indexes_of(FRESH_LAYOUT)
        if index.columns not in there[examined.store.names.of(table)]
    ]
    if not missing:
        return ok("all indexes of a fresh install are there")
    return warning(
        f"missing: {some(missing)}",
        "claims, clean-ups and lists read more rows than they need to",
        fix=REPAIR,
        count=len(missing),
    )


def claim_plan(examined: ExaminedSite) -> Finding:
    """Does a claim use indexes, without sorting?"""
    if examined.server.is_file:
        return ok("on SQLite every statement names its index")
    values = {
        "now": to_text(examined.now),
        "size": 100,
        "above": 0,
        "level": 10,
        "first": 1,
        "key": "0",
    }
    bad = [told for step in plans(examined.store, values) if (told := _fault(step))]
    if not bad:
        return ok("a claim's statements walk indexes and sort nothing")
    return warning(
        f"the server's plan for a claim: {'; '.join(bad)}",
        "the more is due, the longer each claim takes",
        fix=f"wp db query 'ANALYZE TABLE {examined.store.names.actions}'",
        count=len(bad),
    )


def _fault(step: Step) -> str:
    if step.rows < FEW_ROWS:
        return ""
    if step.sorts:
        return f"{step.name} sorts {step.rows:,} rows"
    if step.reads_all:
        return f"{step.name} reads all {step.rows:,} rows"
    if step.wanted and step.index and step.index != step.wanted:
        return f"{step.name} uses {step.index} and not {step.wanted}"
    return ""


def auto_increment(examined: ExaminedSite) -> list[Finding]:
    """Does the server give the ids, above those that belong to posts?"""
    lost = examined.server.lost_keys()
    if lost:
        fix = "wpbridge migrate schema fix"
        return [problem(complaint(lost), "new rows would be lost", fix=fix, count=len(lost))]
    told = examined.options.get(DEMARCATION_OPTION, "")
    first = int(told) if re.fullmatch(r"\d{1,18}", told) else 0
    following = examined.server.next_id()
    if following is not None and following < first:
        return [
            warning(
                f"the next action gets id {following}, but ids below {first} belong to posts",
                "PHP looks for the action among posts and does not find it",
                fix=(
                    f"wp db query 'ALTER TABLE {examined.store.names.actions}"
                    f" AUTO_INCREMENT={first}'"
                ),
            )
        ]
    below = examined.rows.below(first)
    if below and examined.options.get(MIGRATION_OPTION) != "complete":
        return [
            warning(
                f"{number(below)} actions have ids below {first}, which belong to posts",
                "PHP does not find them until its migration is complete",
                count=below,
            )
        ]
    return [ok("ids are given by the server")]


def table_sizes(examined: ExaminedSite) -> Finding:
    """How large is the queue?"""
    size = (
        sum(table.data_bytes for table in examined.sizes.values()) or examined.server.file_bytes()
    )
    counted = [table.rows or 0 for table in examined.sizes.values()]
    rows = max(counted) if counted else examined.rows.actions()
    cause = f"{size / (1 << 20):,.0f} MiB; the largest table has about {rows:,} rows"
    if size > MANY_BYTES:
        return warning(
            cause,
            "backups and the plugin's lists take long",
            fix="wpbridge clean --dry-run",
            count=rows,
        )
    if rows > MANY_ROWS:
        return note(
            cause, "the plugin's lists take long", fix="wpbridge clean --dry-run", count=rows
        )
    return ok(cause, count=rows)


def own_tables(examined: ExaminedSite) -> Finding:
    """Do wpbridge's own tables exist, in this release's version?"""
    own = examined.store.own
    own.look()
    if own.refusal:
        return problem(own.refusal, "no runner starts", fix="pip install --upgrade wpbridge")
    missing = [table for table in examined.store.names.of_runs if not own.has(table)]
    if own.note:
        return note(
            own.note,
            "until then idempotency keys are those of 0.1, which two sites may share",
            fix="wpbridge init",
            fixable=True,
            count=max(1, len(missing)),
        )
    if not missing:
        return ok(f"wpbridge's own tables are there, of version {own.version}")
    return note(
        f"not there: {', '.join(missing)}",
        "they are made when they are first needed, by an account that may create tables",
        fix="wpbridge init",
        fixable=True,
        count=len(missing),
    )


CHECKS: Final = (
    Check(name="schema", look=schema, needs="server"),
    Check(name="engine", look=engine),
    Check(name="indexes", look=indexes),
    Check(name="claim-plan", look=claim_plan),
    Check(name="auto-increment", look=auto_increment),
    Check(name="table-sizes", look=table_sizes),
    Check(name="own-tables", look=own_tables),
)
