"""Read the parameters behind a question mark, and check them against their declaration."""

from collections.abc import Collection, Mapping
from typing import Any

from starlette.requests import Request

from wpbridge.web.bodies import Check, checker
from wpbridge.web.declarations import Schema
from wpbridge.web.problems import Problem

MOST_CHARACTERS = 16_384


class Parameters:
    """The parameters of one route."""

    def __init__(
        self, schemas: Mapping[str, Schema], *, passed: Collection[str] = frozenset()
    ) -> None:
        """``passed`` names parameters that somebody else reads."""
        self._passed = passed
        self._schemas = dict(schemas)
        self._check: Check = checker(
            {"type": "object", "additionalProperties": False, "properties": dict(schemas)}
        )

    def of(self, request: Request) -> dict[str, Any]:
        """Return the parameters by name; raise a Problem for unknown ones and for wrong values."""
        if not request.scope["query_string"]:
            return {}
        if len(request.scope["query_string"]) > MOST_CHARACTERS:
            raise Problem("bad-request", f"at most {MOST_CHARACTERS:,} characters behind the path")
        found: dict[str, Any] = {}
        for name in request.query_params:
            if name in self._passed:
                continue
            given = request.query_params.getlist(name)
            schema = self._schemas.get(name, {})
            if schema.get("type") == "array":
                found[name] = given
            elif len(given) > 1:
                raise Problem("invalid", f"{name}: give it once", field=name)
            else:
                found[name] = _read(schema, given[0])
        self._check(found)
        return found


def _read(schema: Schema, told: str) -> Any:
    """Return the value that a text means; the text itself where it means none, for the check."""
    kind = schema.get("type")
    if kind == "boolean" and told in ("true", "false"):
        return told == "true"
    if kind == "integer" and told.isascii() and told.lstrip("-").isdigit() and len(told) <= 20:  # noqa: PLR2004
        return int(told)
    if kind == "number":
        try:
            return float(told)
        except ValueError:
            return told
    return told
