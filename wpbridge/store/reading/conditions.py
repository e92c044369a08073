"""Turn a query into conditions on rows of the actions table, which a statement calls ``a``."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC
from typing import Final, TypeAlias

from wpbridge.clock import ZERO_DATE, to_text
from wpbridge.errors import CodecError
from wpbridge.store.database.connection import Connection
from wpbridge.store.records import Query
from wpbridge.store.rows.groups import Groups
from wpbridge.store.schema.layout import Layout
from wpbridge.store.structure.tables import Tables

PLAIN_PRIORITY: Final = 10
"""Of an action for which nobody has given one."""
EVERY: Final = Query()
"""The query that means every action."""

Condition: TypeAlias = tuple[str, str, object]
"""A condition's SQL, and the name and value of its parameter; the name is empty without one."""


class Conditions:
    """Makes the conditions of queries on one site's actions."""

    def __init__(self, tables: Tables, groups: Groups) -> None:
        self._session = tables.session
        self._names = tables.names
        self._layout = tables.layout
        self._groups = groups

    def where(self, query: Query) -> tuple[str | None, dict[str, object]]:
        """Return the conditions on ``a`` with their values; None when no row can match.

        Raises InputError for a name or text that is no valid text.
        """
        given = (query.search, query.args or "", *query.partial_args)
        self._layout.texts.check((*query.hooks, *query.groups, *given))
        groups = self._groups.ids(query.groups)
        if query.groups and not groups:
            return None, {}
        return self._session.run(lambda c: self._where(c, query, groups))

    def _where(
        self, connection: Connection, query: Query, groups: Sequence[int]
    ) -> tuple[str | None, dict[str, object]]:
        """Return the conditions; None for a text that no column holds and no server compares."""

        def holds(column: str, text: str) -> bool:
            return self._layout.texts.holds(connection, (self._names.actions, column), text)

        hooks = tuple(hook for hook in query.hooks if holds("hook", hook))
        looked_in = ("hook", "args") if query.searches_args else ("hook",)
        searched = [column for column in looked_in if holds(column, query.search)]
        texts = query.partial_args
        if query.args is not None:
            from wpbridge.codec.args import columns  # noqa: PLC0415 - few queries name args

            try:
                args = columns(query.args)[0]
            except CodecError:
                return None, {}
            texts = (*texts, args)
        if not searched or (query.hooks and not hooks) or not all(holds("args", t) for t in texts):
            return None, {}
        values: dict[str, object] = {}
        parts: list[str] = []
        for condition, name, value in (
            *_of_priority(query, self._layout),
            *_exact(replace(query, hooks=hooks), groups),
            *_dated(query),
            *_beyond(query),
            *_inside_text(query, self._layout, searched),
        ):
            if condition:
                parts.append(condition)
            if name:
                values[name] = value
        if query.args is not None:
            values["args"] = args
            parts.append("a.args = :args")
        return (f" WHERE {' AND '.join(parts)}" if parts else ""), values


def _exact(query: Query, groups: Sequence[int]) -> Iterator[Condition]:
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
    if query.before_id is not None:
        yield "a.action_id < :before", "before", query.before_id
    if query.up_to_id is not None:
        yield "a.action_id <= :up_to", "up_to", query.up_to_id


def _beyond(query: Query) -> Iterator[Condition]:
    """Yield the conditions that begin a page at a place in the order of dates.

    The first of them is a range of an index that has the date. NULL sorts before every date.
    """
    if query.beyond is None:
        return
    at, is_dated, last = query.beyond
    column = "a.last_attempt_gmt" if query.order == "modified" else "a.scheduled_date_gmt"
    way = "<" if query.descending else ">"
    yield "", "beyond_id", last
    if not is_dated:
        no_date = f"({column} IS NULL AND a.action_id {way} :beyond_id)"
        yield no_date if query.descending else f"({no_date} OR {column} IS NOT NULL)", "", None
        return
    undated = f" OR {column} IS NULL" if query.descending else ""
    date = ZERO_DATE if at is None else to_text(at)
    yield f"({column} {way}= :beyond_at{undated})", "beyond_at", date
    yield f"({column} {way} :beyond_at OR a.action_id {way} :beyond_id{undated})", "", None


def _of_priority(query: Query, layout: Layout) -> Iterator[Condition]:
    """Yield the condition on the priority. In tables without it, every action has the plugin's."""
    if query.priority is None:
        return
    if layout.has_priority:
        yield "a.priority = :priority", "priority", query.priority
    elif query.priority != PLAIN_PRIORITY:
        yield "1 = 0", "", None


def _dated(query: Query) -> Iterator[Condition]:
    """Yield the conditions on dates."""
    for column, sign, name, moment in (
        ("scheduled_date_gmt", ">=", "since", query.since),
        ("scheduled_date_gmt", "<=", "until", query.until),
        ("last_attempt_gmt", ">=", "modified_since", query.modified_since),
        ("last_attempt_gmt", "<=", "modified_until", query.modified_until),
    ):
        if moment is not None:
            yield f"a.{column} {sign} :{name}", name, to_text(moment.astimezone(UTC))


def _inside_text(query: Query, layout: Layout, searched: Sequence[str]) -> Iterator[Condition]:
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
