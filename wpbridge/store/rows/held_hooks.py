"""Remember which hooks are held, since WordPress has no callback for them.

Their actions stay pending and due, so every run meets them again. The table notes when a hook was
last reported. So all runners of a site together report it once an hour, and commands that start no
PHP can count these actions apart. See docs/explain/own-tables.md.
"""

from collections.abc import Collection
from typing import Final

from wpbridge.store.database.connection import Connection, text
from wpbridge.store.schema.tables import HELD
from wpbridge.store.structure.tables import Tables

AGAIN_SECONDS: Final = 3600
"""A hook that is still held is reported again after this time."""
KEPT_SECONDS: Final = 86_400
"""A hook that no runner has met for this time is no longer held."""


class HeldHooks:
    """Keeps the held hooks of one site. All dates are by the database's clock."""

    def __init__(self, tables: Tables) -> None:
        names, dialect = tables.names, tables.dialect
        self._session = tables.session
        self._own = tables.own
        self._texts = tables.layout.texts
        self._table = table = names.held
        age = dialect.age_seconds("told_gmt")
        # A date in the future comes from a clock that was wrong.
        self._again = text(
            f"UPDATE {table} SET told_gmt = {dialect.db_now} WHERE hook = :hook"
            f" AND ({age} >= {AGAIN_SECONDS} OR {age} < 0)"
        )
        self._enter = text(HELD.insert_into(table, dialect.insert_ignore, told_gmt=dialect.db_now))
        self._hooks = text(f"SELECT hook FROM {table} WHERE {age} < {KEPT_SECONDS}")
        self._forget = text(f"DELETE FROM {table} WHERE hook IN :hooks")
        self._told_here: set[str] = set()
        """The hooks that this runner has reported, where the table cannot hold them."""

    def tell(self, hooks: Collection[str]) -> list[str]:
        """Note that the hooks are held, and return those that the caller should report now.

        Of several runners at once, only one gets a hook. Without the table, which the runner's
        account may not be allowed to make, and for a name that the table cannot hold, each runner
        reports once.
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
        """Return whether the caller should report the hook; None if the column cannot hold it."""
        if not self._holds(connection, hook):
            return None
        for statement in (self._again, self._enter):
            if connection.execute(statement, {"hook": hook}).rowcount:
                return True
        return False

    def hooks(self) -> frozenset[str]:
        """Return the hooks that are held, as far as runners have noted. Nothing is changed."""
        if not self._own.has(self._table):
            return frozenset()
        rows = self._session.run(lambda c: c.execute(self._hooks).fetchall())
        return frozenset(str(hook) for (hook,) in rows)

    def forget(self, hooks: Collection[str]) -> None:
        """Note that these hooks are no longer held, because an action of each was started."""
        self._told_here -= set(hooks)
        if hooks and self._own.has(self._table):
            self._session.run(lambda c: self._forget_on(c, hooks))

    def _forget_on(self, connection: Connection, hooks: Collection[str]) -> None:
        here = sorted(hook for hook in hooks if self._holds(connection, hook))
        if here:
            connection.execute(self._forget, {"hooks": here})

    def _holds(self, connection: Connection, hook: str) -> bool:
        return not self._texts.why_not(connection, (self._table, "hook"), hook)
