"""Find out who calls: by an API key, an application password of WordPress, or a token."""

import base64
import binascii
import contextlib
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, TypeAlias

from wpbridge.access import keys, passwords
from wpbridge.access.attempts import Attempts
from wpbridge.access.caller import Caller, NotKnown
from wpbridge.access.tokens import Tokens
from wpbridge.clock import Clock, SystemClock
from wpbridge.errors import StoreError
from wpbridge.site.rules import WORDPRESS_ROLES, Right
from wpbridge.store.opened import OpenStore

KEPT_SECONDS: Final = 5.0
"""Who was known counts as known for so long, so a revocation counts after this time."""
_MOST_KEPT: Final = 1000
_MOST_CHARACTERS: Final = 16_384
_NO_HASH: Final = "$generic$" + "A" * 40
"""Compared where there is no user of the name. No password has it."""
_NOTHING: Final = "the request says nothing of its caller: send `Authorization: Bearer KEY`"
_NO_KEY: Final = "the API key is not valid: it may be misspelled, expired or revoked"
_NO_LOGIN: Final = "the login is not valid: send the name and an application password of WordPress"
_NO_BASIC: Final = "logins of WordPress are not switched on here: send `Authorization: Bearer KEY`"

_Kind: TypeAlias = Literal["key", "password", "token"]


class _Shown(NamedTuple):
    """What a request shows of its caller."""

    kind: _Kind
    text: str

    @property
    def digest(self) -> bytes:
        """Return the hash under which the caller is remembered. The credential itself is not."""
        return hashlib.sha256(f"{self.kind} {self.text}".encode()).digest()


class Callers:
    """The callers of one site. Any thread may ask; the store belongs to this object alone."""

    def __init__(
        self,
        store: OpenStore,
        *,
        wordpress_login: bool = False,
        roles: Mapping[str, tuple[Right, ...]] = WORDPRESS_ROLES,
        attempts: Attempts | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Look callers up in a store.

        Args:
            store: the site's. Nobody else may use it meanwhile.
            wordpress_login: whether application passwords count (``[web] wordpress_login``).
            roles: what capabilities and roles allow (``[web] roles``).
            attempts: the failed attempts of late; None to begin anew.
            clock: for tests.
        """
        self._store = store
        self._has_logins = wordpress_login
        self._roles = roles
        self._clock = clock or SystemClock()
        self._attempts = attempts or Attempts(self._clock)
        self._tokens = Tokens(store, self._clock)
        self._turn = threading.RLock()
        """Held by the thread that uses the store."""
        self._guard = threading.Lock()
        """Held while the callers of late are looked at."""
        self._kept: OrderedDict[bytes, tuple[Caller, float]] = OrderedDict()

    def identify(self, authorization: str | None, token: str | None, address: str) -> Caller:
        """Return who calls.

        Args:
            authorization: the header of this name; None without one.
            token: a token from the address, for browsers that cannot send the header. API keys
                do not count there, since addresses are logged. It goes before the header.
            address: from which the request came. Failed logins are counted by it.

        Raises:
            NotKnown: 401, with one line for the client.
            TooMany: 429, after too many failed logins.
            StoreError: the database does not answer.
            ConfigError: a token came, and PyJWT is not installed.
        """
        shown = self._shown(authorization, token)
        if shown.kind == "token":
            with self._turn:
                return self._tokens.caller(shown.text)
        found = self._remembered(shown)
        if found is not None:
            return found
        if shown.kind == "key":
            return self._of_key(shown)
        return self._of_password(shown, address)

    def remembered(self, authorization: str | None, token: str | None) -> Caller | None:
        """Return who calls, if that was found out within the last seconds; else None.

        It asks no database, so an event loop may call it before it takes a thread for
        :meth:`identify`.
        """
        try:
            shown = self._shown(authorization, token)
        except NotKnown:
            return None
        return None if shown.kind == "token" else self._remembered(shown)

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def _shown(self, authorization: str | None, token: str | None) -> _Shown:
        if token:
            return _Shown("token", token)
        scheme, _, rest = (authorization or "").strip().partition(" ")
        text = rest.strip()
        if not text or len(text) > _MOST_CHARACTERS or not text.isascii():
            raise NotKnown(_NOTHING)
        if scheme.lower() == "bearer":
            return _Shown("key" if text.startswith("wpb_") else "token", text)
        if scheme.lower() == "basic":
            if not self._has_logins:
                raise NotKnown(_NO_BASIC)
            return _Shown("password", text)
        raise NotKnown(_NOTHING)

    def _of_key(self, shown: _Shown) -> Caller:
        key = keys.parsed(shown.text)
        if key is None:
            raise NotKnown(_NO_KEY)
        with self._turn:
            found = self._remembered(shown)
            if found is not None:
                return found
            record = self._store.api_keys.find(key.name)
            if not keys.is_valid(key, record) or record is None:
                raise NotKnown(_NO_KEY)
            if not record.use_is_noted:
                # Whoever may only read is let in all the same.
                with contextlib.suppress(StoreError):
                    self._store.api_keys.note_use(record.name)
            return self._keep(shown, keys.caller_of(record))

    def _of_password(self, shown: _Shown, address: str) -> Caller:
        login, password = _login(shown.text)
        # Others who fail under the same name do not lock out who got in with this password before.
        if not self._was_known(shown):
            self._attempts.check(login, address)
        with self._turn:
            user = self._store.wordpress_users.find(login)
        hashes = user.password_hashes if user is not None else ()
        fitting = [passwords.fits(password, one) for one in hashes or (_NO_HASH,)]
        if user is None or not password or not any(fitting):
            self._forget(shown)
            self._attempts.failed(login, address)
            raise NotKnown(_NO_LOGIN)
        return self._keep(shown, passwords.caller_of(user, self._roles))

    def _remembered(self, shown: _Shown) -> Caller | None:
        with self._guard:
            caller, until = self._kept.get(shown.digest, (None, 0.0))
        return caller if until > self._clock.monotonic() else None

    def _was_known(self, shown: _Shown) -> bool:
        """Tell whether the caller was known some time ago. Only the newest ones are remembered."""
        with self._guard:
            return shown.digest in self._kept

    def _forget(self, shown: _Shown) -> None:
        with self._guard:
            self._kept.pop(shown.digest, None)

    def _keep(self, shown: _Shown, caller: Caller) -> Caller:
        with self._guard:
            self._kept.pop(shown.digest, None)
            self._kept[shown.digest] = (caller, self._clock.monotonic() + KEPT_SECONDS)
            if len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return caller


def _login(text: str) -> tuple[str, str]:
    """Return the name and the bare password of HTTP Basic.

    Raises:
        NotKnown: the text is no such pair.
    """
    try:
        told = base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise NotKnown(_NO_LOGIN) from None
    login, _, password = told.partition(":")
    return login, passwords.bare(password)
