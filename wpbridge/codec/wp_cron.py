"""Reads and writes WordPress's ``cron`` option, which holds the events of WP-Cron; pure.

The option is one PHP array, ``{date: {hook: {key: event}}, "version": 2}``. What is not changed is
written again byte for byte. As in WordPress, a malformed entry does not keep the others from being
read, and white space around the value means nothing.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from wpbridge.codec import php
from wpbridge.codec.php import PhpArray, PhpKey, PhpValue, deref
from wpbridge.codec.php_values import array_key
from wpbridge.codec.wp_cron_event import Event, Odd, key_of, made, readable
from wpbridge.errors import CodecError

_BLANKS: Final = b" \n\r\t\v\0"
"""The characters that PHP's ``trim`` removes."""
_LEADING: Final = re.compile(rb"[0-9]{1,40}")
VERSION: Final = b"version"

__all__ = ["CronOption", "Event", "Odd", "key_of", "made"]


class CronOption:
    """The decoded option. It is changed in place, and :meth:`encode` returns the new bytes."""

    def __init__(self, root: PhpArray, *, around: tuple[bytes, bytes] = (b"", b"")) -> None:
        """Take the array, and the white space before and after it."""
        self._root = root
        self._around = around

    @classmethod
    def decode(cls, data: bytes) -> "CronOption":
        """Read the option. As in WordPress, a value that is no array has no events.

        Raises:
            CodecError: the bytes are cut short or damaged, so that WordPress would overwrite them.
        """
        inner = data.strip(_BLANKS)
        if not inner:
            return cls({VERSION: 2})
        # WordPress ignores what follows the value only if the text ends in one of these.
        root = php.decode(inner, ignore_rest=inner.endswith((b";", b"}")))
        if not isinstance(root, dict):
            return cls({VERSION: 2})
        start = data.index(inner)
        return cls(root, around=(data[:start], data[start + len(inner) :]))

    def encode(self) -> bytes:
        """Return the option's bytes, as PHP would write them."""
        before, after = self._around
        return before + php.encode(self._root) + after

    def events(self) -> list[Event]:
        """Return all events, in the option's order."""
        return [one for one in self.entries() if isinstance(one, Event)]

    def odd(self) -> list[Odd]:
        """Return all entries that are no events, in the option's order."""
        return [one for one in self.entries() if isinstance(one, Odd)]

    def entries(self) -> Iterator[Event | Odd]:
        """Yield the events and all other entries, in the option's order."""
        for date, hooks in self._root.items():
            if date == VERSION:
                continue
            by_hook = deref(hooks)
            if not isinstance(by_hook, dict):
                reason = "what stands at its date is no list of hooks"
                yield Odd(date=readable(_bytes(date)), value=php.encode(by_hook), reason=reason)
                continue
            for place, (hook, keys) in enumerate(by_hook.items()):
                yield from _of_hook(date, hook, deref(keys), place)

    def remove(self, events: Iterable[Event]) -> int:
        """Take events out, with hooks and dates that then are empty; return how many were there.

        An event that somebody has changed since it was read stays.
        """
        found = 0
        for event in events:
            hooks = _array(self._root.get(event.date))
            hook, key = array_key(event.hook), array_key(event.key)
            keys = _array(hooks.get(hook))
            if key not in keys or php.encode(deref(keys[key])) != event.value:
                continue
            found += 1
            del keys[key]
            if not keys:
                del hooks[hook]
            if not hooks:
                del self._root[event.date]
        return found

    def has_room(self, event: Event) -> bool:
        """Tell whether an event can be put in at its date, with nothing malformed in its way."""
        hooks = deref(self._root.get(event.date, {}))
        if not isinstance(hooks, dict):
            return False
        return isinstance(deref(hooks.get(array_key(event.hook), {})), dict)

    def add(self, events: Iterable[Event]) -> int:
        """Put events in at their dates and places; return how many were not there yet.

        Raises:
            CodecError: something malformed is in the way of an event; see :meth:`has_room`.
                Nothing is changed then.
        """
        added = 0
        new = [event for event in events if self._has_room_or_raise(event)]
        self._make_dates({event.date for event in new})
        for event in new:
            hook, key = array_key(event.hook), array_key(event.key)
            hooks = _array(self._root[event.date])
            hook_at, key_at = event.place or (None, None)
            if hook not in hooks:
                _insert(hooks, hook_at, hook, {})
            keys = _array(hooks[hook])
            if key not in keys:
                added += 1
                _insert(keys, key_at, key, php.decode(event.value))
        return added

    def _has_room_or_raise(self, event: Event) -> bool:
        if not self.has_room(event):
            raise CodecError(f"a malformed entry is in the way of {event.name()} at {event.date}")
        return True

    def _make_dates(self, dates: Iterable[int]) -> None:
        """Add empty dates where WordPress sorts them. The dates that are there keep their order."""
        new = sorted(set(dates) - self._root.keys(), reverse=True)
        if not new:
            return
        root: PhpArray = {}
        for name, hooks in self._root.items():
            while new and _is_behind(name, new[-1]):
                root[new.pop()] = {}
            root[name] = hooks
        self._root = root | {date: {} for date in reversed(new)}


def _of_hook(date: PhpKey, hook: PhpKey, keys: PhpValue, place: int) -> Iterator[Event | Odd]:
    """Yield what stands at a date under one hook."""
    name = _bytes(hook)
    if not isinstance(keys, dict):
        reason = "what stands under its hook is no list of events"
        yield Odd(date=readable(_bytes(date)), hook=name, value=php.encode(keys), reason=reason)
        return
    for key_place, (key, event) in enumerate(keys.items()):
        value = php.encode(deref(event))
        if isinstance(date, int):
            yield Event(
                date=date, hook=name, key=_bytes(key), value=value, place=(place, key_place)
            )
        else:
            shown = readable(date)
            reason = f"its date {shown!r} is no whole number"
            yield Odd(date=shown, hook=name, key=_bytes(key), value=value, reason=reason)


def _array(value: PhpValue) -> PhpArray:
    """Return a value that is an array as it is, and a new empty array for any other value."""
    found = deref(value)
    return found if isinstance(found, dict) else {}


def _insert(array: PhpArray, place: int | None, key: PhpKey, value: PhpValue) -> None:
    """Insert an entry before the one at this place, or at the end if the place is None."""
    later = [] if place is None else list(array.items())[place:]
    for name, _ in later:
        del array[name]
    array[key] = value
    array.update(later)


def _is_behind(name: PhpKey, date: int) -> bool:
    """Tell whether WordPress sorts a key after a date: by number, with the version last."""
    if isinstance(name, int):
        return name > date
    number = _LEADING.match(name)
    if name == VERSION or number is None:
        return name == VERSION or name > b"9"
    return (int(number[0]), len(name) > number.end()) > (date, False)


def _bytes(key: PhpKey) -> bytes:
    return b"%d" % key if isinstance(key, int) else key
