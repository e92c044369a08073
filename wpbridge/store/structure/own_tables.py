"""Look after our own tables beside the plugin's: find, make, bring forward and remove them.

The plugin's tables never change shape, so these contain what the plugin's have no column for:
docs/explain/own-tables.md. If a feature's table is missing, the feature was never used on this
site: the table is made on first use. Tables of an earlier release are brought forward on first use
too: :mod:`wpbridge.store.structure.own_steps`.
"""

from collections.abc import Iterable
from functools import partial
from typing import Final

from wpbridge.clock import seconds_since_boot
from wpbridge.errors import Contention, SchemaError, StoreError, StoreUnavailable
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.database.dialect import Dialect
from wpbridge.store.database.session import Transactor
from wpbridge.store.schema.layout import TableNames
from wpbridge.store.structure.own_steps import (
    FIRST_VERSION,
    VERSION,
    Place,
    SiteFacts,
    begin,
    read_facts,
    take_steps,
)
from wpbridge.telling.log import tell

_told: Final[set[str]] = set()
"""The messages that this process has logged. It may open many stores of one site."""
_LOOK_SECONDS: Final = 30.0
_ADVICE: Final = "run `wpbridge init` with an account that may create and alter tables"


class OwnTables:
    """wpbridge's own tables of one site."""

    def __init__(self, session: Transactor, names: TableNames, dialect: Dialect) -> None:
        self._session = session
        self._names = names
        self._dialect = dialect
        self._there: frozenset[str] = frozenset()
        self._looked_at = 0.0
        self._trouble: StoreError | None = None
        """Why the tables could not be brought forward. It is tried only once."""
        self.facts: SiteFacts | None = None
        """The facts in the site's table; None where it is missing, as with the tables of 0.1."""
        self._indexes = dialect.ddl.own_indexes(names)
        """The indexes that this object has not yet checked."""

    def look(self) -> frozenset[str]:
        """Return our tables that exist, as :class:`TableNames` calls them, and remember them."""
        self._looked_at = seconds_since_boot()
        found = {name.lower() for name in self._session.run(self._dialect.tables)}
        # A server may store names in lower case, even if the prefix has capitals.
        self._there = frozenset(name for name in self._names.own if name.lower() in found)
        self.facts = None
        if self._names.site in self._there:
            self.facts = self._session.run(lambda c: read_facts(c, self._names))
        return self._there

    def look_for_missing(self) -> None:
        """Look again if a table was missing, since another process may have made it meanwhile.

        The tables of the doors are missing on many sites for ever, so they are looked for less
        often.
        """
        is_old = seconds_since_boot() - self._looked_at >= _LOOK_SECONDS
        wanted = self._names.own if is_old else self._names.of_runs
        if not self._there.issuperset(wanted):
            self.look()

    def has(self, table: str) -> bool:
        """Return whether a table exists.

        A missing table is looked for again, but not inside a transaction. There the look before the
        transaction counts.
        """
        if table not in self._there and not self._session.is_inside:
            self.look()
        return table in self._there

    @property
    def version(self) -> int:
        """The version of the tables at the last look; 0 when there are none."""
        if self.facts is not None:
            return self.facts.version
        return FIRST_VERSION if self._there - {self._names.site} else 0

    @property
    def refusal(self) -> str:
        """Why this release must not write to the tables; empty where it may."""
        if self.facts is None or self.facts.needs <= VERSION:
            return ""
        return (
            f"wpbridge's own tables are of version {self.facts.version}, which a newer release"
            f" made, and this one knows {VERSION}: reading only; upgrade wpbridge"
        )

    @property
    def note(self) -> str:
        """A note on tables of an earlier version; empty where they are of this release."""
        if not 0 < self.version < VERSION:
            return ""
        return (
            f"wpbridge's own tables are of version {self.version}: the next runner brings them"
            f" forward to {VERSION}, or `wpbridge init`"
        )

    def ensure(self, *tables: str) -> None:
        """Make those of the tables that are missing, or all when none is named, and their indexes.

        The tables are looked for first, because an account that may write the plugin's tables may
        lack the right to create any. Tables of an earlier release are brought forward. Where the
        account may not do that, the process says so once and goes on with the tables as they are,
        unless all are asked for.

        Raises:
            SchemaError: a newer release changed them so that this one must not write to them.
            StoreError: they cannot be made; the message says what to do.
        """
        wanted = tables or self._names.own
        if tables:
            # A caller who asks for all of them needs no announcement.
            self._announce(tables)
        trouble = self._bring_forward()
        if trouble is not None:
            told = f"wpbridge's own tables stay at version {self.version} of {VERSION}: {trouble}"
            if not tables:
                raise StoreError(f"{told}; {_ADVICE}") from trouble
            _tell_once(f"{told}; what is newer is left out until you {_ADVICE}")
        if not all(self.has(table) for table in wanted):
            self._make([table for table in wanted if table not in self.look()])
        self._index(wanted)

    def prepare(self) -> None:
        """Make for a runner the tables of wpbridge 0.1, and those newer ones that can be made.

        A runner that begins anew looks anew, since its server may have forgotten tables.
        """
        self.look()
        self.ensure(*self._names.first)
        for table in self._names.later:
            if self._trouble is not None:
                # The message has already said what an account can do that cannot bring them
                # forward.
                return
            try:
                self.ensure(table)
            except (StoreUnavailable, Contention):
                raise
            except StoreError as error:
                _tell_once(str(error))

    def _announce(self, tables: Iterable[str]) -> None:
        """Log the names of the tables that are about to be made.

        The site's table is made together with the first of them. On tables of an earlier release,
        making it is a step, which :attr:`note` announces and which the account may not be able to
        take.
        """
        if not self._there.issuperset(tables):
            there = self.look()
            wanted = (*tables, *(() if there else (self._names.site,)))
            if new := [table for table in wanted if table not in there]:
                tell("own_tables.making", tables=", ".join(new))

    def _bring_forward(self) -> StoreError | None:
        """Bring the tables to the version of this release; return the error if that fails."""
        if self.version < VERSION and self._trouble is None:
            # Another process may have done it meanwhile.
            self.look()
        if self.refusal:
            raise SchemaError(self.refusal)
        if self.version < VERSION and self._trouble is None:
            place = Place(self._session, self._names, self._dialect)
            try:
                if self.version:
                    take_steps(place, self.version)
                else:
                    place.make(self._names.site)
                    begin(place)
            except (StoreUnavailable, Contention):
                raise
            except StoreError as error:
                # Where there are no tables at all, making the first one will report the error.
                self._trouble = error if self.version else None
            else:
                self.look()
        return self._trouble if self.version < VERSION else None

    def _make(self, missing: list[str]) -> None:
        ddl = self._dialect.ddl.own(self._names)

        def make(connection: Connection) -> None:
            for table in missing:
                connection.execute(text(ddl[table]))

        try:
            self._session.run(make)
        except StoreUnavailable:
            raise
        except StoreError as error:
            raise StoreError(
                f"{error}; {', '.join(missing)} must be made once: run `wpbridge init` with an"
                " account that may create tables"
            ) from error
        self._there |= frozenset(missing)

    def deleting(self, table: str) -> bool:
        """Return :meth:`has`, and add the index for deleting from the table by action ids."""
        if self.has(table):
            self._index((table,))
        return self.has(table)

    def _index(self, tables: Iterable[str]) -> None:
        for table in tables:
            for statement in self._indexes.pop(table, ()):
                self._session.run(partial(Connection.execute, statement=text(statement)))

    def drop(self) -> None:
        """Remove all of our tables."""

        def drop(connection: Connection) -> None:
            for statement in self._dialect.ddl.drop_tables(self._names.own):
                connection.execute(text(statement))

        self._session.run(drop)
        self._there = frozenset()
        self.facts = None
        self._indexes = self._dialect.ddl.own_indexes(self._names)


def _tell_once(message: str) -> None:
    if message not in _told:
        _told.add(message)
        tell("own_tables.behind", reason=message)
