"""The parts of a store, put together once the tables are known: over a session or a transaction."""

from dataclasses import dataclass

from wpbridge.store.adding import Adding
from wpbridge.store.bulk import Bulk
from wpbridge.store.cleaning import Cleaning
from wpbridge.store.dialect import Dialect
from wpbridge.store.due import Due
from wpbridge.store.duties import Duties
from wpbridge.store.edits import Edits
from wpbridge.store.failed import Failed
from wpbridge.store.groups import Groups
from wpbridge.store.held import HeldHooks
from wpbridge.store.inserts import Inserts
from wpbridge.store.known import Known
from wpbridge.store.limits import Limits
from wpbridge.store.options import Options
from wpbridge.store.orphans import Orphans
from wpbridge.store.own_tables import OwnTables
from wpbridge.store.pauses import Pauses
from wpbridge.store.reading import Reading
from wpbridge.store.retention import Retention
from wpbridge.store.session import Transactor
from wpbridge.store.suspects import Suspects
from wpbridge.store.tables import Layout, TableNames
from wpbridge.store.waits import Waits
from wpbridge.store.writes import Writes
from wpbridge.store.zones import Zones
from wpbridge.zone import Zone


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What can be done with one site's tables, by kind of deed."""

    own: OwnTables
    groups: Groups
    zones: Zones
    inserts: Inserts
    writes: Writes
    waits: Waits
    reading: Reading
    known: Known
    failed: Failed
    adding: Adding
    edits: Edits
    pauses: Pauses
    limits: Limits
    suspects: Suspects
    orphans: Orphans
    retention: Retention
    cleaning: Cleaning
    duties: Duties
    due: Due
    held: HeldHooks
    bulk: Bulk
    options: Options


def assemble(  # noqa: PLR0917 - what is known of a site's tables
    session: Transactor,
    names: TableNames,
    layout: Layout,
    dialect: Dialect,
    zone: Zone,
    outside: "Parts | None" = None,
) -> Parts:
    """All parts over one session.

    ``outside``: for a borrowed transaction, the parts of the store itself. They make tables and
    groups, which others must see before the borrowed transaction is committed, or would make too.
    """
    own = outside.own if outside else OwnTables(session, names, dialect)
    lock = " FOR UPDATE" if dialect.name == "mysql" else ""
    groups = outside.groups if outside else Groups(session, names, dialect, layout)
    zones = Zones(names, own, zone, lock)
    inserts = Inserts(names, layout, dialect, zone, zones)
    writes = Writes(names, layout, dialect, inserts, zones)
    waits = Waits(names, own, writes, lock)
    due = Due(session, names, layout, dialect, groups)
    held = HeldHooks(session, names, own, dialect, layout.texts)
    reading = Reading(session, names, layout, dialect, groups, zones, waits, due, held)
    edits = Edits(session, names, layout, inserts, writes, zones, waits, own, lock)
    return Parts(
        own=own,
        groups=groups,
        zones=zones,
        inserts=inserts,
        writes=writes,
        waits=waits,
        reading=reading,
        failed=Failed(session, names, reading, edits),
        known=Known(session, names, layout, dialect),
        adding=Adding(session, names, layout, dialect, groups, inserts, own, waits),
        edits=edits,
        pauses=Pauses(session, names, layout, own),
        limits=Limits(session, names, layout, dialect, groups, own),
        suspects=Suspects(names, dialect, own),
        orphans=Orphans(names, layout, dialect, own),
        retention=Retention(session, names, layout, dialect, groups, own),
        cleaning=Cleaning(session, names, layout, dialect, inserts, own),
        duties=Duties(session, names, own, dialect),
        due=due,
        held=held,
        bulk=Bulk(session, names, layout, dialect, reading, groups, inserts, own),
        options=Options(session, names, dialect),
    )
