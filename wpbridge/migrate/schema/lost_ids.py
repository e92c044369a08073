"""Finds ids and primary keys that an import lost, and what gives them back.

Rows with the id 0 came from inserts that got no id. They are given ids of their own above all
others, so nothing is lost. Rows that share another id may be copies or different things, which only
a person can tell. New ids begin above those that other tables still name: an idempotency key, a
log row or a finished action must never come to mean a new row.
"""

from collections.abc import Iterator, Sequence

from wpbridge.migrate.schema.deviations import Deviation, Fix
from wpbridge.store.schema import alterations
from wpbridge.store.schema.description import Table
from wpbridge.store.schema.found import FoundTable
from wpbridge.store.schema.tables import BY_NAME, OWN
from wpbridge.store.structure.definitions import Definitions


def lost_ids(
    definitions: Definitions, short: str, table: FoundTable, first_id: int
) -> Iterator[Deviation]:
    """Find what one of the plugin's tables lacks to give its new rows ids.

    ``first_id``: lower ids of actions belong to posts.
    """
    least = max(definitions.first_free_id(short), first_id if short == "actions" else 0)
    yield from _lost(definitions, short, BY_NAME[short], table, least)


def lost_own_keys(definitions: Definitions) -> Iterator[Deviation]:
    """Find the same for wpbridge's own tables. Most have no ids but a primary key."""
    for described in OWN:
        name = definitions.names.of(described)
        table = definitions.look(name)
        if table is None or not set(described.key) <= set(table.columns):
            continue
        item = name.removeprefix(definitions.names.prefix)
        if described.gives_ids:
            yield from _lost(definitions, item, described, table, 0)
        elif definitions.ddl.can_alter and table.indexes.get("PRIMARY") != described.key:
            yield _without_key(definitions, f"{item}.{described.key[0]}", table, described.key)


def low_ids(definitions: Definitions, actions: FoundTable, first_id: int) -> Iterator[Deviation]:
    """Find out whether new actions get ids that belong to posts."""
    if not first_id or not actions.columns["action_id"].auto:
        return
    following = definitions.server.next_id()
    if following is not None and following < first_id:
        yield Deviation(
            item="actions AUTO_INCREMENT",
            found=str(following),
            expected=f"{first_id} or more: lower ids belong to posts",
            severity="warning",
            fix=Fix(
                statement=alterations.begin_ids(actions, first_id), online=True, table=actions.name
            ),
        )


def _lost(
    definitions: Definitions, called: str, described: Table, table: FoundTable, least: int
) -> Iterator[Deviation]:
    [name] = described.key
    item = f"{called}.{name}"
    primary = table.indexes.get("PRIMARY", ())
    can_alter = definitions.ddl.can_alter
    if table.columns[name].auto and (not can_alter or primary[:1] == (name,)):
        return
    fix, advice = None, ""
    if not can_alter:
        advice = "export the queue, and import it into one that wpbridge init makes"
    elif primary and primary[0] != name:
        advice = "its primary key is another: change that by hand first"
    else:
        zeros, shared = definitions.wrong_ids(table.name, name)
        if shared:
            advice = (
                f"{shared:,} rows of {table.name} have another row's {name}: give them ids of their"
                " own, or delete the copies, then try again"
            )
        elif zeros:
            yield Deviation(
                item=f"{item} = 0",
                found=f"rows: {zeros:,}",
                expected="an id for each row",
                severity="problem",
                fix=Fix(
                    statement=alterations.renumber_zeros(table, name, least),
                    online=False,
                    table=table.name,
                ),
            )
        if not shared:
            statement = alterations.give_ids(
                table, name, described.columns[name], least if least > 1 else 0
            )
            fix = Fix(statement=statement, online=False, table=table.name)
    is_keyless = table.columns[name].auto
    yield Deviation(
        item=item,
        found="no primary key" if is_keyless else "no AUTO_INCREMENT",
        expected="a primary key" if is_keyless else "AUTO_INCREMENT",
        severity="problem",
        fix=fix,
        advice=advice,
    )


def _without_key(
    definitions: Definitions, item: str, table: FoundTable, columns: Sequence[str]
) -> Deviation:
    fix, advice = None, ""
    if "PRIMARY" in table.indexes:
        advice = "its primary key is another: change that by hand first"
    elif definitions.has_copies(table.name, columns):
        advice = f"rows of {table.name} are there twice: delete the copies, then try again"
    else:
        statement = alterations.add_primary_key(table, columns)
        fix = Fix(statement=statement, online=False, table=table.name)
    return Deviation(
        item=item,
        found="no primary key",
        expected=f"a primary key ({', '.join(columns)})",
        severity="problem",
        fix=fix,
        advice=advice,
    )
