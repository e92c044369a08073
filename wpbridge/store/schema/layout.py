"""The tables as they are found: names, columns and indexes of one site's queue.

The plugin's own tables are never reshaped. Indexes are known by their columns, not by name: the
name differs between the plugin's versions and between MySQL and WordPress on SQLite.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

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
    """The whole name of a table, with the site's prefix."""

    def __init__(self, table: Table) -> None:
        self._end = table.name_end

    def __get__(self, names: "TableNames", _kind: object) -> str:
        return f"{names.prefix}{self._end}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableNames:
    """Every table of a site that wpbridge reads or writes."""

    prefix: str

    actions = _Named(tables.ACTIONS)
    """Work, one row each."""
    claims = _Named(tables.CLAIMS)
    """One row a claim, of any runner."""
    groups = _Named(tables.GROUPS)
    """Slugs."""
    logs = _Named(tables.LOGS)
    """What happened to each action."""
    runners = _Named(tables.RUNNERS)
    """Ours: who runs, and which claims are whose."""
    pauses = _Named(tables.PAUSES)
    """Ours: what no runner may claim; the companion plugin reads it too."""
    zones = _Named(tables.ZONES)
    """Ours: actions whose cron is read in a named time zone."""
    waits = _Named(tables.WAITS)
    """Ours: actions that wait for others to end."""
    keys = _Named(tables.KEYS)
    """Ours: idempotency keys, and the actions they made."""
    limits = _Named(tables.LIMITS)
    """Ours: how much of their rates hooks and groups have used, and failures in a row."""
    suspects = _Named(tables.SUSPECTS)
    """Ours: actions that a dead runner held."""
    duties = _Named(tables.DUTIES)
    """Ours: what one runner does for all, and whose turn it is."""
    held = _Named(tables.HELD)
    """Ours: hooks without a callback in WordPress, whose actions are held back."""
    site = _Named(tables.SITE)
    """Ours: the site's own id, and the version of our tables."""

    def of(self, table: Table) -> str:
        """Name a table of the description."""
        return f"{self.prefix}{table.name_end}"

    @property
    def options(self) -> str:
        """Name WordPress's options; only migrations write to them."""
        return f"{self.prefix}options"

    @property
    def with_ids(self) -> frozenset[str]:
        """The tables whose ids the database gives."""
        return frozenset(
            self.of(table) for table in (*tables.PLUGIN, *tables.OWN) if table.gives_ids
        )

    @property
    def own_keys(self) -> dict[str, tuple[str, ...]]:
        """The primary keys of our own tables."""
        return {self.of(table): table.key for table in tables.OWN}

    @property
    def keys_of_tables(self) -> dict[str, str]:
        """The column that is, or begins, the primary key of each table, ours included."""
        return {self.of(table): table.key[0] for table in (*tables.PLUGIN, *tables.OWN)}

    @property
    def first(self) -> tuple[str, ...]:
        """Those of ours that wpbridge 0.1 had: no runner does without them."""
        return self._all_of(tables.FIRST)

    @property
    def later(self) -> tuple[str, ...]:
        """Those of ours that came later: a runner whose account cannot make them does without."""
        return self._all_of(tables.LATER)

    @property
    def own(self) -> tuple[str, ...]:
        """All of ours: what `init` makes and `uninstall` removes."""
        return self._all_of(tables.OWN)

    @property
    def plugin(self) -> tuple[str, ...]:
        """The plugin's four."""
        return self._all_of(tables.PLUGIN)

    @property
    def queue(self) -> tuple[str, ...]:
        """The plugin's four, and ours."""
        return (*self.plugin, *self.own)

    @property
    def all(self) -> tuple[str, ...]:
        """The plugin's, ours, and the options."""
        return (*self.plugin, self.options, *self.own)

    def _all_of(self, several: Sequence[Table]) -> tuple[str, ...]:
        return tuple(map(self.of, several))


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What this site's tables can do."""

    has_priority: bool
    has_extended_args: bool
    has_unique_key: bool
    priority_index: str | None
    """(claim_id, status, priority, scheduled_date_gmt)"""
    date_index: str | None
    """(claim_id, status, scheduled_date_gmt): before schema 8"""
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
    """Those of the plugin's and our own whose engine has no transactions."""
    texts: Texts = field(default_factory=Texts)
    """What the text columns can hold."""

    def present(self, *columns: str) -> list[str]:
        """Those of these columns of the actions table that this site has, in their order."""
        return [column for column in columns if column not in self.lacking]

    @property
    def lacking(self) -> frozenset[str]:
        """The columns of the actions table that are in the description and not on this site."""
        there = {
            "priority": self.has_priority,
            "extended_args": self.has_extended_args,
            "unique_key": self.has_unique_key,
        }
        return frozenset(name for name, is_there in there.items() if not is_there)

    def describe(self) -> str:
        """For `check`."""
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
    """Read a layout off what the database says.

    Args:
        prefix: the site's table prefix, for the message.
        columns: "actions", "claims", … to column names; a missing table is absent.
        indexes: index name to column names, of the actions table.
        plain_tables: those without transactions, MyISAM's.

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
