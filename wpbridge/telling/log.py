"""What wpbridge writes into its log: a stable name a line, and fields.

:data:`KINDS` is the catalogue of everything that is logged beside a runner's events
(:mod:`wpbridge.events`); docs/reference/events.md has both, and a test compares them with the
code. Nothing else in the package calls a logger, so no detail hides in the wording of a line.
"""

import logging
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from wpbridge.telling.visible import visible, visible_json

_TOTALS: Final = (
    "claimed", "complete", "failed", "retried", "canceled", "released", "lost", "reclaimed",
)  # fmt: skip


class Kind(NamedTuple):
    """One kind of line."""

    logger: str
    level: int
    fields: tuple[str, ...] = ()
    quieter: int | None = None
    """A lower level, which some of these lines have."""


def _kinds(
    logger: str, level: int, kinds: Mapping[str, tuple[str, ...]], quieter: int | None = None
) -> dict[str, Kind]:
    return {name: Kind(logger, level, fields, quieter) for name, fields in kinds.items()}


KINDS: Final[Mapping[str, Kind]] = {
    **_kinds("wpbridge.daemon", logging.INFO, {
        "daemon.ready": ("processes",),
        "daemon.reloading": (),
        "daemon.changed": ("files",),
        "daemon.quiet": (),
        "daemon.resumed": (),
        "daemon.stopping": ("signal",),
        "daemon.stopped": ("code", *_TOTALS),
        "worker.recycled": ("worker_pid", "why"),
    }),
    **_kinds("wpbridge.daemon", logging.INFO, {
        "worker.started": ("worker", "worker_pid"),
    }, logging.DEBUG),
    **_kinds("wpbridge.daemon", logging.WARNING, {
        "daemon.killing": ("signal",),
        "daemon.drain_timeout": ("killed",),
        "worker.not_started": ("worker", "error"),
        "heartbeat.failed": ("file", "error"),
    }),
    **_kinds("wpbridge.daemon", logging.WARNING, {
        "worker.died": ("worker", "worker_pid", "code", "deaths", "again_in_seconds"),
    }, logging.INFO),
    **_kinds("wpbridge.daemon", logging.ERROR, {
        "daemon.reload_refused": ("error", "code", "kept"),
        "worker.silent": ("seconds",),
    }),
    **_kinds("wpbridge.daemon", logging.DEBUG, {"worker.unknown_message": ("said",)}),
    **_kinds("wpbridge.handler", logging.INFO, {"action.printed": ("action_id", "hook", "line")}),
    **_kinds("wpbridge.handler", logging.WARNING, {
        "handler.late": ("action_id", "hook", "limit_seconds"),
        "handler.task_raised": ("error_type",),
    }),
    **_kinds("wpbridge.handler", logging.DEBUG, {"handler.failed": ()}),
    **_kinds("wpbridge.php", logging.INFO, {
        "php.ready": ("pid", "seconds"),
        "php.printed": ("pid", "line"),
    }),
    **_kinds("wpbridge.php", logging.WARNING, {
        "php.boot_failed": ("failures", "reason"),
        "php.down": ("reason", "again_in_seconds"),
        "php.died": ("action_id", "hook", "reason"),
        "php.stray_answer": ("pid", "reason"),
    }),
    **_kinds("wpbridge.php", logging.ERROR, {"php.broken": ()}),
    **_kinds("wpbridge.process", logging.INFO, {
        "process.ready": ("pid", "seconds"),
        "process.replaced": ("pid", "why"),
    }),
    **_kinds("wpbridge.process", logging.WARNING, {
        "process.boot_failed": ("failures", "reason"),
        "process.died": ("action_id", "hook", "reason"),
        "process.stray_answer": ("pid", "reason"),
    }),
    **_kinds("wpbridge.process", logging.ERROR, {"process.broken": ()}),
    **_kinds("wpbridge.store", logging.WARNING, {
        "own_tables.behind": ("reason",),
        "own_tables.making": ("tables",),
        "store.forgetful": ("reason",),
    }),
    **_kinds("wpbridge.upkeep", logging.WARNING, {"upkeep.too_many_hooks": ()}),
    **_kinds("wpbridge.app", logging.WARNING, {"retry.brackets": ("rule", "pattern")}),
    **_kinds("wpbridge.events", logging.ERROR, {"event.subscriber_failed": ("kind",)}),
}  # fmt: skip


class Fields(dict[str, Any]):
    """The fields of a line of wpbridge's own, as a record's ``fields``; empty ones are left out.

    They are the record's attributes too, as other formatters expect it of an ``extra``.
    """

    def __init__(self, fields: Mapping[str, Any]) -> None:
        super().__init__({name: value for name, value in fields.items() if not is_empty(value)})

    def as_extra(self) -> dict[str, Any]:
        """What a log call takes."""
        return {**self, "fields": self}


def tell(name: str, /, *, level: int | None = None, exc_info: Any = None, **fields: Any) -> None:
    """Log one line.

    Args:
        name: of the catalogue; its level and its fields stand there.
        level: another one than there.
        exc_info: an exception whose traceback follows; True for the one that is being handled.
        fields: plain values.
    """
    kind = KINDS[name]
    logger, wanted = logging.getLogger(kind.logger), kind.level if level is None else level
    if logger.isEnabledFor(wanted):
        logger.log(wanted, name, exc_info=exc_info, extra=Fields(fields).as_extra())


def is_heard(name: str) -> bool:
    """Tell whether anybody hears lines of this kind."""
    kind = KINDS[name]
    return logging.getLogger(kind.logger).isEnabledFor(kind.level)


def traceback_of(record: logging.LogRecord) -> str | None:
    """Return a record's traceback as text; one that another process made has it as such."""
    if record.exc_info and not record.exc_text:
        return logging.Formatter().formatException(record.exc_info)
    return record.exc_text


def is_empty(value: object) -> bool:
    """Tell whether a field is left out: it is None or an empty text."""
    return value is None or (isinstance(value, str) and not value)


def shown_fields(fields: Mapping[str, Any]) -> list[str]:
    """Return ``name=value`` for each field; values with blanks are quoted as in JSON."""
    return [f"{visible(str(name))}={_shown(value)}" for name, value in fields.items()]


def as_text(value: object) -> str:
    """Return a value as text, also where its own class cannot say it."""
    try:
        return str(value)
    except BaseException:  # noqa: BLE001 - a handler's own class may do anything
        return f"<unprintable {type.__dict__['__name__'].__get__(type(value))}>"


def plain(value: object) -> object:
    """Return a value if JSON can hold it, else its text."""
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
