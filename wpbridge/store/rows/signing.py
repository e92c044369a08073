"""Keep the site's signing secret, and the one before it. Keys for signatures are derived from them.

They stand in a table of ours that the companion plugin reads in PHP too, so its columns are a
contract (docs/explain/signing.md). The names of the two places are the table's key. So there are
never more than two secrets, and of two processes that make the first one, one does.
"""

import secrets
from collections.abc import Sequence
from dataclasses import field
from datetime import datetime
from typing import Final

from wpbridge.clock import seconds_since_boot
from wpbridge.codec.signing import (
    SECRET_BYTES,
    Use,
    callback_secret,
    derived_key,
    fingerprint,
    secret_of,
)
from wpbridge.dataclass import dataclass
from wpbridge.errors import Contention, ReadOnly, SchemaError, StoreError, StoreUnavailable
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.texts import date
from wpbridge.store.schema.tables import SECRETS
from wpbridge.store.structure.tables import Tables
from wpbridge.telling.log import tell

KEPT_SECONDS: Final = 30.0
"""The secrets are read again after this time, so that a rotation is noticed."""
CURRENT: Final = "current"
PREVIOUS: Final = "previous"
_told: Final[set[str]] = set()
"""The messages that this process has logged. It may open many stores of one site."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningSecret:
    """Describes one row of the table, without showing its secret."""

    place: str
    """Where it stands: "current", or "previous"."""
    created_at: datetime | None
    retired_at: datetime | None
    secret: bytes | None = field(repr=False)
    """None where the row does not hold a secret of the right length."""

    @property
    def counts(self) -> bool:
        """Whether wpbridge has written the row, by its place."""
        return self.place in (CURRENT, PREVIOUS)

    @property
    def fingerprint(self) -> str:
        """Return digits by which people recognise the secret; empty for a damaged row."""
        return "" if self.secret is None else fingerprint(self.secret)


class SigningSecrets:
    """The signing secrets of one site. Dates are by the database's clock."""

    def __init__(self, tables: Tables) -> None:
        names, dialect = tables.names, tables.dialect
        self._session = tables.session
        self._own = tables.own
        self._table = table = names.secrets
        self._read = text(
            f"SELECT place, secret, created_gmt, retired_gmt FROM {table} ORDER BY place"
        )
        self._lock = text(f"{self._read.text}{dialect.row_lock}")
        start = {"place": f"'{CURRENT}'", "created_gmt": dialect.db_now, "retired_gmt": "NULL"}
        self._enter = text(SECRETS.insert_into(table, dialect.insert_ignore, **start))
        self._delete_others = text(f"DELETE FROM {table} WHERE place <> :kept")
        self._retire = text(
            f"UPDATE {table} SET place = '{PREVIOUS}', retired_gmt = {dialect.db_now}"
            f" WHERE place = '{CURRENT}'"
        )
        self._valid: tuple[bytes, ...] = ()
        """The secrets at the last look, newest first."""
        self._looked_at: float | None = None
        self._may_make = True
        """Whether making the secret has not failed yet. It is tried only once."""

    def keys(self, use: Use, *, max_age_seconds: float = KEPT_SECONDS) -> tuple[bytes, ...]:
        """Return the keys of a use: sign with the first one, and accept signatures of all.

        The secret is made on first use. Where that is not possible, because the account may not
        write, nothing is returned, and the log says once why. Secrets that were read less than
        ``max_age_seconds`` ago are not read again. Who meets a signature that none of the keys
        fits may ask once more with a second, in case the secret was rotated meanwhile.

        Raises:
            StoreUnavailable, Contention: the database does not answer, as with any other work.
            ValueError: there is no such use.
        """
        now = seconds_since_boot()
        if self._looked_at is None or now - self._looked_at >= max_age_seconds:
            self._valid = self._obtained()
            # In a transaction the secret is not made, so it is looked for again.
            self._looked_at = now if self._valid or not self._session.is_inside else None
        return tuple(derived_key(secret, use) for secret in self._valid)

    def callback_secrets(self, name: str) -> tuple[str, ...]:
        """Return the secrets that sign the callbacks of an API key, the newest first.

        They are derived from the signing secrets and the key's name, so none is kept. Raises and
        returns nothing as :meth:`keys` does.
        """
        return tuple(callback_secret(key, name) for key in self.keys("callback"))

    def stored(self) -> list[SigningSecret]:
        """Return the rows of the table, the current one first; none without the table."""
        if not self._own.has(self._table):
            return []
        return self._session.run(self._rows)

    def is_missing(self) -> bool:
        """Return whether there is no current secret yet."""
        return _current(self.stored()) is None

    def make(self) -> bool:
        """Make the first secret, and the table; return whether there was none before.

        Raises:
            SchemaError, StoreError: the account or this release may not do that.
        """
        self._own.ensure(self._table)
        new = _new()
        return self._session.run(
            lambda c: bool(c.execute(self._enter, {"secret": new.hex()}).rowcount)
        )

    def rotate(self, *, expected: str, keep_previous: bool = True) -> list[SigningSecret]:
        """Make a new current secret; return the rows that there are now.

        The newest valid secret stays valid as the previous one, unless ``keep_previous`` is false.
        All others are deleted.

        Args:
            expected: the fingerprint of the current secret; empty if there is none.
            keep_previous: whether what was signed with the newest valid secret still counts.

        Raises:
            Contention: another process has rotated the secret meanwhile. Nothing was changed.
        """
        self._own.ensure(self._table)
        new = _new()

        def rotate(connection: Connection) -> list[SigningSecret]:
            rows = self._rows(connection, lock=True)
            current, kept = _current(rows), newest(rows) if keep_previous else None
            if current is not None and current.secret == new:
                # A COMMIT of ours was never answered, and had been done.
                return self._rows(connection)
            if (current.fingerprint if current else "") != expected:
                raise Contention(
                    "the signing secret was rotated by another process just now: look with"
                    " `wpbridge keys list`"
                )
            connection.execute(self._delete_others, {"kept": kept.place if kept else ""})
            if kept is not None:
                connection.execute(self._retire)
            connection.execute(self._enter, {"secret": new.hex()})
            return self._rows(connection)

        rows = self._session.transact(rotate)
        self._looked_at = None
        return rows

    def _rows(self, connection: Connection, *, lock: bool = False) -> list[SigningSecret]:
        rows = connection.execute(self._lock if lock else self._read).fetchall()
        return [
            SigningSecret(
                place=str(place),
                created_at=date(created),
                retired_at=date(retired),
                secret=secret_of(str(secret)),
            )
            for place, secret, created, retired in rows
        ]

    def _obtained(self) -> tuple[bytes, ...]:
        """Return the valid secrets, newest first. The first one is made where there is none."""
        try:
            rows = self.stored()
            if self._may_make and not self._session.is_inside and _current(rows) is None:
                self.make()
                rows = self.stored()
        except (SchemaError, StoreError) as error:
            is_outage = isinstance(error, StoreUnavailable | Contention)
            if is_outage and not isinstance(error, ReadOnly):
                raise
            self._may_make = is_outage
            _tell_once(str(error))
            return ()
        if any(row.secret is None for row in rows):
            _tell_once(f"{self._table} has a damaged row: run `wpbridge keys rotate-signing`")
        return tuple(row.secret for row in rows if row.secret is not None and row.counts)


def newest(rows: Sequence[SigningSecret]) -> SigningSecret | None:
    """Return the newest valid secret of the table's rows; None where no row has one."""
    return next((row for row in rows if row.secret is not None and row.counts), None)


def _current(rows: Sequence[SigningSecret]) -> SigningSecret | None:
    return next((row for row in rows if row.place == CURRENT), None)


def _new() -> bytes:
    return secrets.token_bytes(SECRET_BYTES)


def _tell_once(reason: str) -> None:
    if reason not in _told:
        _told.add(reason)
        tell("signing.unavailable", reason=reason)
