"""Writes wpbridge's log. Each line has a stable name, and its details are fields.

:data:`KINDS` is the catalogue of all lines except a runner's events (:mod:`wpbridge.events`). The
page docs/reference/events.md describes both, and a test compares it with the code. No other module
of the package calls a logger, so no detail is hidden in the wording of a line.
"""

import logging
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from wpbridge.telling.visible import visible, visible_json

_TOTALS: Final = (
    "claimed",
    "complete",
    "failed",
    "retried",
    "canceled",
    "released",
    "handed",
    "lost",
    "reclaimed",
)


class Kind(NamedTuple):
    """One kind of line: its logger, its level and the names of its fields."""

    logger: str
    level: int
    fields: tuple[str, ...] = ()
    quieter: int | None = None
    """The lower level that some lines of this kind have."""


_DAEMON: Final = "wpbridge.daemon"
_HANDLER: Final = "wpbridge.handler"
_PHP: Final = "wpbridge.php"
_PROCESS: Final = "wpbridge.process"
_STORE: Final = "wpbridge.store"
_UPKEEP: Final = "wpbridge.upkeep.cleanup"
_APP: Final = "wpbridge.app"
_EVENTS: Final = "wpbridge.events"
_GATEWAY: Final = "wpbridge.gateway"
_METRICS: Final = "wpbridge.metrics"
_CELERY: Final = "wpbridge.celery"
_ALERTS: Final = "wpbridge.alerts"
ACCESS: Final = "wpbridge.access"
"""The logger of requests, which has a switch of its own."""
_DEBUG, _INFO, _WARNING, _ERROR = logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR

KINDS: Final[Mapping[str, Kind]] = {
    "action.printed": Kind(_HANDLER, _INFO, ("action_id", "hook", "line")),
    "alerts.away": Kind(_ALERTS, _WARNING, ("reason",)),
    "alerts.back": Kind(_ALERTS, _WARNING),
    "alerts.sent": Kind(_ALERTS, _INFO, ("target", "messages")),
    "alerts.undelivered": Kind(_ALERTS, _WARNING, ("target", "messages")),
    "celery.away": Kind(_CELERY, _WARNING, ("broker", "reason")),
    "celery.back": Kind(_CELERY, _WARNING, ("broker",)),
    "celery.refused": Kind(_CELERY, _WARNING, ("reason",)),
    "celery.relay_ended": Kind(_CELERY, _ERROR, ("reason",)),
    "celery.resent": Kind(_CELERY, _INFO, ("queue", "messages")),
    "celery.stopping": Kind(_CELERY, _ERROR, ("reason",)),
    "daemon.changed": Kind(_DAEMON, _INFO, ("files",)),
    "daemon.drain_timeout": Kind(_DAEMON, _WARNING, ("killed",)),
    "daemon.killing": Kind(_DAEMON, _WARNING, ("signal",)),
    "daemon.quiet": Kind(_DAEMON, _INFO),
    "daemon.ready": Kind(_DAEMON, _INFO, ("processes",)),
    "daemon.reload_refused": Kind(_DAEMON, _ERROR, ("error", "code", "kept")),
    "daemon.reloading": Kind(_DAEMON, _INFO),
    "daemon.resumed": Kind(_DAEMON, _INFO),
    "daemon.scaled": Kind(_DAEMON, _INFO, ("processes", "concurrency", "reason")),
    "daemon.stop_wished": Kind(_DAEMON, _INFO, ("worker_pid",)),
    "daemon.stopped": Kind(_DAEMON, _INFO, ("code", *_TOTALS)),
    "daemon.stopping": Kind(_DAEMON, _INFO, ("signal",)),
    "daemon.wakes_unheard": Kind(_DAEMON, _WARNING, ("address", "reason")),
    "event.subscriber_failed": Kind(_EVENTS, _ERROR, ("kind",)),
    "gateway.broken": Kind(_GATEWAY, _ERROR, ("path",)),
    "gateway.cannot_watch": Kind(_GATEWAY, _WARNING, ("reason",)),
    "gateway.request": Kind(
        ACCESS, _INFO, ("method", "path", "status", "milliseconds", "bytes", "caller")
    ),
    "gateway.list_unread": Kind(_GATEWAY, _WARNING, ("reason",)),
    "gateway.site_unopened": Kind(_GATEWAY, _WARNING, ("entry", "reason")),
    "gateway.own_runner": Kind(_GATEWAY, _WARNING, ("reason",)),
    "gateway.one_by_one": Kind(_GATEWAY, _WARNING, ("reason",)),
    "handler.failed": Kind(_HANDLER, _DEBUG),
    "handler.late": Kind(_HANDLER, _WARNING, ("action_id", "hook", "limit_seconds")),
    "handler.task_raised": Kind(_HANDLER, _WARNING, ("error_type",)),
    "heartbeat.failed": Kind(_DAEMON, _WARNING, ("file", "error")),
    "history.not_kept": Kind(_UPKEEP, _WARNING, ("reason",)),
    "metrics.broken": Kind(_METRICS, _ERROR),
    "metrics.textfile_failed": Kind(_METRICS, _WARNING, ("file", "error")),
    "metrics.textfile_replaced": Kind(_METRICS, _WARNING, ("file",)),
    "own_tables.behind": Kind(_STORE, _WARNING, ("reason",)),
    "own_tables.making": Kind(_STORE, _WARNING, ("tables",)),
    "php.boot_failed": Kind(_PHP, _WARNING, ("failures", "reason")),
    "php.broken": Kind(_PHP, _ERROR),
    "php.died": Kind(_PHP, _WARNING, ("action_id", "hook", "reason")),
    "php.down": Kind(_PHP, _WARNING, ("reason", "again_in_seconds")),
    "php.printed": Kind(_PHP, _INFO, ("pid", "line")),
    "php.ready": Kind(_PHP, _INFO, ("pid", "seconds")),
    "php.stray_answer": Kind(_PHP, _WARNING, ("pid", "reason")),
    "poller.lost": Kind(_DAEMON, _WARNING, ("user",), _INFO),
    "poller.not_started": Kind(_DAEMON, _WARNING, ("user", "error")),
    "process.boot_failed": Kind(_PROCESS, _WARNING, ("failures", "reason")),
    "process.broken": Kind(_PROCESS, _ERROR),
    "process.died": Kind(_PROCESS, _WARNING, ("action_id", "hook", "reason")),
    "process.ready": Kind(_PROCESS, _INFO, ("pid", "seconds")),
    "process.replaced": Kind(_PROCESS, _INFO, ("pid", "why")),
    "process.stray_answer": Kind(_PROCESS, _WARNING, ("pid", "reason")),
    "retry.brackets": Kind(_APP, _WARNING, ("rule", "pattern")),
    "runner.wish": Kind(_DAEMON, _INFO, ("pid", "wish")),
    "signing.unavailable": Kind(_STORE, _WARNING, ("reason",)),
    "sentry.missing": Kind(_APP, _WARNING, ("reason",)),
    "traces.not_kept": Kind(_STORE, _WARNING, ("reason",)),
    "site.bad": Kind(_DAEMON, _WARNING, ("site", "reason", "failures", "again_in_seconds"), _INFO),
    "site.ended": Kind(_DAEMON, _DEBUG, ("site", "worker_pid", "code", "why", *_TOTALS)),
    "site.killed": Kind(_DAEMON, _WARNING, ("site", "why", "worker_pid")),
    "site.started": Kind(_DAEMON, _DEBUG, ("site", "worker_pid", "php_workers")),
    "site.unrun": Kind(_APP, _WARNING, ("reason",)),
    "site.well": Kind(_DAEMON, _INFO, ("site", "after")),
    "sites.fault": Kind(_DAEMON, _WARNING, ("reason",)),
    "sites.list_refused": Kind(_DAEMON, _WARNING, ("place", "reason")),
    "sites.read": Kind(_DAEMON, _INFO, ("sites", "added", "gone")),
    "store.forgetful": Kind(_STORE, _WARNING, ("reason",)),
    "upkeep.too_many_hooks": Kind(_UPKEEP, _WARNING),
    "worker.died": Kind(
        _DAEMON, _WARNING, ("worker", "worker_pid", "code", "deaths", "again_in_seconds"), _INFO
    ),
    "worker.not_started": Kind(_DAEMON, _WARNING, ("worker", "error")),
    "worker.recycled": Kind(_DAEMON, _INFO, ("worker_pid", "why")),
    "worker.silent": Kind(_DAEMON, _ERROR, ("seconds",)),
    "worker.started": Kind(_DAEMON, _INFO, ("worker", "worker_pid"), _DEBUG),
    "worker.unknown_message": Kind(_DAEMON, _DEBUG, ("said",)),
}
"""Every kind of line, by its name."""


class Fields(dict[str, Any]):
    """The fields of one of wpbridge's own lines. Empty ones are left out.

    A record has them as its ``fields``, and as attributes, where other formatters look for them.
    """

    def __init__(self, fields: Mapping[str, Any]) -> None:
        super().__init__({name: value for name, value in fields.items() if not is_empty(value)})

    def as_extra(self) -> dict[str, Any]:
        """Return the fields as the ``extra`` of a log call."""
        return {**self, "fields": self}


def tell(name: str, /, *, level: int | None = None, exc_info: Any = None, **fields: Any) -> None:
    """Log one line.

    Args:
        name: a name of the catalogue, which has its level and the names of its fields.
        level: another level than that of the catalogue.
        exc_info: an exception whose traceback follows. True for the one that is being handled.
        fields: the values of the fields.
    """
    kind = KINDS[name]
    logger, wanted = logging.getLogger(kind.logger), kind.level if level is None else level
    if logger.isEnabledFor(wanted):
        logger.log(wanted, name, exc_info=exc_info, extra=Fields(fields).as_extra())


def is_heard(name: str) -> bool:
    """Tell whether lines of this kind are written anywhere."""
    kind = KINDS[name]
    return logging.getLogger(kind.logger).isEnabledFor(kind.level)


def traceback_of(record: logging.LogRecord) -> str | None:
    """Return a record's traceback as text, or None. From another process it comes as text."""
    if record.exc_info and not record.exc_text:
        return logging.Formatter().formatException(record.exc_info)
    return record.exc_text


def is_empty(value: object) -> bool:
    """Tell whether a field is left out, since it is None or an empty text."""
    return value is None or (isinstance(value, str) and not value)


def shown_fields(fields: Mapping[str, Any]) -> list[str]:
    """Return ``name=value`` for each field. Values with blanks are quoted as in JSON."""
    return [f"{visible(str(name))}={_shown(value)}" for name, value in fields.items()]


def as_text(value: object) -> str:
    """Return a value as text, or a replacement if its own class raises an error."""
    try:
        return str(value)
    except BaseException:  # noqa: BLE001 - a handler's own class may do anything
        return f"<unprintable {type.__dict__['__name__'].__get__(type(value))}>"


def plain(value: object) -> object:
    """Return a value as it is if JSON can hold it, or else its text."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    try:
        visible_json(value, default=as_text)
    except (TypeError, ValueError, RecursionError):
        return as_text(value)
    return value


def _shown(value: object) -> str:
    value = plain(value)
    is_nested = isinstance(value, dict | list | tuple)
    text = visible_json(value, default=as_text) if is_nested else as_text(value)
    return visible_json(text) if re.search(r'[\s"=]', text) else visible(text)
