"""Open a store: look at one site's tables once. Its parts, which work on them, are at hand then.

A part is imported and made when it is first used, since a short command needs few of them.
"""

import contextlib
import importlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from wpbridge.store.base import StoreInfo
from wpbridge.store.database.dialect import Dialect
from wpbridge.store.database.session import Session
from wpbridge.store.schema.layout import Layout, TableNames
from wpbridge.store.structure.own_tables import OwnTables
from wpbridge.store.structure.tables import Connected, Tables, look

if TYPE_CHECKING:
    from wpbridge.store.bulk.bulk import Bulk
    from wpbridge.store.bulk.inserting import WholeRowInserts
    from wpbridge.store.bulk.keys import BulkKeys
    from wpbridge.store.bulk.reading import WholeRows
    from wpbridge.store.queueing.adding import Adding
    from wpbridge.store.queueing.edits import Edits
    from wpbridge.store.queueing.jobs import Jobs
    from wpbridge.store.queueing.pauses import Pauses
    from wpbridge.store.reading.chain_rows import ChainRows
    from wpbridge.store.reading.conditions import Conditions
    from wpbridge.store.reading.counting import Counting
    from wpbridge.store.reading.day_of_hooks import DayOfHooks
    from wpbridge.store.reading.due import Due
    from wpbridge.store.reading.due_pairs import DuePairs
    from wpbridge.store.reading.failed import Failed
    from wpbridge.store.reading.failure_rows import FailureRows
    from wpbridge.store.reading.gauges import Gauges
    from wpbridge.store.reading.known_names import Known
    from wpbridge.store.reading.log_ends import LogEnds
    from wpbridge.store.reading.network_sites import NetworkSites
    from wpbridge.store.reading.newest import Newest
    from wpbridge.store.reading.reading import Reading
    from wpbridge.store.reading.stopped_chains import StoppedChains
    from wpbridge.store.reading.summed_stats import SummedStats
    from wpbridge.store.rows.alerts import Alerts
    from wpbridge.store.rows.api_keys import ApiKeys
    from wpbridge.store.rows.audit import Audit
    from wpbridge.store.rows.groups import Groups
    from wpbridge.store.rows.held_hooks import HeldHooks
    from wpbridge.store.rows.idempotency import IdempotencyKeys
    from wpbridge.store.rows.inserts import Inserts
    from wpbridge.store.rows.nonces import Nonces
    from wpbridge.store.rows.options import Options
    from wpbridge.store.rows.results import Results
    from wpbridge.store.rows.sessions import Sessions
    from wpbridge.store.rows.signing import SigningSecrets
    from wpbridge.store.rows.sizes import Sizes
    from wpbridge.store.rows.stats import Stats
    from wpbridge.store.rows.traces import Traces
    from wpbridge.store.rows.users import Users
    from wpbridge.store.rows.waits import Waits
    from wpbridge.store.rows.wordpress_users import WordPressUsers
    from wpbridge.store.rows.writes import Writes
    from wpbridge.store.rows.zones import Zones
    from wpbridge.store.upkeep.cleaning import Cleaning
    from wpbridge.store.upkeep.duties import Duties
    from wpbridge.store.upkeep.leaving import Leaving
    from wpbridge.store.upkeep.php_endings import PhpEndings
    from wpbridge.store.upkeep.retention import Retention
    from wpbridge.store.upkeep.stale_claims import StaleClaims

_PARTS: Final[Mapping[str, tuple[str, str, tuple[str, ...]]]] = {
    "groups": ("rows.groups", "Groups", ("tables",)),
    "zones": ("rows.zones", "Zones", ("tables",)),
    "traces": ("rows.traces", "Traces", ("tables",)),
    "inserts": ("rows.inserts", "Inserts", ("tables", "zones", "traces")),
    "writes": ("rows.writes", "Writes", ("tables", "inserts", "zones")),
    "waits": ("rows.waits", "Waits", ("tables", "writes")),
    "held": ("rows.held_hooks", "HeldHooks", ("tables",)),
    "due": ("reading.due", "Due", ("tables", "groups")),
    "due_pairs": ("reading.due_pairs", "DuePairs", ("tables", "groups")),
    "conditions": ("reading.conditions", "Conditions", ("tables", "groups")),
    "reading": (
        "reading.reading",
        "Reading",
        ("tables", "groups", "conditions", "zones", "waits", "due", "held"),
    ),
    "counting": ("reading.counting", "Counting", ("tables", "groups", "conditions", "due")),
    "whole_rows": ("bulk.reading", "WholeRows", ("tables", "conditions", "groups")),
    "whole_row_inserts": ("bulk.inserting", "WholeRowInserts", ("tables",)),
    "bulk_keys": ("bulk.keys", "BulkKeys", ("tables",)),
    "bulk": (
        "bulk.bulk",
        "Bulk",
        ("tables", "groups", "inserts", "whole_row_inserts", "bulk_keys"),
    ),
    "known": ("reading.known_names", "Known", ("tables",)),
    "failed": ("reading.failed", "Failed", ("tables", "conditions", "reading", "edits")),
    "chain_rows": ("reading.chain_rows", "ChainRows", ("tables",)),
    "failure_rows": ("reading.failure_rows", "FailureRows", ("tables",)),
    "log_ends": ("reading.log_ends", "LogEnds", ("tables",)),
    "gauges": ("reading.gauges", "Gauges", ("tables", "due")),
    "newest": ("reading.newest", "Newest", ("tables", "groups")),
    "summed": ("reading.summed_stats", "SummedStats", ("tables", "groups")),
    "day_of_hooks": ("reading.day_of_hooks", "DayOfHooks", ("tables", "summed")),
    "network_sites": ("reading.network_sites", "NetworkSites", ("tables",)),
    "stopped_chains": ("reading.stopped_chains", "StoppedChains", ("tables",)),
    "keys": ("rows.idempotency", "IdempotencyKeys", ("tables",)),
    "adding": (
        "queueing.adding",
        "Adding",
        ("tables", "groups", "inserts", "waits", "keys", "traces"),
    ),
    "jobs": (
        "queueing.jobs",
        "Jobs",
        ("tables", "adding", "groups", "inserts", "waits", "traces"),
    ),
    "edits": (
        "queueing.edits",
        "Edits",
        ("tables", "inserts", "writes", "zones", "waits", "traces"),
    ),
    "pauses": ("queueing.pauses", "Pauses", ("tables",)),
    "retention": ("upkeep.retention", "Retention", ("tables", "groups")),
    "cleaning": ("upkeep.cleaning", "Cleaning", ("tables", "inserts")),
    "duties": ("upkeep.duties", "Duties", ("tables",)),
    "stale_claims": ("upkeep.stale_claims", "StaleClaims", ("tables", "inserts")),
    "leaving": ("upkeep.leaving", "Leaving", ("tables",)),
    "options": ("rows.options", "Options", ("tables",)),
    "signing": ("rows.signing", "SigningSecrets", ("tables",)),
    "api_keys": ("rows.api_keys", "ApiKeys", ("tables", "audit")),
    "audit": ("rows.audit", "Audit", ("tables",)),
    "sessions": ("rows.sessions", "Sessions", ("tables", "audit")),
    "users": ("rows.users", "Users", ("tables", "audit", "sessions")),
    "nonces": ("rows.nonces", "Nonces", ("tables",)),
    "alerts": ("rows.alerts", "Alerts", ("tables",)),
    "sizes": ("rows.sizes", "Sizes", ("tables",)),
    "wordpress_users": ("rows.wordpress_users", "WordPressUsers", ("tables",)),
    "results": ("rows.results", "Results", ("tables",)),
    "stats": ("rows.stats", "Stats", ("tables",)),
    "php_endings": ("upkeep.php_endings", "PhpEndings", ("tables", "groups", "stats")),
}
"""By name: each part's module in this room, its class, and what it is made from."""


class OpenStore:
    """One site's store: its tables as they were found, and a part for each kind of work on them."""

    def __init__(self, session: Session, tables: Tables, info: StoreInfo) -> None:
        self.session: Final = session
        """The store's own session. :attr:`tables` may instead work in a transaction of the
        caller."""
        self.tables: Final = tables
        self.info: Final = info
        """What the look at the tables found."""

    if TYPE_CHECKING:
        groups: Groups
        zones: Zones
        traces: Traces
        inserts: Inserts
        writes: Writes
        waits: Waits
        held: HeldHooks
        due: Due
        due_pairs: DuePairs
        conditions: Conditions
        reading: Reading
        counting: Counting
        whole_rows: WholeRows
        whole_row_inserts: WholeRowInserts
        bulk_keys: BulkKeys
        bulk: Bulk
        known: Known
        failed: Failed
        chain_rows: ChainRows
        failure_rows: FailureRows
        log_ends: LogEnds
        gauges: Gauges
        newest: Newest
        summed: SummedStats
        day_of_hooks: DayOfHooks
        network_sites: NetworkSites
        stopped_chains: StoppedChains
        keys: IdempotencyKeys
        adding: Adding
        jobs: Jobs
        edits: Edits
        pauses: Pauses
        retention: Retention
        cleaning: Cleaning
        duties: Duties
        stale_claims: StaleClaims
        leaving: Leaving
        options: Options
        signing: SigningSecrets
        api_keys: ApiKeys
        audit: Audit
        sessions: Sessions
        users: Users
        nonces: Nonces
        alerts: Alerts
        sizes: Sizes
        wordpress_users: WordPressUsers
        results: Results
        stats: Stats
        php_endings: PhpEndings
    else:

        def __getattr__(self, name: str) -> object:
            """Make a part. From then on Python finds it without asking here."""
            if name not in _PARTS:
                raise AttributeError(f"a store has no part {name!r}", name=name, obj=self)
            module, kind, needs = _PARTS[name]
            make = getattr(importlib.import_module(f"wpbridge.store.{module}"), kind)
            part = vars(self)[name] = make(*(getattr(self, need) for need in needs))
            return part

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
        from wpbridge.store.database.borrowed import borrow  # noqa: PLC0415 - only Python's callers

        with borrow(connection, self.dialect.name) as borrowed:
            borrowed.refusal = self.session.refusal
            # SQLite has one writer at a time: our own connection would wait for the caller's.
            outside = None if self.dialect.one_writer else self
            tables = self.tables.borrowed(borrowed, outside.own if outside else None)
            inside = OpenStore(self.session, tables, self.info)
            if outside:
                # It commits new groups on its own connection. Otherwise others would not see them
                # in time and make them a second time.
                vars(inside)["groups"] = outside.groups
            yield inside

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
    return OpenStore(way.session, tables, info)
