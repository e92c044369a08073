"""Keep the API keys of a site: who may call the HTTP gateway, and what for.

A row has the hash of a secret, and never the secret. Each change writes a row of the audit table in
its own transaction. What compares dates asks the database's clock, which all hosts share.
"""

import json
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Final, NoReturn

from wpbridge.dataclass import dataclass
from wpbridge.errors import Contention, InputError
from wpbridge.store.database.connection import Connection, Statement, text
from wpbridge.store.database.texts import date, number
from wpbridge.store.rows.audit import Audit
from wpbridge.store.schema.tables import API_KEYS
from wpbridge.store.structure.tables import Tables

USE_SECONDS: Final = 60
"""The last use of a key is noted at most once in this time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyRecord:
    """Holds one row of the table, with what the database's clock says of its dates."""

    name: str
    secret_hash: str = field(repr=False)
    previous_hash: str = field(repr=False)
    """Of the secret before the last rotation; empty for none."""
    previous_until: datetime | None
    previous_counts: bool
    """Whether the previous secret is still valid."""
    rights: str
    """What the key allows, as JSON."""
    created_at: datetime | None
    expires_at: datetime | None
    """None for a key that does not expire."""
    is_expired: bool
    revoked_at: datetime | None
    used_at: datetime | None
    """When it was last used, to the minute; None for never."""
    use_is_noted: bool
    """Whether its last use was noted so recently that it need not be noted again."""

    @property
    def is_valid(self) -> bool:
        """Whether the key may be used at all."""
        return self.revoked_at is None and not self.is_expired

    @property
    def hashes(self) -> tuple[str, ...]:
        """Return the hashes of the secrets that count now, the newest first."""
        if not self.is_valid:
            return ()
        has_two = self.previous_counts and bool(self.previous_hash)
        return (self.secret_hash, self.previous_hash) if has_two else (self.secret_hash,)


class ApiKeys:
    """The API keys of one site."""

    def __init__(self, tables: Tables, audit: Audit) -> None:
        dialect = tables.dialect
        self._dialect = dialect
        self._session = tables.session
        self._own = tables.own
        self._audit = audit
        self._table = table = tables.names.api_keys
        now, age = dialect.db_now, dialect.age_seconds("used_gmt")
        self._read = (
            "SELECT name, secret_hash, previous_hash, previous_until_gmt,"
            f" CASE WHEN previous_until_gmt > {now} THEN 1 ELSE 0 END, rights, created_gmt,"
            f" expires_gmt, CASE WHEN expires_gmt <= {now} THEN 1 ELSE 0 END, revoked_gmt,"
            f" used_gmt, CASE WHEN {age} BETWEEN 0 AND {USE_SECONDS - 1} THEN 1 ELSE 0 END"
            f" FROM {table}"
        )
        self._all = text(f"{self._read} ORDER BY name")
        self._one = text(f"{self._read} WHERE name = :name")
        self._locked = text(f"{self._read} WHERE name = :name{dialect.row_lock}")
        self._revoke = text(
            f"UPDATE {table} SET revoked_gmt = {now} WHERE name = :name AND revoked_gmt IS NULL"
        )
        # A date in the future comes from a clock that was wrong.
        self._use = text(
            f"UPDATE {table} SET used_gmt = {now} WHERE name = :name"
            f" AND (used_gmt IS NULL OR {age} >= {USE_SECONDS} OR {age} < 0)"
        )

    def all(self) -> list[ApiKeyRecord]:
        """Return all keys by name, ended ones too; none without the table."""
        if not self._own.has(self._table):
            return []
        return self._session.run(lambda c: list(map(_record, c.execute(self._all))))

    def find(self, name: str) -> ApiKeyRecord | None:
        """Return the key of a name; None where there is none."""
        if not self._own.has(self._table):
            return None
        return self._session.run(lambda c: self._found(c, self._one, name))

    def add(
        self, name: str, secret_hash: str, *, rights: str, expires_seconds: int | None, who: str
    ) -> None:
        """Add a key.

        Args:
            name: of the key. A name is never given again, not even after it was revoked.
            secret_hash: SHA-256 of its secret, in hexadecimal digits.
            rights: what it allows, as JSON.
            expires_seconds: after which it ends; None for never.
            who: for the audit table.

        Raises:
            InputError: there is a key of this name.
        """
        self._prepare()
        expires = "NULL" if expires_seconds is None else self._dialect.db_in(expires_seconds)
        insert = text(
            API_KEYS.insert_into(
                self._table,
                previous_hash="''",
                previous_until_gmt="NULL",
                created_gmt=self._dialect.db_now,
                expires_gmt=expires,
                revoked_gmt="NULL",
                used_gmt="NULL",
            )
        )

        def add(connection: Connection) -> None:
            there = self._found(connection, self._locked, name)
            if there is not None and there.secret_hash == secret_hash:
                # A COMMIT of ours was never answered, and had been done.
                return
            if there is not None:
                self.refuse_taken(there)
            values = {"name": name, "secret_hash": secret_hash, "rights": rights}
            connection.execute(insert, values)
            detail = {"rights": json.loads(rights), "expires_seconds": expires_seconds}
            self._note(connection, who, "key-add", name, detail)

        self._session.transact(add)

    def rotate(
        self,
        name: str,
        secret_hash: str,
        *,
        expected: str,
        keep_seconds: int,
        expires_seconds: int | None,
        who: str,
    ) -> None:
        """Give a key a new secret. The old one stays valid for ``keep_seconds``.

        Args:
            name: of the key.
            secret_hash: SHA-256 of the new secret.
            expected: the hash of the secret that is replaced.
            keep_seconds: 0 ends the old secret at once.
            expires_seconds: gives the key a new end; None leaves its end as it is.
            who: for the audit table.

        Raises:
            Contention: the key was changed by another process meanwhile. Nothing was changed.
        """
        self._prepare()
        keep = f"secret_hash, previous_until_gmt = {self._dialect.db_in(keep_seconds)}"
        kept = keep if keep_seconds else "'', previous_until_gmt = NULL"
        end = "" if expires_seconds is None else self._dialect.db_in(expires_seconds)
        # MySQL sets columns from left to right: the old hash is copied before it is replaced.
        update = text(
            f"UPDATE {self._table} SET previous_hash = {kept}, secret_hash = :new"
            f"{f', expires_gmt = {end}' if end else ''}"
            " WHERE name = :name AND secret_hash = :expected AND revoked_gmt IS NULL"
        )

        def rotate(connection: Connection) -> None:
            there = self._found(connection, self._locked, name)
            if there is not None and there.secret_hash == secret_hash:
                # A COMMIT of ours was never answered, and had been done.
                return
            values = {"name": name, "new": secret_hash, "expected": expected}
            if not connection.execute(update, values).rowcount:
                raise Contention(
                    f"the API key {name} was changed by another process just now: look with"
                    " `wpbridge keys list`"
                )
            detail = {"keep_seconds": keep_seconds, "expires_seconds": expires_seconds}
            self._note(connection, who, "key-rotate", name, detail)

        self._session.transact(rotate)

    def revoke(self, name: str, *, who: str) -> bool:
        """End a key at once and for ever; return whether it had not been revoked before."""
        self._prepare()

        def revoke(connection: Connection) -> bool:
            done = bool(connection.execute(self._revoke, {"name": name}).rowcount)
            if done:
                self._note(connection, who, "key-revoke", name, {})
            return done

        return self._session.transact(revoke)

    @staticmethod
    def refuse_taken(there: ApiKeyRecord) -> NoReturn:
        """Raise the InputError with which a second key of one name is refused."""
        if there.revoked_at is not None:
            raise InputError(
                f"the API key {there.name} was revoked, and its name is not given again: choose"
                " another"
            )
        raise InputError(
            f"there is an API key {there.name} already: choose another name, or run `wpbridge keys"
            f" rotate {there.name}`"
        )

    def note_use(self, name: str) -> None:
        """Note that a key is used now, unless that was noted within the last minute."""
        self._session.run(lambda c: c.execute(self._use, {"name": name}))

    def _prepare(self) -> None:
        self._own.ensure(self._table)
        self._audit.prepare()

    def _note(
        self, connection: Connection, who: str, verb: str, name: str, detail: Mapping[str, object]
    ) -> None:
        self._audit.add(connection, who=who, verb=verb, thing=name, detail=detail)

    @staticmethod
    def _found(connection: Connection, statement: Statement, name: str) -> ApiKeyRecord | None:
        row = connection.execute(statement, {"name": name}).first()
        return None if row is None else _record(row)


def _record(row: tuple[object, ...]) -> ApiKeyRecord:
    name, secret, previous, until, counts, rights, created, expires, ended, revoked, used, noted = (
        row
    )
    return ApiKeyRecord(
        name=str(name),
        secret_hash=str(secret),
        previous_hash=str(previous or ""),
        previous_until=date(until),
        previous_counts=bool(number(counts)),
        rights=str(rights),
        created_at=date(created),
        expires_at=date(expires),
        is_expired=bool(number(ended)),
        revoked_at=date(revoked),
        used_at=date(used),
        use_is_noted=bool(number(noted)),
    )
