"""Kinds of values that a setting may have.

A kind takes what a flag, a variable or a file gave, and returns the setting's value. It raises
ValueError with what it expects.
"""

import os
import pwd
import re
import shlex
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from wpbridge.errors import ConfigError
from wpbridge.site.bounds import bounds_of
from wpbridge.site.moments import seconds_of
from wpbridge.site.zone import shown_name

LONGEST: Final = timedelta(days=3650)
"""No span of time in the settings is longer."""
_BOOLEANS: Final = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off", ""), False),
}
_LONGEST_LINE: Final = 200
_BYTES: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


class Origin(NamedTuple):
    """Where a value was found, for messages and for what is relative to it."""

    text: str
    folder: Path
    env: Mapping[str, str]


Kind: TypeAlias = Callable[[object, Origin], Any]


def text(value: object, _origin: Origin) -> str:
    """Any text but the empty one."""
    if not isinstance(value, str) or not value:
        raise ValueError("a text")
    return value


def line(value: object, _origin: Origin) -> str:
    """A short text that can be shown."""
    told = value.strip() if isinstance(value, str) else ""
    if not (told.isprintable() and 0 < len(told) <= _LONGEST_LINE):
        raise ValueError(f"a text of at most {_LONGEST_LINE} visible characters")
    return told


def path(value: object, origin: Origin) -> Path:
    """An absolute path; a relative one begins at the origin's folder, and ~ is the home folder."""
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError("a path")
    return expanded(str(value), origin.folder, origin.env)


def number(least: int, most: int) -> Kind:
    """A whole number between these, itself or as a text."""

    def read(value: object, _origin: Origin) -> int:
        if isinstance(value, str) and re.fullmatch(r"[+-]?\d{1,18}", value, re.ASCII):
            value = int(value)
        if type(value) is not int or not least <= value <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return value

    return read


def bounds(least: int, most: int) -> Kind:
    """A whole number between these, or two of them as in ``1..8``, between which one is chosen."""
    return lambda value, _origin: bounds_of(value, least, most)


def boolean(value: object, _origin: Origin) -> bool:
    """True or false, itself or as a word."""
    known = _BOOLEANS.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(known, bool):
        raise ValueError("true or false")  # noqa: TRY004 - a kind raises ValueError
    return known


def ask_php(value: object, origin: Origin) -> str:
    """One of the words, or a boolean as before there were words."""
    word = value.strip().lower() if isinstance(value, str) else value
    if isinstance(word, str) and word in {"never", "auto", "always"}:
        return word
    try:
        return "always" if boolean(value, origin) else "never"
    except ValueError:
        raise ValueError("never, auto or always") from None


def names(value: object, _origin: Origin) -> tuple[str, ...]:
    """A list of names, or one text with commas; each name once."""
    parts = [value] if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise ValueError("a list of texts, or one with commas")
    found = (name.strip() for part in parts for name in part.split(","))
    return tuple(dict.fromkeys(name for name in found if name))


def modules(value: object, origin: Origin) -> tuple[str, ...]:
    """Dotted names of Python modules; ConfigError for the name of a file, which is no module's."""
    found = names(value, origin)
    for name in found:
        if "/" in name or name.endswith(".py"):
            module = Path(name).name.removesuffix(".py")
            raise ConfigError(
                f"handlers: {name} is a file; name the module without .py: --handlers {module},"
                " from its folder"
            )
    return found


def choice(*words: str) -> Kind:
    """One of the words."""

    def read(value: object, _origin: Origin) -> str:
        if value not in words:
            raise ValueError(" or ".join(words))
        return str(value)

    return read


def shown_zone(value: object, _origin: Origin) -> str:
    """The zone that times are shown in."""
    name = shown_name(value) if isinstance(value, str) else None
    if name is None:
        raise ValueError("site, UTC or a time zone such as Europe/Rome")
    return name


def prefix(value: object, _origin: Origin) -> str:
    """A table prefix."""
    if not isinstance(value, str) or not re.fullmatch(r"\w+", value, re.ASCII):
        raise ValueError("letters, digits and underscores")
    return value


def duration(value: object, _origin: Origin) -> timedelta | None:
    """Seconds, or units as in 1h30m; None for 0."""
    seconds = seconds_of(value)
    if seconds is None or not 0 <= seconds <= LONGEST.total_seconds():
        raise ValueError('a time such as 90, "55s", "10m" or "1h30m"')
    return timedelta(seconds=seconds) if seconds else None


def positive_duration(value: object, origin: Origin) -> timedelta:
    """A time of a second or more."""
    with suppress(ValueError):
        found = duration(value, origin)
        if found is not None and found >= timedelta(seconds=1):
            return found
    raise ValueError('a time of a second or more, such as "30s" or "5m"')


def command(value: object, _origin: Origin) -> tuple[str, ...]:
    """A command, as a shell would split it; no shell runs it."""
    try:
        words = shlex.split(value) if isinstance(value, str) else value
    except ValueError as error:
        raise ValueError(f"a command ({error})") from None
    if not isinstance(words, list | tuple) or not all(isinstance(w, str) and w for w in words):
        raise ValueError("a command")
    if not words:
        raise ValueError("a command")
    return tuple(words)


def size(value: object, _origin: Origin) -> int:
    """A number of bytes."""
    told = str(value).strip().lower() if not isinstance(value, bool) else ""
    match = re.fullmatch(r"(\d{1,12})([kmg]?)(?:i?b)?", told, re.ASCII)
    if match is None:
        raise ValueError("a size such as 256M or 1G")
    return int(match[1]) * _BYTES[match[2]]


def expanded(told: str, folder: Path, env: Mapping[str, str]) -> Path:
    """Return a path that begins at this folder, or with ~; ConfigError where there is no home."""
    if told == "~" or told.startswith("~/"):
        home = home_of(env)
        if home is None:
            raise ConfigError(f"{told}: there is no home folder: set HOME, or write the whole path")
        return home / told[2:]
    return (folder / told).absolute()


def home_of(env: Mapping[str, str]) -> Path | None:
    """Return the user's home; None for a user without one, as a container's by number alone."""
    try:
        return Path(env.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return None
