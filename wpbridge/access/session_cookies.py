"""Cookies of sessions: how they are made, and whose they are.

A cookie is a JWT (HS256) with the random id of a session, signed with a key that is derived from
the site's signing secret. So what nobody has signed asks no table. The table has a
hash of the id.
"""

import hashlib
import secrets
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from wpbridge.access.caller import NotKnown
from wpbridge.access.person import Person, SignedIn, Source, known_person
from wpbridge.access.tokens import check_times, claims_of, signed
from wpbridge.clock import Clock
from wpbridge.store.opened import OpenStore
from wpbridge.store.rows.sessions import NewSession, SessionRecord

USER_SECONDS: Final = 8 * 3600
"""How long a session of a user of wpbridge lasts. The role is looked up anew."""
WORDPRESS_SECONDS: Final = 3600
"""How long a session lasts whose role came from WordPress, since nobody asks it again."""
_SECONDS: Final[Mapping[Source, int]] = MappingProxyType(
    {"user": USER_SECONDS, "wordpress": WORDPRESS_SECONDS}
)
"""Only those who come in so have sessions."""


class Session(NamedTuple):
    """What a cookie says that this site has signed."""

    id_hash: str
    ends: float
    """When it ends, in Unix seconds."""


class SessionCookies:
    """The cookies of one site. One thread at a time may use it, as its store."""

    def __init__(self, store: OpenStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def new(self, person: Person, address: str) -> tuple[NewSession, SignedIn]:
        """Return a session that has yet to be written, and what its person is told.

        Raises:
            ConfigError, SiteError: as :func:`wpbridge.access.tokens.signed`.
        """
        session, seconds = secrets.token_hex(32), _SECONDS[person.source]
        cookie = signed(self._store, "session", {"sid": session}, seconds, self._clock.now())
        new = NewSession(
            id_hash=_hash(session),
            person=person.name,
            source=person.source,
            role=person.role,
            seconds=seconds,
            address=address,
        )
        return new, SignedIn(person=person, cookie=cookie, seconds=seconds)

    def read(self, cookie: str) -> Session | None:
        """Return what a cookie says; None where this site has not signed it, or it has ended."""
        try:
            claims = claims_of(self._store, cookie, "session")
            check_times(claims, self._clock.now(), most_seconds=USER_SECONDS)
        except NotKnown:
            return None
        return Session(id_hash=_hash(str(claims.get("sid"))), ends=float(claims["exp"]))

    def person_of(self, session: Session) -> Person | None:
        """Return whose session it is, with the present role; None where it was revoked."""
        record = self._store.sessions.find(session.id_hash)
        source = next((one for one in _SECONDS if record and record.source == one), None)
        if record is None or source is None:
            return None
        name = record.person.removeprefix(f"{source}:")
        return known_person(source, name, self._role_of(record, name))

    def _role_of(self, record: SessionRecord, name: str) -> str | None:
        if record.source != "user":
            return record.role
        user = self._store.users.find(name)
        return None if user is None else user.role


def _hash(session: str) -> str:
    return hashlib.sha256(session.encode()).hexdigest()
