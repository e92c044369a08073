"""Finds what PHP has scheduled through the bridge since a move, and makes it WP-Cron's events.

While the bridge is there, PHP's own calls make actions of the moved hooks, and such an action has
no event in the journal. Left in the queue it would be scheduled a second time, as soon as the
bridge is gone and PHP looks for it in WP-Cron. docs/explain/migrations-wp-cron.md.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from wpbridge.action import ActionId, Status
from wpbridge.codec import args as args_codec
from wpbridge.codec import schedule
from wpbridge.codec.wp_cron import Event, made
from wpbridge.dataclass import dataclass
from wpbridge.errors import CodecError
from wpbridge.migrate.journal import Journal
from wpbridge.migrate.wp_cron.transaction import BATCH
from wpbridge.queue.enqueue import HOOK_CHARACTERS
from wpbridge.store.opened import OpenStore
from wpbridge.store.records import Query, Record

CORE: Final[Mapping[int, str]] = {
    3600: "hourly",
    43_200: "twicedaily",
    86_400: "daily",
    604_800: "weekly",
}
"""WordPress's own recurrences, by their seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridged:
    """The hooks that leave the bridge with an undo, and the group of their actions."""

    group: str
    hooks: frozenset[str]

    def step(self) -> dict[str, Any]:
        """Return the step for the journal, which is written before the bridge is taken away."""
        return {"step": "unbridge", "group": self.group, "hooks": sorted(self.hooks)}


DONE: Final[Mapping[str, str]] = {"step": "unbridged"}
"""What the journal is told when nothing of the bridged hooks is left in the queue."""


def unfinished(journal: Journal) -> Bridged | None:
    """Return what an undo was about to take out of the bridge when it was stopped, if anything.

    InputError where the journal's step is damaged.
    """
    found: Bridged | None = None
    for step, bridged in journal.meanings(lambda step: (step.get("step"), _bridged(step))):
        if step == "unbridge":
            found = bridged
        elif step in {"unbridged", "plan"}:
            # A later move with the same journal has put its hooks into the bridge anew.
            found = None
    return found


def _bridged(step: Mapping[str, Any]) -> Bridged | None:
    if step.get("step") != "unbridge":
        return None
    return Bridged(group=str(step["group"]), hooks=frozenset(map(str, step["hooks"])))


def scheduled(parts: OpenStore, bridged: Bridged, after: ActionId | None) -> list[Record]:
    """Return the next actions of the bridged hooks that wait or run, by id, a batch at most."""
    query = Query(
        hooks=tuple(sorted(bridged.hooks)),
        groups=(bridged.group,),
        statuses=(Status.PENDING, Status.IN_PROGRESS),
        after_id=after,
        order="id",
        limit=BATCH,
    )
    return parts.reading.find(query)


def of_php(parts: OpenStore, bridged: Bridged, records: Collection[Record]) -> list[Record]:
    """Return those that PHP has scheduled: of just these hooks, without a key of wpbridge."""
    mine = [r for r in records if r.hook in bridged.hooks and r.group == bridged.group]
    keyed = parts.keys.keyed(mine)
    return [record for record in mine if record.id not in keyed]


class Recurrences:
    """The names of recurrences by their seconds. An event needs a name that WordPress knows."""

    def __init__(self, events: Iterable[Event]) -> None:
        """Take the names that the journal's events have."""
        self._by_hook: dict[tuple[str, int], str] = {}
        self._others: dict[int, str] = {}
        self._learn(events)

    def _learn(self, events: Iterable[Event]) -> None:
        for event in events:
            name = event.recurrence()
            if name is None:
                continue
            try:
                seconds = event.interval()
            except CodecError:
                continue
            self._by_hook.setdefault((event.name(), seconds), name)
            self._others.setdefault(seconds, name)

    def name(self, hook: str, seconds: int, there: Iterable[Event]) -> str:
        """Return a name: of the hook's own events, else WordPress's, else of any event (``there``).

        CodecError where none is known: WordPress would drop such an event after its next run.
        """
        if found := self._by_hook.get((hook, seconds)) or CORE.get(seconds):
            return found
        if seconds not in self._others:
            self._learn(there)
        if seconds in self._others:
            return self._others[seconds]
        raise CodecError(f"no recurrence of {seconds} seconds is known")


def event_of(record: Record, recurrences: Recurrences, there: Iterable[Event], now: int) -> Event:
    """Return the event that an action becomes.

    Raises:
        CodecError: WP-Cron has nothing that does the same; the reason is the message.
    """
    if not record.is_dated:
        raise CodecError("it waits for other actions")
    told = schedule.decode(record.schedule)
    seconds, name = 0, ""
    match told:
        case schedule.Interval() if told.is_recurring:
            seconds = told.seconds
            name = recurrences.name(record.hook, seconds, there)
        case schedule.Single() | schedule.Async() | schedule.Interval():
            pass
        case _:
            raise CodecError("its kind of schedule is none of WP-Cron's")
    try:
        hook = record.hook.encode()
    except UnicodeEncodeError:
        raise CodecError("its hook is not UTF-8") from None
    date = now if record.scheduled_at is None else int(record.scheduled_at.timestamp())
    mapping = args_codec.decode(record.args).mapping
    event = made(hook, mapping, date=date, interval=seconds, schedule=name)
    event.check(hook_characters=HOOK_CHARACTERS)
    return event
