"""Ours does what Python's decorator does."""

import copy
import dataclasses
import inspect
import pickle
import sys
from collections.abc import Callable
from typing import Any

import pytest

from wpbridge.dataclass import dataclass

OPTIONS: list[dict[str, bool]] = [
    {},
    {"eq": False},
    {"init": False},
    {"slots": True},
    {"slots": True, "kw_only": True},
    {"frozen": True},
    {"frozen": True, "kw_only": True},
    {"frozen": True, "slots": True, "kw_only": True},
    {"frozen": True, "slots": True, "eq": False},
]


def made(decorator: Any, **options: Any) -> type[Any]:
    @decorator(**options)
    class Point:
        x: int
        y: str = "a"
        hidden: int = dataclasses.field(default=0, repr=False, compare=False)

    return Point


@pytest.mark.parametrize("options", [o for o in OPTIONS if o.get("init", True)])
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


def chained(decorator: Any, **options: Any) -> tuple[Any, Any, Any]:
    """A dataclass with fields of every kind, one that adds to it, and a plain class below it."""

    @decorator(**options)
    class Base:
        """Has fields of every kind."""

        __qualname__ = "Base"

        x: int
        made: list[int] = dataclasses.field(default_factory=list)
        told: int = dataclasses.field(default=3, kw_only=True)
        later: int = dataclasses.field(init=False, default=4)
        filled: dict[str, int] = dataclasses.field(init=False, default_factory=dict)
        unset: int = dataclasses.field(init=False)

        def __post_init__(self) -> None:
            object.__setattr__(self, "unset", self.x + 1)

    @decorator(**options)
    class Derived(Base):
        """Adds a field, and gives another a default."""

        __qualname__ = "Derived"

        x: int = 8
        y: int = 9

    class Plain(Derived):
        """Not a dataclass itself."""

        __qualname__ = "Plain"

    return Base, Derived, Plain


def what_happens(act: Callable[[], object]) -> object:
    """What the act returns, or how it is refused."""
    try:
        return act()
    except (TypeError, AttributeError) as error:
        return type(error), str(error)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("nth", [0, 1, 2])
def test_objects_are_made_and_changed_as_those_of_python(
    options: dict[str, bool], nth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(decorator: Any) -> list[object]:
        kind = chained(decorator, **options)[nth]

        def state(*args: Any, **more: Any) -> object:
            one = kind(*args, **more)
            return {name: getattr(one, name, "none") for name in kind.__dataclass_fields__}

        def changed(name: str) -> object:
            one = kind(x=1) if options.get("init", True) else kind()
            setattr(one, name, 5)
            delattr(one, name)
            return hasattr(one, name)

        def again(way: Callable[[Any], Any]) -> object:
            one = way(kind(x=1))
            return (type(one).__name__, [getattr(one, f.name) for f in dataclasses.fields(one)])

        monkeypatch.setattr(sys.modules[__name__], kind.__name__, kind, raising=False)
        calls: list[Callable[[], object]] = [
            lambda: state(1),
            lambda: state(1, [2], told=5),
            lambda: state(x=1, y=2),
            state,
            lambda: state(1, nobody=2),
            lambda: kind(x=1).made is kind(x=1).made,
            lambda: changed("x"),
            # With slots, Python's own trips over the class that it has replaced.
            lambda: options.get("slots") or what_happens(lambda: changed("another")),
            lambda: again(copy.copy),
            lambda: again(lambda one: pickle.loads(pickle.dumps(one))),  # noqa: S301 - made here
            lambda: str(inspect.signature(kind)),
            lambda: inspect.get_annotations(kind.__init__),
            lambda: kind.__match_args__,
            lambda: kind.__init__.__module__,
        ]
        return [what_happens(call) for call in calls]

    assert told(dataclass) == told(dataclasses.dataclass)


def test_a_frozen_class_may_be_derived_from_by_a_frozen_one_only() -> None:
    base = made(dataclass, frozen=True)
    decorators: list[Any] = [dataclass, dataclasses.dataclass]
    for decorator in decorators:
        assert decorator(frozen=True)(type("Below", (base,), {}))(2).x == 2
        with pytest.raises(TypeError, match="cannot inherit non-frozen dataclass"):
            decorator()(type("Below", (base,), {}))


def test_what_a_class_has_for_making_objects_stays() -> None:
    @dataclass(slots=True)
    class Own:
        x: int

        def __init__(self) -> None:
            self.x = 7

    assert Own().x == 7


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
