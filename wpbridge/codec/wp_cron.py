"""WP-Cron's events: the bytes of the ``cron`` option and back; pure.

The option is one PHP array, ``{date: {hook: {key: event}}, "version": 2}``. What is not touched is
written again byte for byte, whatever it holds.
"""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from wpbridge.codec import args as args_codec
from wpbridge.codec import php
from wpbridge.codec.php import PhpArray, PhpKey, PhpReference, PhpValue, deref
from wpbridge.codec.php_values import array_key
from wpbridge.errors import CodecError

_LATEST: Final = 253_402_300_799
"""The last second that a date of the tables can hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event, as it stands in the option."""

    date: int
    """Unix time of its next run."""
    hook: bytes
    key: bytes
    """Which of the hook's events: md5 of its serialized args, unless somebody else wrote it."""
    value: bytes
    """All there is about it, serialized."""

    @property
    def slot(self) -> tuple[int, bytes, bytes]:
        """Its place: another event cannot have it at the same time."""
        return self.date, self.hook, self.key

    def recurrence(self) -> str | None:
        """Its schedule's name; None for a single event."""
        name = self._member(b"schedule")
        return name.decode("utf-8", "replace") if isinstance(name, bytes) and name else None

    def interval(self) -> int:
        """Seconds between its runs; 0 for a single event.

        Raises:
            CodecError: a recurring event does not tell.
        """
        if self.recurrence() is None:
            return 0
        told = self._member(b"interval")
        if isinstance(told, bool) or not isinstance(told, int) or told <= 0:
            raise CodecError("its interval stands in PHP only")
        return told

    def args(self) -> str:
        """Its args as Action Scheduler stores them.

        Raises:
            CodecError: they hold what JSON would change or refuse; the reason is the message.
        """
        value = self._member(b"args")
        if not isinstance(value, dict):
            raise CodecError("its args are no array")
        if fault := _fault(value):
            raise CodecError(fault)
        text = args_codec.encode(args_codec.from_php(value), repair=False)
        args_codec.columns(text)
        if _plain(args_codec.decode(text.encode()).mapping) != _plain(args_codec.from_php(value)):
            raise CodecError("its args would not come back the same from JSON")
        return text

    def check(self, *, hook_characters: int) -> None:
        """Raises CodecError with the reason why no action can stand for it."""
        if not 0 < self.date <= _LATEST:
            raise CodecError(f"its date {self.date} lies outside of the calendar")
        if not 0 < len(_text(self.hook)) <= hook_characters or b"\0" in self.hook:
            raise CodecError(f"its hook has not 1 to {hook_characters} plain characters")
        self.interval()
        self.args()

    def name(self) -> str:
        """Its hook for people."""
        return self.hook.decode("utf-8", "backslashreplace")

    def _member(self, name: bytes) -> php.PhpBare:
        value = php.decode(self.value)
        return deref(value.get(name)) if isinstance(value, dict) else None


class CronOption:
    """The decoded option. Changes are made in place; :meth:`encode` gives the new bytes."""

    def __init__(self, root: PhpArray) -> None:
        self._root = root

    @classmethod
    def decode(cls, data: bytes) -> "CronOption":
        """Read the option.

        Raises:
            CodecError: it is cut short, damaged, or no list of events.
        """
        root = php.decode(data)
        if not isinstance(root, dict):
            raise CodecError("the cron option holds no array")
        for date, hooks in root.items():
            # Under other names lies what WordPress does not take for events either.
            if isinstance(date, int) and not _is_nested(hooks):
                raise CodecError(f"the cron option holds no events at {date}")
        return cls(root)

    def encode(self) -> bytes:
        """The option's bytes, as PHP would write them."""
        return php.encode(self._root)

    def events(self) -> list[Event]:
        """All of them, in the option's order."""
        return [
            Event(date=date, hook=_bytes(hook), key=_bytes(key), value=php.encode(deref(event)))
            for date, hooks in self._root.items()
            if isinstance(date, int)
            for hook, keys in _array(hooks).items()
            for key, event in _array(keys).items()
        ]

    def remove(self, events: Iterable[Event]) -> int:
        """Take events out, and hooks and dates that are empty then; returns how many there were.

        One that somebody has changed since it was read is another one.
        """
        found = 0
        for event in events:
            hooks = _array(self._root.get(event.date, {}))
            hook, key = array_key(event.hook), array_key(event.key)
            keys = _array(hooks.get(hook, {}))
            if key not in keys or php.encode(deref(keys[key])) != event.value:
                continue
            found += 1
            del keys[key]
            if not keys:
                del hooks[hook]
            if not hooks:
                del self._root[event.date]
        return found

    def add(self, events: Iterable[Event]) -> int:
        """Put events in at their dates, where PHP would; returns how many were not there."""
        added = 0
        for event in events:
            hooks = _array(self._root.setdefault(event.date, {}))
            keys = _array(hooks.setdefault(array_key(event.hook), {}))
            added += array_key(event.key) not in keys
            keys.setdefault(array_key(event.key), php.decode(event.value))
        dates: list[PhpKey] = sorted(date for date in self._root if isinstance(date, int))
        rest: list[PhpKey] = [name for name in self._root if not isinstance(name, int)]
        self._root = {name: self._root[name] for name in [*dates, *rest]}
        return added


def key_of(args: PhpArray) -> bytes:
    """The key that WordPress gives to an event with these args."""
    return hashlib.md5(php.encode(args), usedforsecurity=False).hexdigest().encode()


def _fault(value: PhpArray) -> str:
    """What in the args JSON could not hold; empty when there is nothing."""
    left: list[PhpValue] = [value]
    while left:
        one = left.pop()
        if isinstance(one, PhpReference):
            return "its args hold a reference"
        if isinstance(one, php.PhpObject | php.PhpCustom | php.PhpEnum):
            return f"its args hold an object of the class {one.class_name}"
        if isinstance(one, dict):
            left += one.values()
            left += (key for key in one if isinstance(key, bytes))
        elif isinstance(one, bytes):
            try:
                one.decode()
            except UnicodeDecodeError:
                return "its args hold bytes that are not UTF-8"
        elif isinstance(one, float) and not math.isfinite(one):
            return "its args hold INF or NAN"
    return ""


def _plain(value: object) -> object:
    """With the types in it: PHP tells 1 from 1.0 and true."""
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        # An empty array is a list for one reader and a dict for another.
        return {str(name): _plain(one) for name, one in value.items()} or []
    return type(value).__name__, value


def _is_nested(hooks: PhpValue) -> bool:
    found = deref(hooks)
    return isinstance(found, dict) and all(isinstance(deref(k), dict) for k in found.values())


def _array(value: PhpValue) -> PhpArray:
    found = deref(value)
    if not isinstance(found, dict):
        raise CodecError("the cron option holds something else than events")
    return found


def _bytes(key: PhpKey) -> bytes:
    return b"%d" % key if isinstance(key, int) else key


def _text(hook: bytes) -> str:
    try:
        return hook.decode()
    except UnicodeDecodeError as error:
        raise CodecError("its hook is not UTF-8") from error
