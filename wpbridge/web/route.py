"""What the table of routes says of one route."""

from collections.abc import Mapping
from dataclasses import field
from typing import Final, Literal, NamedTuple

from wpbridge.dataclass import dataclass
from wpbridge.site.rules import Right
from wpbridge.web.bodies import MOST_BYTES
from wpbridge.web.calls import Answer
from wpbridge.web.declarations import Schema

Method = Literal["GET", "POST", "DELETE"]
NDJSON: Final = "application/x-ndjson"


class Body(NamedTuple):
    """What the body of a request may be."""

    schema: Schema
    most: int = MOST_BYTES
    media_type: str = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One thing that can be asked for."""

    method: Method
    path: str
    answer: Answer
    summary: str
    rights: tuple[Right, ...] = ()
    """One of these is needed; none: everybody may ask."""
    takes_tokens: bool = False
    """Whether a token for one job suffices."""
    body: Body | None = None
    query: Mapping[str, Schema] = field(default_factory=dict)
    """The parameters after the question mark; others are refused."""
    statuses: Mapping[int, Schema | None] = field(default_factory=dict)
    """What is answered when all is well; None for no JSON."""
    problems: tuple[str, ...] = ()
    """Types of problems beside those that every route has."""

    @property
    def name(self) -> str:
        """Return the name of the operation."""
        words = self.path.replace("{", "").replace("}", "").replace(":", "/").strip("/").split("/")
        return "_".join([self.method.lower(), *(w.replace(".", "_") for w in words[1:] or words)])
