"""The answers of a PHP worker, read strictly: docs/reference/php-protocol.md.

Each has its own class here. :func:`read` raises ValueError for whatever is none of them.
"""

import math
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast

from wpbridge.action import ActionId
from wpbridge.dataclass import dataclass

_MOST: Final = (1 << 63) - 1
_ENDS: Final = ("done", "failed", "missing", "unstarted")
Way: TypeAlias = Literal["done", "failed", "missing", "unstarted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """What a worker says of itself once WordPress is loaded."""

    worker: int
    pid: int
    php: str
    wordpress: str
    action_scheduler: str | None
    """None where the plugin is not active."""
    store: str | None
    logger: str | None
    url: str
    zone: str
    memory_limit: int
    """Bytes; -1 for none."""
    prefix: str
    sees_runner: bool | None
    """Whether our runner's row is in its database; None when not asked."""
    wp_cli: str | None


class Start(NamedTuple):
    """The callbacks of an action are called now."""

    id: ActionId


@dataclass(frozen=True, slots=True, kw_only=True)
class Caught:
    """An error: what a callback threw, or the fatal error that ends PHP."""

    message: str
    file: str
    line: int
    type: str = ""
    """Its class; empty for a fatal error."""


class End(NamedTuple):
    """An action has ended, or was not begun."""

    id: ActionId
    way: Way
    seconds: float = 0.0
    deferred: bool = False
    """Something was put off to the end of the process."""
    full: bool = False
    """The worker uses too much memory."""
    error: Caught | None = None
    """With ``failed`` only."""

    @property
    def was_called(self) -> bool:
        """Whether callbacks were called at all."""
        return self.way in ("done", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dying:
    """PHP ends while an action runs."""

    id: ActionId
    error: Caught | None
    """None when nothing but ``exit`` ended it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Has:
    """A worker's answer to the question which hooks have callbacks."""

    hooks: dict[str, bool]


Answer: TypeAlias = Hello | Start | End | Dying | Has


def read(frame: dict[str, Any]) -> Answer:
    """The answer. ValueError says what is wrong with it."""
    match frame.get("is"):
        case "start":
            return Start(id=_id(frame))
        case "end":
            return _end(frame)
        case "dying":
            error = frame.get("error")
            return Dying(id=_id(frame), error=None if error is None else _caught(error))
        case "has":
            return Has(hooks=_hooks(frame.get("hooks")))
        case "hello":
            return _hello(frame)
        case _:
            raise ValueError("of no known kind")


def _end(frame: dict[str, Any]) -> End:
    action_id, way = _id(frame), frame.get("as")
    if way not in _ENDS:
        raise ValueError("an end of no known kind")
    if way in ("missing", "unstarted"):
        return End(id=action_id, way=way)
    failed = frame.get("error")
    return End(
        id=action_id,
        way=cast("Way", way),
        seconds=_seconds(frame.get("seconds")),
        deferred=_flag(frame, "deferred"),
        full=_flag(frame, "full"),
        error=_caught(failed, _text(failed, "class")) if way == "failed" else None,
    )


def _hello(frame: dict[str, Any]) -> Hello:
    sees = frame.get("sees_runner")
    return Hello(
        worker=_integer(frame, "worker"),
        pid=_integer(frame, "pid"),
        php=_told(frame, "php"),
        wordpress=_told(frame, "wordpress"),
        action_scheduler=_perhaps(frame, "action_scheduler"),
        store=_perhaps(frame, "store"),
        logger=_perhaps(frame, "logger"),
        url=_told(frame, "url"),
        zone=_told(frame, "zone"),
        memory_limit=_integer(frame, "memory_limit"),
        prefix=_text(frame, "prefix"),
        sees_runner=None if sees is None else _flag(frame, "sees_runner"),
        wp_cli=_perhaps(frame, "wp_cli"),
    )


def _caught(error: Any, kind: str = "") -> Caught:
    return Caught(
        message=_text(error, "message"),
        file=_text(error, "file"),
        line=_integer(error, "line"),
        type=kind,
    )


def _hooks(told: Any) -> dict[str, bool]:
    # PHP writes an empty object for no hooks, and every other value is a flag.
    if not isinstance(told, dict) or not all(type(there) is bool for there in told.values()):
        raise ValueError("hooks are no names with true or false")
    return told


def _member(frame: Any, name: str) -> Any:
    if not isinstance(frame, dict):
        raise ValueError(f"{name} belongs in an object")  # noqa: TRY004 - as for all else
    return frame.get(name)


def _id(frame: dict[str, Any]) -> ActionId:
    number = frame.get("id")
    if type(number) is not int or not 1 <= number <= _MOST:
        raise ValueError("the id is none")
    return ActionId(number)


def _integer(frame: Any, name: str) -> int:
    number = _member(frame, name)
    if type(number) is not int or not -_MOST <= number <= _MOST:
        raise ValueError(f"{name} is no whole number")
    return number


def _seconds(told: Any) -> float:
    # Below nothing when the clock was set back meanwhile.
    if type(told) is int and abs(told) <= _MOST:
        return float(told)
    if type(told) is not float or not math.isfinite(told):
        raise ValueError("seconds is no number")
    return told


def _flag(frame: Any, name: str) -> bool:
    flag = _member(frame, name)
    if type(flag) is not bool:
        raise ValueError(f"{name} is neither true nor false")
    return flag


def _text(frame: Any, name: str) -> str:
    text = _member(frame, name)
    if not isinstance(text, str):
        raise ValueError(f"{name} is no text")  # noqa: TRY004 - as for all else
    return text


def _perhaps(frame: dict[str, Any], name: str) -> str | None:
    return None if frame.get(name) is None else _text(frame, name)


def _told(frame: dict[str, Any], name: str) -> str:
    """What is only shown to people; plugins hide some of it."""
    text = frame.get(name)
    return text if isinstance(text, str) else ""
