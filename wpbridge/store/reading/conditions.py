"""Turn a query into conditions on rows of the actions table, which a statement calls ``a``."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC
from typing import TypeAlias

from wpbridge.clock import to_text
from wpbridge.store.records import Query
from wpbridge.store.schema.layout import Layout

Condition: TypeAlias = tuple[str, str, object]
"""A condition's SQL, and the name and value of its parameter; the name is empty without one."""


def exact(query: Query, groups: Sequence[int]) -> Iterator[Condition]:
    """Yield the conditions that compare a column with given values."""
    if query.ids:
        yield "a.action_id IN :ids", "ids", possible(query.ids)
    if query.hooks:
        yield "a.hook IN :hooks", "hooks", list(query.hooks)
    if query.groups:
        yield "a.group_id IN :groups", "groups", list(groups)
    if query.statuses:
        yield "a.status IN :statuses", "statuses", [str(status) for status in query.statuses]
    if query.claimed is not None:
        yield f"a.claim_id {'<>' if query.claimed else '='} 0", "", None
    if query.claim is not None:
        yield "a.claim_id = :claim", "claim", query.claim
    if query.after_id is not None:
        yield "a.action_id > :after", "after", query.after_id


def dated(query: Query) -> Iterator[Condition]:
    """Yield the conditions on dates."""
    for column, sign, name, moment in (
        ("scheduled_date_gmt", ">=", "since", query.since),
        ("scheduled_date_gmt", "<=", "until", query.until),
        ("last_attempt_gmt", ">=", "modified_since", query.modified_since),
        ("last_attempt_gmt", "<=", "modified_until", query.modified_until),
    ):
        if moment is not None:
            yield f"a.{column} {sign} :{name}", name, to_text(moment.astimezone(UTC))


def inside_text(query: Query, layout: Layout, searched: Sequence[str]) -> Iterator[Condition]:
    """Yield the conditions that search inside texts."""
    for place, pair in enumerate(query.partial_args):
        yield f"a.args LIKE :pair{place} ESCAPE '!'", f"pair{place}", _inside(pair)
    if query.search:
        args = "a.args"
        if layout.has_extended_args:
            # Beside long args the column has only their md5, which nobody searches.
            args = "CASE WHEN a.extended_args IS NULL THEN a.args ELSE a.extended_args END"
        found = [{"hook": "a.hook", "args": args}[column] for column in searched]
        parts = [f"{column} LIKE :text ESCAPE '!'" for column in found]
        yield f"({' OR '.join(parts)})", "text", _inside(query.search)


def possible(ids: Iterable[int]) -> list[int]:
    """Return the ids that a row can have: SQLite's driver refuses numbers of more than 64 bits."""
    return [i for i in ids if 0 <= i < 1 << 63]


def _inside(part: str) -> str:
    for special in "!%_":
        part = part.replace(special, f"!{special}")
    return f"%{part}%"
