"""The one module that holds the Sentry SDK: failures become issues, recurring hooks check in.

What is sent is made here, field by field. The SDK's own collecting is off: no integrations, no
breadcrumbs, no frames, no local variables, no name of the host. The client belongs to wpbridge
alone, so handlers may set up a Sentry of their own. Reports wait in a queue for a thread; when it
is full, new ones are dropped. So a Sentry that is away blocks nothing.
"""

import atexit
import hashlib
import re
from typing import Any, Final, TypeAlias
from uuid import uuid4

import sentry_sdk

from wpbridge import __version__
from wpbridge.action import Action, ActionId, ClaimId
from wpbridge.codec import args, schedule
from wpbridge.events import (
    ActionCanceled,
    ActionCompleted,
    ActionEvent,
    ActionFailed,
    ActionLost,
    ActionRescued,
    ActionRetried,
    ActionSnoozed,
    ActionStarted,
    Event,
    RunnerPresumedDead,
    Subscriber,
)
from wpbridge.telling.masking import masked

FLUSH_SECONDS: Final = 2.0
"""So long the end of a process waits for what is still to be sent."""
RELEASE: Final = f"wpbridge@{__version__}"
_NOTHING_OF_ITS_OWN: Final[dict[str, Any]] = {
    "release": RELEASE,
    "integrations": [],
    "default_integrations": False,
    "auto_enabling_integrations": False,
    "auto_session_tracking": False,
    "send_client_reports": False,
    "include_local_variables": False,
    "include_source_context": False,
    "attach_stacktrace": False,
    "max_request_body_size": "never",
    "max_breadcrumbs": 0,
    "enable_backpressure_handling": False,
    "spotlight": False,
}
_ENDINGS: Final = (
    ActionCompleted,
    ActionFailed,
    ActionRetried,
    ActionSnoozed,
    ActionCanceled,
    ActionLost,
)
_RECURRING: Final = (schedule.Interval.php_class, schedule.Cron.php_class)
_CRONTAB: Final = re.compile(r"[0-9A-Za-z*,/-]+(?: [0-9A-Za-z*,/-]+){4}")
"""What Sentry reads as we do: five fields without L, W, # and ?, which the plugin also knows."""
_SLUG_CHARS: Final = 50
_HASH_CHARS: Final = 8
_Key: TypeAlias = tuple[ClaimId, ActionId]


class Sentry:
    """Reports what happens in one runner."""

    def __init__(self, dsn: str, *, send_args: bool, retries: bool, check_ins: bool) -> None:
        """Make a client.

        Args:
            dsn: the project's address and key.
            send_args: whether reports hold args, and messages as they are.
            retries: whether failures that are retried are reported.
            check_ins: whether recurring hooks check in.
        """
        self._client = sentry_sdk.Client(dsn, **_NOTHING_OF_ITS_OWN)
        # The SDK would add the name of the host to all that is sent.
        self._client.options["server_name"] = None
        self._send_args = send_args
        self._retries = retries
        self._check_ins = check_ins
        self._running: dict[_Key, dict[str, Any]] = {}
        """The check-ins of attempts that run."""

    def subscribers(self) -> list[tuple[type[Event], Subscriber]]:
        """Return what hears a runner's events."""
        found: list[tuple[type[Event], Subscriber]] = [
            (ActionFailed, self._failed),
            (ActionRescued, self._rescued),
        ]
        if self._retries:
            found.append((ActionRetried, self._retried))
        if self._check_ins:
            found += [(ActionStarted, self._started), (RunnerPresumedDead, self._dropped)]
            found += [(kind, self._ended) for kind in _ENDINGS]
        return found

    def close(self) -> None:
        """Send what is left, within a limit of time."""
        self._client.close(timeout=FLUSH_SECONDS)

    def _failed(self, event: ActionFailed) -> None:
        self._report(event, event.error_type or "Failed", event.reason, "error")

    def _retried(self, event: ActionRetried) -> None:
        # A handler that asked to run again has not failed.
        if event.next_attempt:
            self._report(event, "Retried", event.reason, "warning")

    def _rescued(self, event: ActionRescued) -> None:
        if event.how == "failed":
            self._report(event, "RunnerDied", "its runner died while it ran", "error")

    def _report(self, event: ActionEvent, kind: str, reason: str, level: str) -> None:
        told = masked(reason, event.action)
        report: dict[str, Any] = {
            "level": level,
            "logger": "wpbridge",
            "timestamp": event.at.timestamp(),
            "transaction": event.hook,
            "fingerprint": ["wpbridge", event.hook, kind, told],
            "tags": {
                "site": event.site,
                "group": event.group,
                "attempt": str(event.attempt),
            },
            "contexts": {"action": {"id": event.action_id, "claim": event.claim_id}},
            "exception": {"values": [{"type": kind, "value": reason if self._send_args else told}]},
        }
        if self._send_args and event.action is not None:
            report["extra"] = {"args": _args_of(event.action)}
        self._send(report)

    def _started(self, event: ActionStarted) -> None:
        every = None if event.action is None else _schedule_of(event.action)
        if every is None:
            return
        check_in: dict[str, Any] = {
            "type": "check_in",
            "check_in_id": uuid4().hex,
            "monitor_slug": slug_of(event.hook),
            "release": RELEASE,
            "environment": self._client.options["environment"],
            **({"monitor_config": every} if every else {}),
        }
        self._running[event.claim_id, event.action_id] = check_in
        self._send({**check_in, "status": "in_progress"})

    def _ended(self, event: ActionEvent) -> None:
        check_in = self._running.pop((event.claim_id, event.action_id), None)
        if check_in is None:
            return
        is_bad = isinstance(event, ActionFailed | ActionLost) or (
            isinstance(event, ActionRetried) and event.next_attempt
        )
        if isinstance(event, ActionCompleted | ActionFailed | ActionRetried):
            check_in["duration"] = event.took.total_seconds()
        self._send({**check_in, "status": "error" if is_bad else "ok"})

    def _send(self, told: Any) -> None:
        """Queue a report. Without a scope, nothing that handlers have set there comes along."""
        self._client.capture_event(told)

    def _dropped(self, event: RunnerPresumedDead) -> None:
        del event
        self._running.clear()


def subscribers(
    dsn: str, *, send_args: bool, retries: bool, check_ins: bool
) -> list[tuple[type[Event], Subscriber]]:
    """Return what reports a runner's events. At the end of the process the rest is sent."""
    sentry = Sentry(dsn, send_args=send_args, retries=retries, check_ins=check_ins)
    atexit.register(sentry.close)
    return sentry.subscribers()


def slug_of(hook: str) -> str:
    """Return the slug of a hook's monitor. Where it cannot be the hook itself, a hash tells it."""
    slug = re.sub(r"[^a-z0-9_-]+", "-", hook.lower()).strip("-")
    if slug == hook and len(slug) <= _SLUG_CHARS and not slug.isdigit():
        return slug
    told = hashlib.sha256(hook.encode()).hexdigest()[:_HASH_CHARS]
    return f"{slug[: _SLUG_CHARS - _HASH_CHARS - 6] or 'hook'}-hook-{told}"[-_SLUG_CHARS:]


def _schedule_of(action: Action) -> dict[str, Any] | None:
    """Return how often an action recurs, for Sentry; None where it does not.

    It is empty where Sentry has no word for it: the monitor keeps the schedule that it has there.
    """
    if schedule.class_of(action.schedule[: schedule.PREFIX_BYTES]) not in _RECURRING:
        return None
    match schedule.recurring(action.schedule):
        case schedule.Interval(seconds=seconds) if seconds > 0:
            minutes = -(-seconds // 60)
            return {"schedule": {"type": "interval", "value": minutes, "unit": "minute"}}
        case schedule.Cron(expression=expression):
            if not _CRONTAB.fullmatch(expression):
                return {}
            told = {"type": "crontab", "value": expression}
            return {"schedule": told, "timezone": action.zone or "UTC"}
        case _:
            return None


def _args_of(action: Action) -> Any:
    try:
        return args.decode(action.args).mapping
    except Exception as error:  # noqa: BLE001 - what cannot be read is not sent
        return f"not readable: {type(error).__name__}"
