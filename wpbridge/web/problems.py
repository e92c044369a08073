"""Say what is wrong with a request: problem documents as RFC 9457 has them, each with a fixed type.

Clients tell problems apart by ``type``. The texts are for people and may change.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from starlette.responses import JSONResponse

from wpbridge.access.caller import TooMany
from wpbridge.errors import (
    ActionNotFound,
    CodecError,
    Contention,
    InputError,
    SchemaError,
    StoreError,
    WpbridgeError,
)
from wpbridge.queue.callbacks import CallbackRefused
from wpbridge.queue.jobs import JobGone

MEDIA_TYPE: Final = "application/problem+json"
_PREFIX: Final = "urn:wpbridge:problem:"


class Kind(NamedTuple):
    """One type of problem."""

    status: int
    title: str


KINDS: Final[Mapping[str, Kind]] = {
    "bad-json": Kind(400, "The body is no JSON"),
    "bad-request": Kind(400, "The request cannot be read"),
    "not-known": Kind(401, "Nobody is known by these credentials"),
    "not-allowed": Kind(403, "These credentials do not allow this"),
    "not-found": Kind(404, "There is nothing at this address"),
    "no-result": Kind(404, "There is no result"),
    "wrong-method": Kind(405, "This address does not take this method"),
    "too-slow": Kind(408, "The request did not arrive in time"),
    "conflict": Kind(409, "The present state does not allow this"),
    "not-unique": Kind(409, "An action like this one is pending or running"),
    "gone": Kind(410, "The action has been deleted"),
    "too-large": Kind(413, "The request is too large"),
    "wrong-media-type": Kind(415, "The body has another media type"),
    "invalid": Kind(422, "The request asks for something that cannot be"),
    "key-reused": Kind(422, "The idempotency key was used with another body"),
    "too-many": Kind(429, "Too many requests"),
    "broken": Kind(500, "The gateway has a fault"),
    "unavailable": Kind(503, "The queue cannot be reached"),
}
"""All types of problems. Their names are a contract with clients."""


class Problem(Exception):
    """An answer that says what is wrong. Raised anywhere below a route, it becomes the answer."""

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        field: str = "",
        retry_after_seconds: float | None = None,
        **more: Any,
    ) -> None:
        """Take one of :data:`KINDS`, what to do in one sentence, and the field that is meant."""
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.field = field
        self.retry_after_seconds = retry_after_seconds
        self.more = more

    @property
    def status(self) -> int:
        """Return the status code of the answer."""
        return KINDS[self.kind].status

    def document(self) -> dict[str, Any]:
        """Return the problem as its document."""
        found: dict[str, Any] = {
            "type": f"{_PREFIX}{self.kind}",
            "title": KINDS[self.kind].title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.field:
            found["field"] = self.field
        return found | self.more

    def answer(self) -> JSONResponse:
        """Return the problem as an answer."""
        headers = {"Cache-Control": "no-store"}
        if self.retry_after_seconds is not None:
            headers["Retry-After"] = str(max(1, round(self.retry_after_seconds)))
        if self.status == KINDS["not-known"].status:
            headers["WWW-Authenticate"] = 'Bearer realm="wpbridge"'
        return JSONResponse(self.document(), self.status, headers, media_type=MEDIA_TYPE)


NO_DATABASE: Final = (
    "the database does not answer as it should: `wpbridge doctor` says what is wrong"
)
"""For whom nobody knows yet. The error itself may name hosts, accounts and tables."""


def problem_of(error: WpbridgeError) -> Problem:
    """Return the problem that an error of the queue is."""
    told = str(error)
    if isinstance(error, JobGone):
        return Problem("gone", "its row in the queue is gone, and its result with it")
    if isinstance(error, TooMany):
        return Problem("too-many", told, retry_after_seconds=error.retry_after_seconds)
    field, separator, _ = told.partition(":")
    field = field if separator and " " not in field else ""
    match error:
        case CallbackRefused():
            problem = Problem("not-allowed", told, field=field)
        case InputError() | CodecError():
            problem = Problem("invalid", told, field=field)
        case ActionNotFound():
            problem = Problem("not-found", told)
        case Contention():
            problem = Problem("unavailable", told, retry_after_seconds=1.0)
        case StoreError() | SchemaError():
            problem = Problem("unavailable", told, retry_after_seconds=5.0)
        case _:
            problem = Problem("broken", told)
    return problem
