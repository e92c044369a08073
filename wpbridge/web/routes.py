"""The table of routes: checks, the OpenAPI document and the tests are made from it.

Nobody gets past a route's rights: a route without any is one of the few that everybody may see.
"""

from typing import Final

from wpbridge.queue.commands import COMMANDS
from wpbridge.web import actions, adding, bulk, events, health, jobs
from wpbridge.web.bodies import MOST_BATCH_BYTES
from wpbridge.web.declarations import (
    ACTION,
    ACTIONS,
    DATE,
    FILTERS,
    JOB,
    JOBS,
    NEW_JOB,
    SENT,
    Schema,
)
from wpbridge.web.route import NDJSON, Body, Route

_UUID_OF_JOB = "/v1/jobs/{job}"
_WAIT: Schema = {"type": "number", "minimum": 0, "maximum": 30}
_LIMIT: Schema = {"type": "integer", "minimum": 1, "maximum": 500}
_ANYTHING: Schema = {}
_CHANGED: Schema = {"type": "object", "properties": {"ids": {"type": "array"}}}

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="POST",
        path="/v1/jobs",
        answer=adding.add,
        summary="Add a job. 202 means that it is committed.",
        rights=("enqueue",),
        takes_tokens=True,
        body=Body(NEW_JOB),
        statuses={202: {"anyOf": [JOB, SENT]}, 200: JOB},
        problems=("not-unique", "key-reused", "unavailable"),
    ),
    Route(
        method="POST",
        path="/v1/jobs:batch",
        answer=adding.add_batch,
        summary="Add up to 1,000 jobs in one transaction: one JSON object a line.",
        rights=("enqueue",),
        body=Body(NEW_JOB, MOST_BATCH_BYTES, NDJSON),
        statuses={202: JOBS},
        problems=("not-unique", "key-reused", "unavailable"),
    ),
    Route(
        method="GET",
        path="/v1/jobs",
        answer=jobs.listed,
        summary="List your own jobs, the newest first.",
        rights=("read",),
        query={"limit": _LIMIT, "before": {"type": "string", "maxLength": 36}},
        statuses={200: JOBS},
    ),
    Route(
        method="GET",
        path=_UUID_OF_JOB,
        answer=jobs.get,
        summary="Show a job; with `wait` as soon as it has ended, or after so many seconds.",
        rights=("read",),
        takes_tokens=True,
        query={"wait": _WAIT},
        statuses={200: JOB},
        problems=("gone",),
    ),
    Route(
        method="GET",
        path=f"{_UUID_OF_JOB}/result",
        answer=jobs.result,
        summary="Show what the job's handler returned, and nothing around it.",
        rights=("read",),
        takes_tokens=True,
        statuses={200: _ANYTHING},
        problems=("no-result", "gone"),
    ),
    Route(
        method="GET",
        path=f"{_UUID_OF_JOB}/events",
        answer=events.events,
        summary="Follow a job by server-sent events, until it has ended.",
        rights=("read",),
        takes_tokens=True,
        statuses={200: None},
        problems=("gone",),
    ),
    Route(
        method="DELETE",
        path=_UUID_OF_JOB,
        answer=jobs.cancel,
        summary="Cancel a job that has not started.",
        rights=("enqueue", "operate"),
        statuses={200: JOB},
        problems=("conflict", "gone"),
    ),
    Route(
        method="GET",
        path="/v1/actions",
        answer=actions.listed,
        summary="List the actions of the queue, by the filters of `wpbridge list`.",
        rights=("operate",),
        query=FILTERS,
        statuses={200: ACTIONS},
    ),
    Route(
        method="GET",
        path="/v1/actions/{action}",
        answer=actions.get,
        summary="Show one action.",
        rights=("operate",),
        statuses={200: ACTION},
    ),
    Route(
        method="GET",
        path="/v1/actions/{action}/logs",
        answer=actions.logs,
        summary="Show what happened to an action.",
        rights=("operate",),
        statuses={200: _ANYTHING},
    ),
    Route(
        method="GET",
        path="/v1/actions/{action}/explain",
        answer=actions.explain,
        summary="Explain why an action does not run, or why it ended as it did.",
        rights=("operate",),
        statuses={200: _ANYTHING},
    ),
    *(
        Route(
            method="POST",
            path=f"/v1/actions/{{action}}/{command.verb}",
            answer=actions.changing(command.verb),
            summary=command.summary,
            rights=(command.right,),
            body=Body(command.schema) if command.fields else None,
            statuses={200: _CHANGED},
            problems=("conflict",),
        )
        for command in COMMANDS.values()
        if command.kind != "queue"
    ),
    Route(
        method="POST",
        path="/v1/actions:bulk",
        answer=bulk.change,
        summary="Change all actions that a filter matches: first `dry_run`, then with its count.",
        rights=("operate", "administer"),
        body=Body(bulk.BULK),
        statuses={200: bulk.PREVIEW, 202: bulk.STARTED},
        problems=("conflict",),
    ),
    Route(
        method="GET",
        path="/v1/stats",
        answer=actions.stats,
        summary="Count actions by status, hook, group or hour, or what ended since a date.",
        rights=("operate",),
        query={"by": {"enum": ["status", "hook", "group", "hour"]}, "since": DATE},
        statuses={200: _ANYTHING},
    ),
    Route(
        method="GET",
        path="/v1/pauses",
        answer=actions.pauses,
        summary="List what is paused.",
        rights=("operate",),
        statuses={200: _ANYTHING},
    ),
    Route(
        method="POST",
        path="/v1/pauses",
        answer=actions.pause,
        summary="Pause a hook, a group, or everything.",
        rights=("operate",),
        body=Body(COMMANDS["pause"].schema),
        statuses={200: _ANYTHING},
    ),
    Route(
        method="DELETE",
        path="/v1/pauses",
        answer=actions.resume,
        summary="Resume a hook, a group, or everything.",
        rights=("operate",),
        query={
            "hook": {"type": "string"},
            "group": {"type": "string"},
            "everything": {"type": "boolean", "const": True},
        },
        statuses={200: _ANYTHING},
    ),
    Route(
        method="GET",
        path="/v1/scale",
        answer=actions.scale,
        summary="How many actions are due, up to 100,000, or with `of=workers` how many workers are"
        " advised: for KEDA's metrics-api scaler.",
        rights=("read", "operate"),
        query={"of": {"enum": ["due", "workers"], "default": "due"}},
        problems=("unavailable",),
        statuses={200: {"type": "object", "properties": {"value": {"type": "integer"}}}},
    ),
    Route(
        method="GET",
        path="/metrics",
        answer=health.metrics,
        summary="Metrics of the queue and of this gateway, for Prometheus.",
        rights=("metrics", "operate"),
        statuses={200: None},
    ),
    Route(
        method="GET",
        path="/livez",
        answer=health.livez,
        summary="Whether the gateway lives. The database is not asked.",
        statuses={200: _ANYTHING},
    ),
    Route(
        method="GET",
        path="/readyz",
        answer=health.readyz,
        summary="Whether requests can be answered: the database is asked.",
        statuses={200: _ANYTHING},
        problems=("unavailable",),
    ),
    Route(
        method="GET",
        path="/openapi.json",
        answer=health.openapi,
        summary="This API as an OpenAPI 3.1 document.",
        statuses={200: _ANYTHING},
    ),
    Route(
        method="GET",
        path="/docs",
        answer=health.docs,
        summary="This API for people.",
        statuses={200: None},
    ),
)
