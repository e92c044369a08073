"""Changes of everything that a filter matches: a preview, and the action that then makes them.

The preview pins the filter, the highest id and the count. Whoever types the count adds an action of
the hook ``wpbridge_bulk``, which :mod:`wpbridge.queue.bulk_pages` runs page by page.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, tzinfo
from typing import Any, Final, Self

from wpbridge.action import BULK_HOOK, OWN_GROUP, ActionId, Status
from wpbridge.dataclass import dataclass
from wpbridge.errors import InputError
from wpbridge.queue import deeds
from wpbridge.queue.bulk_filters import Filter, alike, filter_of, told_of
from wpbridge.queue.commands import Command, command_of
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.fields import plain
from wpbridge.queue.jobs import JobQueue
from wpbridge.store.queueing.adding import Added
from wpbridge.store.records import Query, Record
from wpbridge.telling.fingerprints import Fingerprints

MOST_COUNTED: Final = 500_000
"""How far a preview counts."""
MOST_READ: Final = 50_000
"""So many failures a preview reads to find those that are alike; then its count is capped."""
SAMPLE: Final = 5
_PAGE: Final = 1000
_ENDED: Final = (Status.COMPLETE, Status.FAILED, Status.CANCELED)


class BulkRefused(InputError):
    """The change of everything that matches cannot be made here now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulk:
    """A change of everything that a filter matches."""

    verb: str
    filter: Filter
    up_to_id: ActionId
    """The highest id that is meant; what is added later is not."""
    told: Mapping[str, Any]
    """The fields of the change, as JSON has them."""
    count: int
    """How many actions matched."""
    who: str = ""
    """Who started it, such as ``user:anna``."""
    address: str = ""
    """From where."""

    @property
    def args(self) -> dict[str, Any]:
        """Return the args of its action."""
        found: dict[str, Any] = {
            "verb": self.verb,
            "filter": told_of(self.filter),
            "up_to_id": self.up_to_id,
            "told": dict(self.told),
            "count": self.count,
            "who": self.who,
        }
        return found | ({"address": self.address} if self.address else {})

    @classmethod
    def of(cls, args: Mapping[str, Any]) -> Self:
        """Return the bulk of an action's args, or of a preview that a page has kept.

        Raises:
            InputError: they are none that wpbridge has written.
        """
        # PHP's JSON has no empty object, so an action's args have an empty list in its place.
        told, up_to, count = args.get("told") or {}, args.get("up_to_id"), args.get("count")
        texts = [args.get(name, "") for name in ("verb", "who", "address")]
        numbers = all(type(one) is int and 0 <= one < 1 << 63 for one in (up_to, count))
        if not (numbers and isinstance(told, Mapping) and all(isinstance(t, str) for t in texts)):
            raise InputError("filter: this is no change that a preview has pinned")
        return cls(
            verb=_command(texts[0]).verb,
            filter=filter_of(args.get("filter") or {}),
            up_to_id=ActionId(int(str(up_to))),
            told=dict(told),
            count=int(str(count)),
            who=texts[1],
            address=texts[2],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a bulk would be done to."""

    bulk: Bulk
    is_capped: bool
    """Whether the count means so many or more."""
    sample: tuple[Record, ...]
    """The newest ones."""

    @property
    def count(self) -> int:
        """Return how many actions match, counted up to :data:`MOST_COUNTED`."""
        return self.bulk.count

    @property
    def pinned(self) -> dict[str, Any]:
        """Return what :meth:`Bulk.of` makes the same bulk of, as JSON has it."""
        return self.bulk.args


def preview(
    queue: JobQueue,
    verb: str,
    meant: Filter,
    told: Mapping[str, Any],
    *,
    up_to_id: int | None = None,
    zone: tzinfo = UTC,
) -> Preview:
    """Count what a change would be done to. Nothing is changed.

    Args:
        queue: the queue.
        verb: one of the changes of any number of actions.
        meant: which actions. Without statuses those are meant that the change can be done to.
        told: the fields of the change, as they were given. Dates become fixed now.
        up_to_id: the highest id that is meant; None for the highest there is.
        zone: the zone of a date that names none.

    Raises:
        InputError: there is no such change, a field cannot be read, or the filter means every
            action.
    """
    command = _command(verb)
    values = plain(command.fields, command.read(told, queue.now(), zone))
    query = _narrowed(command, meant)
    if up_to_id is None:
        up_to_id = _newest(queue)
    query = replace(query, up_to_id=ActionId(up_to_id))
    found = Filter(query=replace(query, up_to_id=None), fingerprint=meant.fingerprint)
    if meant.fingerprint:
        count, is_capped, sample = _count_alike(queue, query, meant.fingerprint)
    else:
        count = queue.count(query, cap=MOST_COUNTED)
        is_capped = count >= MOST_COUNTED
        sample = queue.find(query, order="id", descending=True, limit=SAMPLE)
    bulk = Bulk(verb=verb, filter=found, up_to_id=ActionId(up_to_id), told=values, count=count)
    return Preview(bulk=bulk, is_capped=is_capped, sample=tuple(sample))


def start(
    queue: JobQueue,
    bulk: Bulk,
    typed_count: object,
    *,
    who: str,
    address: str = "",
    refusal: str | None = None,
) -> ActionId:
    """Add the action that makes a bulk, and return its id.

    Args:
        queue: the queue.
        bulk: what a preview has pinned.
        typed_count: the count, as a person has typed it.
        who: such as ``user:anna``. Whether they may is asked before.
        address: from where it was asked; empty where nobody knows.
        refusal: why no action of wpbridge's own hooks may be added here, if that is so
            (:class:`wpbridge.plugin.own_hooks.OwnHooks`).

    Raises:
        BulkRefused: such an action may not be added here, or nothing matches.
        InputError: another count was typed, or the tables cannot hold the filter.
    """
    if refusal is not None:
        raise BulkRefused(refusal)
    if not bulk.count:
        raise BulkRefused("nothing matches the filter any more")
    if _number(typed_count) != bulk.count:
        raise InputError(f"count: type {bulk.count} to change so many actions")
    command = _command(bulk.verb)
    command.read(bulk.told, queue.now())
    whole = replace(_checked(queue, command, bulk), who=who, address=address)
    new = Enqueue(hook=BULK_HOOK, args=whole.args, group=OWN_GROUP)
    try:
        queue.check(new)
    except InputError as error:
        raise InputError(f"filter: it does not fit into an action: {error}") from None

    with queue.noted(
        who=who,
        verb="bulk",
        thing=lambda result: thing_of(_added(result)),
        address=address,
        counted=deeds.added,
        detail={name: whole.args[name] for name in ("verb", "filter", "up_to_id", "told", "count")},
    ):
        made = queue.enqueue(new)
    if made is None:
        raise BulkRefused("the action that changes them could not be added")
    return made


def _checked(queue: JobQueue, command: Command, bulk: Bulk) -> Bulk:
    """Return a bulk that means no more than a preview would have pinned now.

    A form that was altered may name ids that nobody has yet. Such a bulk would meet what it has
    itself added, and might never end.
    """
    query = replace(_narrowed(command, bulk.filter), up_to_id=None)
    meant = replace(bulk.filter, query=query)
    return replace(bulk, filter=meant, up_to_id=min(bulk.up_to_id, _newest(queue)))


def _newest(queue: JobQueue) -> ActionId:
    """Return the highest id; zero where there is no action."""
    newest = queue.find(Query(order="id", descending=True, limit=1))
    return newest[0].id if newest else ActionId(0)


def thing_of(action_id: int) -> str:
    """Return what the audit table calls the rows of a bulk."""
    return f"bulk {action_id}"


def _added(result: object) -> int:
    rows = result if isinstance(result, list) else []
    return next((one.id or 0 for one in rows if isinstance(one, Added)), 0)


def _command(verb: str) -> Command:
    command = command_of(verb)
    if command.kind != "actions":
        raise InputError(f"verb: {verb} is not done to many actions")
    return command


def _narrowed(command: Command, meant: Filter) -> Query:
    """Return the query of what a change can be done to, without pages.

    InputError where it means every action.

    Of what never ran, nothing has a date of a last attempt. It would count as older than any, so a
    filter by that date means ended actions alone.
    """
    query = replace(
        meant.query, after_id=None, before_id=None, up_to_id=None, beyond=None, order="id", limit=0
    )
    if meant.fingerprint:
        if command.statuses and Status.FAILED not in command.statuses:
            raise InputError(f"verb: {command.verb} is not for failed actions")
        if query.statuses not in {(), (Status.FAILED,)}:
            raise InputError("filter: failures that are alike have the status failed")
        return replace(query, statuses=(Status.FAILED,))
    if query.statuses:
        return query
    if command.verb == "requeue":
        return replace(query, statuses=(Status.FAILED,))
    statuses: tuple[str, ...] = command.statuses
    if not statuses and (query.modified_since or query.modified_until):
        statuses = _ENDED
    query = replace(query, statuses=tuple(str(status) for status in statuses))
    if not query.is_narrowed:
        raise InputError("filter: it means every action: name what to change")
    return query


def _count_alike(queue: JobQueue, query: Query, fingerprint: str) -> tuple[int, bool, list[Record]]:
    """Count the failures that are alike, the newest first, as far as they may be read."""
    count, read, known = 0, 0, Fingerprints()
    sample: list[Record] = []
    for page in _falling(queue, query):
        found = alike(queue, page, fingerprint, known=known)
        count, read = count + len(found), read + len(page)
        sample += found[: SAMPLE - len(sample)]
        if read >= MOST_READ:
            return count, True, sample
    return count, False, sample


def _falling(queue: JobQueue, query: Query) -> Iterator[list[Record]]:
    before: ActionId | None = None
    while True:
        page = queue.find(query, order="id", descending=True, limit=_PAGE, before_id=before)
        if page:
            yield page
        if len(page) < _PAGE:
            return
        before = page[-1].id


def _number(typed: object) -> int | None:
    """Return a count that was typed, with or without commas and spaces between thousands."""
    if type(typed) is int:
        return typed
    text = "".join(str(typed).replace(",", "").split()) if isinstance(typed, str) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < _DIGITS else None


_DIGITS: Final = 19
