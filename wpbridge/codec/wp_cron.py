"""WP-Cron's events: the bytes of the ``cron`` option and back; pure.

The option is one PHP array, ``{date: {hook: {key: event}}, "version": 2}``. What is not touched is
written again byte for byte, whatever it holds. As in WordPress, one entry that is malformed keeps
no other from being read, and white space around the value means nothing.
"""

import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from wpbridge.codec import args as args_codec
from wpbridge.codec import php
from wpbridge.codec.php import PhpArray, PhpKey, PhpReference, PhpValue, deref
from wpbridge.codec.php_values import array_key
from wpbridge.errors import CodecError

_LATEST: Final = 253_402_300_799
"""The last second that a date of the tables can hold."""
_BLANKS: Final = b" \n\r\t\v\0"
"""What PHP's ``trim`` takes away."""
_NUMERIC: Final = re.compile(
    r"[ \t\n\r\v\f]*([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)[ \t\n\r\v\f]*"
)
_LEADING: Final = re.compile(rb"[0-9]{1,40}")
VERSION: Final = b"version"


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
    place: tuple[int, int] | None = field(default=None, compare=False)
    """The how-manieth its hook was at its date, and its key of its hook; None when not known."""

    @property
    def slot(self) -> tuple[int, bytes, bytes]:
        """Its place: another event cannot have it at the same time."""
        return self.date, self.hook, self.key

    def recurrence(self) -> str | None:
        """Return its schedule's name; None for a single event."""
        name = self._member(b"schedule")
        if not name or name == b"0":
            return None
        return name.decode("utf-8", "replace") if isinstance(name, bytes) else "(no name)"

    def interval(self) -> int:
        """Return the seconds between its runs; 0 for a single event.

        WordPress calculates with texts and floats as with whole numbers.

        Raises:
            CodecError: a recurring event does not tell.
        """
        if self.recurrence() is None:
            return 0
        told = self._member(b"interval")
        if told is None:
            raise CodecError("its interval stands in PHP only")
        seconds = _seconds(told)
        if seconds is None or not 0 < seconds <= _LATEST:
            shown = told.decode("utf-8", "replace") if isinstance(told, bytes) else told
            raise CodecError(f"its interval {shown!r} is no whole number of seconds")
        return seconds

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
        if found := _foreign(php.decode(self.value)):
            raise CodecError(f"it holds {found}")

    def name(self) -> str:
        """Its hook for people."""
        return _shown(self.hook)

    def _member(self, name: bytes) -> php.PhpBare:
        value = php.decode(self.value)
        return deref(value.get(name)) if isinstance(value, dict) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Odd:
    """An entry that is no event: WordPress passes it over with a warning, or runs it for ever."""

    date: str
    """Under which it stands, whatever it is."""
    hook: bytes = b""
    """Empty where even that is not told."""
    key: bytes = b""
    value: bytes
    """What stands there, serialized."""
    reason: str

    def name(self) -> str:
        """Return its hook for people."""
        return _shown(self.hook)


class CronOption:
    """The decoded option. Changes are made in place; :meth:`encode` gives the new bytes."""

    def __init__(self, root: PhpArray, *, around: tuple[bytes, bytes] = (b"", b"")) -> None:
        """Take the array, and the white space that stands around it."""
        self._root = root
        self._around = around

    @classmethod
    def decode(cls, data: bytes) -> "CronOption":
        """Read the option. A text or a value that is no array has no events, as in WordPress.

        Raises:
            CodecError: it is cut short or damaged, so that WordPress would write over it.
        """
        inner = data.strip(_BLANKS)
        if not inner:
            return cls({VERSION: 2})
        # What stands behind the value WordPress reads over only after one of these.
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
        """Yield all there is, in the option's order."""
        for date, hooks in self._root.items():
            if date == VERSION:
                continue
            by_hook = deref(hooks)
            if not isinstance(by_hook, dict):
                reason = "what stands at its date is no list of hooks"
                yield Odd(date=_shown(_bytes(date)), value=php.encode(by_hook), reason=reason)
                continue
            for place, (hook, keys) in enumerate(by_hook.items()):
                yield from _of_hook(date, hook, deref(keys), place)

    def remove(self, events: Iterable[Event]) -> int:
        """Take events out, and hooks and dates that are empty then; return how many there were.

        One that somebody has changed since it was read is another one.
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
        """Tell whether an event can be put in at its date: nothing malformed is in its way."""
        hooks = deref(self._root.get(event.date, {}))
        return isinstance(hooks, dict) and isinstance(
            deref(hooks.get(array_key(event.hook), {})), dict
        )

    def add(self, events: Iterable[Event]) -> int:
        """Put events in at their dates and places; return how many were not there.

        Raises:
            CodecError: something malformed is in the way; see :meth:`has_room`.
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
            raise CodecError(f"something is in the way of {event.name()} at {event.date}")
        return True

    def _make_dates(self, dates: Iterable[int]) -> None:
        """Put empty dates where WordPress sorts them; what is there keeps its order."""
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
    """Return what stands at a date under one hook."""
    name = _bytes(hook)
    if not isinstance(keys, dict):
        reason = "what stands under its hook is no list of events"
        yield Odd(date=_shown(_bytes(date)), hook=name, value=php.encode(keys), reason=reason)
        return
    for key_place, (key, event) in enumerate(keys.items()):
        value = php.encode(deref(event))
        if isinstance(date, int):
            yield Event(
                date=date, hook=name, key=_bytes(key), value=value, place=(place, key_place)
            )
        else:
            shown = _shown(date)
            reason = f"its date {shown!r} is no whole number"
            yield Odd(date=shown, hook=name, key=_bytes(key), value=value, reason=reason)


def made(
    hook: bytes,
    args: Sequence[object] | Mapping[str, object],
    *,
    date: int,
    interval: int = 0,
    schedule: str = "",
) -> Event:
    """Make an event as WordPress makes it.

    Args:
        hook: its name.
        args: values as JSON has them.
        date: Unix time of its next run.
        interval: seconds between its runs; 0 for a single event.
        schedule: the name of its recurrence; empty for a single event.
    """
    values = _array_of(args)
    value: PhpArray = {b"schedule": schedule.encode() or False, b"args": values}
    if interval:
        value[b"interval"] = interval
    return Event(date=date, hook=hook, key=key_of(values), value=php.encode(value))


def _array_of(args: Sequence[object] | Mapping[str, object]) -> PhpArray:
    """Return JSON's values as PHP's ``json_decode`` to arrays makes them."""
    root: PhpArray = {}
    left: list[tuple[PhpArray, Any]] = [(root, args)]
    while left:
        target, source = left.pop()
        named = source.items() if isinstance(source, Mapping) else enumerate(source)
        for name, one in named:
            key = array_key(name.encode()) if isinstance(name, str) else name
            if isinstance(one, list | dict):
                inner: PhpArray = {}
                target[key] = inner
                left.append((inner, one))
            else:
                target[key] = one.encode() if isinstance(one, str) else one
    return root


def key_of(args: PhpArray) -> bytes:
    """The key that WordPress gives to an event with these args."""
    return hashlib.md5(php.encode(args), usedforsecurity=False).hexdigest().encode()


def _fault(value: PhpArray) -> str:
    """What in the args JSON could not hold; empty when there is nothing."""
    if found := _foreign(value):
        return f"its args hold {found}"
    left: list[PhpValue] = [value]
    while left:
        one = left.pop()
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


def _foreign(value: PhpValue) -> str:
    """Name a reference or an object somewhere in a value; empty where there is none."""
    left: list[PhpValue] = [value]
    while left:
        one = left.pop()
        if isinstance(one, PhpReference):
            return "a reference"
        if isinstance(one, php.PhpObject | php.PhpCustom | php.PhpEnum):
            return f"an object of the class {one.class_name}"
        if isinstance(one, dict):
            left += one.values()
    return ""


def _plain(value: object) -> object:
    """With the types in it: PHP tells 1 from 1.0 and true."""
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        # An empty array is a list for one reader and a dict for another.
        return {str(name): _plain(one) for name, one in value.items()} or []
    return type(value).__name__, value


def _array(value: PhpValue) -> PhpArray:
    """Return what is held where it is an array; else an empty one, which is held by nobody."""
    found = deref(value)
    return found if isinstance(found, dict) else {}


def _insert(array: PhpArray, place: int | None, key: PhpKey, value: PhpValue) -> None:
    """Put an entry before the one that stands at this place; without a place at the end."""
    later = [] if place is None else list(array.items())[place:]
    for name, _ in later:
        del array[name]
    array[key] = value
    array.update(later)


def _is_behind(name: PhpKey, date: int) -> bool:
    """Tell whether WordPress sorts a name behind a date: by number, and the version last."""
    if isinstance(name, int):
        return name > date
    number = _LEADING.match(name)
    if name == VERSION or number is None:
        return name == VERSION or name > b"9"
    return (int(number[0]), len(name) > number.end()) > (date, False)


def _seconds(told: php.PhpBare) -> int | None:
    """Return a number, or a text that is one for PHP, as whole seconds; None where it is none."""
    if isinstance(told, bytes):
        number = _NUMERIC.fullmatch(told.decode("latin-1"))
        told = float(number[1]) if number else None
    if isinstance(told, bool) or not isinstance(told, int | float):
        return None
    return int(told) if math.isfinite(told) and told == int(told) else None


def _bytes(key: PhpKey) -> bytes:
    return b"%d" % key if isinstance(key, int) else key


def _shown(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")


def _text(hook: bytes) -> str:
    try:
        return hook.decode()
    except UnicodeDecodeError as error:
        raise CodecError("its hook is not UTF-8") from error
