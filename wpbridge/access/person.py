"""A person who looks at the dashboard: a name, a role, and how they came in."""

from typing import Final, Literal, TypeAlias, get_args

from wpbridge.dataclass import dataclass
from wpbridge.site.rules import ROLES, Role, allows

Source: TypeAlias = Literal["user", "wordpress", "proxy", "site"]
"""How somebody came in: as a user of wpbridge, as one of WordPress, by a proxy's header, or
through the site's own address."""
SOURCES: Final[tuple[Source, ...]] = get_args(Source)
NAME_CHARACTERS: Final = 255
"""No name is longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who is known to the dashboard."""

    name: str
    """For logs and the audit table: ``user:anna``, ``wordpress:anna``, ``proxy:anna`` or
    ``site:anna``. It has no control characters."""
    role: Role
    source: Source

    def may(self, needed: Role) -> bool:
        """Tell whether the person may do what needs a role."""
        return allows(self.role, needed)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """Somebody who has signed in just now."""

    person: Person
    cookie: str
    """What the browser must send from now on. Its characters need no escape in a cookie."""
    seconds: int
    """How long it counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarded:
    """A request that the companion plugin has handed on for a person."""

    person: Person
    base_path: str
    """What stands before the path outside, such as ``/wpbridge``; empty for nothing."""
    csrf: str
    """What forms must send, so that the companion plugin takes them."""
    is_checked: bool
    """Whether the companion plugin has found that on this request. It is so on every change."""
    address: str = ""
    """The person's address, as PHP knows it. Empty where it is none."""


def known_person(source: Source, name: str, role: object) -> Person | None:
    """Return a person; None for a name that nobody may have, and for what is no role."""
    if not is_name(name):
        return None
    found = next((one for one in ROLES if one == role), None)
    return None if found is None else Person(name=f"{source}:{name}", role=found, source=source)


def is_name(name: str) -> bool:
    """Tell whether somebody may have a name: it is visible, and not too long."""
    return 0 < len(name) <= NAME_CHARACTERS and name.isprintable() and name == name.strip()
