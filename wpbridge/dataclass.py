"""Dataclasses as Python's own, which take half the time to define.

Python writes and compiles the source of six methods for each dataclass. With a hundred of them that
was a third of the time of a short command. Here ``__eq__``, ``__hash__`` and ``__repr__`` are the
same three functions for all dataclasses, and look at the fields when they are called.
"""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass

__all__ = ["dataclass"]


def _dataclass(
    cls: type[Any] | None = None, /, *, eq: bool = True, **options: Any
) -> type[Any] | Callable[[type[Any]], type[Any]]:
    """Do what Python's decorator does, for all options but ``order`` and ``unsafe_hash``."""

    def make(plain: type[Any]) -> type[Any]:
        made = dataclasses.dataclass(eq=False, repr=False, **options)(plain)
        shared: dict[str, Any] = {"__repr__": _repr}
        if eq:
            is_frozen = options.get("frozen", False)
            shared |= {"__eq__": _eq, "__hash__": _hash if is_frozen else None}
        for name, function in shared.items():
            if name not in vars(plain):
                setattr(made, name, function)
        return made

    return make if cls is None else make(cls)


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
