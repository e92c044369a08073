"""Read WordPress's users: their application passwords and their capabilities. Nothing is written.

The hash of the account's own password is never read. What PHP has serialized is decoded to plain
values by our own codec, and never to objects.
"""

from dataclasses import field
from typing import Any, Final, NamedTuple

from wpbridge.codec.php import PhpArray, decode, deref
from wpbridge.dataclass import dataclass
from wpbridge.errors import CodecError, Unfit
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.texts import as_bytes, number
from wpbridge.store.structure.tables import Tables

PASSWORDS_KEY: Final = "_application_passwords"
LOGIN_CHARACTERS: Final = 100
"""No login and no address of WordPress's table is longer."""
_CLOSING: Final = ("spam", "deleted")
"""Columns that only a network's table has. A user with one of them set may not log in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WordPressUser:
    """Holds what the gateway must know of a user of WordPress."""

    id: int
    login: str
    """As WordPress stores it."""
    password_hashes: tuple[str, ...] = field(repr=False)
    """Of the application passwords."""
    capabilities: frozenset[str]
    """What the user may do on this site. The names of the user's roles are among them."""


class _Found(NamedTuple):
    id: int
    login: str
    is_closed: bool


class WordPressUsers:
    """The users of one site's WordPress. In a network all sites share them."""

    def __init__(self, tables: Tables) -> None:
        names, dialect = tables.names, tables.dialect
        self._session = tables.session
        self._dialect = dialect
        self._users = names.users
        self._capabilities_key = f"{names.prefix}capabilities"
        self._roles_option = f"{names.prefix}user_roles"
        self._meta = text(
            f"SELECT meta_key, {dialect.as_bytes('meta_value')} FROM {names.usermeta}"
            " WHERE user_id = :id AND meta_key IN :keys ORDER BY umeta_id"
        )
        self._options = text(
            f"SELECT {dialect.as_bytes('option_value')} FROM {names.options}"
            " WHERE option_name = :name"
        )

    def find(self, login: str) -> WordPressUser | None:
        """Return the user of a login or an email address, as WordPress finds it.

        None where there is no such user, where the user may not log in, and where the database has
        no users at all.
        """
        if not 0 < len(login) <= LOGIN_CHARACTERS or "\0" in login:
            return None

        def find(connection: Connection) -> WordPressUser | None:
            found = self._user(connection, login)
            return None if found is None or found.is_closed else self._whole(connection, found)

        try:
            return self._session.run(find)
        except Unfit:
            # The column's character set has no such characters, so no login has them.
            return None

    def _user(self, connection: Connection, login: str) -> _Found | None:
        there = self._dialect.columns(connection, self._users)
        if not there:
            return None
        closing = [name for name in _CLOSING if name in there]
        for column in ("user_login", "user_email") if "@" in login else ("user_login",):
            statement = text(
                f"SELECT {', '.join(['ID', 'user_login', *closing])} FROM {self._users}"
                f" WHERE {column} = :value ORDER BY ID LIMIT 1"
            )
            row = connection.execute(statement, {"value": login}).first()
            if row is not None:
                user_id, stored, *closed = row
                is_closed = any(map(number, closed))
                return _Found(id=number(user_id), login=str(stored), is_closed=is_closed)
        return None

    def _whole(self, connection: Connection, found: _Found) -> WordPressUser:
        keys = [PASSWORDS_KEY, self._capabilities_key]
        rows = connection.execute(self._meta, {"id": found.id, "keys": keys}).fetchall()
        # The collation takes other spellings of a key for the same, and the first row counts.
        meta = {str(key): value for key, value in reversed(rows)}
        roles = connection.execute(self._options, {"name": self._roles_option}).scalar()
        return WordPressUser(
            id=found.id,
            login=found.login,
            password_hashes=_hashes(_array(meta.get(PASSWORDS_KEY))),
            capabilities=_capabilities(_array(meta.get(self._capabilities_key)), _array(roles)),
        )


def _hashes(entries: PhpArray) -> tuple[str, ...]:
    found = [_inner(entry).get(b"password") for entry in entries.values()]
    return tuple(
        one.decode("ascii", "replace") for one in map(deref, found) if isinstance(one, bytes)
    )


def _capabilities(granted: PhpArray, roles: PhpArray) -> frozenset[str]:
    """Return a user's capabilities as ``WP_User::get_role_caps()`` puts them together.

    Those of the roles come first. What is granted to the user, or taken away, counts after them.
    """
    found: PhpArray = {}
    for name in granted:
        if name in roles:
            found |= _inner(_inner(roles[name]).get(b"capabilities"))
    found |= granted
    return frozenset(
        name.decode("utf-8", "replace")
        for name, value in found.items()
        if isinstance(name, bytes) and _is_true(deref(value))
    )


def _is_true(value: Any) -> bool:
    """Return whether PHP takes a value for true."""
    return value not in (b"0", b"") and bool(value)


def _inner(value: Any) -> PhpArray:
    inner = deref(value)
    return inner if isinstance(inner, dict) else {}


def _array(data: object) -> PhpArray:
    """Decode a serialized array. Anything else counts as empty, so that it grants nothing."""
    try:
        return _inner(decode(as_bytes(data)))
    except CodecError:
        return {}
