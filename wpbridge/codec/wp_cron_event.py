"""One event of WP-Cron: its fields, and whether an action can take its place; pure."""

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Final

from wpbridge.codec import args as args_codec
from wpbridge.codec import php
from wpbridge.codec.php import PhpArray, PhpReference, PhpValue, deref
from wpbridge.codec.php_values import array_key
from wpbridge.dataclass import dataclass
from wpbridge.errors import CodecError

_LATEST: Final = 253_402_300_799
"""The last second that a date column can hold."""
_NUMERIC: Final = re.compile(
    r"[ \t\n\r\v\f]*([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)[ \t\n\r\v\f]*"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event, as it stands in the option."""

    date: int
    """The Unix time of its next run."""
    hook: bytes
    key: bytes
    """Tells events of one hook apart. WordPress makes it of the args: the md5 of their bytes."""
    value: bytes
    """The event's array in PHP's serialize format."""
    place: tuple[int, int] | None = field(default=None, compare=False)
    """The position of its hook at its date, and of its key at its hook. None if not known."""

    @property
    def slot(self) -> tuple[int, bytes, bytes]:
        """Return where it stands in the option. Two events never have the same slot."""
        return self.date, self.hook, self.key

    def recurrence(self) -> str | None:
        """Return the name of its recurrence, such as ``daily``. None for a single event."""
        name = self._member(b"schedule")
        if not name or name == b"0":
            return None
        return name.decode("utf-8", "replace") if isinstance(name, bytes) else "(no name)"

    def interval(self) -> int:
        """Return the seconds between its runs. 0 for a single event.

        A text or a float that is a whole number counts, as it does for WordPress.

        Raises:
            CodecError: the event recurs, but holds no usable number of seconds.
        """
        if self.recurrence() is None:
            return 0
        found = self._member(b"interval")
        if found is None:
            raise CodecError("its interval stands in PHP only")
        seconds = _seconds(found)
        if seconds is None or not 0 < seconds <= _LATEST:
            shown = found.decode("utf-8", "replace") if isinstance(found, bytes) else found
            raise CodecError(f"its interval {shown!r} is no whole number of seconds")
        return seconds

    def args(self) -> str:
        """Return its args as Action Scheduler stores them.

        Raises:
            CodecError: the args hold a value that JSON would change or refuse. The message names
                it.
        """
        value = self._member(b"args")
        if not isinstance(value, dict):
            raise CodecError("its args are no array")
        if fault := _fault(value):
            raise CodecError(fault)
        text = args_codec.encode_new(args_codec.from_php(value))
        if _plain(args_codec.decode(text.encode()).mapping) != _plain(args_codec.from_php(value)):
            raise CodecError("its args would not come back the same from JSON")
        return text

    def check(self, *, hook_characters: int) -> None:
        """Check that an action can take its place.

        Raises:
            CodecError: no action can. The message is the reason.
        """
        if not 0 < self.date <= _LATEST:
            raise CodecError(f"its date {self.date} lies outside of the calendar")
        if not 0 < len(_text(self.hook)) <= hook_characters or b"\0" in self.hook:
            raise CodecError(f"its hook has not 1 to {hook_characters} plain characters")
        self.interval()
        self.args()
        if found := _foreign(php.decode(self.value)):
            raise CodecError(f"it holds {found}")

    def name(self) -> str:
        """Return its hook as readable text."""
        return readable(self.hook)

    def _member(self, name: bytes) -> php.PhpBare:
        value = php.decode(self.value)
        return deref(value.get(name)) if isinstance(value, dict) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Odd:
    """An entry that is no event. WordPress skips it with a warning, or runs it again and again."""

    date: str
    """The key under which it stands where a date belongs."""
    hook: bytes = b""
    """Empty if the entry has no hook."""
    key: bytes = b""
    value: bytes
    """The entry's value in PHP's serialize format."""
    reason: str
    """Why it is no event."""

    def name(self) -> str:
        """Return its hook as readable text."""
        return readable(self.hook)


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
        hook: the event's hook.
        args: the args, as values that JSON can hold.
        date: the Unix time of its next run.
        interval: the seconds between its runs; 0 for a single event.
        schedule: the name of its recurrence; empty for a single event.
    """
    values = _array_of(args)
    value: PhpArray = {b"schedule": schedule.encode() or False, b"args": values}
    if interval:
        value[b"interval"] = interval
    return Event(date=date, hook=hook, key=key_of(values), value=php.encode(value))


def _array_of(args: Sequence[object] | Mapping[str, object]) -> PhpArray:
    """Turn values of JSON into PHP arrays, as PHP's ``json_decode`` does."""
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
    """Return the key that WordPress gives to an event with these args."""
    return hashlib.md5(php.encode(args), usedforsecurity=False).hexdigest().encode()


def _fault(value: PhpArray) -> str:
    """Name what JSON cannot hold in the args. Empty if there is nothing of the kind."""
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
    """Name the first reference or object found in a value. Empty if there is none."""
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
    """Return a value together with the types in it, since PHP tells 1, 1.0 and true apart."""
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        # One reader returns an empty array as a list, another as a dict.
        return {str(name): _plain(one) for name, one in value.items()} or []
    return type(value).__name__, value


def _seconds(value: php.PhpBare) -> int | None:
    """Return a number, or a text that PHP reads as one, as whole seconds. None for all else."""
    if isinstance(value, bytes):
        number = _NUMERIC.fullmatch(value.decode("latin-1"))
        value = float(number[1]) if number else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if math.isfinite(value) and value == int(value) else None


def readable(name: bytes) -> str:
    """Return a hook or key as text for people. Bytes that are no UTF-8 become escapes."""
    return name.decode("utf-8", "backslashreplace")


def _text(hook: bytes) -> str:
    try:
        return hook.decode()
    except UnicodeDecodeError as error:
        raise CodecError("its hook is not UTF-8") from error
