"""What the journal of such a move tells: which events were to be moved."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from wpbridge.codec.wp_cron import Event, Odd
from wpbridge.errors import CodecError, InputError
from wpbridge.migrate.wp_cron.keys import copy_key_of, key_of
from wpbridge.migrate.wp_cron.plan import Left
from wpbridge.queue.enqueue import HOOK_CHARACTERS


class Steps(Protocol):
    """The journal: what was done so far, and one step more."""

    file: Path
    """Where it is."""

    def steps(self) -> Iterable[Mapping[str, Any]]:
        """All steps, in order."""
        ...

    def add(self, step: Mapping[str, Any]) -> None:
        """Write one; it lies on the disk afterwards."""
        ...


def journaled(journal: Steps) -> list[tuple[str, bool, list[Event]]]:
    """What was to be moved: by group, and whether it came from a file; each event once.

    InputError where a step is damaged.
    """
    found: dict[tuple[str, bool], dict[str, Event]] = {}
    for number, step in enumerate(journal.steps(), 2):
        try:
            if step["step"] != "plan":
                continue
            place = str(step["group"]), bool(step.get("from_file"))
            events = [_event(told) for told in step["events"]]
        except (KeyError, TypeError, ValueError, CodecError):
            raise InputError(f"journal {journal.file}: line {number} is damaged") from None
        name = copy_key_of if place[1] else key_of
        found.setdefault(place, {}).update({name(event): event for event in events})
    return [(group, is_file, list(some.values())) for (group, is_file), some in found.items()]


def told(event: Event | Odd) -> dict[str, Any]:
    """Return an event for the journal: each byte as a character, so that all of it comes back."""
    texts = {name: getattr(event, name).decode("latin-1") for name in ("hook", "key", "value")}
    place = event.place if isinstance(event, Event) else None
    return {"date": event.date, **texts} | ({"place": list(place)} if place else {})


def _event(told: Mapping[str, Any]) -> Event:
    hook, key, value = (str(told[name]).encode("latin-1") for name in ("hook", "key", "value"))
    hook_at, key_at = told.get("place") or (None, None)
    place = None if hook_at is None or key_at is None else (int(hook_at), int(key_at))
    event = Event(date=int(told["date"]), hook=hook, key=key, value=value, place=place)
    event.check(hook_characters=HOOK_CHARACTERS)
    return event


def left_as_row(left: Left) -> dict[str, Any]:
    """Return what stays, for the side file: nothing of it is lost."""
    row = told(left.event)
    row.pop("place", None)
    return {**row, "reason": left.reason}
