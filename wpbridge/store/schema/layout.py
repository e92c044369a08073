"""The tables as they are found: names, columns and indexes of one site's queue.

The plugin's own tables are never reshaped. Indexes are known by their columns, not by name: the
name differs between the plugin's versions and between MySQL and WordPress on SQLite.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from wpbridge.errors import SchemaError
from wpbridge.store.schema.text_columns import Texts

OLDEST_SCHEMA, NEWEST_SCHEMA = 5, 9
STORE_OPTION = "schema-ActionScheduler_StoreSchema"

_NEEDED = {
    "actions": (
        "action_id",
        "hook",
        "status",
        "scheduled_date_gmt",
        "scheduled_date_local",
        "args",
        "schedule",
        "group_id",
        "attempts",
        "last_attempt_gmt",
        "last_attempt_local",
        "claim_id",
    ),
    "claims": ("claim_id", "date_created_gmt"),
    "groups": ("group_id", "slug"),
    "logs": ("log_id", "action_id", "message", "log_date_gmt", "log_date_local"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TableNames:
    """Every table of a site that wpbridge reads or writes."""

    prefix: str

    @property
    def actions(self) -> str:
        """Work, one row each."""
        return f"{self.prefix}actionscheduler_actions"

    @property
    def claims(self) -> str:
        """One row a claim, of any runner."""
        return f"{self.prefix}actionscheduler_claims"

    @property
    def groups(self) -> str:
        """Slugs."""
        return f"{self.prefix}actionscheduler_groups"

    @property
    def logs(self) -> str:
        """What happened to each action."""
        return f"{self.prefix}actionscheduler_logs"

    @property
    def options(self) -> str:
        """WordPress's options; only migrations write to them."""
        return f"{self.prefix}options"

    @property
    def runners(self) -> str:
        """Ours: who runs, and which claims are whose."""
        return f"{self.prefix}wpbridge_runners"

    @property
    def pauses(self) -> str:
        """Ours: what no runner may claim; the companion plugin reads it too."""
        return f"{self.prefix}wpbridge_pauses"

    @property
    def zones(self) -> str:
        """Ours: actions whose cron is read in a named time zone."""
        return f"{self.prefix}wpbridge_zones"

    @property
    def waits(self) -> str:
        """Ours: actions that wait for others to end."""
        return f"{self.prefix}wpbridge_waits"

    @property
    def keys(self) -> str:
        """Ours: idempotency keys, and the actions they made."""
        return f"{self.prefix}wpbridge_keys"

    @property
    def limits(self) -> str:
        """Ours: how much of their rates hooks and groups have used, and failures in a row."""
        return f"{self.prefix}wpbridge_limits"

    @property
    def suspects(self) -> str:
        """Ours: actions that a dead runner held."""
        return f"{self.prefix}wpbridge_suspects"

    @property
    def duties(self) -> str:
        """Ours: what one runner does for all, and whose turn it is."""
        return f"{self.prefix}wpbridge_duties"

    @property
    def held(self) -> str:
        """Ours: hooks without a callback in WordPress, whose actions are held back."""
        return f"{self.prefix}wpbridge_held"

    @property
    def site(self) -> str:
        """Ours: the site's own id, and the version of our tables."""
        return f"{self.prefix}wpbridge_site"

    @property
    def with_ids(self) -> frozenset[str]:
        """The tables whose ids the database gives."""
        return frozenset({self.actions, self.claims, self.groups, self.logs, self.runners})

    @property
    def own_keys(self) -> dict[str, tuple[str, ...]]:
        """The primary keys of our own tables."""
        return {
            self.runners: ("runner_id",),
            self.pauses: ("kind", "name"),
            self.zones: ("action_id",),
            self.waits: ("action_id", "after_id"),
            self.keys: ("key_hash",),
            self.limits: ("kind", "name"),
            self.suspects: ("action_id",),
            self.duties: ("duty",),
            self.held: ("hook",),
            self.site: ("name",),
        }

    @property
    def keys_of_tables(self) -> dict[str, str]:
        """The column that is, or begins, the primary key of each table, ours included."""
        plugins = {
            self.actions: "action_id",
            self.claims: "claim_id",
            self.groups: "group_id",
            self.logs: "log_id",
        }
        return plugins | {table: columns[0] for table, columns in self.own_keys.items()}

    @property
    def first(self) -> tuple[str, ...]:
        """Those of ours that wpbridge 0.1 had: no runner does without them."""
        return (
            self.runners,
            self.pauses,
            self.zones,
            self.waits,
            self.keys,
            self.limits,
            self.suspects,
            self.duties,
        )

    @property
    def later(self) -> tuple[str, ...]:
        """Those of ours that came later: a runner whose account cannot make them does without."""
        return (self.held,)

    @property
    def own(self) -> tuple[str, ...]:
        """All of ours: what `init` makes and `uninstall` removes."""
        return (*self.first, *self.later, self.site)

    @property
    def queue(self) -> tuple[str, ...]:
        """The plugin's four, and ours."""
        return (self.actions, self.claims, self.groups, self.logs, *self.own)

    @property
    def all(self) -> tuple[str, ...]:
        """The plugin's, ours, and the options."""
        return (self.actions, self.claims, self.groups, self.logs, self.options, *self.own)


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
    missing = [f"{prefix}actionscheduler_{name}" for name in _NEEDED if name not in columns]
    if missing:
        raise SchemaError(
            f"missing table{'s' if len(missing) > 1 else ''} {', '.join(missing)}, or the account"
            " may not see them: check --table-prefix and the account's rights, let the plugin"
            " create its tables (wp action-scheduler fix-schema), or make them with wpbridge init"
            " --with-tables"
        )
    for name, needed in _NEEDED.items():
        absent = [column for column in needed if column not in columns[name]]
        if absent:
            raise SchemaError(
                f"table {prefix}actionscheduler_{name} lacks {', '.join(absent)}: repair it with"
                " the plugin (wp action-scheduler fix-schema)"
            )

    def index(*wanted: str) -> str | None:
        return next((n for n, found in indexes.items() if tuple(found) == wanted), None)

    actions = columns["actions"]
    return Layout(
        has_priority="priority" in actions,
        has_extended_args="extended_args" in actions,
        has_unique_key="unique_key" in actions,
        priority_index=index("claim_id", "status", "priority", "scheduled_date_gmt"),
        date_index=index("claim_id", "status", "scheduled_date_gmt"),
        due_index=index("status", "scheduled_date_gmt"),
        hook_index=index("hook", "status", "scheduled_date_gmt"),
        old_hook_index=index("hook"),
        group_index=index("group_id"),
        claimed_index=index("status", "claim_id"),
        attempt_index=index("status", "last_attempt_gmt"),
        plain_tables=plain_tables,
    )
