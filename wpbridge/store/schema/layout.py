"""Hold the tables of one site's queue as they are found: names, columns and indexes.

The plugin's own tables are never reshaped. Indexes are recognised by their columns, because their
names differ between the plugin's versions and between MySQL and WordPress on SQLite.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Final

from wpbridge.dataclass import dataclass
from wpbridge.errors import SchemaError
from wpbridge.store.schema import tables
from wpbridge.store.schema.description import NEWEST_SCHEMA, OLDEST_SCHEMA, Index, Table
from wpbridge.store.schema.text_columns import Texts

__all__ = [
    "NEWEST_SCHEMA",
    "OLDEST_SCHEMA",
    "STORE_OPTION",
    "Layout",
    "TableNames",
    "layout_of",
]
STORE_OPTION: Final = "schema-ActionScheduler_StoreSchema"


class _Named:
    """Gives the whole name of a table, with the site's prefix."""

    def __init__(self, table: Table) -> None:
        self._end = table.name_end

    def __get__(self, names: "TableNames", _kind: object) -> str:
        return f"{names.prefix}{self._end}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableNames:
    """Names every table of a site that wpbridge reads or writes."""

    prefix: str
    base_prefix: str = ""
    """The prefix of the network, when this is one of its other blogs; else empty."""

    actions = _Named(tables.ACTIONS)
    """The plugin's: one row for each action."""
    claims = _Named(tables.CLAIMS)
    """The plugin's: one row for each claim, of any runner."""
    groups = _Named(tables.GROUPS)
    """The plugin's: the slugs of groups."""
    logs = _Named(tables.LOGS)
    """The plugin's: what happened to each action."""
    runners = _Named(tables.RUNNERS)
    """Ours: which runners there are, and which claims they own."""
    pauses = _Named(tables.PAUSES)
    """Ours: what no runner may claim. The companion plugin reads it too."""
    zones = _Named(tables.ZONES)
    """Ours: actions whose cron expression is read in a named time zone."""
    waits = _Named(tables.WAITS)
    """Ours: actions that wait for others to end."""
    keys = _Named(tables.KEYS)
    """Ours: idempotency keys, and the actions that were added with them."""
    limits = _Named(tables.LIMITS)
    """Ours: how much of their rates hooks and groups have used, and failures in a row."""
    suspects = _Named(tables.SUSPECTS)
    """Ours: actions that a dead runner had in hand."""
    duties = _Named(tables.DUTIES)
    """Ours: the duties of the site, and which runner does them."""
    held = _Named(tables.HELD)
    """Ours: held hooks, which have no callback in WordPress."""
    secrets = _Named(tables.SECRETS)
    """Ours: the site's signing secrets. The companion plugin reads it too."""
    results = _Named(tables.RESULTS)
    """Ours: what handlers returned, and how far they are. The companion plugin writes it too."""
    jobs = _Named(tables.JOBS)
    """Ours: actions that came over HTTP, by the id under which they are followed."""
    api_keys = _Named(tables.API_KEYS)
    """Ours: who may call the HTTP gateway, and what for."""
    stats = _Named(tables.STATS)
    """Ours: how many actions ended in each minute and hour, and how long they took."""
    audit = _Named(tables.AUDIT)
    """Ours: who changed what through a door."""
    traces = _Named(tables.TRACES)
    """Ours: which span led to an action. The companion plugin writes it too."""
    alerts = _Named(tables.ALERTS)
    """Ours: which alerts fire, and who has yet to be told."""
    own_users = _Named(tables.USERS)
    """Ours: the users of the dashboard. WordPress's are in :attr:`users`."""
    sessions = _Named(tables.SESSIONS)
    """Ours: who is signed in to the dashboard."""
    nonces = _Named(tables.NONCES)
    """Ours: what may be used only once, and was."""
    site = _Named(tables.SITE)
    """Ours: the site's own id, and the version of our tables."""

    def of(self, table: Table) -> str:
        """Return the name of a table of the description."""
        return f"{self.prefix}{table.name_end}"

    @property
    def options(self) -> str:
        """Return the name of WordPress's options table. Only migrations write to it."""
        return f"{self.prefix}options"

    @property
    def users(self) -> str:
        """Return the name of WordPress's table of users. All sites of a network have one."""
        return f"{self.base_prefix or self.prefix}users"

    @property
    def usermeta(self) -> str:
        """Return the name of the table of what WordPress notes of its users. It is only read."""
        return f"{self.base_prefix or self.prefix}usermeta"

    def of_wordpress(self, name: str) -> str:
        """Return the name of one of WordPress's own tables, such as ``posts``."""
        is_shared = name in {"users", "usermeta", "blogs"}
        return f"{(is_shared and self.base_prefix) or self.prefix}{name}"

    @property
    def with_ids(self) -> frozenset[str]:
        """Return the tables in which the database numbers the rows."""
        return frozenset(
            self.of(table) for table in (*tables.PLUGIN, *tables.OWN) if table.gives_ids
        )

    @property
    def own_keys(self) -> dict[str, tuple[str, ...]]:
        """Return the primary keys of our own tables."""
        return {self.of(table): table.key for table in tables.OWN}

    @property
    def keys_of_tables(self) -> dict[str, str]:
        """Return, for each table, the column that is its primary key or begins it."""
        return {self.of(table): table.key[0] for table in (*tables.PLUGIN, *tables.OWN)}

    @property
    def of_runs(self) -> tuple[str, ...]:
        """Return our tables that a run makes. The doors make the others when they need them."""
        return tuple(name for name in self.own if name not in self._all_of(tables.OF_DOORS))

    @property
    def first(self) -> tuple[str, ...]:
        """Return our tables that wpbridge 0.1 had. No runner works without them."""
        return self._all_of(tables.FIRST)

    @property
    def later(self) -> tuple[str, ...]:
        """Return our tables that came later. A runner that cannot make them works without them."""
        return self._all_of(tables.LATER)

    @property
    def own(self) -> tuple[str, ...]:
        """Return all of our tables, which `init` makes and `uninstall` removes."""
        return self._all_of(tables.OWN)

    @property
    def plugin(self) -> tuple[str, ...]:
        """Return the plugin's four tables."""
        return self._all_of(tables.PLUGIN)

    @property
    def queue(self) -> tuple[str, ...]:
        """Return the plugin's four tables, and ours."""
        return (*self.plugin, *self.own)

    @property
    def all(self) -> tuple[str, ...]:
        """Return the plugin's tables, the options table, and ours."""
        return (*self.plugin, self.options, *self.own)

    def _all_of(self, several: Sequence[Table]) -> tuple[str, ...]:
        return tuple(map(self.of, several))


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Says which columns and indexes this site's tables have. Indexes are given by their names."""

    has_priority: bool
    has_extended_args: bool
    has_unique_key: bool
    priority_index: str | None
    """(claim_id, status, priority, scheduled_date_gmt)"""
    date_index: str | None
    """(claim_id, status, scheduled_date_gmt), before schema 8"""
    due_index: str | None
    """(status, scheduled_date_gmt)"""
    hook_index: str | None
    """(hook, status, scheduled_date_gmt)"""
    old_hook_index: str | None
    """(hook)"""
    group_index: str | None
    """(group_id)"""
    claimed_index: str | None = None
    """(status, claim_id)"""
    attempt_index: str | None = None
    """(status, last_attempt_gmt)"""
    plain_tables: tuple[str, ...] = ()
    """The tables of the plugin and of ours whose engine has no transactions."""
    texts: Texts = field(default_factory=Texts)
    """What the text columns can hold."""

    def present(self, *columns: str) -> list[str]:
        """Return those of these columns of the actions table that this site has, in their order."""
        return [column for column in columns if column not in self.lacking]

    @property
    def lacking(self) -> frozenset[str]:
        """Return the described columns of the actions table that this site lacks."""
        there = {
            "priority": self.has_priority,
            "extended_args": self.has_extended_args,
            "unique_key": self.has_unique_key,
        }
        return frozenset(name for name, is_there in there.items() if not is_there)

    def describe(self) -> str:
        """Describe the layout in one line, for `check`."""
        claim = "priority" if self.priority_index else "date" if self.date_index else "none"
        return (
            f"priority={'yes' if self.has_priority else 'no'} "
            f"unique_key={'yes' if self.has_unique_key else 'no'} claim index={claim}"
        )


def layout_of(
    prefix: str,
    columns: Mapping[str, Sequence[str]],
    indexes: Mapping[str, Sequence[str]],
    *,
    plain_tables: tuple[str, ...] = (),
) -> Layout:
    """Make a layout of what the database says.

    Args:
        prefix: the site's table prefix, for the message.
        columns: column names by "actions", "claims", …; a missing table is absent.
        indexes: column names by index name, of the actions table.
        plain_tables: the tables without transactions, such as MyISAM's.

    Raises:
        SchemaError: a table or a needed column is missing.
    """
    missing = [f"{prefix}{one.name_end}" for one in tables.PLUGIN if one.name not in columns]
    if missing:
        raise SchemaError(
            f"missing table{'s' if len(missing) > 1 else ''} {', '.join(missing)}, or the account"
            " may not see them: check --table-prefix and the account's rights, let the plugin"
            " create its tables (wp action-scheduler fix-schema), or make them with wpbridge init"
            " --with-tables"
        )
    for table in tables.PLUGIN:
        absent = [column for column in table.needed if column not in columns[table.name]]
        if absent:
            raise SchemaError(
                f"table {prefix}{table.name_end} lacks {', '.join(absent)}: repair it with"
                " the plugin (wp action-scheduler fix-schema)"
            )

    def found(wanted: Index) -> str | None:
        return next((n for n, there in indexes.items() if tuple(there) == wanted.columns), None)

    actions = columns["actions"]
    return Layout(
        has_priority="priority" in actions,
        has_extended_args="extended_args" in actions,
        has_unique_key="unique_key" in actions,
        priority_index=found(tables.PRIORITY_CLAIM_INDEX),
        date_index=found(tables.DATE_CLAIM_INDEX),
        due_index=found(tables.DUE_INDEX),
        hook_index=found(tables.HOOK_INDEX),
        old_hook_index=found(tables.OLD_HOOK_INDEX),
        group_index=found(tables.GROUP_INDEX),
        claimed_index=found(tables.CLAIMED_INDEX),
        attempt_index=found(tables.ATTEMPT_INDEX),
        plain_tables=plain_tables,
    )
