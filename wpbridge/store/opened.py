"""The parts of a store, put together once the tables are known: over a session or a transaction."""

from dataclasses import dataclass

from wpbridge.site.zone import Zone
from wpbridge.store.database.dialect import Dialect
from wpbridge.store.database.session import Transactor
from wpbridge.store.moving.bulk import Bulk
from wpbridge.store.queueing.adding import Adding
from wpbridge.store.queueing.edits import Edits
from wpbridge.store.queueing.pauses import Pauses
from wpbridge.store.reading.due import Due
from wpbridge.store.reading.failed import Failed
from wpbridge.store.reading.known_names import Known
from wpbridge.store.reading.reading import Reading
from wpbridge.store.rows.groups import Groups
from wpbridge.store.rows.held_hooks import HeldHooks
from wpbridge.store.rows.inserts import Inserts
from wpbridge.store.rows.options import Options
from wpbridge.store.rows.waits import Waits
from wpbridge.store.rows.writes import Writes
from wpbridge.store.rows.zones import Zones
from wpbridge.store.running.limits import Limits
from wpbridge.store.running.orphans import Orphans
from wpbridge.store.running.suspects import Suspects
from wpbridge.store.schema.layout import Layout, TableNames
from wpbridge.store.structure.own_tables import OwnTables
from wpbridge.store.upkeep.cleaning import Cleaning
from wpbridge.store.upkeep.duties import Duties
from wpbridge.store.upkeep.retention import Retention


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
