"""Fields of changes: what forms and JSON may give, and what is refused with the field's name."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import fastjsonschema
import pytest

from factories import NOW
from wpbridge.errors import InputError
from wpbridge.queue.fields import Field, FieldKind, filled_in, noted, plain, read, schema_of

KINDS: dict[FieldKind, Field] = {
    "text": Field(name="f", kind="text", words="", least=1, most=5),
    "number": Field(name="f", kind="number", words="", least=0, most=255),
    "moment": Field(name="f", kind="moment", words=""),
    "duration": Field(name="f", kind="duration", words=""),
    "choice": Field(name="f", kind="choice", words="", choices=("a", "b")),
    "flag": Field(name="f", kind="flag", words=""),
    "args": Field(name="f", kind="args", words=""),
}
SPRING = datetime(2026, 12, 1, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        ("text", "abc", "abc"),
        ("number", " 17 ", 17),
        ("number", 0, 0),
        ("moment", "2026-12-01T09:00", SPRING),
        ("moment", "2026-12-01T08:00:00Z", SPRING),
        ("moment", "+2h", NOW + timedelta(hours=2)),
        ("duration", "1h30m", timedelta(minutes=90)),
        ("duration", 60, timedelta(minutes=1)),
        ("choice", "b", "b"),
        ("flag", "on", True),
        ("flag", "false", False),
        ("flag", True, True),
        ("args", '[1, {"a": null}]', [1, {"a": None}]),
        ("args", {"a": 1}, {"a": 1}),
    ],
)
def test_a_field_is_read_from_a_form_and_from_json(kind: FieldKind, given: Any, value: Any) -> None:
    fields = (KINDS[kind],)
    found = read(fields, {"f": given}, NOW, ZoneInfo("Europe/Rome"))
    assert found == {"f": value}
    kept = json.loads(json.dumps(plain(fields, found)))
    assert read(fields, kept, NOW + timedelta(days=9)) == found


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("text", ""),
        ("text", "abcdef"),
        ("text", 5),
        ("text", "a\0"),
        ("number", "256"),
        ("number", -1),
        ("number", True),
        ("number", "1.5"),
        ("number", "9" * 5000),
        ("moment", "yesterday"),
        ("moment", True),
        ("moment", [1]),
        ("duration", "soon"),
        ("duration", -5),
        ("choice", "c"),
        ("flag", "perhaps"),
        ("flag", 7),
        ("args", "17"),
        ("args", "{"),
        ("args", "[" * 100_000),
        ("args", [float("nan")]),
    ],
)
def test_what_is_no_such_value_is_refused_with_the_name(kind: FieldKind, given: Any) -> None:
    with pytest.raises(InputError) as error:
        read((KINDS[kind],), {"f": given}, NOW)
    name = "args" if given == [float("nan")] or kind == "args" else "f"
    assert str(error.value).startswith((f"{name}: ", "f: "))


def test_missing_and_unknown_fields_are_named() -> None:
    needed = Field(name="at", kind="moment", words="", is_required=True)
    with pytest.raises(InputError, match=r"^at: it is missing"):
        read((needed,), {}, NOW)
    with pytest.raises(InputError, match=r"^at: it is missing"):
        read((needed,), {"at": None}, NOW)
    with pytest.raises(InputError, match=r"^in: there is no such field"):
        read((needed,), {"in": "1h", "at": "+1h"}, NOW)


def test_an_empty_field_of_a_form_was_not_given() -> None:
    fields = (KINDS["text"], Field(name="g", kind="text", words=""))
    assert filled_in(fields, {"f": " ", "g": "x", "csrf": "y"}) == {"g": "x"}


def test_what_may_hold_secrets_is_not_noted() -> None:
    fields = (Field(name="args", kind="args", words="", is_noted=False), KINDS["text"])
    assert noted(fields, {"args": ["secret"], "f": "x"}) == {"f": "x"}


def test_the_schema_takes_what_is_read_and_nothing_else() -> None:
    check = fastjsonschema.compile(schema_of(tuple(KINDS.values())[:2]))
    numbers = fastjsonschema.compile(schema_of((KINDS["number"],)))
    texts = fastjsonschema.compile(schema_of((KINDS["text"],)))
    for right, told in [
        (numbers, {"f": 255}),
        (numbers, {}),
        (texts, {"f": "abcde"}),
    ]:
        right(told)
    for wrong, told in [
        (numbers, {"f": 256}),
        (numbers, {"f": "7"}),
        (numbers, {"g": 7}),
        (texts, {"f": ""}),
        (texts, {"f": "abcdef"}),
        (check, {"f": None}),
    ]:
        with pytest.raises(fastjsonschema.JsonSchemaValueException):
            wrong(told)
