"""Say which idempotency key each action has: one of the site, or the one wpbridge 0.1 gave it."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from wpbridge.action import Action, ActionId
from wpbridge.codec.keys import key_of
from wpbridge.store.database.connection import Connection, text
from wpbridge.store.structure.own_steps import old_mark
from wpbridge.store.structure.tables import Tables


class SiteKeys:
    """Gives the actions of one site their keys."""

    def __init__(self, tables: Tables) -> None:
        names = tables.names
        self._session = tables.session
        # Some servers keep the names of tables in lower case, whatever the settings say.
        self._blog = names.prefix.lower()
        self._own = tables.own
        self._among = text(f"SELECT key_hash FROM {names.keys} WHERE key_hash IN :marks")

    def given(self, actions: Sequence[Action], on: Connection | None) -> list[Action]:
        """Return the actions with their keys, and without one where the key is still that of 0.1.

        ``on`` is the connection of a transaction in which everything is to be read.
        """
        facts = self._own.facts
        if facts is None:
            # Without a site id there are no keys: docs/explain/delivery.md#keys.
            return list(actions)
        old = self._old([a for a in actions if a.id <= facts.old_until], on)
        return [
            action
            if action.id in old
            else replace(
                action,
                idempotency_key=key_of(
                    site_id=facts.site_id,
                    blog=self._blog,
                    action_id=action.id,
                    hook=action.hook,
                    args=action.args,
                ),
            )
            for action in actions
        ]

    def _old(self, actions: Collection[Action], on: Connection | None) -> frozenset[ActionId]:
        """Return the ids of the actions that were queued already when the site got its id."""
        if not actions:
            return frozenset()
        marks = {old_mark(a.id, a.hook, a.args): a.id for a in actions}
        values = {"marks": list(marks)}
        rows = (
            on.execute(self._among, values).fetchall()
            if on is not None
            else self._session.run(lambda c: c.execute(self._among, values).fetchall())
        )
        return frozenset(marks[str(mark)] for (mark,) in rows)
