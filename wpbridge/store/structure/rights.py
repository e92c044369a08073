"""Find what the account and the server do not allow, by trying statements that change nothing.

Each statement matches no row or is rolled back. A server checks the rights of an account, and
whether it takes writes at all, before it looks for rows. Grants are not read, because only the
server can judge roles, patterns of database names, and rights on single columns. Which rights are
tried is described in :mod:`wpbridge.store.schema.purposes`.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from wpbridge.dataclass import dataclass
from wpbridge.errors import ReadOnly
from wpbridge.store.database.connection import Connection, DBAPIError, text
from wpbridge.store.database.trouble import sort_trouble
from wpbridge.store.schema.purposes import RUNNER, RUNS_WITHOUT
from wpbridge.store.structure.tables import Tables

_ATTEMPT: Final = ("attempts", "last_attempt_gmt", "last_attempt_local")
_DATES: Final = ("scheduled_date_gmt", "scheduled_date_local")
_CHANGED: Final = ("status", "claim_id", "schedule", *_DATES, *_ATTEMPT, "unique_key")
"""The columns of actions that runs change."""
_FILLED: Final[Mapping[str, tuple[str, ...]]] = {
    "actions": (
        *("hook", "status", "args", "schedule", "group_id", "claim_id", *_DATES, *_ATTEMPT),
        *("priority", "extended_args"),
    ),
    "claims": ("date_created_gmt",),
    "groups": ("slug",),
    "logs": ("action_id", "message", "log_date_gmt", "log_date_local"),
}
"""The columns of new rows, by table. Of our own tables the first one of the key is enough."""
_ADVICE: Final = (
    "grant it (`wpbridge grants --for runner` prints all), or name another account with --dsn"
)


@dataclass(frozen=True, slots=True)
class Findings:
    """Lists what is not allowed."""

    problems: tuple[str, ...] = ()
    """With one of these, no run can begin, or no action can end."""
    notes: tuple[str, ...] = ()
    """Runs work without these rights, but some commands do not."""


def refuse_read_only(tables: Tables) -> None:
    """Refuse to begin a run where nothing can be written.

    Raises:
        ReadOnly: with the reason. It is raised at once, even if the session waits for other
            troubles.
    """
    if reason := tables.session.run(Rights(tables).read_only):
        raise ReadOnly(reason)


def find(tables: Tables) -> Findings:
    """Find what keeps the account, or every account, from running this site's actions."""
    there = frozenset(filter(tables.own.has, tables.names.own))
    return tables.session.run(lambda c: Rights(tables).find(c, there))


class Rights:
    """Asks about one site's tables, on a connection that is in no transaction."""

    def __init__(self, tables: Tables) -> None:
        self._names = tables.names
        self._layout = tables.layout
        self._dialect = tables.dialect

    def read_only(self, connection: Connection) -> str:
        """Say why nothing can be written; return "" where it can be.

        Raises:
            DBAPIError: the statement was refused for another reason.
        """
        try:
            self._dialect.try_to_write(connection, self._names.actions)
        except DBAPIError as error:
            trouble = sort_trouble(error.orig)
            if not trouble.read_only:
                raise
            return str(trouble.error)
        return ""

    def find(self, connection: Connection, own: Collection[str]) -> Findings:
        """Try all that a run does. ``own`` names the tables of our own that exist."""
        try:
            reason = self.read_only(connection)
        except DBAPIError as error:
            # A missing right is reported below, with all others.
            self._raise_trouble(error)
            reason = ""
        if reason:
            return Findings(problems=(reason,))
        problems = self._refusals(connection, self._statements(own, RUNNER - RUNS_WITHOUT))
        missing = [table for table in self._names.first if table not in own]
        uncreated = [t for t in missing if not self._dialect.may_create(connection, t)]
        if uncreated:
            problems.append(
                f"the account may not create {', '.join(uncreated)}, and sees none of them, which"
                " the next run needs: run `wpbridge init` with an account that may create tables,"
                " and grant this one SELECT, INSERT, UPDATE and DELETE on them"
            )
        notes = self._refusals(connection, self._statements(own, RUNS_WITHOUT))
        site = self._names.site
        if own and site not in own and not self._dialect.may_create(connection, site):
            notes.append(f"wpbridge's own tables stay as they are: the account may not make {site}")
        return Findings(problems=tuple(problems), notes=tuple(notes))

    def _refusals(self, connection: Connection, statements: Iterable[str]) -> list[str]:
        """Return, in the server's words, why statements are refused."""
        told: list[str] = []
        # The statements are rolled back, since SQLite's table of counters notes even empty INSERTs.
        connection.exec_driver_sql(self._dialect.begin)
        try:
            for statement in statements:
                try:
                    connection.execute(text(f"{statement} WHERE 1 = 0"))
                except DBAPIError as error:
                    self._raise_trouble(error)
                    words = " ".join(str(error.orig.args[-1]).split())[:200]
                    told.append(f"a right is missing: {words}; {_ADVICE}")
        finally:
            if not connection.invalidated:
                connection.exec_driver_sql("ROLLBACK")
        return told

    @staticmethod
    def _raise_trouble(error: DBAPIError) -> None:
        """Raise an error that has nothing to do with rights: a lost connection, or locked rows."""
        trouble = sort_trouble(error.orig)
        if error.connection_invalidated or trouble.gone or trouble.busy:
            raise error

    def _statements(
        self, own: Collection[str], rights: Collection[tuple[str, str]]
    ) -> Iterator[str]:
        """Yield a statement for each right, to be run without rows.

        ``own`` names the tables of our own that exist; ``rights`` has names of tables as
        :mod:`wpbridge.store.schema.purposes` has them.
        """
        for name, right in sorted(rights):
            table = getattr(self._names, name)
            if table in self._names.plugin or table in own:
                yield self._statement(name, table, right)

    def _statement(self, name: str, table: str, right: str) -> str:
        key = self._names.keys_of_tables[table]
        if right == "DELETE":
            return f"DELETE FROM {table}"
        if right == "UPDATE":
            columns = self._layout.present(*_CHANGED) if name == "actions" else [key]
            return f"UPDATE {table} SET {', '.join(f'{one} = {one}' for one in columns)}"
        columns = list(_FILLED.get(name, (key,)))
        if name == "actions":
            columns = self._layout.present(*columns)
        listed = ", ".join(columns)
        looks = f"SELECT {listed} FROM {table}"
        return f"INSERT INTO {table} ({listed}) {looks}" if right == "INSERT" else looks
