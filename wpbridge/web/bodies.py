"""Read a request's body up to a limit, as strict JSON, and check it against its declaration."""

import json
import math
from collections.abc import Callable, Iterable
from typing import Any, Final

import fastjsonschema
from starlette.requests import ClientDisconnect, Request

from wpbridge.web.problems import Problem

MOST_BYTES: Final = 65_536
"""How large a body may be."""
MOST_BATCH_BYTES: Final = 8 << 20
"""How large the body of a batch may be."""
MOST_DEPTH: Final = 64
"""How deep arrays and objects may lie in each other."""
_JSON: Final = ("application/json",)

Check = Callable[[Any], None]


async def body_of(request: Request, *, most: int = MOST_BYTES) -> bytes:
    """Return the body. A larger one is refused, and no more of it is read than that takes."""
    told = request.headers.get("content-length", "0")
    if not told.isdigit():
        raise Problem("bad-request", "Content-Length is no number")
    if int(told) > most:
        raise Problem("too-large", f"send at most {most:,} bytes")
    found = bytearray()
    try:
        async for chunk in request.stream():
            found += chunk
            if len(found) > most:
                raise Problem("too-large", f"send at most {most:,} bytes")
    except ClientDisconnect:
        raise Problem("bad-request", "the body ended too early") from None
    return bytes(found)


def check_media_type(request: Request, allowed: Iterable[str] = _JSON) -> None:
    """Refuse a body of another media type. Only UTF-8 is read."""
    told, _, parameters = request.headers.get("content-type", "").partition(";")
    if told.strip().lower() not in allowed:
        raise Problem("wrong-media-type", f"send Content-Type: {' or '.join(allowed)}")
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if charset not in ("", "utf-8", "utf8"):
        raise Problem("wrong-media-type", "send UTF-8")


def value_of(text: bytes) -> Any:
    """Return what a JSON text says; raise a Problem for what is none, or is ambiguous."""
    try:
        told = text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Problem("bad-json", f"the body is not UTF-8 at byte {error.start}") from None
    try:
        value = json.loads(
            told,
            object_pairs_hook=_unambiguous,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
    except json.JSONDecodeError as error:
        raise Problem("bad-json", f"{error.msg} at character {error.pos}") from None
    except RecursionError:
        raise Problem("bad-json", f"nest at most {MOST_DEPTH} levels") from None
    except ValueError as error:
        # Also a number of thousands of digits.
        raise Problem("bad-json", str(error)) from None
    if _depth(value) > MOST_DEPTH:
        raise Problem("bad-json", f"nest at most {MOST_DEPTH} levels")
    return value


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object has the name {twice[:80]!r} twice")
    return found


def _no_constant(told: str) -> float:
    raise ValueError(f"{told} is no JSON")


def _finite(told: str) -> float:
    number = float(told)
    if math.isinf(number):
        raise ValueError("a number is too large")
    return number


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level := [
        inner
        for one in level
        if isinstance(one, dict | list)
        for inner in (one.values() if isinstance(one, dict) else one)
    ]:
        depth += 1
        if depth > MOST_DEPTH:
            return depth
    return depth


def checker(schema: dict[str, Any]) -> Check:
    """Return a function that raises a Problem for a value that does not fit a JSON schema."""
    validate = fastjsonschema.compile(schema, use_default=False, detailed_exceptions=True)

    def check(value: Any) -> None:
        if not isinstance(value, dict):
            raise Problem("invalid", "send a JSON object")
        try:
            validate(value)
        except fastjsonschema.JsonSchemaValueException as error:
            field = ".".join(str(part) for part in error.path[1:])
            told, field = _told(error, field)
            raise Problem("invalid", told, field=field) from None

    return check


def _told(error: fastjsonschema.JsonSchemaValueException, field: str) -> tuple[str, str]:
    """Return what is wrong, and the field that is meant."""
    if error.rule == "additionalProperties" and isinstance(error.value, dict):
        known = error.definition.get("properties", {})
        unknown = sorted(name[:80] for name in error.value if name not in known)
        inside = f"{field}." if field else ""
        told = f"unknown: {', '.join(unknown)}; known are {', '.join(known)}"
        return told, f"{inside}{unknown[0]}"
    if error.rule == "required" and isinstance(error.value, dict):
        missing = next(name for name in error.definition["required"] if name not in error.value)
        return f"{missing}: it is missing", missing
    told = error.message.removeprefix(str(error.name)).strip()
    return (f"{field}: {told}" if field else told), field
