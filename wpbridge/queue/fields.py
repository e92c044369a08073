"""What a change asks for beside the actions that it is done to: declared once, and read here.

Pages make their forms from a field, the HTTP gateway makes JSON schemas. What a person or a program
has given is read by :func:`read`, whose errors begin with the field's name.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final, Literal, TypeAlias

from wpbridge.dataclass import dataclass
from wpbridge.errors import InputError
from wpbridge.queue.enqueue import check_text, encoded, moment_of
from wpbridge.site.moments import iso, parse_duration, parse_moment

FieldKind: TypeAlias = Literal["text", "number", "moment", "duration", "choice", "flag", "args"]
"""``moment`` is a date or a span from now, ``duration`` a span, ``flag`` yes or no, ``args`` the
args of an action as JSON."""
_YES: Final = frozenset({"true", "on", "yes", "1"})
_NO: Final = frozenset({"false", "off", "no", "0", ""})
_DATE_CHARACTERS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One thing that a change asks for."""

    name: str
    kind: FieldKind
    words: str
    """What people read beside it."""
    hint: str = ""
    """What else helps to fill it in: an example, or what it means when it is left empty."""
    is_required: bool = False
    choices: tuple[str, ...] = ()
    """The values of a ``choice``."""
    least: int = 0
    """Of a number, or of a text's characters."""
    most: int | None = None
    """The same; None for any."""
    is_noted: bool = True
    """Whether the audit table may hold it. It must never hold a secret."""

    @property
    def schema(self) -> dict[str, Any]:
        """Return its JSON schema."""
        limits = {"text": ("minLength", "maxLength"), "number": ("minimum", "maximum")}
        found: dict[str, Any] = dict(_SCHEMAS[self.kind])
        if self.kind in limits:
            least, most = limits[self.kind]
            found |= {least: self.least} if self.least or self.kind == "number" else {}
            found |= {} if self.most is None else {most: self.most}
        if self.choices:
            found["enum"] = list(self.choices)
        return found | {"description": f"{self.words}. {self.hint}".strip()}

    def read(self, given: object, now: datetime, zone: tzinfo = UTC) -> Any:
        """Return the value that was given, by a form or in JSON.

        Args:
            given: a text, or what JSON has.
            now: the present time.
            zone: the zone of a date that names none.

        Raises:
            InputError: it is no such value. The message begins with the field's name.
        """
        if self.kind == "moment":
            return self._moment(given, now, zone)
        readers: Mapping[FieldKind, Callable[[object], Any]] = {
            "text": self._text,
            "number": self._number,
            "duration": self._duration,
            "choice": self._choice,
            "flag": self._flag,
            "args": self._args,
        }
        return readers[self.kind](given)

    def _text(self, given: object) -> object:
        check_text(self.name, given, least=self.least, most=self.most)
        return given

    def _choice(self, given: object) -> object:
        if given not in self.choices:
            raise InputError(f"{self.name}: one of {', '.join(self.choices)}")
        return given

    def _number(self, given: object) -> int:
        found = given.strip() if isinstance(given, str) else given
        if isinstance(found, str) and re.fullmatch(r"[0-9]{1,19}", found):
            found = int(found)
        most = found if self.most is None else self.most
        if type(found) is int and type(most) is int and self.least <= found <= most:
            return found
        told = "" if self.most is None else f" to {self.most}"
        raise InputError(f"{self.name}: a whole number from {self.least}{told}")

    def _moment(self, given: object, now: datetime, zone: tzinfo) -> datetime:
        if isinstance(given, str):
            return parse_moment(given, now, zone, self.name)
        if isinstance(given, datetime | int | float) and not isinstance(given, bool):
            return moment_of(given, now)
        raise InputError(f"{self.name}: a date such as 2026-12-01T09:00:00Z, or +2h")

    def _duration(self, given: object) -> timedelta:
        found = parse_duration(given, self.name)
        if found < timedelta(0):
            raise InputError(f"{self.name}: a time cannot be negative")
        return found

    def _flag(self, given: object) -> bool:
        text = given.strip().lower() if isinstance(given, str) else given
        if text is True or text in _YES:
            return True
        if text is False or text in _NO:
            return False
        raise InputError(f"{self.name}: true or false")

    def _args(self, given: object) -> Any:
        found = given
        if isinstance(given, str):
            try:
                found = json.loads(given)
            except (ValueError, RecursionError):
                raise InputError(f"{self.name}: a JSON list or object") from None
        if not isinstance(found, list | dict):
            raise InputError(f"{self.name}: a JSON list or object")
        encoded(found)
        return found


_SCHEMAS: Final[Mapping[FieldKind, dict[str, Any]]] = {
    "text": {"type": "string"},
    "number": {"type": "integer"},
    "moment": {"type": "string", "maxLength": _DATE_CHARACTERS},
    "duration": {"type": ["string", "integer"]},
    "choice": {},
    "flag": {"type": "boolean"},
    "args": {"type": ["array", "object"]},
}


def read(
    fields: Sequence[Field], told: Mapping[str, Any], now: datetime, zone: tzinfo = UTC
) -> dict[str, Any]:
    """Return the values of fields by their names; without those that were not given.

    Raises:
        InputError: a value cannot be read, is missing, or nobody knows its name. The message begins
            with the name of the field.
    """
    known = {field.name: field for field in fields}
    for name in told:
        if name not in known:
            raise InputError(f"{str(name)[:80]}: there is no such field")
    found: dict[str, Any] = {}
    for name, field in known.items():
        if told.get(name) is not None:
            found[name] = field.read(told[name], now, zone)
        elif field.is_required:
            raise InputError(f"{name}: it is missing")
    return found


def filled_in(fields: Iterable[Field], form: Mapping[str, str]) -> dict[str, str]:
    """Return what a form holds of these fields. A field that was left empty was not given."""
    names = [field.name for field in fields]
    return {name: form[name] for name in names if form.get(name, "").strip()}


def plain(fields: Iterable[Field], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as JSON has them, so that :func:`read` returns the same again at any time."""
    names = [field.name for field in fields]
    return {name: _plain(values[name]) for name in names if name in values}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
        return int(seconds) if seconds == int(seconds) else seconds
    return value


def noted(fields: Iterable[Field], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the values, as JSON has them, that the audit table may hold."""
    return plain((field for field in fields if field.is_noted), values)


def schema_of(fields: Sequence[Field]) -> dict[str, Any]:
    """Return the JSON schema of an object that holds these fields and no others."""
    found: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {field.name: field.schema for field in fields},
    }
    if required := [field.name for field in fields if field.is_required]:
        found["required"] = required
    return found
