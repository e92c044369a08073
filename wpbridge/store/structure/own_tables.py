"""Our own tables, beside the plugin's: which are there, made on first use, removed as a whole.

The plugin's tables never change shape, so what they have no column for lives here:
docs/explain/own-tables.md. A feature whose table is missing was never used on this site. Tables of
an earlier release are brought forward on first use: :mod:`wpbridge.store.structure.own_steps`.
"""

from collections.abc import Iterable
from functools import partial
from typing import Final

from sqlalchemy import Connection, text

from wpbridge.errors import Contention, SchemaError, StoreError, StoreUnavailable
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
"""What this process has said: it opens many stores of one site."""
_ADVICE: Final = "run `wpbridge init` with an account that may create and alter tables"


class OwnTables:
    """wpbridge's tables of one site."""

    def __init__(self, session: Transactor, names: TableNames, dialect: Dialect) -> None:
        self._session = session
        self._names = names
        self._dialect = dialect
        self._there: frozenset[str] = frozenset()
        self._trouble: StoreError | None = None
        """Why the tables could not be brought forward: it is tried once."""
        self.facts: SiteFacts | None = None
        """What the tables tell of the site; None where they are not there, or those of 0.1."""
        self._indexes = dialect.ddl.own_indexes(names)
        """Those that nobody has looked after yet."""

    def look(self) -> frozenset[str]:
        """Those that exist, as :class:`TableNames` calls them; remembered for :meth:`has`."""
        found = {name.lower() for name in self._session.run(self._dialect.tables)}
        # A server may keep names in lower case whatever the prefix is written in.
        self._there = frozenset(name for name in self._names.own if name.lower() in found)
        self.facts = None
        if self._names.site in self._there:
            self.facts = self._session.run(lambda c: read_facts(c, self._names))
        return self._there

    def look_for_missing(self) -> None:
        """Look again if a table was missing: another process may have made it meanwhile."""
        if not self._there.issuperset(self._names.own):
            self.look()

    def has(self, table: str) -> bool:
        """Whether a table is there.

        A missing one is looked for again, but not inside a transaction: there what the session
        looked for before it began counts.
        """
        if table not in self._there and not self._session.is_inside:
            self.look()
        return table in self._there

    @property
    def version(self) -> int:
        """Of the tables that were there when somebody last looked; 0 for none."""
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
        """What is worth knowing of the version; empty where it is that of this release."""
        if not 0 < self.version < VERSION:
            return ""
        return (
            f"wpbridge's own tables are of version {self.version}: the next runner brings them"
            f" forward to {VERSION}, or `wpbridge init`"
        )

    def ensure(self, *tables: str) -> None:
        """Make those of the tables that are missing, with none named all, and indexes they lack.

        Looked for first: who may write the plugin's tables need not be allowed to create any.
        Tables of an earlier release are brought forward. Where the account may not do that, the
        process says so once and goes on with what there is, unless all are asked for.

        Raises:
            SchemaError: a newer release changed them so that this one must not write to them.
            StoreError: they cannot be made, with what to do.
        """
        wanted = tables or self._names.own
        if tables:
            # Whoever asks for all of them has said so.
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
        """For a runner: make what wpbridge 0.1 had, and of what is newer all that can be had.

        One that begins anew looks anew: its server may have forgotten what was there.
        """
        self.look()
        self.ensure(*self._names.first)
        for table in self._names.later:
            if self._trouble is not None:
                # An account that cannot bring them forward has been told what to do.
                return
            try:
                self.ensure(table)
            except (StoreUnavailable, Contention):
                raise
            except StoreError as error:
                _tell_once(str(error))

    def _announce(self, tables: Iterable[str]) -> None:
        """Name the tables that are about to be made.

        That of the site comes with the first of them. With tables of an earlier release it is a
        step of theirs, which is told by :attr:`note`, and which the account may not be able to do.
        """
        if not self._there.issuperset(tables):
            there = self.look()
            wanted = (*tables, *(() if there else (self._names.site,)))
            if new := [table for table in wanted if table not in there]:
                tell("own_tables.making", tables=", ".join(new))

    def _bring_forward(self) -> StoreError | None:
        """Have the tables at the version of this release; returns why they cannot be."""
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
                # Where there are no tables at all, whoever makes the first one says so.
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
        """:meth:`has`, for who is about to delete from it by the ids of actions."""
        if self.has(table):
            self._index((table,))
        return self.has(table)

    def _index(self, tables: Iterable[str]) -> None:
        for table in tables:
            if table in self._indexes:
                statement = text(self._indexes[table])
                self._session.run(partial(Connection.execute, statement=statement))
                del self._indexes[table]

    def drop(self) -> None:
        """Remove all of ours."""

        def drop(connection: Connection) -> None:
            for table in self._names.own:
                connection.execute(text(f"DROP TABLE IF EXISTS {table}"))

        self._session.run(drop)
        self._there = frozenset()
        self.facts = None
        self._indexes = self._dialect.ddl.own_indexes(self._names)


def _tell_once(message: str) -> None:
    if message not in _told:
        _told.add(message)
        tell("own_tables.behind", reason=message)
