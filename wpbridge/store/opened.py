"""Open a store: look at one site's tables once, then put all parts together that work on them."""

import contextlib
from collections.abc import Iterator
from typing import Any

from wpbridge.dataclass import dataclass
from wpbridge.store.base import StoreInfo
from wpbridge.store.bulk.bulk import Bulk
from wpbridge.store.bulk.inserting import WholeRowInserts
from wpbridge.store.bulk.keys import BulkKeys
from wpbridge.store.bulk.reading import WholeRows
from wpbridge.store.database.borrowed import borrow
from wpbridge.store.database.dialect import Dialect
from wpbridge.store.database.session import Session
from wpbridge.store.queueing.adding import Adding
from wpbridge.store.queueing.edits import Edits
from wpbridge.store.queueing.jobs import Jobs
from wpbridge.store.queueing.pauses import Pauses
from wpbridge.store.reading.counting import Counting
from wpbridge.store.reading.due import Due
from wpbridge.store.reading.failed import Failed
from wpbridge.store.reading.known_names import Known
from wpbridge.store.reading.reading import Reading
from wpbridge.store.rows.groups import Groups
from wpbridge.store.rows.held_hooks import HeldHooks
from wpbridge.store.rows.inserts import Inserts
from wpbridge.store.rows.options import Options
from wpbridge.store.rows.results import Results
from wpbridge.store.rows.signing import SigningSecrets
from wpbridge.store.rows.waits import Waits
from wpbridge.store.rows.writes import Writes
from wpbridge.store.rows.zones import Zones
from wpbridge.store.schema.layout import Layout, TableNames
from wpbridge.store.structure.own_tables import OwnTables
from wpbridge.store.structure.tables import Connected, Tables, look
from wpbridge.store.upkeep.cleaning import Cleaning
from wpbridge.store.upkeep.duties import Duties
from wpbridge.store.upkeep.retention import Retention
from wpbridge.store.upkeep.stale_claims import StaleClaims


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStore:
    """One site's store: its tables as they were found, and a part for each kind of work on them."""

    session: Session
    """The store's own session. :attr:`tables` may instead work in a transaction of the caller."""
    tables: Tables
    info: StoreInfo
    """What the look at the tables found."""
    groups: Groups
    zones: Zones
    inserts: Inserts
    writes: Writes
    waits: Waits
    held: HeldHooks
    due: Due
    reading: Reading
    counting: Counting
    whole_rows: WholeRows
    whole_row_inserts: WholeRowInserts
    bulk_keys: BulkKeys
    bulk: Bulk
    known: Known
    failed: Failed
    adding: Adding
    edits: Edits
    jobs: Jobs
    pauses: Pauses
    retention: Retention
    cleaning: Cleaning
    duties: Duties
    stale_claims: StaleClaims
    options: Options
    signing: SigningSecrets
    results: Results

    @property
    def names(self) -> TableNames:
        """Return the names of the tables."""
        return self.tables.names

    @property
    def dialect(self) -> Dialect:
        """Return the dialect of the database."""
        return self.tables.dialect

    @property
    def layout(self) -> Layout:
        """Return the layout of the plugin's tables."""
        return self.tables.layout

    @property
    def own(self) -> OwnTables:
        """Return wpbridge's own tables."""
        return self.tables.own

    def check_writable(self) -> None:
        """Raise SchemaError when the tables may only be read."""
        self.session.check_writable()

    @contextlib.contextmanager
    def inside(self, connection: Any) -> Iterator["OpenStore"]:
        """Yield a store in a transaction of the caller: :mod:`wpbridge.store.database.borrowed`."""
        with borrow(connection, self.dialect.name) as borrowed:
            borrowed.refusal = self.session.refusal
            # SQLite has one writer at a time: our own connection would wait for the caller's.
            outside = None if self.dialect.one_writer else self
            tables = self.tables.borrowed(borrowed, outside.own if outside else None)
            yield _assemble(self.session, tables, self.info, outside.groups if outside else None)

    def close(self) -> None:
        """Close the connection."""
        self.session.close()


def open_tables(way: Connected) -> OpenStore:
    """Look at a site's tables and open its store.

    Raises:
        SchemaError: a table or a column that wpbridge cannot do without is missing.
    """
    tables, info = look(way)
    way.session.before_transaction = tables.own.look_for_missing
    return _assemble(way.session, tables, info)


def _assemble(
    session: Session, tables: Tables, info: StoreInfo, groups: Groups | None = None
) -> OpenStore:
    """Make all parts of a store over the same tables.

    For a borrowed transaction, ``groups`` is the one of the store itself. It commits new groups on
    its own connection. Otherwise others would not see them in time and make them a second time.
    """
    groups = groups or Groups(tables)
    zones = Zones(tables)
    inserts = Inserts(tables, zones)
    writes = Writes(tables, inserts, zones)
    waits = Waits(tables, writes)
    held = HeldHooks(tables)
    due = Due(tables, groups)
    reading = Reading(tables, groups, zones, waits, due, held)
    adding = Adding(tables, groups, inserts, waits)
    edits = Edits(tables, inserts, writes, zones, waits)
    whole_row_inserts = WholeRowInserts(tables)
    bulk_keys = BulkKeys(tables)
    return OpenStore(
        session=session,
        tables=tables,
        info=info,
        groups=groups,
        zones=zones,
        inserts=inserts,
        writes=writes,
        waits=waits,
        held=held,
        due=due,
        reading=reading,
        counting=Counting(tables, reading, groups, due),
        whole_rows=WholeRows(tables, reading, groups),
        whole_row_inserts=whole_row_inserts,
        bulk_keys=bulk_keys,
        bulk=Bulk(tables, groups, inserts, whole_row_inserts, bulk_keys),
        known=Known(tables),
        failed=Failed(tables, reading, edits),
        adding=adding,
        jobs=Jobs(tables, adding, groups, inserts, waits),
        edits=edits,
        pauses=Pauses(tables),
        retention=Retention(tables, groups),
        cleaning=Cleaning(tables, inserts),
        duties=Duties(tables),
        stale_claims=StaleClaims(tables, inserts),
        options=Options(tables),
        signing=SigningSecrets(tables),
        results=Results(tables),
    )
