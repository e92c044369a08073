"""Ours does what Python's decorator does."""

import dataclasses
from typing import Any

import pytest

from wpbridge.dataclass import dataclass


def made(decorator: Any, **options: Any) -> type[Any]:
    @decorator(**options)
    class Point:
        x: int
        y: str = "a"
        hidden: int = dataclasses.field(default=0, repr=False, compare=False)

    return Point


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"eq": False},
        {"slots": True},
        {"slots": True, "kw_only": True},
        {"frozen": True},
        {"frozen": True, "slots": True, "kw_only": True},
        {"frozen": True, "slots": True, "eq": False},
    ],
)
def test_objects_are_told_shown_and_hashed_as_those_of_python(options: dict[str, bool]) -> None:
    ours, theirs = made(dataclass, **options), made(dataclasses.dataclass, **options)

    def told(kind: type[Any]) -> list[object]:
        one, same, other = kind(x=1), kind(x=1, hidden=2), kind(x=2)
        is_hashed = kind.__hash__ is not None
        return [
            repr(one) if options.get("eq", True) else repr(one).split(" at ")[0],
            one == same,
            one == other,
            one == (1, "a"),
            is_hashed and hash(one) == hash(same),
            is_hashed,
            dataclasses.asdict(one),
            dataclasses.replace(one, x=3).x,
            hasattr(one, "__dict__"),
        ]

    assert told(ours) == told(theirs)


def test_a_frozen_one_refuses_to_be_changed() -> None:
    one = made(dataclass, frozen=True, slots=True)(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.x = 2


def test_methods_of_its_own_stay() -> None:
    @dataclass(frozen=True, slots=True)
    class Own:
        x: int

        def __repr__(self) -> str:
            return "own"

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 7

    assert (repr(Own(1)), Own(1) == 3, hash(Own(1))) == ("own", True, 7)


def test_a_class_needs_no_options() -> None:
    @dataclass
    class Plain:
        x: int

    assert (Plain(1), repr(Plain(1)).endswith("Plain(x=1)")) == (Plain(1), True)
