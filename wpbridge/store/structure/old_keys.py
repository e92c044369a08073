"""Note which actions keep the idempotency keys of wpbridge 0.1: those that were queued then."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from wpbridge.clock import SystemClock, to_text
from wpbridge.codec.keys import work_hash
from wpbridge.store.database.args_columns import chosen_args
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.schema.tables import KEYS
from wpbridge.store.structure.own_steps import Place

_PORTION: Final = 500


def old_mark(action_id: int, hook: str, args: bytes) -> str:
    """Return the key hash which says that exactly this work keeps the key of wpbridge 0.1."""
    return work_hash(action_id, f"wpbridge 0.1: {hook}", args)


def highest(place: Place) -> int:
    """Return the highest id of an action; 0 for none."""
    actions = place.names.actions
    if not place.columns(actions):
        return 0
    most = text(f"SELECT MAX(action_id) FROM {actions}")
    return int(place.session.run(lambda c: c.execute(most).scalar()) or 0)


def note_queued(place: Place) -> None:
    """Note the queued actions, each with its work.

    An id alone would not do, since a server may give it once more to other work.
    """
    names, session = place.names, place.session
    columns = place.columns(names.actions)
    if not columns:
        return
    queued = f"SELECT action_id FROM {names.actions} WHERE status IN ('pending', 'in-progress')"
    ids = sorted(session.run(lambda c: [int(action) for (action,) in c.execute(text(queued))]))
    extended = "extended_args" if "extended_args" in columns else "NULL"
    read = text(
        f"SELECT action_id, hook, args, {extended} FROM {names.actions} WHERE action_id IN :ids"
    )
    write = text(
        KEYS.insert_into(
            names.keys,
            place.dialect.insert_ignore,
            key_hash=":mark",
            action_id=":id",
            created_gmt=":now",
        )
    )
    now = to_text(SystemClock().now())

    def note(connection: Connection, portion: Sequence[int]) -> None:
        marks = [
            {"mark": old_mark(int(i), str(hook), chosen_args(short, longer)), "id": i, "now": now}
            for i, hook, short, longer in connection.execute(read, {"ids": portion}).fetchall()
        ]
        if marks:
            connection.execute(write, marks)

    for start in range(0, len(ids), _PORTION):
        session.transact(partial(note, portion=ids[start : start + _PORTION]))
        session.sign()
