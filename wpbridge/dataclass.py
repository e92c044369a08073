"""Dataclasses as Python's own, which take a tenth of the time to define.

Python writes and compiles the source of six methods for each dataclass. With a hundred of them that
was half the time of a short command, which uses few of them. Here ``__eq__``, ``__hash__`` and
``__repr__`` are the same three functions for all dataclasses, and look at the fields when they are
called. ``__init__`` is compiled when it is first used.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass

__all__ = ["dataclass"]


class _Factory:
    """The default of a parameter whose field has a factory."""

    def __repr__(self) -> str:
        return "<factory>"


def _dataclass(
    cls: type[Any] | None = None,
    /,
    *,
    init: bool = True,
    eq: bool = True,
    frozen: bool = False,
    **options: Any,
) -> type[Any] | Callable[[type[Any]], type[Any]]:
    """Do what Python's decorator does.

    It knows no ``order`` and no ``unsafe_hash``, and no field may be an ``InitVar``.
    """

    def make(plain: Any) -> Any:
        with _thawed(plain, is_frozen=frozen):
            made = dataclasses.dataclass(init=False, eq=False, repr=False, **options)(plain)
        shared: dict[str, Any] = {"__repr__": _repr}
        if init:
            shared["__init__"] = _Init(made, is_frozen=frozen)
        if eq:
            shared |= {"__eq__": _eq, "__hash__": _hash if frozen else None}
        if frozen:
            made.__dataclass_params__.frozen = True
            shared |= _refusals(made) | {"__getstate__": _values, "__setstate__": _set_values}
        for name, function in shared.items():
            if name not in vars(plain):
                setattr(made, name, function)
        return made

    return make if cls is None else make(cls)


@contextlib.contextmanager
def _thawed(plain: type[Any], *, is_frozen: bool) -> Iterator[None]:
    """Let the bases of a frozen class pass for ones that are not frozen.

    Python would compile the two methods that refuse changes, and lets nothing else be derived from
    frozen classes.
    """
    above: list[Any] = [base for base in plain.__mro__[1:] if dataclasses.is_dataclass(base)]
    bases = [base.__dataclass_params__ for base in above]
    if not is_frozen or not bases:
        yield
        return
    if not any(params.frozen for params in bases):
        raise TypeError("cannot inherit frozen dataclass from a non-frozen one")
    before = [params.frozen for params in bases]
    for params in bases:
        params.frozen = False
    try:
        yield
    finally:
        for params, was_frozen in zip(bases, before, strict=True):
            params.frozen = was_frozen


class _Init:
    """Stands for ``__init__`` until it is looked up, then puts the compiled one in its place."""

    def __init__(self, cls: type[Any], *, is_frozen: bool) -> None:
        self._cls = cls
        self._is_frozen = is_frozen

    def __get__(self, one: object | None, owner: type[Any]) -> Any:
        init: Any = _compiled(self._cls, is_frozen=self._is_frozen)
        self._cls.__init__ = init
        return init.__get__(one, owner)


def _compiled(cls: type[Any], *, is_frozen: bool) -> FunctionType:
    """Compile ``__init__`` from the fields of a class. No data comes into its source."""
    names: dict[str, Any] = {"__name__": cls.__module__, "__set": object.__setattr__}
    names["__factory"] = _Factory()
    by_place, lines = ["self"], list[str]()
    by_name = list[str]()
    for f in dataclasses.fields(cls):
        has_default, has_factory = (
            given is not dataclasses.MISSING for given in (f.default, f.default_factory)
        )
        value, default = f.name, ""
        if has_default:
            names[f"__default_{f.name}"] = f.default
            default = f"=__default_{f.name}"
        elif has_factory:
            names[f"__make_{f.name}"] = f.default_factory
            default = "=__factory"
            value = f"{f.name} if {f.name} is not __factory else __make_{f.name}()"
        if f.init:
            (by_name if f.kw_only else by_place).append(f.name + default)
        elif has_default or has_factory:
            value = f"__default_{f.name}" if has_default else f"__make_{f.name}()"
        else:
            continue
        lines.append(
            f"__set(self, {f.name!r}, {value})" if is_frozen else f"self.{f.name} = {value}"
        )
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    parameters = ", ".join([*by_place, "*", *by_name] if by_name else by_place)
    source = "\n ".join([f"def __init__({parameters}):", *lines, "return None"])
    exec(source, names)  # noqa: S102 - as Python's own decorator does
    made: FunctionType = names["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    made.__annotations__ = {f.name: f.type for f in dataclasses.fields(cls) if f.init}
    made.__annotations__["return"] = None
    return made


def _refusals(cls: type[Any]) -> dict[str, Any]:
    """Return the two methods of a frozen class that let nobody change its fields."""
    names = {f.name for f in dataclasses.fields(cls)}

    def __setattr__(self: Any, name: str, value: object) -> None:  # noqa: N807
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)

    def __delattr__(self: Any, name: str) -> None:  # noqa: N807
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)

    return {"__setattr__": __setattr__, "__delattr__": __delattr__}


def _values(self: Any) -> list[object]:
    """Return what a pickle of a frozen object keeps."""
    return [getattr(self, f.name) for f in dataclasses.fields(self)]


def _set_values(self: Any, values: list[object]) -> None:
    for f, value in zip(dataclasses.fields(self), values, strict=True):
        object.__setattr__(self, f.name, value)


def _compared(one: Any) -> tuple[object, ...]:
    return tuple(getattr(one, f.name) for f in dataclasses.fields(one) if f.compare)


def _eq(self: Any, other: object) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    return _compared(self) == _compared(other)


def _hash(self: Any) -> int:
    return hash(_compared(self))


def _repr(self: Any) -> str:
    shown = [f"{f.name}={getattr(self, f.name)!r}" for f in dataclasses.fields(self) if f.repr]
    return f"{type(self).__qualname__}({', '.join(shown)})"


if not TYPE_CHECKING:
    dataclass = _dataclass
