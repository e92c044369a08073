"""Finds the rows in the plugin's tables that only wpbridge understands, before it goes away."""

from collections.abc import Collection, Mapping

from wpbridge.action import OWN_HOOKS, ActionId
from wpbridge.store.database.connection import text
from wpbridge.store.structure.tables import Tables


class Leaving:
    """The rows of one site that are wpbridge's own."""

    def __init__(self, tables: Tables) -> None:
        names, dialect, layout = tables.names, tables.dialect, tables.layout
        self._session = tables.session
        self._actions = names.actions
        self._hook_index = dialect.use_index(layout.hook_index)
        # PHP writes no NULL there: an action without a schedule has the zero date.
        self._undated = (
            f"{dialect.use_index(layout.due_index)} WHERE status = 'pending'"
            " AND scheduled_date_gmt IS NULL AND claim_id = 0"
        )
        self._own = (
            " WHERE hook LIKE :hooks ESCAPE '!'"
            " AND NOT (status = 'in-progress' OR (status = 'pending' AND claim_id <> 0))"
        )
        self._remove_group = text(
            f"DELETE FROM {names.groups} WHERE slug = :slug AND NOT EXISTS (SELECT 1 FROM"
            f" {names.actions} a WHERE a.group_id = {names.groups}.group_id)"
        )

    def undated(self, most: int) -> list[ActionId]:
        """Return pending actions without a date, which no runner of any kind would ever run."""
        return self._ids(self._undated, {}, most)

    def own_actions(self, most: int) -> list[ActionId]:
        """Return actions of wpbridge's own hooks, but for what a runner has in hand."""
        return self._ids(self._own, {"hooks": f"{OWN_HOOKS.replace('_', '!_')}%"}, most)

    def _ids(self, where: str, values: Mapping[str, object], most: int) -> list[ActionId]:
        ask = text(f"SELECT action_id FROM {self._actions}{where} LIMIT :most")
        given = {**values, "most": most}
        rows = self._session.run(lambda c: c.execute(ask, given).fetchall())
        return sorted(ActionId(int(one)) for (one,) in rows)

    def pending_of(self, hooks: Collection[str], most: int) -> int:
        """Count the pending actions of hooks, up to a number."""
        ask = text(
            f"SELECT COUNT(*) FROM (SELECT 1 FROM {self._actions}{self._hook_index}"
            " WHERE hook IN :hooks AND status = 'pending' LIMIT :most) AS found"
        )
        values = {"hooks": sorted(hooks), "most": most}
        return int(self._session.run(lambda c: c.execute(ask, values).scalar()) or 0)

    def remove_group(self, slug: str) -> None:
        """Remove a group that no action is in."""
        self._session.run(lambda c: c.execute(self._remove_group, {"slug": slug}))
