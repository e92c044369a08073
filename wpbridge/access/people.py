"""Find out who looks at the dashboard, and sign people in and out.

There are five ways in: a user of wpbridge with a password, one of WordPress with an application
password, a login that wp-admin hands on, a whole request that the companion plugin hands on, and a
proxy's header. The first three begin a session, which a signed cookie names.
"""

import threading
from collections.abc import Mapping
from typing import Final, TypeGuard

from wpbridge.access import passwords, proxies, user_hashes
from wpbridge.access.attempts import Attempts
from wpbridge.access.caller import NotKnown, TooMany
from wpbridge.access.handed import forwarded_of, person_of_login
from wpbridge.access.known_people import KnownPeople
from wpbridge.access.person import Forwarded, Person, SignedIn, is_name, known_person
from wpbridge.access.session_cookies import SessionCookies
from wpbridge.clock import Clock, SystemClock
from wpbridge.site.rules import WORDPRESS_PEOPLE, Role
from wpbridge.store.opened import OpenStore
from wpbridge.store.rows.users import UserRecord
from wpbridge.store.rows.wordpress_users import WordPressUser

__all__ = ["Forwarded", "NotKnown", "People", "Person", "SignedIn", "TooMany"]
_MOST_CHARACTERS: Final = 2048
"""Of a cookie."""
_NO_SIGN_IN: Final = (
    "the name or the password is wrong: give those of a user of wpbridge, or the name and an"
    " application password of a WordPress user who may come in"
)
_NO_PROXY: Final = "the proxy named somebody who may not come in here"
_NO_HASH: Final = "$generic$" + "A" * 40
"""Compared where there is no user of WordPress. No password has it."""


class People:
    """The people of one site's dashboard. Any thread may ask; the store belongs to this alone."""

    def __init__(
        self,
        store: OpenStore,
        *,
        people: Mapping[str, Role] = WORDPRESS_PEOPLE,
        proxy_header: str | None = None,
        proxy_from: tuple[str, ...] = (),
        proxy_role: str = "none",
        attempts: Attempts | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Look people up in a store.

        Args:
            store: the site's. Nobody else may use it meanwhile.
            people: which capability gives which role (``[web] people``).
            proxy_header: the name of a proxy's header (``[web] proxy_header``); None for none.
            proxy_from: from which addresses it counts (``[web] proxy_from``).
            proxy_role: of whom is no user of wpbridge (``[web] proxy_role``).
            attempts: the failed attempts of late; None to begin anew.
            clock: for tests.
        """
        self._store = store
        self._people = people
        self._proxy = proxies.Proxies(proxy_from if proxy_header else ())
        self._proxy_role = proxy_role
        self._clock = clock or SystemClock()
        self._attempts = attempts or Attempts(self._clock)
        self._cookies = SessionCookies(store, self._clock)
        self._known = KnownPeople(self._clock)
        self._turn = threading.RLock()
        """Held by the thread that uses the store."""

    def sign_in(self, username: str, password: str, address: str) -> SignedIn:
        """Begin a session of a user of wpbridge, or else of one of WordPress.

        Args:
            username: as it was typed. Letter case does not count.
            password: the user's, or an application password of WordPress.
            address: from which the request came. Failures are counted by it.

        Raises:
            NotKnown: 401. The line is the same for an unknown name and for a wrong password.
            TooMany: 429, after too many failures, or while too many others sign in.
            StoreError: the database does not answer.
            ConfigError: argon2-cffi or PyJWT is not installed.
        """
        login = username.strip()
        self._attempts.check(login, address)
        with user_hashes.turn():
            # Others may have failed while this one waited.
            self._attempts.check(login, address)
            with self._turn:
                user = self._user(login)
            if user_hashes.fits(password, user.password_hash if user else None) and user:
                found = self._begin_of_user(user, password, address)
            else:
                found = self._begin_of_wordpress(login, passwords.bare(password), address)
            if found is None:
                self._attempts.failed(login, address)
                raise NotKnown(_NO_SIGN_IN)
        return found

    def enter(self, token: str, address: str) -> SignedIn:
        """Begin a session of somebody whom wp-admin hands on. The token counts no more.

        Raises:
            NotKnown: it is none of this site's, has expired, or was used before.
            StoreError, ConfigError: as :meth:`sign_in`.
        """
        with self._turn:
            person = person_of_login(self._store, token, self._clock.now())
            return self._begin(person, address)

    def of_cookie(self, cookie: str | None) -> Person | None:
        """Return whose session a cookie names; None where it names none that counts.

        Raises:
            StoreError, ConfigError: as :meth:`sign_in`.
        """
        found = self.remembered(cookie)
        if found is not None or not _may_be_cookie(cookie):
            return found
        with self._turn:
            session = self._cookies.read(cookie)
            person = None if session is None else self._cookies.person_of(session)
            if session is None or person is None:
                return None
            return self._known.keep("cookie", cookie, person, session.ends)

    def remembered(self, cookie: str | None) -> Person | None:
        """Return whose session a cookie names, if that was found out within the last seconds.

        It asks no database, so an event loop may call it before it takes a thread for
        :meth:`of_cookie`.
        """
        return self._known.get("cookie", cookie) if _may_be_cookie(cookie) else None

    def sign_out(self, cookie: str | None) -> None:
        """End the session that a cookie names; nothing where it names none that counts."""
        if not _may_be_cookie(cookie):
            return
        with self._turn:
            session = self._cookies.read(cookie)
            person = None if session is None else self._cookies.person_of(session)
            if session is not None and person is not None:
                self._store.sessions.end(session.id_hash, who=person.name)
            self._known.forget()

    def revoke(self, name: str | None, *, who: str) -> int:
        """End the sessions of somebody such as ``user:anna``, or of all; return how many.

        In other processes they end within :data:`KEPT_SECONDS`.
        """
        with self._turn:
            ended = self._store.sessions.revoke(name, who=who)
            self._known.forget()
        return ended

    def forwarded(
        self, header: str, *, method: str, path: str, query: str, body: bytes
    ) -> Forwarded:
        """Return who has sent a request that the companion plugin hands on. It counts once.

        Args:
            header: what the companion plugin has signed.
            method: of the request, in capitals.
            path: as this server looks it up.
            query: what stands after ``?``, with its escapes; empty for nothing.
            body: all of it.

        Raises:
            NotKnown: it was not signed by this site, just now, for exactly this request; it was
                used before; or it is a change that the companion plugin has not checked.
            StoreError, ConfigError: as :meth:`sign_in`.
        """
        with self._turn:
            return forwarded_of(
                self._store,
                header,
                self._clock.now(),
                method=method,
                path=path,
                query=query,
                body=body,
            )

    def of_proxy(self, name: str | None, address: str) -> Person | None:
        """Return whom a proxy names; None where no header of this address counts, or has a name.

        Args:
            name: the header's value; None without it.
            address: from which the request came; empty for a Unix socket.

        Raises:
            NotKnown: the proxy names somebody who has no role here, or who is nobody.
            StoreError: as :meth:`sign_in`.
        """
        told = (name or "").strip(" \t")
        if not told or not self._proxy.has(address):
            return None
        if not is_name(told):
            raise NotKnown(_NO_PROXY)
        found = self._known.get("proxy", told)
        if found is not None:
            return found
        with self._turn:
            user = self._user(told)
        person = known_person("proxy", told, user.role if user else self._proxy_role)
        if person is None:
            raise NotKnown(_NO_PROXY)
        return self._known.keep("proxy", told, person)

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def _begin_of_user(self, user: UserRecord, password: str, address: str) -> SignedIn | None:
        person = known_person("user", user.name, user.role)
        if person is None:
            return None
        stored = user.password_hash
        newer = user_hashes.hashed(password) if user_hashes.is_outdated(stored) else stored
        with self._turn:
            new, found = self._cookies.new(person, address)
            begun = self._store.users.begin_session(
                user.name, new, expected=stored, password_hash=newer
            )
        return found if begun else None

    def _begin_of_wordpress(self, login: str, password: str, address: str) -> SignedIn | None:
        with self._turn:
            user = self._store.wordpress_users.find(login) if is_name(login) else None
        hashes = user.password_hashes if user is not None else ()
        fitting = [passwords.fits(password, one) for one in hashes or (_NO_HASH,)]
        if user is None or not password or not any(fitting):
            return None
        person = known_person("wordpress", user.login, self._role_of(user))
        if person is None:
            return None
        with self._turn:
            return self._begin(person, address)

    def _begin(self, person: Person, address: str) -> SignedIn:
        """Begin a session of somebody who is no user of wpbridge."""
        new, found = self._cookies.new(person, address)
        self._store.sessions.begin(new)
        return found

    def _role_of(self, user: WordPressUser) -> Role | None:
        """Return the role that the first capability gives which the user has; None for none."""
        return next(
            (role for name, role in self._people.items() if name in user.capabilities), None
        )

    def _user(self, name: str) -> UserRecord | None:
        """Return the user of wpbridge of a name in any letter case."""
        return self._store.users.find(name.lower()) if is_name(name) else None


def _may_be_cookie(cookie: str | None) -> TypeGuard[str]:
    return cookie is not None and 0 < len(cookie) <= _MOST_CHARACTERS
