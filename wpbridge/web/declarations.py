"""What requests and answers hold, as JSON schemas. Requests are checked by them."""

from typing import Any, Final

Schema = dict[str, Any]

UUID: Final[Schema] = {
    "type": "string",
    "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
    "description": "The id of a job.",
}
MOMENT: Final[Schema] = {"type": ["string", "null"], "format": "date-time"}
ACTION_ID: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": (1 << 63) - 1}

NEW_JOB: Final[Schema] = {
    "type": "object",
    "description": "An action to be added.",
    "additionalProperties": False,
    "required": ["hook"],
    "properties": {
        "hook": {"type": "string", "minLength": 1, "maxLength": 191},
        "args": {
            "type": ["array", "object"],
            "description": "The values that the hook's callbacks get; at most 8,000 bytes as JSON.",
        },
        "at": {
            "type": ["string", "number"],
            "description": "When: an ISO date (UTC unless it names an offset), or Unix seconds.",
        },
        "in": {
            "type": ["string", "number"],
            "description": "How long from now: seconds, or a text such as 10m or 1h30m.",
        },
        "cron": {"type": "string", "maxLength": 255, "description": "It runs again and again."},
        "interval": {
            "type": ["string", "integer"],
            "description": "It runs again so many seconds after each run.",
        },
        "tz": {"type": "string", "maxLength": 64, "description": "The time zone of ``cron``."},
        "group": {"type": "string", "maxLength": 255},
        "priority": {"type": "integer", "minimum": 0, "maximum": 255, "default": 10},
        "unique": {
            "type": "boolean",
            "description": "Refuse it while an action like it is pending or running.",
        },
        "after": {
            "type": "array",
            "maxItems": 100,
            "items": UUID,
            "description": "Jobs that must be complete before it runs.",
        },
        "through": {
            "enum": ["celery"],
            "description": "Put it into a message of the broker, and not into the table: it cannot"
            " be followed, and it has no date, no callback and no Idempotency-Key.",
        },
        "callback": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "url": {"type": "string", "maxLength": 2000, "format": "uri"},
                "hook": {"type": "string", "minLength": 1, "maxLength": 191},
                "group": {"type": "string", "maxLength": 255},
            },
            "description": "Where the end of the job is reported: a URL, or a hook in WordPress.",
        },
    },
}
JOB: Final[Schema] = {
    "type": "object",
    "required": ["job", "status", "action_id", "hook", "args", "group", "attempts", "links"],
    "properties": {
        "job": UUID,
        "status": {
            "enum": [
                "scheduled",
                "waiting",
                "pending",
                "running",
                "retrying",
                "complete",
                "failed",
                "canceled",
            ]
        },
        "action_id": ACTION_ID,
        "hook": {"type": "string"},
        "args": {"description": "As they were given; a text where they cannot be read."},
        "group": {"type": "string"},
        "created_at": MOMENT,
        "due_at": MOMENT,
        "started_at": MOMENT,
        "ended_at": MOMENT,
        "attempts": {"type": "integer"},
        "progress": {
            "type": ["object", "null"],
            "properties": {
                "fraction": {"type": "number", "minimum": 0, "maximum": 1},
                "text": {"type": "string"},
            },
        },
        "result": {"description": "What the handler returned; only where it was waited for."},
        "links": {
            "type": "object",
            "properties": {
                "self": {"type": "string"},
                "result": {"type": "string"},
                "events": {"type": "string"},
            },
        },
    },
}
SENT: Final[Schema] = {
    "type": "object",
    "description": "An action that the broker has, or that has become a row while it was away.",
    "required": ["through", "key", "hook", "group", "action_id"],
    "properties": {
        "through": {"enum": ["celery"]},
        "key": {**UUID, "description": "Its idempotency key, the same in every attempt."},
        "hook": {"type": "string"},
        "group": {"type": "string"},
        "action_id": {
            "type": ["integer", "null"],
            "description": "Of its row, where the broker was away; null otherwise.",
        },
    },
}
JOBS: Final[Schema] = {
    "type": "object",
    "required": ["jobs"],
    "properties": {
        "jobs": {"type": "array", "items": JOB},
        "next": {"type": ["string", "null"], "description": "The ``before`` of the next page."},
    },
}
PROBLEM: Final[Schema] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "field": {"type": "string"},
    },
}
_TEXTS: Final[Schema] = {"type": "array", "items": {"type": "string"}}
DATE: Final[Schema] = {"type": "string", "maxLength": 64}
FILTERS: Final[dict[str, Schema]] = {
    "hook": _TEXTS,
    "group": _TEXTS,
    "status": {
        "type": "array",
        "items": {"enum": ["pending", "in-progress", "complete", "failed", "canceled"]},
    },
    "args": {"type": "string", "maxLength": 8000, "description": "Exactly these args, as JSON."},
    "since": DATE,
    "until": DATE,
    "modified_since": DATE,
    "modified_until": DATE,
    "claim": ACTION_ID,
    "claimed": {"type": "boolean"},
    "search": {"type": "string", "minLength": 1, "maxLength": 191},
    "after_id": ACTION_ID,
    "order": {"enum": ["id", "date", "modified", "hook", "group"]},
    "limit": {"type": "integer", "minimum": 1, "maximum": 500},
}
"""What `GET /v1/actions` may be narrowed by, as `wpbridge list` is."""
ACTION: Final[Schema] = {
    "type": "object",
    "required": ["id", "hook", "status"],
    "properties": {
        "id": ACTION_ID,
        "hook": {"type": "string"},
        "status": {"type": "string"},
        "args": {},
        "group": {"type": "string"},
        "priority": {"type": "integer"},
        "attempts": {"type": "integer"},
        "scheduled_at": MOMENT,
        "last_attempt_at": MOMENT,
        "claim_id": {"type": "integer"},
        "recurrence": {"type": ["string", "null"]},
        "tz": {"type": ["string", "null"]},
    },
}
ACTIONS: Final[Schema] = {
    "type": "object",
    "required": ["actions"],
    "properties": {
        "actions": {"type": "array", "items": ACTION},
        "next": {"type": ["integer", "null"], "description": "The ``after_id`` of the next page."},
    },
}
