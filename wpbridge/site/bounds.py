"""A number that is fixed, or that wpbridge chooses by itself between two bounds."""

import re
from typing import Final, NamedTuple

_NUMBER: Final = re.compile(r"[+-]?\d{1,18}", re.ASCII)


class Bounds(NamedTuple):
    """A number, or the bounds between which wpbridge chooses one by itself."""

    least: int
    most: int

    @property
    def is_open(self) -> bool:
        """Return whether there is anything to choose."""
        return self.least < self.most

    @property
    def told(self) -> int | str:
        """Return it as settings and JSON have it: the number, or both as in ``1..8``."""
        return str(self) if self.is_open else self.least

    def within(self, number: int) -> int:
        """Return the nearest number that is allowed."""
        return min(self.most, max(self.least, number))

    def __str__(self) -> str:
        return f"{self.least}..{self.most}" if self.is_open else str(self.least)


class NotBounds(ValueError):
    """A value is neither a number nor two of them; the message says what is expected."""

    def __init__(self, least: int, most: int) -> None:
        super().__init__(
            f"a whole number from {least} to {most}, or two of them such as {least}..{most}"
        )


def bounds_of(value: object, least: int, most: int) -> Bounds:
    """Read a number, or a text such as ``4`` or ``1..8``; NotBounds for anything else."""
    told = [value] if type(value) is int else [part.strip() for part in _parts(value)]
    try:
        numbers = [int(part) for part in told if type(part) is int or _NUMBER.fullmatch(str(part))]
        if len(numbers) == len(told) and least <= numbers[0] <= numbers[-1] <= most:
            return Bounds(numbers[0], numbers[-1])
    except LookupError:
        pass
    raise NotBounds(least, most)


def _parts(value: object) -> list[str]:
    return value.split("..", 1) if isinstance(value, str) else []
