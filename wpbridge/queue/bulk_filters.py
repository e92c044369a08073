"""Which actions a bulk means, as JSON has it, and which failures are alike."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, Final

from wpbridge.clock import from_text
from wpbridge.dataclass import dataclass
from wpbridge.errors import InputError
from wpbridge.queue.failure_groups import NO_MESSAGE, is_meant
from wpbridge.queue.jobs import JobQueue
from wpbridge.site.moments import iso
from wpbridge.store.records import Query, Record
from wpbridge.telling.fingerprints import Fingerprints

_PAGES: Final = frozenset(
    {"after_id", "before_id", "up_to_id", "beyond", "order", "descending", "limit", "offset"}
)
"""What says where a page lies, and not which actions are meant."""
_EVERY: Final = Query()
_MOMENTS: Final = frozenset(one.name for one in fields(Query) if "datetime" in str(one.type))
_NARROWING: Final = tuple(one.name for one in fields(Query) if one.name not in _PAGES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Says which actions are meant."""

    query: Query
    """Where its pages lie does not matter."""
    fingerprint: str = ""
    """Only failed actions whose failures have this in common, as
    :class:`wpbridge.queue.failure_groups.FailureGroup` names it."""


def told_of(meant: Filter) -> dict[str, Any]:
    """Return a filter as JSON has it."""
    found: dict[str, Any] = {}
    for name in _NARROWING:
        value = getattr(meant.query, name)
        if value != getattr(_EVERY, name):
            found[name] = _plain(value)
    return found | ({"fingerprint": meant.fingerprint} if meant.fingerprint else {})


def filter_of(told: object) -> Filter:
    """Return the filter of JSON as :func:`told_of` writes it.

    Raises:
        InputError: it is none.
    """
    if not isinstance(told, Mapping):
        raise InputError("filter: it is no object")
    if unknown := sorted(str(name) for name in told if name not in {*_NARROWING, "fingerprint"}):
        raise InputError(f"filter: there is no {unknown[0][:80]} in it")
    fingerprint = told.get("fingerprint", "")
    if not isinstance(fingerprint, str):
        raise InputError("filter: a fingerprint is a text")
    values = {name: _read(name, told[name]) for name in _NARROWING if name in told}
    return Filter(query=Query(**values), fingerprint=fingerprint)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, tuple):
        return [str(one) if isinstance(one, str) else one for one in value]
    return value


def _read(name: str, value: object) -> Any:
    if name in _MOMENTS:
        at = from_text(value.replace("T", " ")) if isinstance(value, str) else None
        if at is None:
            raise InputError(f"filter: {name} is no date")
        return at
    default = getattr(_EVERY, name)
    if isinstance(default, tuple):
        kind = int if name == "ids" else str
        if isinstance(value, list) and all(type(one) is kind for one in value):
            return tuple(value)
    elif name in {"claim", "priority"}:
        if type(value) is int:
            return value
    elif isinstance(value, bool if name == "claimed" else str):
        return value
    raise InputError(f"filter: {name} is no such value")


def alike(
    queue: JobQueue,
    records: Sequence[Record],
    fingerprint: str,
    *,
    known: Fingerprints | None = None,
) -> list[Record]:
    """Return those of the failed actions whose failures have this in common, by text or mark.

    ``known`` remembers fingerprints from one page of actions to the next.
    """
    known = known or Fingerprints()
    messages = queue.ask(lambda store: store.failed.messages(records))
    names = {one.id: known.of(messages.get(one.id, "")) or NO_MESSAGE for one in records}
    return [one for one in records if is_meant(names[one.id], fingerprint)]
