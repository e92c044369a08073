"""Reads from the journal which events were to be moved, and writes them into it."""

from collections.abc import Mapping
from typing import Any

from wpbridge.codec.wp_cron import Event, Odd
from wpbridge.migrate.journal import Journal
from wpbridge.migrate.wp_cron.keys import copy_key_of, key_of
from wpbridge.migrate.wp_cron.plan import Left
from wpbridge.queue.enqueue import HOOK_CHARACTERS


def journaled(journal: Journal) -> list[tuple[str, bool, list[Event]]]:
    """Return each event that was to be moved once, by group and by whether it came from a file.

    InputError where a step is damaged.
    """
    found: dict[tuple[str, bool], dict[str, Event]] = {}
    for step in journal.meanings(_plan):
        if step is not None:
            group, is_file, events = step
            name = copy_key_of if is_file else key_of
            found.setdefault((group, is_file), {}).update({name(event): event for event in events})
    return [(group, is_file, list(some.values())) for (group, is_file), some in found.items()]


def _plan(step: Mapping[str, Any]) -> tuple[str, bool, list[Event]] | None:
    if step["step"] != "plan":
        return None
    events = [_event(one) for one in step["events"]]
    return str(step["group"]), bool(step.get("from_file")), events


def step_of(event: Event | Odd) -> dict[str, Any]:
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
    """Return all of an event that stays, for the side file."""
    row = step_of(left.event)
    row.pop("place", None)
    return {**row, "reason": left.reason}
