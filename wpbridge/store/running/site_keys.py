"""Say which idempotency key each action has: one of the site, or the one wpbridge 0.1 gave it."""

import functools
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from wpbridge.action import ActionId
from wpbridge.codec.keys import key_of
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.structure.old_keys import old_mark
from wpbridge.store.structure.tables import Tables


class Work(NamedTuple):
    """What the key of an action is made of, beside its site."""

    id: ActionId
    hook: str
    args: bytes


def _key(site_id: str, blog: str, work: Work) -> str:
    return key_of(site_id=site_id, blog=blog, action_id=work.id, hook=work.hook, args=work.args)


class SiteKeys:
    """Gives the actions of one site their keys."""

    def __init__(self, tables: Tables) -> None:
        names = tables.names
        self._session = tables.session
        # Some servers keep the names of tables in lower case, whatever the settings say.
        self._blog = names.prefix.lower()
        self._own = tables.own
        self._among = text(f"SELECT key_hash FROM {names.keys} WHERE key_hash IN :marks")

    def maker(
        self, up_to: Callable[[int], Sequence[Work]], on: Connection | None
    ) -> Callable[[Work], Callable[[], str]]:
        """Return what makes the maker of an action's key, for any thread.

        A key that is still that of 0.1 is made as an empty text. ``up_to`` returns the actions with
        ids up to one; ``on`` is the connection of a transaction in which everything is to be read.
        """
        facts = self._own.facts
        if facts is None:
            # Without a site id there are no keys: docs/explain/delivery.md#keys.
            return lambda _work: str
        old = self._old(up_to(facts.old_until), on)
        make = functools.partial(_key, facts.site_id, self._blog)
        return lambda work: str if work.id in old else functools.partial(make, work)

    def _old(self, works: Collection[Work], on: Connection | None) -> frozenset[ActionId]:
        """Return the ids of the actions that were queued already when the site got its id."""
        if not works:
            return frozenset()
        marks = {old_mark(*work): work.id for work in works}
        values = {"marks": list(marks)}
        rows = (
            on.execute(self._among, values).fetchall()
            if on is not None
            else self._session.run(lambda c: c.execute(self._among, values).fetchall())
        )
        return frozenset(marks[str(mark)] for (mark,) in rows)
