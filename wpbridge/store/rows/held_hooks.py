"""Hooks whose actions are held back, since WordPress has no callback for them.

Their actions stay pending and due, so every run meets them again. The table remembers when a hook
was last told of, so that all runners of a site together tell of it once an hour, and so that
commands which start no PHP can count these actions apart. docs/explain/own-tables.md.
"""

from collections.abc import Collection
from typing import Final

from sqlalchemy import BindParameter, Connection, bindparam, text

from wpbridge.store.structure.tables import Tables

AGAIN_SECONDS: Final = 3600
"""A hook that is still held is told of again after so long."""
KEPT_SECONDS: Final = 86_400
"""A hook that no runner has met for so long counts as held no more."""


class HeldHooks:
    """The held hooks of one site; all dates are by the database's clock."""

    def __init__(self, tables: Tables) -> None:
        names, dialect = tables.names, tables.dialect
        self._session = tables.session
        self._own = tables.own
        self._texts = tables.layout.texts
        self._table = table = names.held
        age = dialect.age_seconds("told_gmt")
        # A date ahead of now comes from a clock that was wrong.
        self._again = text(
            f"UPDATE {table} SET told_gmt = {dialect.db_now} WHERE hook = :hook"
            f" AND ({age} >= {AGAIN_SECONDS} OR {age} < 0)"
        )
        self._enter = text(
            f"{dialect.insert_ignore} INTO {table} (hook, told_gmt)"
            f" VALUES (:hook, {dialect.db_now})"
        )
        self._hooks = text(f"SELECT hook FROM {table} WHERE {age} < {KEPT_SECONDS}")
        hooks: BindParameter[str] = bindparam("hooks", expanding=True)
        self._forget = text(f"DELETE FROM {table} WHERE hook IN :hooks").bindparams(hooks)
        self._told_here: set[str] = set()
        """What this runner has told of, where the table cannot hold it."""

    def tell(self, hooks: Collection[str]) -> list[str]:
        """Note that the hooks are held. Return those that are to be told of now, by this caller.

        Of several runners at once only one is given a hook. Where the table is not there, since
        the runner's account may not make it, or cannot hold a name, each runner tells once.
        """
        return [hook for hook in sorted(hooks) if self._is_new(hook)]

    def _is_new(self, hook: str) -> bool:
        if self._own.has(self._table):
            told = self._session.run(lambda c: self._tell_on(c, hook))
            if told is not None:
                return told
        is_new = hook not in self._told_here
        self._told_here.add(hook)
        return is_new

    def _tell_on(self, connection: Connection, hook: str) -> bool | None:
        """Whether it is ours to tell of; None where the column cannot hold the name."""
        if not self._holds(connection, hook):
            return None
        for statement in (self._again, self._enter):
            if connection.execute(statement, {"hook": hook}).rowcount:
                return True
        return False

    def hooks(self) -> frozenset[str]:
        """Hooks that are held, as far as runners have noted; changes nothing."""
        if not self._own.has(self._table):
            return frozenset()
        rows = self._session.run(lambda c: c.execute(self._hooks).fetchall())
        return frozenset(str(hook) for (hook,) in rows)

    def forget(self, hooks: Collection[str]) -> None:
        """An action of each of these hooks was started: they are held no more."""
        self._told_here -= set(hooks)
        if hooks and self._own.has(self._table):
            self._session.run(lambda c: self._forget_on(c, hooks))

    def _forget_on(self, connection: Connection, hooks: Collection[str]) -> None:
        here = sorted(hook for hook in hooks if self._holds(connection, hook))
        if here:
            connection.execute(self._forget, {"hooks": here})

    def _holds(self, connection: Connection, hook: str) -> bool:
        return not self._texts.why_not(connection, (self._table, "hook"), hook)
