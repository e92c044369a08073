"""The methods of a queue that cancel, delete and requeue actions."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from wpbridge.action import ActionId, NewAction, Status
from wpbridge.codec import schedule
from wpbridge.errors import InputError
from wpbridge.queue import copies
from wpbridge.queue.connection import QueueConnection
from wpbridge.queue.enqueue import Moment
from wpbridge.store.opened import OpenStore
from wpbridge.store.records import Change, Query, Record

Which: TypeAlias = Query | Iterable[int]
"""Actions by a query, or by their ids, all of which must exist."""
LIVE: Final = (Status.PENDING, Status.IN_PROGRESS)
_PAGE: Final = 1000
"""Actions named by their ids that one transaction changes."""


class QueueChanging(QueueConnection):
    """Change actions that are there."""

    def cancel(self, which: Which, *, reason: str = "", dry_run: bool = False) -> Change:
        """Cancel pending actions; others are left, and named in the answer."""
        return self._change(
            which,
            unless_pending,
            lambda parts, page: parts.edits.cancel(
                [r.id for r in page], now=self._now(), reason=reason
            ),
            pending_only=True,
            dry_run=dry_run,
        )

    def delete(self, which: Which, *, dry_run: bool = False) -> Change:
        """Delete actions and their logs, but for what a runner has claimed or runs."""
        return self._change(
            which,
            _unless_idle,
            lambda parts, page: parts.edits.delete([r.id for r in page]),
            dry_run=dry_run,
        )

    def requeue(
        self, which: Which, *, at: Moment = None, again: bool = False, dry_run: bool = False
    ) -> Change:
        """Add a new action for each failed, canceled or complete one; old rows stay as history.

        A recurring action is made recurring again when its chain has ended (nothing of its hook,
        args and group is pending or running), else it runs once more by itself. What was requeued
        before is skipped, unless ``again``. Who waited for the old action waits for the new one.

        Args:
            which: ids, or a query; without statuses in it, failed ones.
            at: when; None for now.
            again: also those that were requeued before.
            dry_run: only say which.
        """
        if isinstance(which, Query) and not which.statuses:
            which = replace(which, statuses=(Status.FAILED,))
        made: dict[ActionId, ActionId] = {}
        before: dict[ActionId, ActionId] = {}
        revived: set[tuple[str, ...]] = set()
        due = self._moment(at)

        def refuse(record: Record) -> str | None:
            if record.is_live:
                return f"it is {record.status}"
            if record.id in before and not again:
                return f"it was requeued before, as action {before[record.id]}"
            return None if _is_utf8(record.args) else "its args are not UTF-8"

        def look(parts: OpenStore, page: Sequence[Record]) -> None:
            before.update(parts.edits.requeued([r.id for r in page]))

        def requeue(parts: OpenStore, page: Sequence[Record]) -> list[ActionId]:
            new: dict[ActionId, NewAction] = {}
            # The newest first: where many of one chain failed, the last of them revives it.
            for record in sorted(page, key=lambda r: r.id, reverse=True):
                recurrence = schedule.recurring(record.schedule)
                if recurrence is not None and not _is_ended_chain(parts, record, revived):
                    recurrence = None
                zone = parts.reading.zones_of([record.id]).get(record.id) if recurrence else None
                new[record.id] = copies.requeued(
                    record, due, recurrence, zone=zone, is_async=at is None
                )
            done = parts.edits.requeue(new, now=self._now())
            made.update(done)
            return list(done)

        change = self._change(which, refuse, requeue, dry_run=dry_run, look=look)
        if change.ids and not dry_run and due <= self._now():
            self.wake()
        return replace(change, made=made)

    def _change(
        self,
        which: Which,
        refuse: Callable[[Record], str | None],
        work: Callable[[OpenStore, Sequence[Record]], list[ActionId]],
        *,
        pending_only: bool = False,
        dry_run: bool = False,
        look: Callable[[OpenStore, Sequence[Record]], None] | None = None,
    ) -> Change:
        """Change page by page what ``refuse`` gives no reason against; a dry run only lists it."""
        done: list[ActionId] = []
        skipped: dict[ActionId, str] = {}
        for page in self._pages(which, pending_only=pending_only):
            with self._turn() as parts:
                if look is not None:
                    look(parts, page)
                reasons = {r.id: reason for r in page if (reason := refuse(r)) is not None}
                wanted = [r for r in page if r.id not in reasons]
                self._left = reasons
                changed = [r.id for r in wanted] if dry_run else work(parts, wanted)
            done += changed
            late = {r.id for r in wanted} - set(changed)
            skipped |= reasons | dict.fromkeys(sorted(late), "it changed meanwhile")
        return Change(ids=tuple(done), skipped=skipped)

    def _pages(self, which: Which, *, pending_only: bool) -> Iterator[list[Record]]:
        if isinstance(which, Query):
            query = which
            if not query.is_narrowed:
                raise InputError("an empty query means every action: name what to change")
            if pending_only and not query.statuses:
                query = replace(query, statuses=(Status.PENDING,))
            # The turn is given back after each page: others enqueue meanwhile.
            pages = self._read(lambda parts: parts.reading.pages(query))
            while page := self._read(lambda _: next(pages, None)):
                yield page
            return
        ids = list(dict.fromkeys(which))
        found = self._known(ids)
        for start in range(0, len(ids), _PAGE):
            yield [found[ActionId(i)] for i in ids[start : start + _PAGE]]


def _is_ended_chain(parts: OpenStore, record: Record, revived: set[tuple[str, ...]]) -> bool:
    """Whether a recurring action has nothing live of its kind; then it is added to ``revived``."""
    args = copies.args_text(record)
    chain = (record.hook.casefold(), args.casefold(), record.group.casefold())
    live = Query(
        hooks=(record.hook,),
        groups=(record.group,),
        args=args,
        statuses=LIVE,
        limit=1,
        order="none",
    )
    if chain in revived or parts.reading.find(live):
        return False
    revived.add(chain)
    return True


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def unless_pending(record: Record) -> str | None:
    """Say why an action that is not pending is left as it is."""
    return None if record.status == Status.PENDING else f"it is {record.status}"


def _unless_idle(record: Record) -> str | None:
    if record.status == Status.IN_PROGRESS:
        return "it is in-progress"
    if record.status == Status.PENDING and record.claim_id:
        return "a runner has claimed it"
    return None
