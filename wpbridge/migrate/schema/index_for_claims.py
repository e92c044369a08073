"""Looks for the index that makes claims quick, and says how it is added or removed."""

from wpbridge.dataclass import dataclass
from wpbridge.errors import ConfigError, SchemaError
from wpbridge.migrate.schema.comparing import REPAIR
from wpbridge.store.schema.tables import CLAIM_INDEX
from wpbridge.store.structure.definitions import Definitions


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimIndex:
    """Which index is there, and what would be done."""

    name: str | None
    """The index that has these columns; None where there is none."""
    is_ours: bool
    rows: int
    size_bytes: int
    add: str
    drop: str


def claim_index(definitions: Definitions) -> ClaimIndex:
    """Look for the index.

    Raises:
        SchemaError: no actions table, or one without priorities, whose claims use another order.
    """
    table = definitions.table("actions")
    if table is None:
        raise SchemaError(f"no table {definitions.names.actions}: check --table-prefix")
    missing = [name for name in CLAIM_INDEX.columns if name not in table.columns]
    if missing:
        raise SchemaError(
            f"{table.name} lacks {', '.join(missing)}: update Action Scheduler, or {REPAIR}"
        )
    ddl = definitions.ddl
    there = next((n for n, found in table.indexes.items() if found == CLAIM_INDEX.columns), None)
    return ClaimIndex(
        name=there,
        is_ours=there == ddl.index_name(table.name, CLAIM_INDEX),
        rows=table.rows,
        size_bytes=table.size_bytes,
        add=ddl.add_index(table.name, CLAIM_INDEX) + ddl.online,
        drop=ddl.drop_index(table.name, CLAIM_INDEX) + ddl.online,
    )


def check_online(definitions: Definitions) -> None:
    """Raise ConfigError, with what to do, where an index cannot be added beside writers."""
    table = definitions.table("actions")
    if table is not None and table.is_plain:
        raise ConfigError(
            f"{table.name} is {table.engine}, which nobody can write to meanwhile: move it to"
            " InnoDB first (wpbridge migrate schema fix)"
        )
    if not definitions.can_work_online():
        raise ConfigError(
            "this server locks a table while an index is added (MySQL before 5.6, MariaDB before"
            " 10.0): at a quiet hour, run what --sql prints without ALGORITHM and LOCK"
        )
